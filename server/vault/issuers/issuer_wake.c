/* issuer_wake.c - what waits for an issuer becomes due when it is well again, spread. */
#include "server/vault/issuers/issuer_state.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"
#include "server/vault/row_walk.h"

enum { SPREAD_MS = 15 * 60 * 1000 };

typedef struct issuer_of {
    kv_slice vault_uid;
    kv_slice issuer; /* lower case */
} issuer_of;

static bool ours(const issuer_of *the, kv_slice vault_uid, kv_slice issuer)
{
    return kv_slice_equal(vault_uid, the->vault_uid) && kv_slice_equal(issuer, the->issuer);
}

static kv_row_verdict wake_operation(const void *context, int64_t now_ms, void *found)
{
    kv_operation_row *row = found;
    int64_t wake;

    if (!ours(context, row->vault_uid, row->issuer_lower))
        return KV_ROW_STOP;
    wake = kv_health_wake(now_ms, row->next_at, SPREAD_MS, kv_seed_of(row->request_id));
    if ((row->waiting != KV_WAITING_HEALTH && !row->failures) || row->worker.len ||
        wake == row->next_at)
        return KV_ROW_LEAVE;
    row->next_at = wake;
    row->waiting = KV_WAITING_NOTHING;
    return KV_ROW_CHANGE;
}

static kv_row_verdict wake_renewal(const void *context, int64_t now_ms, void *found)
{
    kv_renewal_row *row = found;
    int64_t wake;

    if (!ours(context, row->vault_uid, row->issuer))
        return KV_ROW_STOP;
    wake = kv_health_wake(now_ms, row->due_at, SPREAD_MS, kv_seed_of(row->version));
    if (row->waiting != KV_WAITING_HEALTH || wake == row->due_at)
        return KV_ROW_LEAVE;
    row->due_at = wake;
    row->waiting = KV_WAITING_NOTHING;
    return KV_ROW_CHANGE;
}

kv_status kv_issuer_wake(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_slice issuer,
                         kv_error *err)
{
    issuer_of the = { vault_uid, issuer };
    kv_operation_row operation = { .vault_uid = vault_uid,
                                   .issuer_lower = issuer,
                                   .next_at = work->now_ms };
    kv_renewal_row renewal = { .vault_uid = vault_uid, .issuer = issuer, .due_at = work->now_ms };
    kv_row_walk operations = { .table = &kv_table_operations,
                               .index = 4,
                               .from = &operation,
                               .judge = wake_operation,
                               .context = &the,
                               .operation = "IssuerWakeOrders" };
    kv_row_walk renewals = { .table = &kv_table_renewals,
                             .index = 2,
                             .from = &renewal,
                             .judge = wake_renewal,
                             .context = &the,
                             .operation = "IssuerWakeRenewals" };

    KV_TRY(kv_walk_rows(vault, work, &operations, err));
    KV_TRY(kv_walk_rows(vault, work, &renewals, err));
    kv_wake_steps(vault);
    return KV_OK;
}

kv_status kv_issuer_try_again(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                              kv_slice issuer, kv_error *err)
{
    kv_health_news news = { 0 };
    kv_issuer_state_row state;
    int64_t resume_at;

    KV_TRY(kv_issuer_state_find(vault, work, vault_row->uid, issuer, &state, err));
    if (!state.unwell_since)
        return KV_OK;
    return kv_issuer_heard(vault, work, vault_row, issuer, &news, KV_SLICE_NONE, &resume_at, err);
}
