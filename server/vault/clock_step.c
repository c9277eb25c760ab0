/* clock_step.c - the clock was set back: waits that were begun before end that much earlier.
 *
 * What is planned has its time from a certificate and stays. What waits, after a failure or for an
 * issuer, has it from a clock that was ahead, and would wait for as long as that in addition.
 */
#include "server/vault/issuers/issuer_state.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"
#include "server/vault/own_step.h"
#include "server/vault/row_walk.h"

typedef struct step_back {
    int64_t ms;
} step_back;

static bool waits(const step_back *by, int64_t now_ms, int64_t at)
{
    return at <= now_ms + by->ms + KV_CLOCK_WAIT_MAX_MS;
}

static kv_row_verdict move_renewal(const void *context, int64_t now_ms, void *found)
{
    const step_back *by = context;
    kv_renewal_row *row = found;
    int64_t at = kv_after_step_back(now_ms, row->due_at, by->ms);

    if (!waits(by, now_ms, row->due_at))
        return KV_ROW_STOP;
    if ((!row->attempts && !row->waiting) || at == row->due_at)
        return KV_ROW_LEAVE;
    row->due_at = at;
    return KV_ROW_CHANGE;
}

static kv_row_verdict move_operation(const void *context, int64_t now_ms, void *found)
{
    const step_back *by = context;
    kv_operation_row *row = found;
    int64_t at = kv_after_step_back(now_ms, row->next_at, by->ms);

    if (!waits(by, now_ms, row->next_at))
        return KV_ROW_STOP;
    /* A claim is somebody's. */
    if (row->worker.len || at == row->next_at)
        return KV_ROW_LEAVE;
    row->next_at = at;
    return KV_ROW_CHANGE;
}

static kv_status move_all(kv_vault *vault, const kv_work *work, const step_back *by, kv_error *err)
{
    kv_renewal_row renewal = { .due_at = work->now_ms };
    kv_operation_row operation = { .next_at = work->now_ms };
    kv_row_walk renewals = { .table = &kv_table_renewals,
                             .index = 1,
                             .from = &renewal,
                             .judge = move_renewal,
                             .context = by,
                             .operation = "ClockSetBackRenewals" };
    kv_row_walk operations = { .table = &kv_table_operations,
                               .index = 2,
                               .from = &operation,
                               .judge = move_operation,
                               .context = by,
                               .operation = "ClockSetBackOrders" };

    KV_TRY(kv_walk_rows(vault, work, &renewals, err));
    return kv_walk_rows(vault, work, &operations, err);
}

kv_status kv_vault_clock_set_back(kv_vault *vault, int64_t back_ms, kv_error *err)
{
    step_back by = { back_ms };
    kv_own_step at;
    kv_status status;

    if (back_ms < KV_CLOCK_STEP_MS)
        return KV_OK;
    kv_log_write(vault->config.log, KV_LOG_WARNING, "clock.set_back",
                 (kv_log_field[]){ { "seconds", NULL, back_ms / 1000 }, { 0 } });
    status = kv_own_step_begin(vault, &at, err);
    if (status == KV_OK)
        status = move_all(vault, &at.work, &by, err);
    kv_own_step_end(&at);
    KV_TRY(status);
    kv_wake_steps(vault);
    return KV_OK;
}
