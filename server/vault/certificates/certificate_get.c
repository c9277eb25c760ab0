/* certificate_get.c - certificates are shown: public material and nothing else. */
#include "server/base/text.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/certificates/certificate_show.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/values.h"
#include "server/x509/bundle.h"

static kv_status serial_bytes(kv_work *work, kv_slice hex, kv_slice *out, kv_error *err)
{
    uint8_t *bytes = kv_arena_alloc(work->arena, hex.len / 2);

    if (!bytes)
        return kv_arena_full(err);
    if (!kv_unhex(hex, bytes, hex.len / 2))
        return kv_fail(err, KV_INTERNAL, "a stored serial number is not well formed");
    *out = kv_slice_of(bytes, hex.len / 2);
    return KV_OK;
}

static kv_status show_version(kv_work *work, const kv_vault_row *vault_row,
                              const kv_object_row *object,
                              const kv_certificate_version_row *version, kv_certificate_bundle *out,
                              kv_error *err)
{
    kv_life life = KV_LIFE_OF(*version);

    out->id = kv_id_of(vault_row, object, version->version);
    out->kid = out->id;
    out->sid = out->id;
    out->x5t = version->sha1;
    out->x5t_s256 = version->sha256;
    out->cer = version->der;
    out->subject = version->subject;
    out->issuer = version->issuer;
    out->key_known_outside = version->imported != 0;
    out->preserve_cert_order = version->given.len != 0;
    out->attributes = kv_attributes_of(vault_row, &life, version->created, version->updated);
    KV_TRY(serial_bytes(work, version->serial, &out->serial_number, err));
    return kv_tags_load(work, version->tags, &out->tags, err);
}

static kv_status show_policy(kv_vault *vault, kv_work *work, const kv_object_row *object,
                             kv_certificate_bundle *out, kv_error *err)
{
    kv_policy_row row;

    KV_TRY(kv_policy_find(vault, work, object->uid, &row, &out->policy, err));
    out->has_policy = true;
    out->content_type = out->policy.content_type;
    return KV_OK;
}

kv_status kv_certificate_show(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                              const kv_object_row *object, kv_slice wanted,
                              kv_certificate_bundle *out, kv_error *err)
{
    kv_certificate_version_row version;
    kv_certificate_bundle bundle = { .deletion = kv_deletion_of(object) };
    kv_operation_row operation;

    bundle.id = kv_id_of(vault_row, object, wanted);
    if (wanted.len) {
        KV_TRY(kv_find_certificate_version(vault, work, object->uid, wanted, &version, err));
        KV_TRY(show_version(work, vault_row, object, &version, &bundle, err));
    }
    KV_TRY(show_policy(vault, work, object, &bundle, err));
    KV_TRY(kv_operation_find(vault, work, object->uid, &operation, &bundle.pending, err));
    *out = bundle;
    return KV_OK;
}

/* Thumbprints are looked up in an index that starts with the vault. */
static kv_status find_by_thumbprint(kv_vault *vault, kv_work *work, const kv_certificate_get_in *in,
                                    const kv_vault_row *vault_row, kv_object_row *object,
                                    kv_slice *version, kv_error *err)
{
    kv_certificate_version_row from = { .vault_uid = vault_row->uid,
                                        .sha1 = in->x5t,
                                        .sha256 = in->x5t_s256 };
    kv_scan scan = { .table = &kv_table_certificate_versions,
                     .index = in->x5t.len ? 1 : 2,
                     .prefix = 2,
                     .from = &from,
                     .limit = 1 };
    const kv_certificate_version_row *found;
    kv_object_row by_uid = { 0 };
    kv_scan objects = {
        .table = &kv_table_objects, .index = 1, .prefix = 1, .from = &by_uid, .limit = 1
    };
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    if (!rows.count)
        return kv_fail(err, KV_NOT_FOUND, "no certificate of this vault has that thumbprint");
    found = rows.rows;
    *version = found->version;
    by_uid.uid = found->object_uid;
    KV_TRY(kv_records_scan(vault->config.records, &objects, work->arena, &rows, err));
    if (!rows.count)
        return kv_fail(err, KV_INTERNAL, "a certificate has lost its name");
    *object = *(const kv_object_row *)rows.rows;
    if (object->deleted || object->purging)
        return kv_fail(err, KV_NOT_FOUND, "no certificate of this vault has that thumbprint");
    work->entry->name = object->display_name;
    work->entry->version = found->version;
    return KV_OK;
}

kv_status kv_certificate_get(kv_vault *vault, kv_work *work, const kv_certificate_get_in *in,
                             kv_certificate_bundle *out, kv_error *err)
{
    kv_vault_row vault_row;
    kv_object_row object;
    kv_slice wanted;

    if (in->x5t.len || in->x5t_s256.len) {
        work->entry->collection = KV_SLICE("certificates");
        KV_TRY(kv_find_vault(vault, work, in->target.vault, &vault_row, err));
        KV_TRY(find_by_thumbprint(vault, work, in, &vault_row, &object, &wanted, err));
        return kv_certificate_show(vault, work, &vault_row, &object, wanted, out, err);
    }
    KV_TRY(kv_find_object(vault, work, &in->target, &vault_row, &object, err));
    wanted = in->target.version.len ? in->target.version : object.current;
    if (wanted.len)
        KV_TRY(kv_check_version(wanted, err));
    return kv_certificate_show(vault, work, &vault_row, &object, wanted, out, err);
}

static kv_status fill(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                      const kv_object_row *object, kv_slice wanted, kv_object_item *out,
                      kv_error *err)
{
    kv_certificate_version_row version = { .object_uid = object->uid, .version = wanted };
    kv_life life;

    if (!wanted.len)
        return KV_OK;
    KV_TRY(kv_records_get(vault->config.records, &kv_table_certificate_versions, &version,
                          work->arena, err));
    life = KV_LIFE_OF(version);
    out->attributes = kv_attributes_of(vault_row, &life, version.created, version.updated);
    out->x5t = version.sha1;
    out->x5t_s256 = version.sha256;
    out->subject = version.subject;
    return kv_tags_load(work, version.tags, &out->tags, err);
}

kv_status kv_certificate_list(kv_vault *vault, kv_work *work, const kv_certificate_list_in *in,
                              kv_object_list *out, kv_error *err)
{
    return kv_list_objects(vault, work, in, false, fill, out, err);
}

kv_status kv_certificate_list_deleted(kv_vault *vault, kv_work *work,
                                      const kv_certificate_list_deleted_in *in, kv_object_list *out,
                                      kv_error *err)
{
    return kv_list_objects(vault, work, in, true, fill, out, err);
}

kv_status kv_certificate_list_versions(kv_vault *vault, kv_work *work,
                                       const kv_certificate_list_versions_in *in,
                                       kv_object_list *out, kv_error *err)
{
    return kv_list_versions(vault, work, in, &kv_table_certificate_versions, fill, out, err);
}

kv_status kv_certificate_chain_get(kv_vault *vault, kv_work *work,
                                   const kv_certificate_chain_get_in *in, kv_certificate_chain *out,
                                   kv_error *err)
{
    kv_certificate_version_row version;
    kv_vault_row vault_row;
    kv_object_row object;
    kv_x509_list chain;
    kv_slice wanted;

    KV_TRY(kv_find_object(vault, work, &in->target, &vault_row, &object, err));
    KV_TRY(kv_pick_version(&object, in->target.version, &wanted, err));
    KV_TRY(kv_find_certificate_version(vault, work, object.uid, wanted, &version, err));
    KV_TRY(kv_chain_split(work, version.der, version.chain, &chain, err));
    *out =
        (kv_certificate_chain){ .id = kv_id_of(&vault_row, &object, wanted), .format = in->format };
    switch (in->format) {
    case KV_CHAIN_PEM:
        return kv_x509_chain_pem(work->arena, chain, &out->encoded, err);
    case KV_CHAIN_PKCS7:
        return kv_x509_chain_pkcs7(work->arena, chain, &out->encoded, err);
    case KV_CHAIN_NONE:
    case KV_CHAIN_DER:
        break;
    }
    out->format = KV_CHAIN_DER;
    out->certificates = chain;
    return KV_OK;
}
