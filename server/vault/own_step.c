/* own_step.c - steps of the server's own work, and every row of a table. */
#include "server/vault/own_step.h"
#include "server/vault/row_walk.h"

#include "server/base/text.h"

/* A purge is to be finished, however long it takes. */
enum { ROWS_PER_STEP = 50, ARENA_BYTES = 8 << 20, STEP_MS = 24 * 60 * 60 * 1000 };

kv_status kv_own_step_begin(kv_vault *vault, kv_own_step *at, kv_error *err)
{
    *at = (kv_own_step){ .arena = KV_ARENA(ARENA_BYTES) };
    at->entry.time_ms = kv_clock_now_ms(vault->config.clock);
    at->entry.operation = "ServerReconcile";
    at->entry.principal_name = KV_SLICE("keyvaultd");
    at->work = (kv_work){ .arena = &at->arena,
                          .deadline = kv_deadline_in_ms(STEP_MS),
                          .now_ms = at->entry.time_ms,
                          .now_us = kv_monotonic_us(),
                          .caller = &at->caller,
                          .entry = &at->entry };
    if (!kv_random_id(at->entry.request_id, sizeof(at->entry.request_id)))
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    return KV_OK;
}

void kv_own_step_end(kv_own_step *at)
{
    kv_arena_cleanup(&at->arena);
}

kv_status kv_each_row(kv_vault *vault, const kv_table *table, kv_own_row *visit, void *context,
                      kv_error *err)
{
    kv_arena place = KV_ARENA(ARENA_BYTES);
    char *from = kv_arena_alloc(&place, table->row_size);
    kv_scan scan = { .table = table, .from = from, .limit = ROWS_PER_STEP };
    kv_status status = from ? KV_OK : kv_arena_full(err);
    bool more = true;

    while (status == KV_OK && more) {
        kv_rows rows = { 0 };
        kv_own_step at;

        status = kv_own_step_begin(vault, &at, err);
        if (status == KV_OK)
            status = kv_records_scan(vault->config.records, &scan, &at.arena, &rows, err);
        for (unsigned i = 0; status == KV_OK && i < rows.count; i++)
            status = visit(vault, &at, (char *)rows.rows + i * table->row_size, context, err);
        more = rows.more;
        if (status == KV_OK && rows.count)
            status = kv_copy_row_key(table, (char *)rows.rows + (rows.count - 1) * table->row_size,
                                     &place, from, err);
        scan.after = true;
        kv_own_step_end(&at);
    }
    kv_arena_cleanup(&place);
    return status;
}
