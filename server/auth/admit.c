/* admit.c - the gate before the object is loaded: a certificate's grant reaches its own key and
 * secret, and no other of the same name. */
#include "server/auth/auth_impl.h"

#include "server/base/text.h"
#include "server/store/schema.h"

kv_status kv_auth_is_managed(kv_auth *auth, const kv_resource *resource, kv_arena *arena, bool *out,
                             kv_error *err)
{
    kv_vault_row vault = { 0 };
    kv_object_row object = { .collection = resource->collection };
    kv_status status;

    KV_TRY(kv_text_lower(arena, resource->vault, &vault.name, err));
    KV_TRY(kv_text_lower(arena, resource->name, &object.name, err));
    *out = false;
    status = kv_records_get(auth->records, &kv_table_vaults, &vault, arena, err);
    if (status == KV_OK) {
        object.vault_uid = vault.uid;
        status = kv_records_get(auth->records, &kv_table_objects, &object, arena, err);
    }
    if (status == KV_OK)
        *out = object.managed != 0;
    return status == KV_NOT_FOUND ? KV_OK : status;
}

static bool can_be_managed(const kv_resource *resource)
{
    return resource->name.len > 0 && resource->name.len <= KV_SCOPE_NAME_MAX &&
           resource->vault.len <= KV_SCOPE_NAME_MAX &&
           (resource->collection == KV_COLLECTION_KEYS ||
            resource->collection == KV_COLLECTION_SECRETS);
}

kv_status kv_auth_admit(kv_auth *auth, const kv_caller *caller, kv_permission permission,
                        const kv_resource *resource, int64_t now_ms, kv_arena *arena, kv_error *err)
{
    kv_resource asked = *resource;
    kv_error refusal = { 0 };
    bool managed;
    kv_status status;

    asked.managed = false;
    status = kv_auth_permit(auth, caller, permission, &asked, now_ms, &refusal);
    if (status == KV_DENIED && refusal.reason == KV_REASON_PERMISSION_MISSING &&
        can_be_managed(&asked)) {
        kv_error ignored = { 0 };

        asked.managed = true;
        if (kv_auth_permit(auth, caller, permission, &asked, now_ms, &ignored) == KV_OK) {
            KV_TRY(kv_auth_is_managed(auth, &asked, arena, &managed, err));
            if (managed)
                return KV_OK;
        }
    }
    if (status != KV_OK)
        *err = refusal;
    return status;
}
