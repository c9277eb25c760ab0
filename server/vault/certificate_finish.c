/* certificate_finish.c - a certificate has come: it, its key and its secret become versions.
 *
 * One change makes all three visible together. An exportable key is taken from the token once,
 * encrypted for its secret, and made non-extractable on the token before anybody can see it.
 */
#include "server/base/text.h"
#include "server/vault/certificate_rules.h"
#include "server/vault/key_rules.h"
#include "server/vault/objects.h"
#include "server/vault/secret_rules.h"
#include "server/x509/inspect.h"

typedef struct versions {
    kv_object_row key_object;
    kv_object_row secret_object;
    kv_certificate_version_row certificate;
    kv_key_version_row key;
    kv_secret_version_row secret;
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

static kv_status certificate_row(kv_work *work, const kv_issuance *at, const kv_x509_list *chain,
                                 kv_certificate_version_row *out, kv_error *err)
{
    kv_x509_facts facts;
    bool enabled = true;

    KV_TRY(kv_x509_inspect(work->arena, chain->items[0], &facts, err));
    if (!kv_slice_equal(facts.spki, at->key.spki))
        return kv_fail(err, KV_INTERNAL, "the issuer certified another key");
    *out = (kv_certificate_version_row){
        .object_uid = at->object->uid,
        .version = at->operation->version,
        .vault_uid = at->vault_row->uid,
        .created = work->now_ms,
        .updated = work->now_ms,
        .not_before = facts.not_before_ms,
        .expires = facts.not_after_ms,
        .der = chain->items[0],
        .serial = facts.serial_hex,
        .subject = facts.subject,
        .issuer = facts.issuer,
    };
    KV_TRY(kv_start_load(work, at->operation->attributes, &enabled, &out->tags, err));
    out->enabled = enabled;
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
        .kind = kv_slice_text(kv_key_kind_of(kv_x509_policy_key_kind(&at->policy))->name),
        .key_ops = ops_of(at->policy.x509_props.key_usage),
        .key_id = at->operation->key_id,
        .spki = at->key.spki,
        .managed = 1,
        .exportable = at->policy.key_props.exportable,
        .imported = at->born ? 0 : at->previous.imported,
        .attested = at->born ? kv_key_attested(&at->facts) : at->previous.attested,
        .token = at->born ? at->token_object.token : at->previous.token,
        .tags = certificate->tags,
    };
}

/* The PKCS#8 of a new key comes from the token, that of a kept one from the secret before. */
static kv_status private_key(kv_vault *vault, kv_work *work, const kv_issuance *at,
                             const versions *made, kv_secret_buf *out, kv_error *err)
{
    kv_token *token = kv_tokens_get(vault->config.tokens, KV_DUTY_KEYS);
    kv_secret_version_row before = { .object_uid = made->secret_object.uid,
                                     .version = at->object->current };
    kv_box place;

    if (at->born) {
        KV_TRY(kv_token_key_export(token, &at->key, out, err));
        return kv_token_key_seal_export(token, at->key.id, err);
    }
    KV_TRY(kv_records_get(vault->config.records, &kv_table_secret_versions, &before, work->arena,
                          err));
    place = kv_secret_place(&made->secret_object, before.version);
    return kv_box_open(vault, work, &place, &before, out, err);
}

static kv_status secret_row(kv_vault *vault, kv_work *work, const kv_issuance *at, versions *made,
                            kv_error *err)
{
    KV_AUTO(kv_secret_buf) pkcs8 = KV_SECRET_NONE;
    const kv_certificate_version_row *certificate = &made->certificate;
    kv_box place;

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
    KV_TRY(private_key(vault, work, at, made, &pkcs8, err));
    place = kv_secret_place(&made->secret_object, made->secret.version);
    return kv_box_close(vault, work, at->vault_row, &place, kv_secret_buf_slice(&pkcs8),
                        &made->secret, err);
}

static kv_status store(kv_vault *vault, kv_work *work, kv_issuance *at, versions *made,
                       kv_error *err)
{
    kv_slice version = at->operation->version;
    kv_change change = { 0 };

    work->entry->version = version;
    at->operation->state = KV_STATE_COMPLETED;
    at->operation->status_details = KV_SLICE_NONE;
    at->operation->updated = work->now_ms;
    if (at->born)
        KV_TRY(kv_change_update(&change, &kv_table_token_objects, &at->token_object, err));
    KV_TRY(kv_change_insert(&change, &kv_table_certificate_versions, &made->certificate, err));
    KV_TRY(kv_change_insert(&change, &kv_table_key_versions, &made->key, err));
    KV_TRY(kv_change_insert(&change, &kv_table_secret_versions, &made->secret, err));
    KV_TRY(kv_change_object(&change, at->object, true, version, err));
    KV_TRY(kv_change_object(&change, &made->key_object, true, version, err));
    KV_TRY(kv_change_object(&change, &made->secret_object, true, version, err));
    KV_TRY(kv_change_update(&change, &kv_table_operations, at->operation, err));
    return kv_lost_race(kv_issuance_commit(vault, work, at, &change, err), err);
}

kv_status kv_issuance_finish(kv_vault *vault, kv_work *work, kv_issuance *at,
                             const kv_x509_list *chain, kv_error *err)
{
    versions made = { 0 };

    if (!chain->count)
        return kv_fail(err, KV_INTERNAL, "the issuer gave no certificate");
    KV_TRY(find_companion(vault, work, at->object, KV_COLLECTION_KEYS, &made.key_object, err));
    KV_TRY(
        find_companion(vault, work, at->object, KV_COLLECTION_SECRETS, &made.secret_object, err));
    KV_TRY(certificate_row(work, at, chain, &made.certificate, err));
    key_row(at, &made, &made.key);
    KV_TRY(secret_row(vault, work, at, &made, err));
    return store(vault, work, at, &made, err);
}
