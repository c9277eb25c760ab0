/* key_delete.c - keys are deleted, recovered and purged. */
#include "server/vault/keys/key_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"

static kv_status show(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                      const kv_object_row *object, kv_key_bundle *out, kv_error *err)
{
    kv_key_version_row version;

    KV_TRY(kv_find_key_version(vault, work, object->uid, object->current, &version, err));
    return kv_key_bundle_of(work, vault_row, object, &version, out, err);
}

kv_status kv_key_delete(kv_vault *vault, kv_work *work, const kv_key_delete_in *in,
                        kv_key_bundle *out, kv_error *err)
{
    kv_vault_row vault_row;
    kv_object_row object;

    KV_TRY(kv_delete_object(vault, work, &in->target, &vault_row, &object, err));
    return show(vault, work, &vault_row, &object, out, err);
}

kv_status kv_key_recover(kv_vault *vault, kv_work *work, const kv_key_recover_in *in,
                         kv_key_bundle *out, kv_error *err)
{
    kv_vault_row vault_row;
    kv_object_row object;

    KV_TRY(kv_recover_object(vault, work, &in->target, &vault_row, &object, err));
    return show(vault, work, &vault_row, &object, out, err);
}

kv_status kv_key_purge(kv_vault *vault, kv_work *work, const kv_key_purge_in *in,
                       kv_nothing_out *out, kv_error *err)
{
    *out = (kv_nothing_out){ 0 };
    return kv_purge_object(vault, work, &in->target, err);
}
