/* reconcile.c - what a crash left half done is finished or undone, before anybody is served.
 *
 * The rows say what was meant: `creating` is undone, `destroying` is finished, a marked purge is
 * finished. Keys on a token that no row knows are reported and never touched; rows whose key is
 * gone are an alarm and never deleted.
 */
#include <stdlib.h>

#include <uthash.h>

#include "server/base/text.h"
#include "server/vault/certificate_rules.h"
#include "server/vault/objects.h"
#include "server/vault/vault_rules.h"

/* A purge is to be finished, however long it takes. */
enum { ROWS_PER_STEP = 50, ARENA_BYTES = 8 << 20, STEP_MS = 24 * 60 * 60 * 1000 };

/* One step's memory and identity: reconciliation is the server's own work. */
typedef struct step {
    kv_arena arena;
    kv_audit_entry entry;
    kv_caller caller;
    kv_work work;
} step;

static kv_status begin(kv_vault *vault, step *at, kv_error *err)
{
    *at = (step){ .arena = KV_ARENA(ARENA_BYTES) };
    at->entry.time_ms = kv_clock_now_ms(vault->config.clock);
    at->entry.operation = "ServerReconcile";
    at->entry.principal_name = KV_SLICE("keyvaultd");
    at->work = (kv_work){ .arena = &at->arena,
                          .deadline = kv_deadline_in_ms(STEP_MS),
                          .now_ms = at->entry.time_ms,
                          .caller = &at->caller,
                          .entry = &at->entry };
    if (!kv_random_id(at->entry.request_id, sizeof(at->entry.request_id)))
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    return KV_OK;
}

static void end(step *at)
{
    kv_arena_cleanup(&at->arena);
}

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
        step at;

        KV_TRY(begin(vault, &at, err));
        status = scan_state(vault, &at.work, state, &rows, err);
        for (unsigned i = 0; status == KV_OK && i < rows.count; i++) {
            const kv_token_object_row *keys = rows.rows;

            status = kv_destroy_key(vault, &at.work, keys[i].key_id, err);
            *count += status == KV_OK;
        }
        more = rows.count > 0;
        end(&at);
        KV_TRY(status);
    }
    return KV_OK;
}

typedef kv_status row_step(kv_vault *vault, step *at, void *row, void *context, kv_error *err);

/* Every row of a table, a page at a time, each page in its own memory. */
static kv_status each_row(kv_vault *vault, const kv_table *table, row_step *visit, void *context,
                          kv_error *err)
{
    kv_arena place = KV_ARENA(ARENA_BYTES);
    char *from = kv_arena_alloc(&place, table->row_size);
    kv_scan scan = { .table = table, .from = from, .limit = ROWS_PER_STEP };
    kv_status status = from ? KV_OK : kv_arena_full(err);
    bool more = true;

    while (status == KV_OK && more) {
        kv_rows rows = { 0 };
        step at;

        status = begin(vault, &at, err);
        if (status == KV_OK)
            status = kv_records_scan(vault->config.records, &scan, &at.arena, &rows, err);
        for (unsigned i = 0; status == KV_OK && i < rows.count; i++)
            status = visit(vault, &at, (char *)rows.rows + i * table->row_size, context, err);
        more = rows.more;
        if (status == KV_OK && rows.count)
            status = kv_copy_row_key(table, (char *)rows.rows + (rows.count - 1) * table->row_size,
                                     &place, from, err);
        scan.after = true;
        end(&at);
    }
    kv_arena_cleanup(&place);
    return status;
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

static kv_status purge_object_row(kv_vault *vault, step *at, void *row, void *context,
                                  kv_error *err)
{
    kv_object_row *object = row;
    purge_round *round = context;

    /* A certificate takes its key and secret with it. */
    if (object->managed || !is_due(round, object->deleted, object->purge_at, object->purging))
        return KV_OK;
    KV_TRY(kv_purge_in_time(vault, &at->work, err));
    if (!object->purging)
        KV_TRY(mark_object(vault, &at->work, object, err));
    KV_TRY(kv_finish_purge(vault, &at->work, object, err));
    round->count++;
    return KV_OK;
}

static kv_status purge_vault_row(kv_vault *vault, step *at, void *row, void *context, kv_error *err)
{
    kv_vault_row *found = row;
    purge_round *round = context;
    kv_change change = { 0 };

    if (!is_due(round, found->deleted, found->purge_at, found->purging))
        return KV_OK;
    if (!found->purging) {
        found->purging = 1;
        KV_TRY(kv_change_update(&change, &kv_table_vaults, found, err));
        KV_TRY(kv_commit_step(vault, &at->work, "VaultPurgeDue", &change, err));
    }
    KV_TRY(kv_finish_vault_purge(vault, &at->work, found, err));
    round->count++;
    return KV_OK;
}

static kv_status purge(kv_vault *vault, purge_round *round, kv_error *err)
{
    KV_TRY(each_row(vault, &kv_table_objects, purge_object_row, round, err));
    return each_row(vault, &kv_table_vaults, purge_vault_row, round, err);
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

/* --- the tokens' view against ours --- */

/* A key that some token of ours has. */
typedef struct seen_key {
    UT_hash_handle hh;
    uint8_t id[KV_KEY_ID_BYTES];
    char label[KV_KEY_LABEL_MAX + 1];
    bool known;
} seen_key;

typedef struct inventory {
    seen_key *keys;
    kv_reconciled *result;
} inventory;

static kv_status see(void *context, const kv_key_seen *key, kv_error *err)
{
    inventory *at = context;
    seen_key *seen = NULL;

    if (!key->has_id)
        return KV_OK;
    HASH_FIND(hh, at->keys, key->id, KV_KEY_ID_BYTES, seen);
    if (seen)
        return KV_OK;
    seen = calloc(1, sizeof(*seen));
    if (!seen)
        return kv_fail(err, KV_BUSY, "out of memory");
    memcpy(seen->id, key->id, sizeof(seen->id));
    memcpy(seen->label, key->label, sizeof(seen->label));
    HASH_ADD(hh, at->keys, id, KV_KEY_ID_BYTES, seen);
    return KV_OK;
}

static bool recognise(inventory *at, kv_slice id)
{
    seen_key *seen = NULL;

    if (id.len == KV_KEY_ID_BYTES)
        HASH_FIND(hh, at->keys, id.data, KV_KEY_ID_BYTES, seen);
    if (seen)
        seen->known = true;
    return seen != NULL;
}

static kv_status match_key(kv_vault *vault, step *at, void *row, void *context, kv_error *err)
{
    const kv_token_object_row *key = row;
    inventory *seen = context;
    char id[2 * KV_KEY_ID_BYTES + 1] = "";

    (void)at;
    (void)err;
    if (recognise(seen, key->key_id))
        return KV_OK;
    seen->result->missing_objects++;
    if (key->key_id.len == KV_KEY_ID_BYTES)
        kv_hex(key->key_id, id);
    kv_log_write(vault->config.log, KV_LOG_ERROR, "token.key.missing",
                 (kv_log_field[]){ { "id", id, 0 }, { 0 } });
    return KV_OK;
}

static kv_status match_signer(kv_vault *vault, step *at, void *row, void *context, kv_error *err)
{
    const kv_signer_row *signer = row;

    (void)vault;
    (void)at;
    (void)err;
    (void)recognise(context, signer->key_id);
    return KV_OK;
}

static kv_status look(kv_vault *vault, inventory *at, kv_error *err)
{
    for (int duty = KV_DUTY_KEYS; duty <= KV_DUTY_SYSTEM; duty++) {
        kv_token *token = kv_tokens_get(vault->config.tokens, (kv_duty)duty);

        if (token)
            KV_TRY(kv_token_key_list(token, see, at, err));
    }
    KV_TRY(each_row(vault, &kv_table_token_objects, match_key, at, err));
    return each_row(vault, &kv_table_signers, match_signer, at, err);
}

static void report_unknown(kv_vault *vault, const inventory *at, const seen_key *key)
{
    char id[2 * KV_KEY_ID_BYTES + 1];

    if (key->known)
        return;
    at->result->unknown_objects++;
    kv_hex(kv_slice_of(key->id, sizeof(key->id)), id);
    kv_log_write(vault->config.log, KV_LOG_WARNING, "token.key.unknown",
                 (kv_log_field[]){ { "id", id, 0 }, { "label", key->label, 0 }, { 0 } });
}

/* Each token is read once and each table once: nothing is asked of the token for a single key,
 * whose public half is proved at its first use anyway. */
static kv_status take_inventory(kv_vault *vault, kv_reconciled *result, kv_error *err)
{
    inventory at = { .result = result };
    kv_status status = look(vault, &at, err);
    seen_key *key;
    seen_key *next;

    HASH_ITER (hh, at.keys, key, next) {
        if (status == KV_OK)
            report_unknown(vault, &at, key);
        HASH_DEL(at.keys, key);
        free(key);
    }
    return status;
}

kv_status kv_vault_reconcile(kv_vault *vault, kv_reconciled *out, kv_error *err)
{
    purge_round marked = { 0 };

    *out = (kv_reconciled){ 0 };
    KV_TRY(kv_resume_operations(vault, &out->operations_resumed, err));
    KV_TRY(finish_keys(vault, KV_SLICE("creating"), &out->births_rolled_back, err));
    KV_TRY(finish_keys(vault, KV_SLICE("destroying"), &out->destroyed, err));
    KV_TRY(purge(vault, &marked, err));
    out->purges_finished = marked.count;
    return take_inventory(vault, out, err);
}
