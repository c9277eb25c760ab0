/* operation_due.c - which operation at an issuer is next, and whose turn it is.
 *
 * An index by time says what is due. A worker claims a row by writing its name and the end of the
 * claim as the next time into it, so a claim that nobody ends is simply due again. The fencing
 * number is the row's generation: whoever stores an answer names the generation that its claim
 * made, and when anything has happened to the row since, nothing is stored.
 */
#include "server/vault/certificate_rules.h"
#include "server/vault/operation_rules.h"

enum { ARENA_BYTES = 8 << 20, LONGEST_REST_MS = 60 * 1000 };

/* The server's own work on one operation. */
typedef struct turn {
    kv_arena arena;
    kv_audit_entry entry;
    kv_caller caller;
    kv_work work;
} turn;

static void begin(kv_vault *vault, turn *at)
{
    *at = (turn){ .arena = KV_ARENA(ARENA_BYTES) };
    at->entry.time_ms = kv_clock_now_ms(vault->config.clock);
    at->entry.operation = "CertificateOrder";
    at->entry.principal_name = KV_SLICE("keyvaultd");
    at->work = (kv_work){ .arena = &at->arena,
                          .deadline = kv_deadline_in_ms(KV_OPERATION_STEP_MS),
                          .now_ms = at->entry.time_ms,
                          .caller = &at->caller,
                          .entry = &at->entry };
}

static void end(turn *at)
{
    kv_arena_cleanup(&at->arena);
}

/* The earliest row with a time that can be trusted; NULL when there is none. */
static kv_status earliest(kv_vault *vault, kv_work *work, kv_operation_row **out, kv_error *err)
{
    kv_operation_row from = { .next_at = 1 };
    kv_scan scan = {
        .table = &kv_table_operations, .index = 2, .from = &from, .after = true, .limit = 1
    };
    kv_rows rows;

    KV_TRY(kv_records_scan_sound(vault->config.records, &scan, work->arena, &rows, err));
    *out = rows.count ? rows.rows : NULL;
    return KV_OK;
}

static kv_status claim(kv_vault *vault, kv_work *work, kv_operation_row *row, kv_error *err)
{
    kv_change change = { 0 };

    row->worker = kv_slice_of(vault->node, sizeof(vault->node));
    row->next_at = work->now_ms + KV_OPERATION_CLAIM_MS;
    KV_TRY(kv_change_update(&change, &kv_table_operations, row, err));
    return kv_commit_step(vault, work, "CertificateOrderClaim", &change, err);
}

/* The row changed while we asked: what is in it now counts. Where the claim is still ours, because
 * somebody asked for a cancellation, it ends here, and the order's name is kept for that. */
static kv_status give_up(kv_vault *vault, kv_work *work, const kv_operation_row *asked,
                         kv_error *err)
{
    kv_operation_row row = { .object_uid = asked->object_uid };
    kv_change change = { 0 };
    kv_status status;

    *err = (kv_error){ 0 };
    status = kv_records_get(vault->config.records, &kv_table_operations, &row, work->arena, err);
    if (status == KV_NOT_FOUND || (status == KV_OK && (!row.worker.len || !row.next_at))) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    if (!kv_slice_equal(row.worker, kv_slice_of(vault->node, sizeof(vault->node))) ||
        !kv_slice_equal(row.request_id, asked->request_id))
        return KV_OK;
    row.worker = KV_SLICE_NONE;
    row.next_at = work->now_ms;
    if (!row.external_id.len)
        row.external_id = asked->external_id;
    KV_TRY(kv_change_update(&change, &kv_table_operations, &row, err));
    return kv_commit_step(vault, work, "CertificateOrderRelease", &change, err);
}

static kv_status take_turn(kv_vault *vault, kv_work *work, int64_t *next_at, kv_error *err)
{
    kv_operation_row *row = NULL;
    kv_status status;

    *next_at = 0;
    KV_TRY(earliest(vault, work, &row, err));
    if (!row)
        return KV_OK;
    *next_at = row->next_at;
    if (row->next_at > work->now_ms)
        return KV_OK;
    status = claim(vault, work, row, err);
    if (status == KV_OK)
        status = kv_operation_step(vault, work, row, err);
    return status == KV_CONFLICT ? give_up(vault, work, row, err) : status;
}

kv_status kv_vault_step_operation(kv_vault *vault, int64_t *next_at, kv_error *err)
{
    kv_status status;
    turn at;

    begin(vault, &at);
    status = take_turn(vault, &at.work, next_at, err);
    end(&at);
    return status;
}

static kv_status release_one(kv_vault *vault, kv_work *work, bool *found, kv_error *err)
{
    kv_operation_row from = { .worker = kv_slice_of(vault->node, sizeof(vault->node)) };
    kv_scan scan = {
        .table = &kv_table_operations, .index = 3, .prefix = 1, .from = &from, .limit = 1
    };
    kv_change change = { 0 };
    kv_operation_row *row;
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    *found = rows.count > 0;
    if (!*found)
        return KV_OK;
    row = rows.rows;
    row->worker = KV_SLICE_NONE;
    row->next_at = work->now_ms;
    KV_TRY(kv_change_update(&change, &kv_table_operations, row, err));
    return kv_commit_step(vault, work, "CertificateOrderRelease", &change, err);
}

kv_status kv_release_claims(kv_vault *vault, kv_error *err)
{
    bool found = true;

    while (found) {
        kv_status status;
        turn at;

        begin(vault, &at);
        status = release_one(vault, &at.work, &found, err);
        end(&at);
        KV_TRY(status);
    }
    return KV_OK;
}

/* --- waiting --- */

void kv_wake_steps(kv_vault *vault)
{
    pthread_mutex_lock(&vault->wake_mutex);
    vault->woken = true;
    pthread_cond_broadcast(&vault->wake);
    pthread_mutex_unlock(&vault->wake_mutex);
}

bool kv_vault_wait_for_steps(kv_vault *vault, int64_t next_at)
{
    int64_t rest = LONGEST_REST_MS;
    kv_deadline until;

    if (next_at && next_at - kv_clock_now_ms(vault->config.clock) < rest)
        rest = next_at - kv_clock_now_ms(vault->config.clock);
    until = kv_deadline_in_ms(rest);
    pthread_mutex_lock(&vault->wake_mutex);
    while (!vault->woken && !atomic_load(&vault->stopping) &&
           pthread_cond_timedwait(&vault->wake, &vault->wake_mutex, &until.at) == 0)
        continue;
    vault->woken = false;
    pthread_mutex_unlock(&vault->wake_mutex);
    return !atomic_load(&vault->stopping);
}
