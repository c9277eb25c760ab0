/* issuer_wake.c - what waits for an issuer becomes due when it is well again, spread. */
#include "server/vault/issuer_state.h"
#include "server/vault/objects.h"
#include "server/vault/operation_rules.h"

enum { ROWS_PER_STEP = 100, SPREAD_MS = 15 * 60 * 1000 };

/* A page of the rows of one issuer, those with a time; `at` goes on behind the page. */
typedef struct page {
    kv_vault *vault;
    kv_slice vault_uid;
    kv_slice issuer;
    int64_t next_at;
    uint8_t object_uid[KV_UID_BYTES];
    bool more;
} page;

static bool ours(const page *at, kv_slice vault_uid, kv_slice issuer)
{
    return kv_slice_equal(vault_uid, at->vault_uid) && kv_slice_equal(issuer, at->issuer);
}

static void go_on(page *at, int64_t next_at, kv_slice object_uid)
{
    at->next_at = next_at;
    if (object_uid.len == sizeof(at->object_uid))
        memcpy(at->object_uid, object_uid.data, sizeof(at->object_uid));
}

static kv_status wake_operations(kv_work *step, page *at, kv_error *err)
{
    kv_operation_row from = { .vault_uid = at->vault_uid,
                              .issuer_lower = at->issuer,
                              .next_at = at->next_at,
                              .object_uid = kv_slice_of(at->object_uid, sizeof(at->object_uid)) };
    kv_scan scan = { .table = &kv_table_operations,
                     .index = 4,
                     .from = &from,
                     .after = true,
                     .limit = ROWS_PER_STEP };
    kv_change change = { 0 };
    kv_operation_row *rows;
    kv_rows found;

    KV_TRY(kv_records_scan_sound(at->vault->config.records, &scan, step->arena, &found, err));
    KV_TRY(kv_change_room(&change, step->arena, ROWS_PER_STEP, err));
    rows = found.rows;
    at->more = found.more;
    for (unsigned i = 0; i < found.count; i++) {
        int64_t wake;

        if (!ours(at, rows[i].vault_uid, rows[i].issuer_lower)) {
            at->more = false;
            break;
        }
        go_on(at, rows[i].next_at, rows[i].object_uid);
        wake = kv_health_wake(step->now_ms, rows[i].next_at, SPREAD_MS,
                              kv_seed_of(rows[i].request_id));
        if ((rows[i].waiting != KV_WAITING_HEALTH && !rows[i].failures) || rows[i].worker.len ||
            wake == rows[i].next_at)
            continue;
        rows[i].next_at = wake;
        rows[i].waiting = KV_WAITING_NOTHING;
        KV_TRY(kv_change_update(&change, &kv_table_operations, &rows[i], err));
    }
    return change.count ? kv_commit_step(at->vault, step, "IssuerWakeOrders", &change, err) : KV_OK;
}

static kv_status wake_renewals(kv_work *step, page *at, kv_error *err)
{
    kv_renewal_row from = { .vault_uid = at->vault_uid,
                            .issuer = at->issuer,
                            .due_at = at->next_at,
                            .object_uid = kv_slice_of(at->object_uid, sizeof(at->object_uid)) };
    kv_scan scan = { .table = &kv_table_renewals,
                     .index = 2,
                     .from = &from,
                     .after = true,
                     .limit = ROWS_PER_STEP };
    kv_change change = { 0 };
    kv_renewal_row *rows;
    kv_rows found;

    KV_TRY(kv_records_scan_sound(at->vault->config.records, &scan, step->arena, &found, err));
    KV_TRY(kv_change_room(&change, step->arena, ROWS_PER_STEP, err));
    rows = found.rows;
    at->more = found.more;
    for (unsigned i = 0; i < found.count; i++) {
        int64_t wake;

        if (!ours(at, rows[i].vault_uid, rows[i].issuer)) {
            at->more = false;
            break;
        }
        go_on(at, rows[i].due_at, rows[i].object_uid);
        wake = kv_health_wake(step->now_ms, rows[i].due_at, SPREAD_MS, kv_seed_of(rows[i].version));
        if (rows[i].waiting != KV_WAITING_HEALTH || wake == rows[i].due_at)
            continue;
        rows[i].due_at = wake;
        rows[i].waiting = KV_WAITING_NOTHING;
        KV_TRY(kv_change_update(&change, &kv_table_renewals, &rows[i], err));
    }
    return change.count ? kv_commit_step(at->vault, step, "IssuerWakeRenewals", &change, err)
                        : KV_OK;
}

/* A page that somebody else changed meanwhile is read again, a few times; then it is left to wake
 * by itself. */
static kv_status each_page(kv_work *work, page *at,
                           kv_status (*wake)(kv_work *step, page *at, kv_error *err), kv_error *err)
{
    unsigned races = 0;

    at->more = true;
    while (at->more && !atomic_load(&at->vault->stopping)) {
        KV_AUTO(kv_arena) arena = KV_ARENA(KV_STEP_ARENA_BYTES);
        kv_work step = kv_step_of(work, &arena);
        page before = *at;
        kv_status status = wake(&step, at, err);

        if (status == KV_CONFLICT) {
            *err = (kv_error){ 0 };
            if (races++ < 3)
                *at = before;
            continue;
        }
        KV_TRY(status);
        races = 0;
    }
    return KV_OK;
}

kv_status kv_issuer_wake(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_slice issuer,
                         kv_error *err)
{
    page at = { .vault = vault, .vault_uid = vault_uid, .issuer = issuer, .next_at = work->now_ms };
    page again = at;

    KV_TRY(each_page(work, &at, wake_operations, err));
    KV_TRY(each_page(work, &again, wake_renewals, err));
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
