/* key_rotate.c - the next version of a key, like its current one. */
#include "server/vault/keys/rotation_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/values.h"

static kv_status follow(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                        const kv_object_row *object, kv_rotation_row *due, kv_key_effort *effort,
                        kv_key_bundle *out, kv_error *err)
{
    kv_target target = { .vault = vault_row->display_name,
                         .collection = KV_COLLECTION_KEYS,
                         .name = object->display_name };
    kv_attributes_in attributes = { 0 };
    kv_key_version_row current;
    kv_rotation_rules rules;
    kv_tags tags;
    kv_key_making making = {
        .target = &target, .attributes = &attributes, .tags = &tags, .due = due
    };

    KV_TRY(kv_find_key_version(vault, work, object->uid, object->current, &current, err));
    KV_TRY(kv_rotation_rules_find(vault, work, object->uid, &rules, err));
    KV_TRY(kv_tags_load(work, current.tags, &tags, err));
    KV_TRY(kv_kind_of_name(current.kind, &making.kind, err));
    making.class = kv_key_class_of(&current, making.kind);
    making.ops = (kv_key_ops)current.key_ops;
    if (kv_duration_given(&rules.policy.expiry)) {
        attributes.has_expires = true;
        attributes.expires = kv_duration_after(work->now_ms, &rules.policy.expiry);
    }
    KV_TRY(kv_arena_print(work->arena, &work->entry->note, err, "follows=%.*s",
                          KV_SLICE_ARG(current.version)));
    return kv_key_attempt(vault, work, &making, effort, out, err);
}

/* Once: who came first has changed what is due, or when. */
kv_status kv_key_follow(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                        const kv_object_row *object, kv_rotation_row *due, kv_key_bundle *out,
                        kv_error *err)
{
    kv_key_effort effort = { 0 };

    return kv_key_settle(vault, work, &effort,
                         follow(vault, work, vault_row, object, due, &effort, out, err));
}

/* Like the version that is the current one by now, and by the policy as it is now. */
static kv_status attempt(kv_vault *vault, kv_work *work, const kv_key_rotate_in *in,
                         kv_key_effort *effort, kv_key_bundle *out, kv_error *err)
{
    kv_vault_row vault_row;
    kv_object_row object;
    kv_slice current;

    KV_TRY(kv_find_object(vault, work, &in->target, &vault_row, &object, err));
    KV_TRY(kv_refuse_managed(&object, "rotated", err));
    KV_TRY(kv_pick_version(&object, KV_SLICE_NONE, &current, err));
    return follow(vault, work, &vault_row, &object, NULL, effort, out, err);
}

kv_status kv_key_rotate(kv_vault *vault, kv_work *work, const kv_key_rotate_in *in,
                        kv_key_bundle *out, kv_error *err)
{
    kv_key_effort effort = { 0 };
    kv_status status;

    do
        status = attempt(vault, work, in, &effort, out, err);
    while (kv_race_again(work, status, &effort.races, err));
    return kv_key_settle(vault, work, &effort, status);
}
