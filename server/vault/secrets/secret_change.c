/* secret_change.c - secrets are updated (never their value), deleted, recovered and purged. */
#include "server/vault/events/events.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/secrets/secret_rules.h"
#include "server/vault/values.h"

static kv_status take(kv_work *work, const kv_secret_update_in *in, kv_secret_version_row *version,
                      kv_error *err)
{
    kv_life life = KV_LIFE_OF(*version);

    KV_TRY(kv_life_take(&in->attributes, &life, err));
    if (in->has_content_type) {
        KV_TRY(kv_content_type_check(in->content_type, err));
        version->content_type = in->content_type;
    }
    if (in->tags.given) {
        KV_TRY(kv_tags_check(&in->tags, err));
        KV_TRY(kv_tags_store(work, &in->tags, &version->tags, err));
    }
    version->enabled = life.enabled;
    version->not_before = life.not_before;
    version->expires = life.expires;
    version->updated = work->now_ms;
    return KV_OK;
}

kv_status kv_secret_update(kv_vault *vault, kv_work *work, const kv_secret_update_in *in,
                           kv_secret_bundle *out, kv_error *err)
{
    kv_secret_version_row version;
    kv_change change = { 0 };
    kv_event_version about;
    kv_vault_row vault_row;
    kv_object_row object;
    kv_slice wanted;

    KV_TRY(kv_find_object(vault, work, &in->target, &vault_row, &object, err));
    KV_TRY(kv_refuse_managed(&object, "updated", err));
    KV_TRY(kv_pick_version(&object, in->target.version, &wanted, err));
    KV_TRY(kv_find_secret_version(vault, work, object.uid, wanted, &version, err));
    KV_TRY(take(work, in, &version, err));
    KV_TRY(kv_change_update(&change, &kv_table_secret_versions, &version, err));
    about = KV_EVENT_VERSION_OF(&vault_row, &object, &version);
    KV_TRY(kv_event_version_altered(vault, work, &about, &change, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    return kv_secret_bundle_of(work, &vault_row, &object, &version, out, err);
}

static kv_status show(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                      const kv_object_row *object, kv_secret_bundle *out, kv_error *err)
{
    kv_secret_version_row version;

    KV_TRY(kv_find_secret_version(vault, work, object->uid, object->current, &version, err));
    return kv_secret_bundle_of(work, vault_row, object, &version, out, err);
}

kv_status kv_secret_delete(kv_vault *vault, kv_work *work, const kv_secret_delete_in *in,
                           kv_secret_bundle *out, kv_error *err)
{
    kv_vault_row vault_row;
    kv_object_row object;

    KV_TRY(kv_delete_object(vault, work, &in->target, &vault_row, &object, err));
    return show(vault, work, &vault_row, &object, out, err);
}

kv_status kv_secret_recover(kv_vault *vault, kv_work *work, const kv_secret_recover_in *in,
                            kv_secret_bundle *out, kv_error *err)
{
    kv_vault_row vault_row;
    kv_object_row object;

    KV_TRY(kv_recover_object(vault, work, &in->target, &vault_row, &object, err));
    return show(vault, work, &vault_row, &object, out, err);
}

kv_status kv_secret_purge(kv_vault *vault, kv_work *work, const kv_secret_purge_in *in,
                          kv_nothing_out *out, kv_error *err)
{
    *out = (kv_nothing_out){ 0 };
    return kv_purge_object(vault, work, &in->target, err);
}
