/* secret_set.c - a secret is encrypted on the token and stored as a new version. */
#include "server/vault/events/events.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/secrets/secret_rules.h"
#include "server/vault/values.h"

kv_status kv_content_type_check(kv_slice content_type, kv_error *err)
{
    if (content_type.len > KV_CONTENT_TYPE_MAX)
        return kv_fail_field(err, "content_type", "a content type has at most %d bytes",
                             KV_CONTENT_TYPE_MAX);
    return KV_OK;
}

kv_box kv_secret_place(const kv_object_row *object, kv_slice version)
{
    return (kv_box){ .vault_uid = object->vault_uid,
                     .object_uid = object->uid,
                     .name = object->name,
                     .version = version };
}

kv_status kv_secret_bundle_of(kv_work *work, const kv_vault_row *vault_row,
                              const kv_object_row *object, const kv_secret_version_row *version,
                              kv_secret_bundle *out, kv_error *err)
{
    kv_life life = KV_LIFE_OF(*version);
    kv_tags tags;

    KV_TRY(kv_tags_load(work, version->tags, &tags, err));
    *out = (kv_secret_bundle){
        .id = kv_id_of(vault_row, object, version->version),
        .content_type = version->content_type,
        .attributes = kv_attributes_of(vault_row, &life, version->created, version->updated),
        .tags = tags,
        .managed = version->managed != 0,
        .deletion = kv_deletion_of(object),
    };
    if (version->managed)
        out->kid = out->id;
    return KV_OK;
}

static kv_status check(const kv_secret_set_in *in, kv_life *life, kv_error *err)
{
    if (in->value.len > KV_SECRET_VALUE_MAX)
        return kv_fail_field(err, "value", "a secret has at most %d bytes, not %zu",
                             KV_SECRET_VALUE_MAX, in->value.len);
    KV_TRY(kv_content_type_check(in->content_type, err));
    KV_TRY(kv_tags_check(&in->tags, err));
    return kv_life_take(&in->attributes, life, err);
}

kv_status kv_secret_set(kv_vault *vault, kv_work *work, const kv_secret_set_in *in,
                        kv_secret_bundle *out, kv_error *err)
{
    kv_secret_version_row version = { .content_type = in->content_type };
    kv_life life = KV_LIFE_NEW;
    kv_change change = { 0 };
    kv_event_version about;
    kv_vault_row vault_row;
    kv_object_row object;
    bool exists = false;
    kv_box place;

    KV_TRY(check(in, &life, err));
    KV_TRY(kv_object_for_version(vault, work, &in->target, &vault_row, &object, &exists, err));
    KV_TRY(kv_new_version(work, &version.version, err));
    KV_TRY(kv_tags_store(work, &in->tags, &version.tags, err));
    version.object_uid = object.uid;
    version.vault_uid = vault_row.uid;
    version.created = work->now_ms;
    version.updated = work->now_ms;
    version.enabled = life.enabled;
    version.not_before = life.not_before;
    version.expires = life.expires;

    place = kv_secret_place(&object, version.version);
    KV_TRY(kv_box_close(vault, work, &vault_row, &place, in->value, &version, err));
    work->entry->version = version.version;
    KV_TRY(kv_change_insert(&change, &kv_table_secret_versions, &version, err));
    KV_TRY(kv_change_object(&change, &object, exists, version.version, err));
    about = KV_EVENT_VERSION_OF(&vault_row, &object, &version);
    KV_TRY(kv_event_new_version(vault, work, &about, "set", &change, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    if (!exists)
        KV_TRY(kv_object_keep(vault, work, &vault_row, &object, err));
    return kv_secret_bundle_of(work, &vault_row, &object, &version, out, err);
}
