/* key_update.c - attributes, tags and permitted operations of one version. */
#include "server/vault/events/event_rules.h"
#include "server/vault/keys/rotation_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/values.h"

static kv_status refuse_destroyed(const kv_key_version_row *version, kv_error *err)
{
    if (!version->destroying)
        return KV_OK;
    kv_fail(err, KV_PRECONDITION, "the key of version %.*s was destroyed",
            KV_SLICE_ARG(version->version));
    return kv_because(err, KV_REASON_DESTROYED);
}

static kv_status take(kv_work *work, const kv_key_update_in *in, kv_key_version_row *version,
                      kv_error *err)
{
    kv_life life = KV_LIFE_OF(*version);

    KV_TRY(refuse_destroyed(version, err));
    KV_TRY(kv_life_take(&in->attributes, &life, err));
    if (in->key_ops) {
        KV_TRY(kv_key_ops_changed(version, in->key_ops, err));
        version->key_ops = in->key_ops;
    }
    if (in->tags.given) {
        KV_TRY(kv_tags_check(&in->tags, err));
        KV_TRY(kv_tags_store(work, &in->tags, &version->tags, err));
    }
    /* Whoever brings a version back wants to keep it. */
    if (life.enabled && !version->enabled && version->retired)
        version->kept = 1;
    version->enabled = life.enabled;
    version->not_before = life.not_before;
    version->expires = life.expires;
    version->updated = work->now_ms;
    return KV_OK;
}

/* Other dates, or enabled again: what is due changes. */
static kv_status plan(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                      const kv_object_row *object, const kv_key_version_row *version,
                      kv_rotation_row *row, kv_change *change, kv_error *err)
{
    bool current = kv_slice_equal(version->version, object->current);
    const kv_rotation_view view = { vault_row, object, NULL, current ? version : NULL,
                                    current ? NULL : version };

    return kv_rotation_keep(vault, work, &view, row, change, err);
}

kv_status kv_key_update(kv_vault *vault, kv_work *work, const kv_key_update_in *in,
                        kv_key_bundle *out, kv_error *err)
{
    kv_key_version_row version;
    kv_change change = { 0 };
    kv_event_version about;
    bool enabled;
    kv_rotation_row due;
    kv_vault_row vault_row;
    kv_object_row object;
    kv_slice wanted;

    KV_TRY(kv_find_object(vault, work, &in->target, &vault_row, &object, err));
    KV_TRY(kv_refuse_managed(&object, "updated", err));
    KV_TRY(kv_pick_version(&object, in->target.version, &wanted, err));
    KV_TRY(kv_find_key_version(vault, work, object.uid, wanted, &version, err));
    enabled = version.enabled != 0;
    KV_TRY(take(work, in, &version, err));
    KV_TRY(kv_change_update(&change, &kv_table_key_versions, &version, err));
    KV_TRY(plan(vault, work, &vault_row, &object, &version, &due, &change, err));
    about = KV_EVENT_VERSION_OF(&vault_row, &object, &version);
    KV_TRY(kv_event_version_altered(vault, work, &about, &change, err));
    KV_TRY(kv_event_key_disabled(work, &about, enabled && !version.enabled, &change, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    return kv_key_bundle_of(work, &vault_row, &object, &version, out, err);
}
