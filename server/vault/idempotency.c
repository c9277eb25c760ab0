/* idempotency.c - keys of changes: found, stored with the change, forgotten after a day. */
#include "server/vault/idempotency.h"

#include <openssl/evp.h>

#include "pkcs11/token_cipher.h"
#include "server/base/text.h"
#include "server/vault/access/access_work.h"
#include "server/vault/own_step.h"
#include "server/vault/vault_impl.h"

enum { SIGNERS_READ = 1000, DIGEST_BYTES = 32, SWEEP_ROWS = 500 };

static kv_status check_key(kv_slice key, kv_error *err)
{
    bool good = key.len > 0 && key.len <= KV_IDEMPOTENCY_KEY_MAX;

    for (size_t i = 0; good && i < key.len; i++)
        good = key.data[i] > ' ' && key.data[i] < 0x7f;
    if (good)
        return KV_OK;
    return kv_fail_field(err, "idempotency-key", "must be 1 to %d visible ASCII characters",
                         KV_IDEMPOTENCY_KEY_MAX);
}

/* The token's MAC key of pending records: an own beginning of the message keeps the two apart. */
static kv_status mac_key(kv_vault *vault, kv_work *work, kv_key_ref *out, kv_error *err)
{
    kv_signer_row from = { 0 };
    kv_scan scan = { .table = &kv_table_signers, .from = &from, .limit = SIGNERS_READ };
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    for (unsigned i = 0; i < rows.count; i++) {
        const kv_signer_row *row = (const kv_signer_row *)rows.rows + i;

        if (!kv_slice_equal(row->purpose, KV_SLICE("pending")) ||
            row->key_id.len != sizeof(out->id))
            continue;
        *out = (kv_key_ref){ .class = KV_CLASS_MAC };
        memcpy(out->id, row->key_id.data, sizeof(out->id));
        return KV_OK;
    }
    return kv_fail(err, KV_INTERNAL, "the key of pending audit records is not known");
}

static kv_status join(kv_work *work, kv_slice a, kv_slice b, kv_slice *out, kv_error *err)
{
    uint8_t *both = kv_arena_alloc(work->arena, a.len + b.len);

    if (!both)
        return kv_arena_full(err);
    memcpy(both, a.data, a.len);
    memcpy(both + a.len, b.data, b.len);
    *out = kv_slice_of(both, a.len + b.len);
    return KV_OK;
}

/* Keyed: the request may hold a secret, and the database must not help to guess it. */
static kv_status hash_request(kv_vault *vault, kv_work *work, const char *operation,
                              kv_slice request, kv_slice *out, kv_error *err)
{
    kv_token *token = kv_tokens_get(vault->config.tokens, KV_DUTY_SYSTEM);
    uint8_t digest[DIGEST_BYTES];
    uint8_t *mac = kv_arena_alloc(work->arena, KV_MAC_BYTES);
    kv_slice message;
    kv_key_ref key;

    if (!mac)
        return kv_arena_full(err);
    if (EVP_Digest(request.data, request.len, digest, NULL, EVP_sha256(), NULL) != 1)
        return kv_fail(err, KV_INTERNAL, "SHA-256 does not work");
    KV_TRY(mac_key(vault, work, &key, err));
    KV_TRY(kv_arena_print(work->arena, &message, err, "keyvault request 1 %s", operation));
    KV_TRY(join(work, message, kv_slice_of(digest, sizeof(digest)), &message, err));
    KV_TRY(kv_token_mac(token, &key, message, mac, err));
    *out = kv_slice_of(mac, KV_MAC_BYTES);
    return KV_OK;
}

static kv_status answer(kv_vault *vault, kv_work *work, const kv_idempotency_row *found,
                        const kv_idempotency_row *asked, void *out, kv_error *err)
{
    kv_status status;

    if (!kv_slice_equal(found->operation, asked->operation) ||
        !kv_slice_equal(found->hash, asked->hash))
        return kv_fail_field(err, "idempotency-key", "was used with another request");
    work->entry->name = found->name;
    work->entry->version = found->version;
    kv_note_id(work, "repeats", found->request_id);
    status = kv_answer_again(vault, work, found, out, err);
    if (status == KV_NOT_FOUND)
        return kv_fail(err, KV_NOT_FOUND, "this was done before, and what it made is no more");
    return status;
}

kv_status kv_idempotency_find(kv_vault *vault, kv_work *work, const char *operation, kv_slice key,
                              kv_slice request, void *out, bool *again, kv_error *err)
{
    kv_idempotency *it = kv_arena_alloc(work->arena, sizeof(*it));
    kv_idempotency_row found;
    kv_status status;

    *again = false;
    /* By this very call, which failed after its first step: that is no answer. */
    if (work->idempotency && work->idempotency->stored)
        return KV_OK;
    if (!it)
        return kv_arena_full(err);
    KV_TRY(check_key(key, err));
    it->row = (kv_idempotency_row){
        .principal_id = kv_slice_of(work->caller->principal_id, sizeof(work->caller->principal_id)),
        .key = key,
        .operation = kv_slice_text(operation),
        .created = work->now_ms,
    };
    KV_TRY(hash_request(vault, work, operation, request, &it->row.hash, err));
    found = it->row;
    status = kv_records_get(vault->config.records, &kv_table_idempotency, &found, work->arena, err);
    if (status == KV_OK && found.created > work->now_ms - KV_IDEMPOTENCY_MS) {
        *again = true;
        return answer(vault, work, &found, &it->row, out, err);
    }
    if (status == KV_OK) /* older than a day, and not swept yet: the new one takes its place */
        it->row.head = found.head;
    else if (status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    work->idempotency = it;
    return KV_OK;
}

/* Who or what of the access tables the change is about: an assignment by its principal and id. */
static kv_status find_subject(kv_work *work, const kv_change *change, kv_slice *out, kv_error *err)
{
    const kv_change_op *ops = kv_change_ops(change);

    *out = KV_SLICE_NONE;
    for (unsigned i = 0; i < change->count; i++) {
        const kv_assignment_row *assignment = ops[i].row;

        if (ops[i].table == &kv_table_assignments)
            return join(work, assignment->principal_id, assignment->id, out, err);
        if (ops[i].table == &kv_table_credentials)
            *out = ((const kv_credential_row *)ops[i].row)->id;
        if (ops[i].table == &kv_table_principals && !out->len)
            *out = ((const kv_principal_row *)ops[i].row)->id;
    }
    return KV_OK;
}

kv_status kv_idempotency_add(kv_work *work, kv_change *change, bool *added, kv_error *err)
{
    kv_idempotency *it = work->idempotency;
    const kv_audit_entry *entry = work->entry;

    *added = it && !it->stored;
    if (!*added)
        return KV_OK;
    it->row.request_id = kv_slice_of(entry->request_id, sizeof(entry->request_id));
    it->row.vault = entry->vault;
    it->row.name = entry->name;
    it->row.version = entry->version;
    KV_TRY(find_subject(work, change, &it->row.subject, err));
    if (it->row.head.generation)
        return kv_change_update(change, &kv_table_idempotency, &it->row, err);
    return kv_change_insert(change, &kv_table_idempotency, &it->row, err);
}

kv_status kv_idempotency_added(kv_vault *vault, kv_work *work, kv_status status, kv_error *err)
{
    kv_idempotency *it = work->idempotency;
    kv_idempotency_row found = it->row;
    kv_error ignored = { 0 };

    it->stored = status == KV_OK;
    if (status != KV_EXISTS && status != KV_CONFLICT)
        return status;
    if (kv_records_get(vault->config.records, &kv_table_idempotency, &found, work->arena,
                       &ignored) != KV_OK ||
        found.created <= work->now_ms - KV_IDEMPOTENCY_MS)
        return status;
    it->outrun = true;
    return kv_fail(err, KV_CONFLICT, "a call with this idempotency key came first; repeat it");
}

/* --- forgetting --- */

static kv_status sweep(kv_vault *vault, kv_work *work, bool *more, kv_error *err)
{
    kv_idempotency_row from = { 0 };
    kv_scan scan = {
        .table = &kv_table_idempotency, .index = 1, .from = &from, .limit = SWEEP_ROWS
    };
    kv_change change = { 0 };
    kv_idempotency_row *found;
    kv_rows rows;

    KV_TRY(kv_records_scan_sound(vault->config.records, &scan, work->arena, &rows, err));
    KV_TRY(kv_change_room(&change, work->arena, rows.count, err));
    found = rows.rows;
    for (unsigned i = 0; i < rows.count; i++)
        if (found[i].created <= work->now_ms - KV_IDEMPOTENCY_MS)
            KV_TRY(kv_change_delete(&change, &kv_table_idempotency, &found[i], err));
    if (!change.count)
        return KV_OK;
    *more = change.count == SWEEP_ROWS;
    return kv_commit_step(vault, work, "IdempotencySweep", &change, err);
}

kv_status kv_idempotency_sweep(kv_vault *vault, bool *more, kv_error *err)
{
    kv_own_step at;
    kv_status status = kv_own_step_begin(vault, &at, err);

    *more = false;
    at.entry.operation = "IdempotencySweep";
    if (status == KV_OK)
        status = sweep(vault, &at.work, more, err);
    kv_own_step_end(&at);
    return status;
}
