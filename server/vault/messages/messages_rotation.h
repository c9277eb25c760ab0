/* messages_rotation.h - rotation of keys and its policies. target.collection is KV_COLLECTION_KEYS.
 */
#pragma once

#include "server/vault/messages/messages_common.h"

/* Durations as texts of ISO 8601, empty for none. */
typedef struct kv_rotation_policy_texts {
    kv_slice rotate_after;
    kv_slice rotate_before;
    kv_slice notify_before;
    kv_slice expiry_time;
    kv_slice disable_after;
    kv_slice destroy_after;
} kv_rotation_policy_texts;

typedef kv_target_in kv_key_rotate_in;
typedef kv_target_in kv_rotation_policy_get_in;

/* The numbers of keyvault.v1.KeyLifetimeActionType (server/wire asserts it). */
typedef enum kv_rotation_action_type {
    KV_ROTATION_ACTION_NONE = 0,
    KV_ROTATION_ACTION_ROTATE,
    KV_ROTATION_ACTION_NOTIFY
} kv_rotation_action_type;

typedef struct kv_rotation_action {
    kv_rotation_action_type type;
    kv_slice time_after_create;
    kv_slice time_before_expiry;
} kv_rotation_action;

typedef struct kv_rotation_policy_update_in {
    kv_target target;
    const kv_rotation_action *actions;
    size_t action_count;
    kv_slice expiry_time;
    kv_slice disable_after;
    kv_slice destroy_after;
} kv_rotation_policy_update_in;

typedef struct kv_destruction_permit_in {
    kv_target target;
    kv_slice disable_after; /* as in the policy; both empty: permitted no more */
    kv_slice destroy_after;
} kv_destruction_permit_in;

/* Out of the three. */
typedef struct kv_rotation_policy_bundle {
    kv_object_id id; /* without a version */
    kv_rotation_policy_texts policy;
    int64_t created; /* 0: the key was never given one, and this is the default */
    int64_t updated;
    int64_t permitted;     /* when destruction was permitted */
    kv_slice permitted_by; /* principal id; empty: it is not */
    int64_t next_rotation; /* of the current version; 0: none */
} kv_rotation_policy_bundle;
