/* clock_step.c - the clock was set back: waits that were begun before end that much earlier.
 *
 * What is planned has its time from a certificate and stays. What waits, after a failure or for an
 * issuer, has it from a clock that was ahead, and would wait for as long as that in addition.
 */
#include "server/vault/issuer_state.h"
#include "server/vault/objects.h"
#include "server/vault/operation_rules.h"
#include "server/vault/own_step.h"

enum { ROWS_PER_STEP = 100 };

typedef struct walk {
    int64_t back_ms;
    int64_t at; /* rows up to here are done */
    uint8_t object_uid[KV_UID_BYTES];
    bool more;
} walk;

/* False: what follows is no wait any more. */
static bool go_on(walk *on, int64_t now_ms, int64_t at, kv_slice object_uid)
{
    on->at = at;
    if (object_uid.len == sizeof(on->object_uid))
        memcpy(on->object_uid, object_uid.data, sizeof(on->object_uid));
    if (at > now_ms + on->back_ms + KV_CLOCK_WAIT_MAX_MS)
        on->more = false;
    return on->more;
}

static kv_status renewals(kv_vault *vault, kv_work *work, walk *on, kv_error *err)
{
    kv_renewal_row from = { .due_at = on->at,
                            .object_uid = kv_slice_of(on->object_uid, sizeof(on->object_uid)) };
    kv_scan scan = { .table = &kv_table_renewals,
                     .index = 1,
                     .from = &from,
                     .after = true,
                     .limit = ROWS_PER_STEP };
    kv_change change = { 0 };
    kv_renewal_row *rows;
    kv_rows found;

    KV_TRY(kv_records_scan_sound(vault->config.records, &scan, work->arena, &found, err));
    KV_TRY(kv_change_room(&change, work->arena, ROWS_PER_STEP, err));
    rows = found.rows;
    on->more = found.more;
    for (unsigned i = 0; i < found.count; i++) {
        int64_t at = kv_after_step_back(work->now_ms, rows[i].due_at, on->back_ms);

        if (!go_on(on, work->now_ms, rows[i].due_at, rows[i].object_uid))
            break;
        if ((!rows[i].attempts && !rows[i].waiting) || at == rows[i].due_at)
            continue;
        rows[i].due_at = at;
        KV_TRY(kv_change_update(&change, &kv_table_renewals, &rows[i], err));
    }
    return change.count ? kv_commit_step(vault, work, "ClockSetBackRenewals", &change, err) : KV_OK;
}

static kv_status operations(kv_vault *vault, kv_work *work, walk *on, kv_error *err)
{
    kv_operation_row from = { .next_at = on->at,
                              .object_uid = kv_slice_of(on->object_uid, sizeof(on->object_uid)) };
    kv_scan scan = { .table = &kv_table_operations,
                     .index = 2,
                     .from = &from,
                     .after = true,
                     .limit = ROWS_PER_STEP };
    kv_change change = { 0 };
    kv_operation_row *rows;
    kv_rows found;

    KV_TRY(kv_records_scan_sound(vault->config.records, &scan, work->arena, &found, err));
    KV_TRY(kv_change_room(&change, work->arena, ROWS_PER_STEP, err));
    rows = found.rows;
    on->more = found.more;
    for (unsigned i = 0; i < found.count; i++) {
        int64_t at = kv_after_step_back(work->now_ms, rows[i].next_at, on->back_ms);

        if (!go_on(on, work->now_ms, rows[i].next_at, rows[i].object_uid))
            break;
        /* A claim is somebody's. */
        if (rows[i].worker.len || at == rows[i].next_at)
            continue;
        rows[i].next_at = at;
        KV_TRY(kv_change_update(&change, &kv_table_operations, &rows[i], err));
    }
    return change.count ? kv_commit_step(vault, work, "ClockSetBackOrders", &change, err) : KV_OK;
}

/* A page that changed meanwhile is left as it is now. */
static kv_status
each_page(kv_vault *vault, int64_t back_ms,
          kv_status (*move)(kv_vault *vault, kv_work *work, walk *on, kv_error *err), kv_error *err)
{
    walk on = { .back_ms = back_ms, .at = kv_clock_now_ms(vault->config.clock), .more = true };

    while (on.more && !atomic_load(&vault->stopping)) {
        kv_own_step at;
        kv_status status = kv_own_step_begin(vault, &at, err);

        if (status == KV_OK)
            status = move(vault, &at.work, &on, err);
        kv_own_step_end(&at);
        if (status == KV_CONFLICT)
            *err = (kv_error){ 0 };
        else
            KV_TRY(status);
    }
    return KV_OK;
}

kv_status kv_vault_clock_set_back(kv_vault *vault, int64_t back_ms, kv_error *err)
{
    if (back_ms < KV_CLOCK_STEP_MS)
        return KV_OK;
    kv_log_write(vault->config.log, KV_LOG_WARNING, "clock.set_back",
                 (kv_log_field[]){ { "seconds", NULL, back_ms / 1000 }, { 0 } });
    KV_TRY(each_page(vault, back_ms, renewals, err));
    KV_TRY(each_page(vault, back_ms, operations, err));
    kv_wake_steps(vault);
    return KV_OK;
}
