/* due.c - rows that say when something is to be looked at. */
#include "server/vault/due.h"

#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"

kv_status kv_due_first(kv_vault *vault, kv_work *work, const kv_due *due, void *row, bool *found,
                       kv_error *err)
{
    void *from = kv_arena_alloc(work->arena, due->table->row_size);
    kv_scan scan = { .table = due->table, .index = 1, .from = from, .limit = 1 };
    kv_rows rows;

    if (!from)
        return kv_arena_full(err);
    KV_TRY(kv_records_scan_sound(vault->config.records, &scan, work->arena, &rows, err));
    *found = rows.count > 0;
    if (*found)
        memcpy(row, rows.rows, due->table->row_size);
    return KV_OK;
}

kv_status kv_due_move(kv_vault *vault, kv_work *work, const kv_due *due, void *row, int64_t at_ms,
                      kv_error *err)
{
    kv_change change = { 0 };

    memcpy((char *)row + due->due_at, &at_ms, sizeof(at_ms));
    KV_TRY(kv_change_update(&change, due->table, row, err));
    return kv_commit_step(vault, work, due->later, &change, err);
}

kv_status kv_due_forget(kv_vault *vault, kv_work *work, const kv_due *due, void *row, kv_error *err)
{
    kv_change change = { 0 };

    *err = (kv_error){ 0 };
    KV_TRY(kv_change_delete(&change, due->table, row, err));
    return kv_commit_step(vault, work, due->never, &change, err);
}

kv_status kv_due_shelve(kv_vault *vault, kv_work *work, const kv_due *due, void *row, int64_t at_ms,
                        kv_error *err)
{
    kv_status status;

    *err = (kv_error){ 0 };
    status = kv_records_get(vault->config.records, due->table, row, work->arena, err);
    if (status == KV_OK)
        return kv_due_move(vault, work, due, row, at_ms, err);
    if (status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    return KV_OK;
}

kv_status kv_due_step(kv_vault *vault, const char *operation, kv_due_turn *turn, int64_t *next_at,
                      kv_error *err)
{
    kv_own_step at;
    kv_status status = kv_own_step_begin(vault, &at, err);

    *next_at = 0;
    if (status == KV_OK) {
        at.entry.operation = operation;
        at.work.deadline = kv_deadline_in_ms(KV_OPERATION_STEP_MS);
        status = turn(vault, &at.work, next_at, err);
    }
    if (status == KV_CONFLICT) {
        *err = (kv_error){ 0 };
        status = KV_OK;
    }
    kv_own_step_end(&at);
    return status;
}
