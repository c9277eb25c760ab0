/* secret_get.c - the one door through which private bytes leave.
 *
 * Which permission a secret needs depends on whether it belongs to a certificate, so it is asked
 * again here, with the object known: dispatch let the caller through with either.
 */
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/secrets/secret_rules.h"
#include "server/vault/values.h"

static kv_status permit(kv_vault *vault, kv_work *work, const kv_target *target,
                        const kv_object_row *object, kv_error *err)
{
    kv_permission needs = object->managed ? KV_MAY_SECRETS_GET_MANAGED : KV_MAY_SECRETS_GET;
    kv_resource resource = { .vault = target->vault,
                             .collection = KV_COLLECTION_SECRETS,
                             .name = target->name,
                             .managed = object->managed != 0 };

    return kv_auth_permit(vault->config.auth, work->caller, needs, &resource, work->now_ms, err);
}

/* A name that is not there, or no more. Who may have only the secrets of certificates, or only the
 * others, is told of it as of one that is there: else the others' names could be found out. */
static kv_status absent(kv_vault *vault, kv_work *work, const kv_target *target,
                        const kv_vault_row *vault_row, kv_error *err)
{
    const kv_error answer = *err;
    kv_object_row object = { 0 };
    bool exists = false, certified = false;

    KV_TRY(kv_look_up_object(vault, work, vault_row->uid, KV_COLLECTION_SECRETS, target->name,
                             &object, &exists, err));
    if (!exists) {
        KV_TRY(kv_look_up_object(vault, work, vault_row->uid, KV_COLLECTION_CERTIFICATES,
                                 target->name, &object, &certified, err));
        object.managed = certified;
    }
    KV_TRY(permit(vault, work, target, &object, err));
    *err = answer;
    return err->status;
}

static kv_status find(kv_vault *vault, kv_work *work, const kv_target *target,
                      kv_vault_row *vault_row, kv_object_row *object, kv_error *err)
{
    kv_status status;

    *vault_row = (kv_vault_row){ 0 };
    status = kv_find_object(vault, work, target, vault_row, object, err);
    if (status == KV_NOT_FOUND && vault_row->uid.len)
        return absent(vault, work, target, vault_row, err);
    KV_TRY(status);
    return permit(vault, work, target, object, err);
}

static kv_status plain_value(kv_vault *vault, kv_work *work, const kv_secret_get_in *in,
                             const kv_object_row *object, const kv_secret_version_row *version,
                             kv_slice *value, kv_error *err)
{
    KV_AUTO(kv_secret_buf) opened = KV_SECRET_NONE;
    kv_box place = kv_secret_place(object, version->version);

    if (in->format != KV_SECRET_FORMAT_NONE || in->has_pfx_password || in->pfx_for_old_clients)
        return kv_fail_field(err, "format", "only the secret of a certificate has formats");
    KV_TRY(kv_box_open(vault, work, &place, version, &opened, err));
    return kv_arena_copy(work->arena, kv_secret_buf_slice(&opened), value, err);
}

kv_status kv_secret_get(kv_vault *vault, kv_work *work, const kv_secret_get_in *in,
                        kv_secret_bundle *out, kv_error *err)
{
    kv_secret_version_row version;
    kv_vault_row vault_row;
    kv_object_row object;
    kv_secret_bundle bundle;
    kv_slice wanted;

    KV_TRY(find(vault, work, &in->target, &vault_row, &object, err));
    KV_TRY(kv_pick_version(&object, in->target.version, &wanted, err));
    KV_TRY(kv_find_secret_version(vault, work, object.uid, wanted, &version, err));
    if (!version.enabled) {
        kv_fail(err, KV_PRECONDITION, "secret '%.*s' is disabled", KV_SLICE_ARG(in->target.name));
        return kv_because(err, KV_REASON_DISABLED);
    }
    KV_TRY(kv_secret_bundle_of(work, &vault_row, &object, &version, &bundle, err));
    if (version.managed)
        KV_TRY(kv_managed_secret_value(vault, work, in, &object, &version, &bundle.value,
                                       &bundle.content_type, err));
    else
        KV_TRY(plain_value(vault, work, in, &object, &version, &bundle.value, err));
    *out = bundle;
    return KV_OK;
}

static kv_status fill(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                      const kv_object_row *object, kv_slice wanted, kv_object_item *out,
                      kv_error *err)
{
    kv_secret_version_row version = { .object_uid = object->uid, .version = wanted };
    kv_life life;

    if (!wanted.len)
        return KV_OK;
    KV_TRY(kv_records_get(vault->config.records, &kv_table_secret_versions, &version, work->arena,
                          err));
    life = KV_LIFE_OF(version);
    out->attributes = kv_attributes_of(vault_row, &life, version.created, version.updated);
    out->content_type = version.content_type;
    return kv_tags_load(work, version.tags, &out->tags, err);
}

kv_status kv_secret_list(kv_vault *vault, kv_work *work, const kv_secret_list_in *in,
                         kv_object_list *out, kv_error *err)
{
    return kv_list_objects(vault, work, in, false, fill, out, err);
}

kv_status kv_secret_list_deleted(kv_vault *vault, kv_work *work,
                                 const kv_secret_list_deleted_in *in, kv_object_list *out,
                                 kv_error *err)
{
    return kv_list_objects(vault, work, in, true, fill, out, err);
}

kv_status kv_secret_list_versions(kv_vault *vault, kv_work *work,
                                  const kv_secret_list_versions_in *in, kv_object_list *out,
                                  kv_error *err)
{
    return kv_list_versions(vault, work, in, &kv_table_secret_versions, fill, out, err);
}

kv_status kv_secret_get_deleted(kv_vault *vault, kv_work *work, const kv_secret_get_deleted_in *in,
                                kv_secret_bundle *out, kv_error *err)
{
    kv_secret_version_row version;
    kv_vault_row vault_row;
    kv_object_row object;

    KV_TRY(kv_find_deleted_object(vault, work, &in->target, &vault_row, &object, err));
    KV_TRY(kv_find_secret_version(vault, work, object.uid, object.current, &version, err));
    return kv_secret_bundle_of(work, &vault_row, &object, &version, out, err);
}
