/* rotation_rules.h - what files about rotation of keys share. Inner to vault. */
#pragma once

#include "server/lifecycle/rotation.h"
#include "server/vault/keys/key_rules.h"

/* --- rotation_policy.c --- */

typedef struct kv_rotation_rules {
    kv_rotation_policy_row row; /* of a key without a policy: the default, with created 0 */
    bool exists;
    kv_rotation_policy policy;
} kv_rotation_rules;

/* The policy of a key, or the default: told 30 days before it expires. */
kv_status kv_rotation_rules_find(kv_vault *vault, kv_work *work, kv_slice object_uid,
                                 kv_rotation_rules *out, kv_error *err) KV_MUST_USE;
/* Is destruction permitted, by the durations that the policy has now? */
bool kv_destruction_permitted(const kv_rotation_rules *rules);

/* --- rotation_keep.c: when to look at a key. `row` must live until the commit --- */

/* A key as it will be after a change. */
typedef struct kv_rotation_view {
    const kv_vault_row *vault_row;
    const kv_object_row *object;
    const kv_rotation_rules *rules;    /* NULL: as they are stored */
    const kv_key_version_row *current; /* NULL: as it is stored */
    const kv_key_version_row *other;   /* a version that was followed and is altered; NULL: none */
} kv_rotation_view;

/* Whose turn it is first among the versions that were followed; KV_RETIREMENT_REST: nobody's. */
typedef struct kv_retiree {
    kv_retirement_turn turn;
    kv_slice version;
} kv_retiree;

/* When what is due; 0: never, as things are. `row` may be all zero. */
typedef struct kv_rotation_times {
    int64_t rotate_at;
    int64_t notice_at;
    kv_retiree retiree;
} kv_rotation_times;

kv_status kv_rotation_times_of(kv_vault *vault, kv_work *work, const kv_rotation_view *view,
                               const kv_rotation_row *row, kv_rotation_times *out,
                               kv_error *err) KV_MUST_USE;
/* The first of them; 0: none. */
int64_t kv_rotation_first(const kv_rotation_times *times);

/* Adds to a change of a key: when to look at it next, exactly. */
kv_status kv_rotation_keep(kv_vault *vault, kv_work *work, const kv_rotation_view *view,
                           kv_rotation_row *row, kv_change *change, kv_error *err) KV_MUST_USE;
/* The same with the row as it was read or last changed: the change is made only if nobody changed
 * it since. */
kv_status kv_rotation_keep_from(kv_vault *vault, kv_work *work, const kv_rotation_view *view,
                                kv_rotation_row *row, kv_change *change, kv_error *err) KV_MUST_USE;
/* Adds to any other change: it is to be looked at soon. */
kv_status kv_rotation_look(kv_vault *vault, kv_work *work, const kv_object_row *object,
                           kv_rotation_row *row, kv_change *change, kv_error *err) KV_MUST_USE;
kv_status kv_rotation_row_find(kv_vault *vault, kv_work *work, kv_slice object_uid,
                               kv_rotation_row *row, bool *exists, kv_error *err) KV_MUST_USE;

/* --- key_rotate.c --- */

/* The next version of a key, like its current one, in one attempt. `due`: as in kv_key_making. */
kv_status kv_key_follow(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                        const kv_object_row *object, kv_rotation_row *due, kv_key_bundle *out,
                        kv_error *err) KV_MUST_USE;

/* --- key_retire.c: versions that have been followed --- */

/* The one whose turn comes first; `rules` are those of the view or the stored ones. `version` is in
 * work's arena. */
kv_status kv_retiree_find(kv_vault *vault, kv_work *work, const kv_rotation_view *view,
                          const kv_rotation_rules *rules, kv_retiree *out,
                          kv_error *err) KV_MUST_USE;
/* Steps. Both change the row too, so that they happen only as things were when it was read. */
kv_status kv_version_disable(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                             const kv_object_row *object, kv_slice version, kv_rotation_row *row,
                             kv_error *err) KV_MUST_USE;
/* The version is of no use from the first step on; the last one is stored when the token has said
 * that the key is gone. To be repeated until it is KV_OK. */
kv_status kv_version_destroy(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                             const kv_object_row *object, kv_slice version, kv_rotation_row *row,
                             kv_error *err) KV_MUST_USE;
