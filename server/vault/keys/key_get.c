/* key_get.c - keys are shown: one, all, their versions. */
#include "server/vault/keys/key_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/values.h"

kv_status kv_key_get(kv_vault *vault, kv_work *work, const kv_key_get_in *in, kv_key_bundle *out,
                     kv_error *err)
{
    kv_key_version_row version;
    kv_vault_row vault_row;
    kv_object_row object;
    kv_slice wanted;

    KV_TRY(kv_find_object(vault, work, &in->target, &vault_row, &object, err));
    KV_TRY(kv_pick_version(&object, in->target.version, &wanted, err));
    KV_TRY(kv_find_key_version(vault, work, object.uid, wanted, &version, err));
    return kv_key_bundle_of(work, &vault_row, &object, &version, out, err);
}

static kv_status fill(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                      const kv_object_row *object, kv_slice wanted, kv_object_item *out,
                      kv_error *err)
{
    kv_key_version_row version = { .object_uid = object->uid, .version = wanted };
    kv_life life;

    if (!wanted.len)
        return KV_OK;
    KV_TRY(
        kv_records_get(vault->config.records, &kv_table_key_versions, &version, work->arena, err));
    life = KV_LIFE_OF(version);
    out->attributes = kv_attributes_of(vault_row, &life, version.created, version.updated);
    out->destroyed = version.destroyed;
    return kv_tags_load(work, version.tags, &out->tags, err);
}

kv_status kv_key_list(kv_vault *vault, kv_work *work, const kv_key_list_in *in, kv_object_list *out,
                      kv_error *err)
{
    return kv_list_objects(vault, work, in, false, fill, out, err);
}

kv_status kv_key_list_deleted(kv_vault *vault, kv_work *work, const kv_key_list_deleted_in *in,
                              kv_object_list *out, kv_error *err)
{
    return kv_list_objects(vault, work, in, true, fill, out, err);
}

kv_status kv_key_list_versions(kv_vault *vault, kv_work *work, const kv_key_list_versions_in *in,
                               kv_object_list *out, kv_error *err)
{
    return kv_list_versions(vault, work, in, &kv_table_key_versions, fill, out, err);
}

kv_status kv_key_get_deleted(kv_vault *vault, kv_work *work, const kv_key_get_deleted_in *in,
                             kv_key_bundle *out, kv_error *err)
{
    kv_key_version_row version;
    kv_vault_row vault_row;
    kv_object_row object;

    KV_TRY(kv_find_deleted_object(vault, work, &in->target, &vault_row, &object, err));
    KV_TRY(kv_find_key_version(vault, work, object.uid, object.current, &version, err));
    return kv_key_bundle_of(work, &vault_row, &object, &version, out, err);
}
