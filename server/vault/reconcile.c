/* reconcile.c - what a crash left half done is finished or undone, before anybody is served.
 *
 * The rows say what was meant: `creating` is undone, `destroying` is finished, a marked purge is
 * finished. Whether the tokens hold what all other rows say is for the scan, while callers are
 * served: keys that no row knows are reported and never touched; rows whose key is gone are an
 * alarm and never deleted.
 */
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"
#include "server/vault/own_step.h"
#include "server/vault/row_walk.h"
#include "server/vault/vault_rules.h"

enum { ROWS_PER_STEP = 50, PLACE_BYTES = 4096 };

static kv_status scan_state(kv_vault *vault, kv_work *work, kv_slice state, kv_rows *rows,
                            kv_error *err)
{
    kv_token_object_row from = { .state = state };
    kv_scan scan = { .table = &kv_table_token_objects,
                     .index = 1,
                     .prefix = 1,
                     .from = &from,
                     .limit = ROWS_PER_STEP };

    return kv_records_scan(vault->config.records, &scan, work->arena, rows, err);
}

/* A key in `creating` or `destroying`: either way it goes. */
static kv_status finish_keys(kv_vault *vault, kv_slice state, unsigned *count, kv_error *err)
{
    bool more = true;

    while (more) {
        kv_status status;
        kv_rows rows = { 0 };
        kv_own_step at;

        KV_TRY(kv_own_step_begin(vault, &at, err));
        status = scan_state(vault, &at.work, state, &rows, err);
        for (unsigned i = 0; status == KV_OK && i < rows.count; i++) {
            const kv_token_object_row *keys = rows.rows;

            status = kv_destroy_key(vault, &at.work, keys[i].key_id, err);
            *count += status == KV_OK;
        }
        more = rows.count > 0;
        kv_own_step_end(&at);
        KV_TRY(status);
    }
    return KV_OK;
}

typedef struct purge_round {
    int64_t due_before; /* 0: only those already marked */
    unsigned count;
} purge_round;

static kv_status mark_object(kv_vault *vault, kv_work *work, kv_object_row *object, kv_error *err)
{
    kv_change change = { 0 };

    object->purging = 1;
    KV_TRY(kv_change_update(&change, &kv_table_objects, object, err));
    return kv_commit_step(vault, work, "ObjectPurgeDue", &change, err);
}

static bool is_due(const purge_round *round, int64_t deleted, int64_t purge_at, int64_t purging)
{
    return purging || (round->due_before && deleted && purge_at && purge_at <= round->due_before);
}

/* Who loses a race, with a caller who purges or recovers it just now or with another server, lets
 * it be: what is left is for the next round. */
static kv_status purged(kv_vault *vault, kv_status status, purge_round *round, kv_error *err)
{
    round->count += status == KV_OK;
    if (status != KV_CONFLICT)
        return status;
    *err = (kv_error){ 0 };
    atomic_store(&vault->purge_owed, true);
    return KV_OK;
}

static kv_status purge_object(kv_vault *vault, kv_work *work, kv_object_row *object, kv_error *err)
{
    if (!object->purging)
        KV_TRY(mark_object(vault, work, object, err));
    return kv_finish_purge(vault, work, object, err);
}

static kv_status purge_object_row(kv_vault *vault, kv_own_step *at, void *row, void *context,
                                  kv_error *err)
{
    kv_object_row *object = row;
    purge_round *round = context;

    /* A certificate takes its key and secret with it. */
    if (object->managed || !is_due(round, object->deleted, object->purge_at, object->purging))
        return KV_OK;
    KV_TRY(kv_purge_in_time(vault, &at->work, err));
    return purged(vault, purge_object(vault, &at->work, object, err), round, err);
}

static kv_status purge_vault(kv_vault *vault, kv_work *work, kv_vault_row *row, kv_error *err)
{
    kv_change change = { 0 };

    if (!row->purging) {
        row->purging = 1;
        KV_TRY(kv_change_update(&change, &kv_table_vaults, row, err));
        KV_TRY(kv_commit_step(vault, work, "VaultPurgeDue", &change, err));
    }
    return kv_finish_vault_purge(vault, work, row, err);
}

static kv_status purge_vault_row(kv_vault *vault, kv_own_step *at, void *row, void *context,
                                 kv_error *err)
{
    kv_vault_row *found = row;
    purge_round *round = context;

    if (!is_due(round, found->deleted, found->purge_at, found->purging))
        return KV_OK;
    return purged(vault, purge_vault(vault, &at->work, found, err), round, err);
}

static kv_status purge_page(kv_vault *vault, purge_round *round, kv_object_row *from,
                            kv_arena *place, bool *more, kv_error *err)
{
    kv_scan scan = {
        .table = &kv_table_objects, .index = 2, .from = from, .after = true, .limit = ROWS_PER_STEP
    };
    kv_rows rows = { 0 };
    kv_own_step step;
    kv_object_row *found;
    kv_status status;

    KV_TRY(kv_own_step_begin(vault, &step, err));
    status = kv_records_scan(vault->config.records, &scan, &step.arena, &rows, err);
    found = rows.rows;
    kv_arena_cleanup(place);
    if (status == KV_OK && rows.count)
        status =
            kv_copy_row_place(scan.table, scan.index, &found[rows.count - 1], place, from, err);
    for (unsigned i = 0; status == KV_OK && i < rows.count; i++)
        status = purge_object_row(vault, &step, &found[i], round, err);
    *more = rows.more;
    kv_own_step_end(&step);
    return status;
}

/* Those that are deleted only, through an index: the others may be millions. */
static kv_status purge_objects(kv_vault *vault, purge_round *round, kv_error *err)
{
    KV_AUTO(kv_arena) place = KV_ARENA(PLACE_BYTES);
    kv_object_row from = { .deleted = 1 };
    bool more = true;

    while (more)
        KV_TRY(purge_page(vault, round, &from, &place, &more, err));
    return KV_OK;
}

static kv_status purge(kv_vault *vault, purge_round *round, kv_error *err)
{
    KV_TRY(purge_objects(vault, round, err));
    return kv_each_row(vault, &kv_table_vaults, purge_vault_row, round, err);
}

kv_status kv_vault_purge_due(kv_vault *vault, unsigned *purged, kv_error *err)
{
    purge_round round = { .due_before = kv_clock_now_ms(vault->config.clock) };

    /* What is added from here on may be missed by this round. */
    atomic_store(&vault->purge_owed, false);
    KV_TRY(kv_owe_purge(vault, purge(vault, &round, err)));
    *purged = round.count;
    return KV_OK;
}

/* What a kill during a birth can leave: only on tokens that we have alone. On that of the TLS key
 * administrators make keys with programs of theirs. */
static kv_status clear_halves(kv_vault *vault, kv_error *err)
{
    for (int duty = KV_DUTY_KEYS; duty <= KV_DUTY_SYSTEM; duty++) {
        kv_token *token = kv_tokens_get(vault->config.tokens, (kv_duty)duty);
        size_t destroyed = 0;
        kv_status status = KV_OK;

        if (token && token != kv_tokens_get(vault->config.tokens, KV_DUTY_TLS) &&
            kv_token_key_saw_halves(token))
            status = kv_token_key_destroy_halves(token, &destroyed, err);
        if (status != KV_OK && status != KV_PRECONDITION)
            return status;
        *err = (kv_error){ 0 };
        if (destroyed)
            kv_log_write(vault->config.log, KV_LOG_WARNING, "token.halves_destroyed",
                         (kv_log_field[]){ { "objects", NULL, (int64_t)destroyed }, { 0 } });
    }
    return KV_OK;
}

kv_status kv_vault_reconcile(kv_vault *vault, kv_reconciled *out, kv_error *err)
{
    purge_round marked = { 0 };

    *out = (kv_reconciled){ 0 };
    KV_TRY(kv_release_claims(vault, err));
    KV_TRY(kv_resume_operations(vault, &out->operations_resumed, err));
    KV_TRY(finish_keys(vault, KV_SLICE("creating"), &out->births_rolled_back, err));
    KV_TRY(finish_keys(vault, KV_SLICE("destroying"), &out->destroyed, err));
    KV_TRY(purge(vault, &marked, err));
    out->purges_finished = marked.count;
    return clear_halves(vault, err);
}
