/* certificate_issue.c - an operation's way from its stored beginning to the issuer's answer.
 *
 * The operation stands in the store as `working` before anything is done. What a crash interrupts
 * is begun again from that row: the half-made key is rolled back, nothing has left this server.
 */
#include "pkcs11/public_key.h"
#include "pkcs11/token_sign.h"
#include "server/base/text.h"
#include "server/issuer/issuer.h"
#include "server/vault/authorities/authority_rules.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/events/event_rules.h"
#include "server/vault/issuers/issuer_rules.h"
#include "server/vault/keys/key_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"
#include "server/x509/request.h"

/* The signer's context: which key, on which token. */
typedef struct signing_key {
    kv_token *token;
    const kv_key_ref *key;
} signing_key;

static kv_status sign(void *context, const kv_mechanism *alg, kv_slice digest, kv_arena *arena,
                      kv_slice *signature, kv_error *err)
{
    const signing_key *with = context;
    uint8_t *bytes = kv_arena_alloc(arena, KV_SIGNATURE_MAX);
    size_t len = KV_SIGNATURE_MAX;

    if (!bytes)
        return kv_arena_full(err);
    KV_TRY(kv_token_sign(with->token, with->key, alg, digest, bytes, &len, err));
    *signature = kv_slice_of(bytes, len);
    return KV_OK;
}

kv_status kv_issuance_commit(kv_vault *vault, kv_work *work, const kv_issuance *at,
                             kv_change *change, kv_error *err)
{
    if (at->resumed)
        return kv_commit_step(vault, work, "CertificateCreateResumed", change, err);
    return kv_commit_change(vault, work, change, err);
}

static kv_status bear_key(kv_vault *vault, kv_work *work, kv_issuance *at, kv_error *err)
{
    kv_key_born facts;

    at->birth = (kv_birth){
        .duty = KV_DUTY_KEYS,
        .class = KV_CLASS_SIGN,
        .kind = kv_x509_policy_key_kind(&at->policy),
        .label = at->object->display_name,
        .owner_uid = at->object->uid,
        .exportable = at->policy.key_props.exportable,
    };
    KV_TRY(kv_birth_key(vault, work, &at->birth, &at->token_object, &facts, err));
    at->born = true;
    at->own = true;
    KV_TRY(kv_key_check_born(&facts, at->birth.exportable, err));
    at->attested = kv_key_attested(&facts);
    at->token = at->token_object.token;
    at->kind = at->birth.kind;
    at->key = (kv_key_ref){ .class = KV_CLASS_SIGN, .spki = facts.spki };
    memcpy(at->key.id, at->birth.key_id, sizeof(at->key.id));
    return KV_OK;
}

/* The key of the version before, as far as there is one. */
static kv_status previous_key(kv_vault *vault, kv_work *work, const kv_object_row *object,
                              kv_key_version_row *row, bool *exists, kv_error *err)
{
    kv_object_row key_object;

    *exists = false;
    if (!object->current.len)
        return KV_OK;
    KV_TRY(kv_look_up_object(vault, work, object->vault_uid, KV_COLLECTION_KEYS, object->name,
                             &key_object, exists, err));
    if (!*exists)
        return KV_OK;
    *row = (kv_key_version_row){ .object_uid = key_object.uid, .version = object->current };
    return kv_records_get(vault->config.records, &kv_table_key_versions, row, work->arena, err);
}

static void take_previous(kv_issuance *at, const kv_key_version_row *row, kv_key_kind kind)
{
    at->own = false;
    at->attested = row->attested;
    at->imported = row->imported;
    at->token = row->token;
    at->kind = kind;
    at->key = (kv_key_ref){ .class = KV_CLASS_SIGN, .spki = row->spki };
    memcpy(at->key.id, row->key_id.data, sizeof(at->key.id));
}

/* With reuse_key a renewal keeps the key, as long as the policy still describes it. */
static kv_status keep_key(kv_vault *vault, kv_work *work, kv_issuance *at, bool *kept,
                          kv_error *err)
{
    kv_key_version_row row = { 0 };
    kv_key_kind kind;

    *kept = false;
    if (!at->policy.key_props.reuse_key)
        return KV_OK;
    KV_TRY(previous_key(vault, work, at->object, &row, kept, err));
    if (!*kept)
        return KV_OK;
    KV_TRY(kv_kind_of_name(row.kind, &kind, err));
    *kept = kind == kv_x509_policy_key_kind(&at->policy) &&
            (row.exportable != 0) == at->policy.key_props.exportable;
    if (*kept)
        take_previous(at, &row, kind);
    return KV_OK;
}

kv_status kv_issuance_find_key(kv_vault *vault, kv_work *work, kv_issuance *at, kv_error *err)
{
    const kv_operation_row *operation = at->operation;
    kv_token_object_row object = { .key_id = operation->key_id };
    kv_key_version_row row = { 0 };
    bool exists = false;

    if (operation->key_id.len != KV_KEY_ID_BYTES)
        return kv_fail(err, KV_INTERNAL, "an operation has lost its key");
    KV_TRY(kv_operation_has_own_key(vault, work, operation, &at->own, err));
    if (at->own) {
        KV_TRY(kv_records_get(vault->config.records, &kv_table_token_objects, &object, work->arena,
                              err));
        at->attested = operation->attested;
        at->token = object.token;
        at->kind = kv_x509_policy_key_kind(&at->policy);
        at->key = (kv_key_ref){ .class = KV_CLASS_SIGN, .spki = operation->spki };
        memcpy(at->key.id, operation->key_id.data, sizeof(at->key.id));
        return KV_OK;
    }
    KV_TRY(previous_key(vault, work, at->object, &row, &exists, err));
    if (!exists || !kv_slice_equal(row.key_id, operation->key_id))
        return kv_fail(err, KV_CONFLICT, "the key that was to be kept is not the current one");
    take_previous(at, &row, kv_x509_policy_key_kind(&at->policy));
    return KV_OK;
}

static kv_status find_key(kv_vault *vault, kv_work *work, kv_issuance *at, kv_error *err)
{
    bool kept = false;

    KV_TRY(keep_key(vault, work, at, &kept, err));
    if (!kept)
        KV_TRY(bear_key(vault, work, at, err));
    KV_TRY(kv_arena_copy(work->arena, kv_slice_of(at->key.id, sizeof(at->key.id)),
                         &at->operation->key_id, err));
    at->operation->spki = at->key.spki;
    at->operation->attested = at->attested;
    work->entry->has_key = true;
    memcpy(work->entry->key_id, at->key.id, sizeof(work->entry->key_id));
    return KV_OK;
}

/* The request is signed; an issuer that reaches nobody is asked at once, for another the order
 * is to be stored first. */
static kv_status ask_issuer(kv_vault *vault, kv_work *work, kv_issuance *at,
                            const kv_chosen_issuer *chosen, kv_issuer_answer *answer, kv_error *err)
{
    signing_key with = { .token = kv_tokens_get(vault->config.tokens, KV_DUTY_KEYS),
                         .key = &at->key };
    kv_x509_signer signer = { .sign = sign, .context = &with };
    kv_issuer_order order = { .operation = at->operation->request_id,
                              .attempt = 1,
                              .account = &chosen->account,
                              .policy = &at->policy,
                              .spki = at->key.spki,
                              .signer = &signer,
                              .now_ms = work->now_ms,
                              .now_us = work->now_us,
                              .deadline = work->deadline,
                              .arena = work->arena };
    kv_authority_use use;

    if (kv_issuer_is_local(chosen->issuer)) {
        KV_TRY(kv_authority_use_for(vault, work, at, &chosen->account, &use, err));
        order.local = &use.local;
    }
    KV_TRY(kv_x509_request_build(work->arena, &at->policy, at->key.spki, &signer,
                                 &at->operation->csr, err));
    order.csr = at->operation->csr;
    if (!chosen->issuer->outside)
        return kv_issuer_submit(chosen->issuer, &order, answer, err);
    at->outside = true;
    *answer = (kv_issuer_answer){ .state = KV_ISSUER_PENDING,
                                  .details = KV_SLICE("The certificate is being ordered.") };
    return KV_OK;
}

/* Waits for somebody, or for the worker: the key stays. */
static kv_status park(kv_vault *vault, kv_work *work, kv_issuance *at, kv_error *err)
{
    kv_change change = { 0 };

    if (at->own && at->policy.key_props.exportable)
        KV_TRY(kv_issuance_keep_secret(vault, work, at, err));
    at->operation->state = at->outside ? KV_STATE_ORDERING : KV_STATE_PENDING;
    at->operation->next_at = at->outside ? work->now_ms : 0;
    at->operation->updated = work->now_ms;
    if (at->born)
        KV_TRY(kv_change_update(&change, &kv_table_token_objects, &at->token_object, err));
    KV_TRY(kv_change_update(&change, &kv_table_operations, at->operation, err));
    KV_TRY(kv_event_operation(vault, work, at->vault_row, at->object, at->operation, &change, err));
    KV_TRY(kv_issuance_commit(vault, work, at, &change, err));
    if (at->outside)
        kv_wake_steps(vault);
    return KV_OK;
}

static kv_status issue(kv_vault *vault, kv_work *work, kv_issuance *at, bool *refused,
                       kv_error *err)
{
    KV_AUTO(kv_chosen_issuer) chosen = { 0 };
    kv_issuer_answer answer = { 0 };

    KV_TRY(kv_policy_load(work, at->operation->policy, &at->policy, err));
    KV_TRY(kv_start_load(work, at->operation->attributes, &at->enabled, &at->tags, err));
    at->usage = at->policy.x509_props.key_usage;
    /* Again: since the creation was permitted the rules may have changed. */
    KV_TRY(kv_issuer_choose(vault, work, at->vault_row, &at->policy, at->operation->requested_by,
                            &chosen, err));
    KV_TRY(find_key(vault, work, at, err));
    KV_TRY(ask_issuer(vault, work, at, &chosen, &answer, err));
    at->operation->status_details = answer.details;
    KV_TRY(kv_texts_store(work, &answer.warnings, &at->operation->warnings, err));
    switch (answer.state) {
    case KV_ISSUER_ISSUED:
        return kv_issuance_finish(vault, work, at, &answer.chain, err);
    case KV_ISSUER_PENDING:
    case KV_ISSUER_READY:
        return park(vault, work, at, err);
    case KV_ISSUER_REFUSED:
    case KV_ISSUER_RETRYABLE:
    case KV_ISSUER_CANCELLED:
        break;
    }
    *refused = true;
    at->operation->error_code = answer.code;
    at->operation->error_message = answer.details;
    return kv_fail(err, KV_PRECONDITION, "the issuer refused: %.*s", KV_SLICE_ARG(answer.details));
}

/* The operation ends as failed, whatever the reason; the key goes. If even that cannot be stored,
 * the row stays `working` and start-up takes it up again. One that has taken its place is
 * another's. */
static void fail(kv_vault *vault, kv_work *work, kv_issuance *at, const kv_error *why)
{
    kv_operation_row row = { .object_uid = at->operation->object_uid };
    kv_change change = { 0 };
    kv_error ignored = { 0 };

    if (at->born)
        kv_birth_undo(vault, work, &at->birth);
    if (kv_records_get(vault->config.records, &kv_table_operations, &row, work->arena, &ignored) !=
            KV_OK ||
        !kv_slice_equal(row.state, KV_STATE_WORKING) ||
        !kv_slice_equal(row.request_id, at->operation->request_id))
        return;
    row.state = KV_STATE_FAILED;
    row.updated = work->now_ms;
    row.error_code = at->operation->error_code.len
                         ? at->operation->error_code
                         : kv_slice_text(kv_status_spelling(why->status)->name);
    row.error_message = kv_slice_text(why->message);
    row.status_details = KV_SLICE_NONE;
    row.key_id = KV_SLICE_NONE;
    kv_operation_clear(&row);
    if (kv_change_update(&change, &kv_table_operations, &row, &ignored) == KV_OK &&
        kv_event_operation(vault, work, at->vault_row, at->object, &row, &change, &ignored) ==
            KV_OK &&
        kv_commit_step(vault, work, "CertificateCreateFailed", &change, &ignored) == KV_OK) {
        *at->operation = row;
        return;
    }
    kv_log_write(vault->config.log, KV_LOG_WARNING, "certificate.operation.unfinished",
                 (kv_log_field[]){ { "why", ignored.message, 0 }, { 0 } });
}

/* Somebody else changed it: who ended it meanwhile was first, and nothing of what was made for it
 * is left. */
static kv_status see_end(kv_vault *vault, kv_work *work, kv_operation_row *operation, kv_error *err)
{
    kv_operation_row row = { .object_uid = operation->object_uid };
    kv_error ignored = { 0 };
    kv_status status =
        kv_records_get(vault->config.records, &kv_table_operations, &row, work->arena, &ignored);

    if (status == KV_NOT_FOUND ||
        (status == KV_OK && !kv_slice_equal(row.request_id, operation->request_id)))
        return kv_fail(err, KV_NOT_FOUND, "the operation was deleted meanwhile");
    if (status != KV_OK || !kv_slice_equal(row.state, KV_STATE_CANCELLED))
        return KV_CONFLICT;
    *operation = row;
    *err = (kv_error){ 0 };
    return KV_OK;
}

kv_status kv_operation_run(kv_vault *vault, kv_work *work, kv_vault_row *vault_row,
                           kv_object_row *object, kv_operation_row *operation, bool resumed,
                           kv_error *err)
{
    kv_issuance at = {
        .vault_row = vault_row,
        .object = object,
        .operation = operation,
        .resumed = resumed,
        .version = operation->version,
    };
    bool refused = false;
    kv_status status = issue(vault, work, &at, &refused, err);

    if (status == KV_OK)
        return KV_OK;
    fail(vault, work, &at, err);
    if (!refused)
        return status == KV_CONFLICT ? see_end(vault, work, operation, err) : status;
    *err = (kv_error){ 0 };
    return KV_OK;
}
