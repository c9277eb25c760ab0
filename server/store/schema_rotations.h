/* schema_rotations.h - what is to happen to keys that belong to no certificate. Through schema.h.
 */
#pragma once

#include "server/store/table.h"

/* Of a key somebody gave one. Durations as ISO 8601 texts, empty for none. */
typedef struct kv_rotation_policy_row {
    kv_row_head head;
    kv_slice object_uid; /* key */
    kv_slice vault_uid;
    kv_slice rotate_after;    /* creation */
    kv_slice rotate_before;   /* expiry */
    kv_slice notify_before;   /* expiry */
    kv_slice expiry_time;     /* of new versions */
    kv_slice disable_after;   /* having been followed */
    kv_slice destroy_after;   /* having been followed */
    int64_t retirement_since; /* when the two were set */
    int64_t permitted;        /* when destruction by these two was permitted */
    kv_slice permitted_by;    /* principal id */
    int64_t created;
    int64_t updated;
} kv_rotation_policy_row;

/* When to look at a key; kept by the changes of it. */
typedef struct kv_rotation_row {
    kv_row_head head;
    kv_slice object_uid; /* key */
    kv_slice vault_uid;
    int64_t due_at;   /* when something may be due: never later than it is */
    int64_t attempts; /* of what is due now */
    int64_t told_of;  /* the expiry of which the policy's notification has been made */
} kv_rotation_row;

extern const kv_table kv_table_rotation_policies;
extern const kv_table kv_table_rotations;
