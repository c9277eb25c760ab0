/* certificate_change.c - certificates are updated, deleted, recovered and purged.
 *
 * Attributes and tags of key and secret mirror those of the certificate: one change for all three.
 */
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/certificates/certificate_show.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/values.h"

typedef struct versions {
    kv_certificate_version_row certificate;
    kv_key_version_row key;
    kv_secret_version_row secret;
} versions;

static kv_status companion(kv_vault *vault, kv_work *work, const kv_object_row *object,
                           kv_collection collection, kv_object_row *out, kv_error *err)
{
    bool exists = false;

    KV_TRY(kv_look_up_object(vault, work, object->vault_uid, collection, object->name, out, &exists,
                             err));
    if (!exists)
        return kv_fail(err, KV_INTERNAL, "a certificate has lost its %s",
                       kv_collection_noun(collection));
    return KV_OK;
}

static kv_status read_versions(kv_vault *vault, kv_work *work, const kv_object_row *object,
                               kv_slice wanted, versions *out, kv_error *err)
{
    kv_object_row key_object;
    kv_object_row secret_object;

    KV_TRY(kv_find_certificate_version(vault, work, object->uid, wanted, &out->certificate, err));
    KV_TRY(companion(vault, work, object, KV_COLLECTION_KEYS, &key_object, err));
    KV_TRY(companion(vault, work, object, KV_COLLECTION_SECRETS, &secret_object, err));
    KV_TRY(kv_find_key_version(vault, work, key_object.uid, wanted, &out->key, err));
    return kv_find_secret_version(vault, work, secret_object.uid, wanted, &out->secret, err);
}

static kv_status take(kv_work *work, const kv_certificate_update_in *in, versions *rows,
                      kv_error *err)
{
    kv_certificate_version_row *certificate = &rows->certificate;

    if (in->attributes.has_not_before || in->attributes.has_expires)
        return kv_fail_field(err, "attributes",
                             "not_before and expires are those of the certificate itself");
    if (in->attributes.has_enabled)
        certificate->enabled = in->attributes.enabled;
    if (in->tags.given) {
        KV_TRY(kv_tags_check(&in->tags, err));
        KV_TRY(kv_tags_store(work, &in->tags, &certificate->tags, err));
    }
    certificate->updated = work->now_ms;
    rows->key.enabled = certificate->enabled;
    rows->key.tags = certificate->tags;
    rows->key.updated = work->now_ms;
    rows->secret.enabled = certificate->enabled;
    rows->secret.tags = certificate->tags;
    rows->secret.updated = work->now_ms;
    return KV_OK;
}

kv_status kv_certificate_update(kv_vault *vault, kv_work *work, const kv_certificate_update_in *in,
                                kv_certificate_bundle *out, kv_error *err)
{
    kv_change change = { 0 };
    kv_vault_row vault_row;
    kv_object_row object;
    kv_slice wanted;
    versions rows;

    KV_TRY(kv_find_object(vault, work, &in->target, &vault_row, &object, err));
    KV_TRY(kv_pick_version(&object, in->target.version, &wanted, err));
    KV_TRY(read_versions(vault, work, &object, wanted, &rows, err));
    KV_TRY(take(work, in, &rows, err));
    KV_TRY(kv_change_update(&change, &kv_table_certificate_versions, &rows.certificate, err));
    KV_TRY(kv_change_update(&change, &kv_table_key_versions, &rows.key, err));
    KV_TRY(kv_change_update(&change, &kv_table_secret_versions, &rows.secret, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    return kv_certificate_show(vault, work, &vault_row, &object, wanted, out, err);
}

kv_status kv_certificate_delete(kv_vault *vault, kv_work *work, const kv_certificate_delete_in *in,
                                kv_certificate_bundle *out, kv_error *err)
{
    kv_vault_row vault_row;
    kv_object_row object;

    KV_TRY(kv_delete_object(vault, work, &in->target, &vault_row, &object, err));
    return kv_certificate_show(vault, work, &vault_row, &object, object.current, out, err);
}

kv_status kv_certificate_get_deleted(kv_vault *vault, kv_work *work,
                                     const kv_certificate_get_deleted_in *in,
                                     kv_certificate_bundle *out, kv_error *err)
{
    kv_vault_row vault_row;
    kv_object_row object;

    KV_TRY(kv_find_deleted_object(vault, work, &in->target, &vault_row, &object, err));
    return kv_certificate_show(vault, work, &vault_row, &object, object.current, out, err);
}

kv_status kv_certificate_recover(kv_vault *vault, kv_work *work,
                                 const kv_certificate_recover_in *in, kv_certificate_bundle *out,
                                 kv_error *err)
{
    kv_vault_row vault_row;
    kv_object_row object;

    KV_TRY(kv_recover_object(vault, work, &in->target, &vault_row, &object, err));
    return kv_certificate_show(vault, work, &vault_row, &object, object.current, out, err);
}

kv_status kv_certificate_purge(kv_vault *vault, kv_work *work, const kv_certificate_purge_in *in,
                               kv_nothing_out *out, kv_error *err)
{
    *out = (kv_nothing_out){ 0 };
    return kv_purge_object(vault, work, &in->target, err);
}
