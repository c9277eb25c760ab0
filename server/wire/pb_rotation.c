/* pb_rotation.c - KeyService: rotation and its policies. */
#include "keyvault/v1/keys.pb-c.h"
#include "server/vault/messages/messages_rotation.h"
#include "server/wire/pb_impl.h"

enum { ACTIONS_MAX = 2 }; /* one of each kind, and so to be written too */

_Static_assert((int)KV_ROTATION_ACTION_ROTATE ==
                       KEYVAULT__V1__KEY_LIFETIME_ACTION_TYPE__KEY_LIFETIME_ACTION_TYPE_ROTATE &&
                   (int)KV_ROTATION_ACTION_NOTIFY ==
                       KEYVAULT__V1__KEY_LIFETIME_ACTION_TYPE__KEY_LIFETIME_ACTION_TYPE_NOTIFY,
               "the numbers of the .proto");

#define ACTION(name) KEYVAULT__V1__KEY_LIFETIME_ACTION_TYPE__KEY_LIFETIME_ACTION_TYPE_##name

kv_status kv_pb_read_key_rotate(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__rotate_key_request__descriptor, body,
                             KV_COLLECTION_KEYS, arena, in, err);
}

kv_status kv_pb_read_rotation_policy_get(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__get_key_rotation_policy_request__descriptor, body,
                             KV_COLLECTION_KEYS, arena, in, err);
}

static void action_in(const Keyvault__V1__KeyLifetimeAction *from, kv_rotation_action *out)
{
    out->type = (kv_rotation_action_type)from->action;
    if (!from->trigger)
        return;
    out->time_after_create = kv_slice_text(from->trigger->time_after_create);
    out->time_before_expiry = kv_slice_text(from->trigger->time_before_expiry);
}

static kv_status policy_in(const Keyvault__V1__KeyRotationPolicy *from, kv_arena *arena,
                           kv_rotation_policy_update_in *out, kv_error *err)
{
    kv_rotation_action *actions = kv_arena_array(arena, from->n_lifetime_actions, sizeof(*actions));

    if (!actions)
        return kv_arena_full(err);
    for (size_t i = 0; i < from->n_lifetime_actions; i++)
        action_in(from->lifetime_actions[i], &actions[i]);
    out->actions = actions;
    out->action_count = from->n_lifetime_actions;
    if (from->attributes)
        out->expiry_time = kv_slice_text(from->attributes->expiry_time);
    if (from->retirement) {
        out->disable_after = kv_slice_text(from->retirement->disable_after);
        out->destroy_after = kv_slice_text(from->retirement->destroy_after);
    }
    return KV_OK;
}

kv_status kv_pb_read_rotation_policy_update(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_rotation_policy_update_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__UpdateKeyRotationPolicyRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__update_key_rotation_policy_request__descriptor, body,
                      KV_COLLECTION_KEYS, arena, &read->target, &message, err));
    m = (const void *)message;
    if (!m->policy)
        return kv_fail_field(err, "policy", "is required");
    return policy_in(m->policy, arena, read, err);
}

kv_status kv_pb_read_destruction_permit(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_destruction_permit_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__PermitKeyDestructionRequest *m;

    KV_TRY(kv_pb_open(&keyvault__v1__permit_key_destruction_request__descriptor, body,
                      KV_COLLECTION_KEYS, arena, &read->target, &message, err));
    m = (const void *)message;
    read->disable_after = kv_slice_text(m->disable_after);
    read->destroy_after = kv_slice_text(m->destroy_after);
    return KV_OK;
}

/* --- writing --- */

static Keyvault__V1__KeyLifetimeAction *action(kv_pb_writer *writer, kv_slice after,
                                               kv_slice before,
                                               Keyvault__V1__KeyLifetimeActionType type)
{
    Keyvault__V1__KeyLifetimeAction *to =
        kv_pb_new(writer, &keyvault__v1__key_lifetime_action__descriptor);
    Keyvault__V1__KeyLifetimeTrigger *trigger =
        kv_pb_new(writer, &keyvault__v1__key_lifetime_trigger__descriptor);

    if (!to || !trigger)
        return NULL;
    trigger->time_after_create = kv_pb_text(writer, after);
    trigger->time_before_expiry = kv_pb_text(writer, before);
    to->trigger = trigger;
    to->action = type;
    return to;
}

static void actions(kv_pb_writer *writer, const kv_rotation_policy_texts *from,
                    Keyvault__V1__KeyRotationPolicy *to)
{
    bool rotates = from->rotate_after.len || from->rotate_before.len;
    size_t count = 0;

    to->lifetime_actions =
        kv_pb_array(writer, ACTIONS_MAX, sizeof(*to->lifetime_actions), &to->n_lifetime_actions);
    if (!to->n_lifetime_actions)
        return;
    if (rotates)
        to->lifetime_actions[count++] =
            action(writer, from->rotate_after, from->rotate_before, ACTION(ROTATE));
    to->lifetime_actions[count++] =
        action(writer, KV_SLICE_NONE, from->notify_before, ACTION(NOTIFY));
    to->n_lifetime_actions = count;
}

static Keyvault__V1__KeyRotationPolicy *policy(kv_pb_writer *writer,
                                               const kv_rotation_policy_texts *from)
{
    Keyvault__V1__KeyRotationPolicy *to =
        kv_pb_new(writer, &keyvault__v1__key_rotation_policy__descriptor);

    if (!to)
        return NULL;
    actions(writer, from, to);
    if (from->expiry_time.len)
        to->attributes =
            kv_pb_new(writer, &keyvault__v1__key_rotation_policy_attributes__descriptor);
    if (to->attributes)
        to->attributes->expiry_time = kv_pb_text(writer, from->expiry_time);
    if (from->disable_after.len)
        to->retirement = kv_pb_new(writer, &keyvault__v1__key_retirement_schedule__descriptor);
    if (to->retirement) {
        to->retirement->disable_after = kv_pb_text(writer, from->disable_after);
        to->retirement->destroy_after = kv_pb_text(writer, from->destroy_after);
    }
    return to;
}

kv_status kv_pb_write_rotation_policy(const void *out, kv_arena *arena, kv_slice *body,
                                      kv_error *err)
{
    const kv_rotation_policy_bundle *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__KeyRotationPolicyBundle to = KEYVAULT__V1__KEY_ROTATION_POLICY_BUNDLE__INIT;

    to.id = kv_pb_object_id(&writer, &from->id);
    to.policy = policy(&writer, &from->policy);
    to.created = kv_pb_seconds(from->created);
    to.updated = kv_pb_seconds(from->updated);
    to.next_rotation = kv_pb_seconds(from->next_rotation);
    to.destruction_permitted = kv_pb_seconds(from->permitted);
    to.destruction_permitted_by = kv_pb_hex(&writer, from->permitted_by);
    return kv_pb_pack(&writer, &to.base, body, err);
}
