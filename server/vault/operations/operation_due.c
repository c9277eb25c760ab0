/* operation_due.c - which operation at an issuer is next, and whose turn it is.
 *
 * An index by time says what is due. Threads of this server agree in memory (errands.h). What is
 * not to happen twice at once, an order above all, is claimed in the row as well: a worker writes
 * its name and the end of the claim as the next time into it, so a claim that nobody ends is simply
 * due again. A question about an order may be asked as often as one likes and needs no claim.
 *
 * The fencing number is the row's generation: whoever stores an answer names the generation that it
 * read or its claim made, and when anything has happened to the row since, nothing is stored.
 */
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/due.h"
#include "server/vault/errands.h"
#include "server/vault/issuers/issuer_state.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"
#include "server/vault/row_walk.h"

enum {
    PAGE_ROWS = 32,
    FEW_ROWS = 8,
    PLACE_BYTES = 4096,
    LONGEST_REST_MS = 60 * 1000,
    BROKEN_WAIT_MS = 10 * 60 * 1000
};

/* What a thread has found to do, or when there will be something. */
typedef struct finding {
    kv_operation_row *row; /* NULL: nothing now */
    int errand;
    int64_t next_at; /* of what is not due yet; 0: nothing */
} finding;

static kv_status begin(kv_vault *vault, kv_own_step *at, kv_error *err)
{
    KV_TRY(kv_own_step_begin(vault, at, err));
    at->entry.operation = "CertificateOrder";
    at->work.deadline = kv_deadline_in_ms(KV_OPERATION_STEP_MS);
    return KV_OK;
}

/* --- finding --- */

static bool go(kv_vault *vault, kv_operation_row *row, finding *found)
{
    int64_t now_ms = kv_clock_steady_ms(vault->config.clock);
    kv_errand errand = { .object_uid = row->object_uid,
                         .vault_uid = row->vault_uid,
                         .issuer = row->issuer_lower,
                         .until_ms = now_ms + KV_OPERATION_CLAIM_MS };

    found->errand = kv_errand_begin(vault->errands, &errand, now_ms);
    if (found->errand >= 0)
        found->row = row;
    return found->row != NULL;
}

static kv_status scan(kv_vault *vault, kv_work *work, unsigned index, const kv_operation_row *from,
                      unsigned limit, kv_rows *out, kv_error *err)
{
    kv_scan by = {
        .table = &kv_table_operations, .index = index, .from = from, .after = true, .limit = limit
    };

    return kv_records_scan_sound(vault->config.records, &by, work->arena, out, err);
}

/* The first rows by time: as a rule the first one will do. `*crowded`: all of them are due, and
 * none could be had. */
static kv_status find_by_time(kv_vault *vault, kv_work *work, finding *found, bool *crowded,
                              kv_error *err)
{
    kv_operation_row from = { .next_at = 1 };
    kv_operation_row *rows;
    kv_rows page;

    KV_TRY(scan(vault, work, 2, &from, PAGE_ROWS, &page, err));
    rows = page.rows;
    for (unsigned i = 0; i < page.count; i++) {
        if (rows[i].next_at > work->now_ms) {
            found->next_at = rows[i].next_at;
            return KV_OK;
        }
        if (go(vault, &rows[i], found))
            return KV_OK;
    }
    *crowded = page.more;
    return KV_OK;
}

static void note_time(finding *found, int64_t at)
{
    if (!found->next_at || at < found->next_at)
        found->next_at = at;
}

/* Of the row that was found, what it is read by again, in memory that stays. */
static kv_status remember(kv_vault *vault, kv_work *work, finding *found, kv_error *err)
{
    kv_operation_row *copy = kv_arena_alloc(work->arena, sizeof(*copy));
    kv_status status = copy ? KV_OK : kv_arena_full(err);

    if (status == KV_OK) {
        *copy = (kv_operation_row){ .next_at = found->row->next_at };
        status = kv_arena_copy(work->arena, found->row->object_uid, &copy->object_uid, err);
    }
    found->row = status == KV_OK ? copy : NULL;
    if (status != KV_OK && kv_errand_end(vault->errands, found->errand))
        kv_wake_steps(vault);
    return status;
}

/* The first rows of one issuer that have a time. `step` has memory of its own. */
static kv_status find_of_issuer(kv_vault *vault, kv_work *work, kv_work *step,
                                const kv_operation_row *at, finding *found, kv_error *err)
{
    kv_operation_row from = { .vault_uid = at->vault_uid,
                              .issuer_lower = at->issuer_lower,
                              .next_at = 1 };
    kv_operation_row *rows;
    kv_rows page;

    KV_TRY(scan(vault, step, 4, &from, FEW_ROWS, &page, err));
    rows = page.rows;
    for (unsigned i = 0; i < page.count; i++) {
        if (!kv_slice_equal(rows[i].vault_uid, at->vault_uid) ||
            !kv_slice_equal(rows[i].issuer_lower, at->issuer_lower))
            break;
        if (rows[i].next_at > work->now_ms) {
            note_time(found, rows[i].next_at);
            break;
        }
        if (go(vault, &rows[i], found))
            return remember(vault, work, found, err);
    }
    return KV_OK;
}

/* The issuer after `from`, which moves to it, in `place`. */
static kv_status find_of_next(kv_vault *vault, kv_work *work, kv_arena *place,
                              kv_operation_row *from, finding *found, bool *more, kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(KV_STEP_ARENA_BYTES);
    kv_work step = kv_step_of(work, &arena);
    kv_rows page;

    KV_TRY(scan(vault, &step, 4, from, 1, &page, err));
    *more = page.count > 0;
    if (!*more)
        return KV_OK;
    kv_arena_cleanup(place);
    KV_TRY(kv_copy_row_place(&kv_table_operations, 4, page.rows, place, from, err));
    return find_of_issuer(vault, work, &step, from, found, err);
}

/* Many wait for issuers that have no room: every issuer is looked at, each by its first rows. There
 * may be any number of them. */
static kv_status find_by_issuer(kv_vault *vault, kv_work *work, finding *found, kv_error *err)
{
    KV_AUTO(kv_arena) place = KV_ARENA(PLACE_BYTES);
    uint8_t last[KV_UID_BYTES];
    kv_operation_row from = { .next_at = INT64_MIN };
    bool more = true;

    memset(last, 0xff, sizeof(last));
    while (more && !found->row) {
        KV_TRY(find_of_next(vault, work, &place, &from, found, &more, err));
        from.next_at = INT64_MAX;
        from.object_uid = kv_slice_of(last, sizeof(last));
    }
    return KV_OK;
}

static kv_status find(kv_vault *vault, kv_work *work, finding *found, kv_error *err)
{
    bool crowded = false;

    KV_TRY(find_by_time(vault, work, found, &crowded, err));
    return crowded ? find_by_issuer(vault, work, found, err) : KV_OK;
}

/* --- claims --- */

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

/* Two who ask after one order get one answer. */
static bool is_question(const kv_operation_row *row)
{
    return kv_operation_act_of(row->state, row->cancellation_requested != 0) == KV_OPERATION_POLL;
}

static kv_status take_step(kv_vault *vault, kv_work *work, kv_operation_row *row, kv_error *err)
{
    bool pass = false;
    kv_status status = kv_operation_pass(vault, work, row, &pass, err);

    if (status == KV_OK && !pass)
        return KV_OK;
    /* A claim that its worker did not end is over. */
    if (status == KV_OK && (!is_question(row) || row->worker.len))
        status = claim(vault, work, row, err);
    if (status == KV_OK)
        status = kv_operation_step(vault, work, row, err);
    return status == KV_CONFLICT ? give_up(vault, work, row, err) : status;
}

/* Something that it belongs to cannot be trusted: those behind it do not wait for that. */
static kv_status shelve(kv_vault *vault, kv_work *work, const kv_operation_row *asked,
                        kv_error *err)
{
    kv_operation_row row = { .object_uid = asked->object_uid };
    kv_change change = { 0 };

    kv_log_write(
        vault->config.log, KV_LOG_ERROR, "certificate.order.shelved",
        (kv_log_field[]){ { "why", err->message, 0 }, { "detail", err->detail, 0 }, { 0 } });
    *err = (kv_error){ 0 };
    KV_TRY(kv_records_get(vault->config.records, &kv_table_operations, &row, work->arena, err));
    if (!row.next_at)
        return KV_OK;
    row.worker = KV_SLICE_NONE;
    row.next_at = work->now_ms + BROKEN_WAIT_MS;
    KV_TRY(kv_change_update(&change, &kv_table_operations, &row, err));
    return kv_commit_step(vault, work, "CertificateOrderLater", &change, err);
}

/* Another thread may have been at it between the scan and the errand. `*due`: it still is. */
static kv_status look_again(kv_vault *vault, kv_work *work, kv_operation_row *row, bool *due,
                            kv_error *err)
{
    kv_operation_row now = { .object_uid = row->object_uid };
    kv_status status =
        kv_records_get(vault->config.records, &kv_table_operations, &now, work->arena, err);

    *due = status == KV_OK && now.next_at && now.next_at <= work->now_ms;
    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    *row = now;
    return status;
}

static kv_status take_found(kv_vault *vault, kv_work *work, kv_operation_row *row, kv_error *err)
{
    bool due = false;
    kv_status status = look_again(vault, work, row, &due, err);

    if (status == KV_OK && due)
        status = take_step(vault, work, row, err);
    return status == KV_INTERNAL ? shelve(vault, work, row, err) : status;
}

static kv_status take_turn(kv_vault *vault, kv_work *work, int64_t *next_at, kv_error *err)
{
    finding found = { .errand = -1 };
    kv_status status;

    KV_TRY(find(vault, work, &found, err));
    *next_at = found.row ? found.row->next_at : found.next_at;
    if (!found.row)
        return KV_OK;
    status = take_found(vault, work, found.row, err);
    if (kv_errand_end(vault->errands, found.errand))
        kv_wake_steps(vault);
    return status;
}

kv_status kv_vault_step_operation(kv_vault *vault, int64_t *next_at, kv_error *err)
{
    return kv_due_step(vault, "CertificateOrder", take_turn, next_at, err);
}

/* Whoever was trying an issuer that is unwell is gone: the next one may. */
static kv_status release_probe(kv_vault *vault, kv_work *work, const kv_operation_row *row,
                               kv_issuer_state_row *state, kv_change *change, kv_error *err)
{
    KV_TRY(kv_issuer_state_find(vault, work, row->vault_uid, row->issuer_lower, state, err));
    if (!state->unwell_since || state->probe_at <= work->now_ms)
        return KV_OK;
    state->probe_at = work->now_ms;
    return kv_change_update(change, &kv_table_issuer_states, state, err);
}

static kv_status release_one(kv_vault *vault, kv_work *work, bool *found, kv_error *err)
{
    kv_operation_row from = { .worker = kv_slice_of(vault->node, sizeof(vault->node)) };
    kv_scan scan = {
        .table = &kv_table_operations, .index = 3, .prefix = 1, .from = &from, .limit = 1
    };
    kv_issuer_state_row state;
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
    KV_TRY(release_probe(vault, work, row, &state, &change, err));
    return kv_commit_step(vault, work, "CertificateOrderRelease", &change, err);
}

kv_status kv_release_claims(kv_vault *vault, kv_error *err)
{
    bool found = true;

    while (found) {
        kv_own_step at;
        kv_status status = begin(vault, &at, err);

        if (status == KV_OK)
            status = release_one(vault, &at.work, &found, err);
        kv_own_step_end(&at);
        KV_TRY(status);
    }
    return KV_OK;
}

/* --- waiting --- */

void kv_wake_steps(kv_vault *vault)
{
    pthread_mutex_lock(&vault->wake_mutex);
    vault->wakes++;
    pthread_cond_broadcast(&vault->wake);
    pthread_mutex_unlock(&vault->wake_mutex);
}

bool kv_vault_wait_for_steps(kv_vault *vault, int64_t next_at, uint64_t *seen)
{
    int64_t rest = LONGEST_REST_MS;
    kv_deadline until;

    if (next_at && next_at - kv_clock_now_ms(vault->config.clock) < rest)
        rest = next_at - kv_clock_now_ms(vault->config.clock);
    until = kv_deadline_in_ms(rest);
    pthread_mutex_lock(&vault->wake_mutex);
    while (vault->wakes == *seen && !atomic_load(&vault->stopping) &&
           pthread_cond_timedwait(&vault->wake, &vault->wake_mutex, &until.at) == 0)
        continue;
    *seen = vault->wakes;
    pthread_mutex_unlock(&vault->wake_mutex);
    return !atomic_load(&vault->stopping);
}
