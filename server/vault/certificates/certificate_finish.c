/* certificate_finish.c - a certificate has come: it, its key and its secret become versions.
 *
 * One change makes all three visible together. An exportable key is taken from the token once,
 * encrypted for its secret, and made non-extractable on the token before anybody can see it.
 */
#include "server/base/text.h"
#include "server/vault/authorities/authority_rules.h"
#include "server/vault/events/event_rules.h"
#include "server/vault/events/events.h"
#include "server/vault/keys/key_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"
#include "server/vault/renewals/renewal_rules.h"
#include "server/vault/secrets/secret_rules.h"
#include "server/x509/inspect.h"

enum { SERIALS_PER_STEP = 20 };

typedef struct versions {
    kv_object_row key_object;
    kv_object_row secret_object;
    kv_certificate_version_row certificate;
    kv_key_version_row key;
    kv_secret_version_row secret;
    kv_renewal_row renewal;
} versions;

static kv_status find_companion(kv_vault *vault, kv_work *work, const kv_object_row *object,
                                kv_collection collection, kv_object_row *out, kv_error *err)
{
    kv_object_row certificate;
    bool exists = false;

    KV_TRY(kv_look_up_object(vault, work, object->vault_uid, collection, object->name, out, &exists,
                             err));
    if (exists && out->managed)
        return KV_OK;
    /* They go together: a purge of the vault since we began. */
    KV_TRY(kv_look_up_object(vault, work, object->vault_uid, KV_COLLECTION_CERTIFICATES,
                             object->name, &certificate, &exists, err));
    if (!exists)
        return kv_lost_race(KV_CONFLICT, err);
    return kv_fail(err, KV_INTERNAL, "a certificate has lost its %s",
                   kv_collection_noun(collection));
}

/* Key usage decides what may be done with the key directly. */
static kv_key_ops ops_of(uint32_t usage)
{
    uint32_t signing = KV_X509_DIGITAL_SIGNATURE | KV_X509_NON_REPUDIATION | KV_X509_KEY_CERT_SIGN |
                       KV_X509_CRL_SIGN;

    return usage & signing ? KV_KEY_OP_SIGN | KV_KEY_OP_VERIFY : 0;
}

/* Where the certificates of `given` stand in the chain, a byte each. */
static kv_status order_of(kv_work *work, const kv_x509_list *given, const kv_x509_list *chain,
                          kv_slice *out, kv_error *err)
{
    uint8_t *places = kv_arena_alloc(work->arena, given->count);
    size_t count = 0;

    if (!places)
        return kv_arena_full(err);
    for (size_t i = 0; i < given->count; i++)
        for (size_t k = 0; k < chain->count; k++)
            if (kv_slice_equal(given->items[i], chain->items[k])) {
                places[count++] = (uint8_t)k;
                break;
            }
    if (count != chain->count)
        return kv_fail(err, KV_INTERNAL, "the order of a chain is not one of the chain");
    *out = kv_slice_of(places, count);
    return KV_OK;
}

/* A CA does not give a serial number twice. Whoever forges one of our rows to hide a certificate
 * breaks its seal; whoever takes a row away is found by the digest of the table. */
static kv_status refuse_same_serial(kv_vault *vault, kv_work *work,
                                    const kv_certificate_version_row *made, bool imported,
                                    kv_error *err)
{
    kv_certificate_version_row from = { .serial = made->serial };
    kv_scan scan = { .table = &kv_table_certificate_versions,
                     .index = 3,
                     .prefix = 1,
                     .from = &from,
                     .limit = SERIALS_PER_STEP };
    kv_rows rows;

    do {
        const kv_certificate_version_row *found;

        KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
        found = rows.rows;
        for (unsigned i = 0; i < rows.count; i++) {
            if (!kv_slice_equal(found[i].issuer, made->issuer) ||
                (imported && kv_slice_equal(found[i].der, made->der)))
                continue;
            return kv_fail(err, KV_EXISTS,
                           "the serial number is that of another certificate of this issuer");
        }
        if (rows.count)
            from = found[rows.count - 1];
        scan.after = true;
    } while (rows.more);
    return KV_OK;
}

static kv_status certificate_row(kv_work *work, const kv_issuance *at, const kv_x509_list *chain,
                                 kv_certificate_version_row *out, kv_error *err)
{
    kv_x509_facts facts;

    KV_TRY(kv_x509_inspect(work->arena, chain->items[0], &facts, err));
    if (!kv_slice_equal(facts.spki, at->key.spki))
        return kv_fail(err, KV_INTERNAL, "the issuer certified another key");
    *out = (kv_certificate_version_row){
        .object_uid = at->object->uid,
        .version = at->version,
        .vault_uid = at->vault_row->uid,
        .created = work->now_ms,
        .updated = work->now_ms,
        .enabled = at->enabled,
        .not_before = facts.not_before_ms,
        .expires = facts.not_after_ms,
        .der = chain->items[0],
        .serial = facts.serial_hex,
        .subject = facts.subject,
        .issuer = facts.issuer,
        .tags = at->tags,
        .imported = at->imported,
    };
    if (at->given)
        KV_TRY(order_of(work, at->given, chain, &out->given, err));
    KV_TRY(kv_chain_join(work, chain, 1, &out->chain, err));
    KV_TRY(
        kv_arena_copy(work->arena, kv_slice_of(facts.sha1, sizeof(facts.sha1)), &out->sha1, err));
    return kv_arena_copy(work->arena, kv_slice_of(facts.sha256, sizeof(facts.sha256)), &out->sha256,
                         err);
}

static void key_row(const kv_issuance *at, const versions *made, kv_key_version_row *out)
{
    const kv_certificate_version_row *certificate = &made->certificate;

    *out = (kv_key_version_row){
        .object_uid = made->key_object.uid,
        .version = certificate->version,
        .vault_uid = certificate->vault_uid,
        .created = certificate->created,
        .updated = certificate->updated,
        .enabled = certificate->enabled,
        .not_before = certificate->not_before,
        .expires = certificate->expires,
        .kind = kv_slice_text(kv_key_kind_of(at->kind)->name),
        .key_ops = ops_of(at->usage),
        .key_id = kv_slice_of(at->key.id, sizeof(at->key.id)),
        .spki = at->key.spki,
        .managed = 1,
        .exportable = at->policy.key_props.exportable,
        .imported = at->imported,
        .attested = at->attested,
        .token = at->token,
        .tags = certificate->tags,
    };
}

/* The PKCS#8 of a new key comes from the token or with an import, that of a kept one from the
 * secret before. */
static kv_status private_key(kv_vault *vault, kv_work *work, const kv_issuance *at,
                             const kv_object_row *secret_object, kv_secret_buf *out, kv_error *err)
{
    kv_token *token = kv_tokens_get(vault->config.tokens, KV_DUTY_KEYS);
    kv_secret_version_row before = { .object_uid = secret_object->uid,
                                     .version = at->object->current };
    kv_box place;

    if (at->private_key)
        return kv_secret_buf_copy(kv_secret_buf_slice(at->private_key), out, err);
    if (at->own) {
        KV_TRY(kv_token_key_export(token, &at->key, out, err));
        return kv_token_key_seal_export(token, at->key.id, err);
    }
    KV_TRY(kv_records_get(vault->config.records, &kv_table_secret_versions, &before, work->arena,
                          err));
    place = kv_secret_place(secret_object, before.version);
    return kv_box_open(vault, work, &place, &before, out, err);
}

/* Fills key_id and ciphertext of the row. */
static kv_status close_key(kv_vault *vault, kv_work *work, const kv_issuance *at,
                           const kv_object_row *secret_object, kv_secret_version_row *row,
                           kv_error *err)
{
    KV_AUTO(kv_secret_buf) pkcs8 = KV_SECRET_NONE;
    kv_box place = kv_secret_place(secret_object, at->version);

    KV_TRY(private_key(vault, work, at, secret_object, &pkcs8, err));
    return kv_box_close(vault, work, at->vault_row, &place, kv_secret_buf_slice(&pkcs8), row, err);
}

kv_status kv_issuance_keep_secret(kv_vault *vault, kv_work *work, kv_issuance *at, kv_error *err)
{
    kv_secret_version_row row = { 0 };
    kv_object_row secret_object;

    KV_TRY(find_companion(vault, work, at->object, KV_COLLECTION_SECRETS, &secret_object, err));
    KV_TRY(close_key(vault, work, at, &secret_object, &row, err));
    at->operation->secret_key_id = row.key_id;
    at->operation->secret_ciphertext = row.ciphertext;
    return KV_OK;
}

static kv_status secret_row(kv_vault *vault, kv_work *work, const kv_issuance *at, versions *made,
                            kv_error *err)
{
    const kv_certificate_version_row *certificate = &made->certificate;

    made->secret = (kv_secret_version_row){
        .object_uid = made->secret_object.uid,
        .version = certificate->version,
        .vault_uid = certificate->vault_uid,
        .created = certificate->created,
        .updated = certificate->updated,
        .enabled = certificate->enabled,
        .not_before = certificate->not_before,
        .expires = certificate->expires,
        .content_type = at->policy.content_type,
        .managed = 1,
        .tags = certificate->tags,
    };
    if (!at->policy.key_props.exportable)
        return KV_OK;
    if (at->operation && at->operation->secret_ciphertext.len) {
        made->secret.key_id = at->operation->secret_key_id;
        made->secret.ciphertext = at->operation->secret_ciphertext;
        return KV_OK;
    }
    return close_key(vault, work, at, &made->secret_object, &made->secret, err);
}

/* What stands beside the versions: the policy of an import, the operation that ends. */
static kv_status store_around(kv_work *work, kv_issuance *at, const versions *made,
                              kv_change *change, kv_error *err)
{
    if (at->policy_row && at->fresh_policy)
        KV_TRY(kv_change_insert(change, &kv_table_policies, at->policy_row, err));
    else if (at->policy_row)
        KV_TRY(kv_change_update(change, &kv_table_policies, at->policy_row, err));
    if (at->born)
        KV_TRY(kv_change_update(change, &kv_table_token_objects, &at->token_object, err));
    if (at->issued.state.len) {
        KV_TRY(kv_serial_used(work, made->certificate.der, at->object->uid, at->version,
                              &at->issued, err));
        KV_TRY(kv_change_update(change, &kv_table_issued, &at->issued, err));
    }
    if (at->stale)
        KV_TRY(kv_change_delete(change, &kv_table_operations, at->stale, err));
    if (!at->operation)
        return KV_OK;
    at->operation->state = KV_STATE_COMPLETED;
    at->operation->status_details = KV_SLICE_NONE;
    at->operation->error_code = KV_SLICE_NONE;
    at->operation->error_message = KV_SLICE_NONE;
    kv_operation_clear(at->operation);
    at->operation->updated = work->now_ms;
    return kv_change_update(change, &kv_table_operations, at->operation, err);
}

static kv_status tell(kv_vault *vault, kv_work *work, const kv_issuance *at, const versions *made,
                      const char *cause, kv_change *change, kv_error *err)
{
    kv_event_version about = KV_EVENT_VERSION_OF(at->vault_row, at->object, &made->certificate);

    about.sha256 = made->certificate.sha256;
    about.issuer = at->policy.issuer.name;
    about.asked = kv_expiry_asked_of(&at->policy, &made->certificate);
    return kv_event_new_version(vault, work, &about, at->operation ? cause : "imported", change,
                                err);
}

static kv_status store(kv_vault *vault, kv_work *work, kv_issuance *at, versions *made,
                       kv_error *err)
{
    bool exists = !at->fresh_object;
    const char *cause = at->object->current.len ? "renewed" : "created";
    kv_change change = { 0 };

    work->entry->version = at->version;
    KV_TRY(store_around(work, at, made, &change, err));
    KV_TRY(kv_change_insert(&change, &kv_table_certificate_versions, &made->certificate, err));
    KV_TRY(kv_change_insert(&change, &kv_table_key_versions, &made->key, err));
    KV_TRY(kv_change_insert(&change, &kv_table_secret_versions, &made->secret, err));
    KV_TRY(kv_renewal_keep(vault, work, at->vault_row, &at->policy, &made->certificate,
                           &made->renewal, &change, err));
    KV_TRY(kv_change_object(&change, at->object, exists, at->version, err));
    KV_TRY(kv_change_object(&change, &made->key_object, exists, at->version, err));
    KV_TRY(kv_change_object(&change, &made->secret_object, exists, at->version, err));
    KV_TRY(tell(vault, work, at, made, cause, &change, err));
    return kv_lost_race(kv_issuance_commit(vault, work, at, &change, err), err);
}

static kv_status companion(kv_vault *vault, kv_work *work, const kv_issuance *at,
                           kv_collection collection, kv_object_row *out, kv_error *err)
{
    if (at->fresh_object)
        return kv_companion_new(vault, work, at->object, collection, out, err);
    return find_companion(vault, work, at->object, collection, out, err);
}

/* What this version changes beside its own rows, as it is now. An operation that somebody else
 * changed is not ours to end any more. */
static kv_status look_again(kv_vault *vault, kv_work *work, kv_issuance *at, versions *made,
                            kv_error *err)
{
    kv_operation_row operation;
    kv_object_row object;
    bool exists = false;

    KV_TRY(kv_look_up_object(vault, work, at->vault_row->uid, KV_COLLECTION_CERTIFICATES,
                             at->object->name, &object, &exists, err));
    exists = exists && kv_slice_equal(object.uid, at->object->uid) && !object.purging;
    if (!exists || object.deleted) {
        kv_fail(err, KV_NOT_FOUND, "the certificate was deleted meanwhile");
        return kv_because(err, exists ? KV_REASON_SOFT_DELETED : KV_REASON_NONE);
    }
    *at->object = object;
    KV_TRY(find_companion(vault, work, &object, KV_COLLECTION_KEYS, &made->key_object, err));
    KV_TRY(find_companion(vault, work, &object, KV_COLLECTION_SECRETS, &made->secret_object, err));
    KV_TRY(kv_operation_find(vault, work, object.uid, &operation, &exists, err));
    if (!exists || operation.head.generation != at->operation->head.generation)
        return kv_lost_race(KV_CONFLICT, err);
    return KV_OK;
}

/* The renewal's row above all is changed by the server itself, at its own time. An import begins
 * again by itself. */
static kv_status store_in_time(kv_vault *vault, kv_work *work, kv_issuance *at, versions *made,
                               kv_error *err)
{
    kv_slice before = at->object->current;
    kv_status status = store(vault, work, at, made, err);
    unsigned races = 0;

    while (at->operation && kv_race_again(work, status, &races, err)) {
        status = look_again(vault, work, at, made, err);
        if (status != KV_OK)
            break;
        before = at->object->current;
        status = store(vault, work, at, made, err);
    }
    /* Who tells of the failure looks at the version that is the current one after all. */
    if (status != KV_OK)
        at->object->current = before;
    return status;
}

kv_status kv_issuance_finish(kv_vault *vault, kv_work *work, kv_issuance *at,
                             const kv_x509_list *chain, kv_error *err)
{
    versions made = { 0 };

    if (!chain->count)
        return kv_fail(err, KV_INTERNAL, "the issuer gave no certificate");
    KV_TRY(companion(vault, work, at, KV_COLLECTION_KEYS, &made.key_object, err));
    KV_TRY(companion(vault, work, at, KV_COLLECTION_SECRETS, &made.secret_object, err));
    KV_TRY(certificate_row(work, at, chain, &made.certificate, err));
    KV_TRY(refuse_same_serial(vault, work, &made.certificate, !at->operation, err));
    key_row(at, &made, &made.key);
    KV_TRY(secret_row(vault, work, at, &made, err));
    return store_in_time(vault, work, at, &made, err);
}
