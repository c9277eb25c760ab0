/* rotation.h - what a rotation policy asks for, and when.
 *
 * A key's current version is followed by a new one (rotate), and somebody is told before it expires
 * (notify). A version that has been followed can be retired: disabled after a while, and later
 * destroyed. Times are milliseconds since the Unix epoch, 0 for none.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/lifecycle/duration.h"

enum {
    KV_ROTATION_LEAST_DAYS = 7,  /* after creation, before expiry, and of an overlap */
    KV_ROTATION_EXPIRY_DAYS = 28 /* the least life of a version */
};

/* What was not asked for is no duration. */
typedef struct kv_rotation_policy {
    kv_duration rotate_after;  /* creation; this one */
    kv_duration rotate_before; /* expiry; or this one */
    kv_duration notify_before; /* expiry */
    kv_duration expiry;        /* of new versions */
    kv_duration disable_after; /* having been followed */
    kv_duration destroy_after; /* having been followed */
} kv_rotation_policy;

/* The bounds, Azure's and ours. `retention_days`: of the vault. KV_BAD_REQUEST names the field. */
kv_status kv_rotation_check(const kv_rotation_policy *policy, int64_t retention_days,
                            kv_error *err) KV_MUST_USE;

/* --- the current version --- */

typedef struct kv_rotation_facts {
    int64_t created;
    int64_t expires;
    bool enabled;
    bool told; /* that it expires then */
} kv_rotation_facts;

/* When it is to be followed by a new one; it may be overdue. 0: never, as things are. A disabled
 * version is followed by none. */
int64_t kv_rotation_due(const kv_rotation_policy *policy, const kv_rotation_facts *facts);
/* When somebody is to be told that it expires soon. 0: never, or it has been done. */
int64_t kv_rotation_notice(const kv_rotation_policy *policy, const kv_rotation_facts *facts);

/* --- versions that have been followed --- */

typedef enum kv_retirement_act {
    KV_RETIREMENT_REST,
    KV_RETIREMENT_DISABLE,
    KV_RETIREMENT_DESTROY
} kv_retirement_act;

typedef struct kv_retirement_facts {
    int64_t replaced;       /* when it was followed */
    int64_t since;          /* when this schedule was set */
    int64_t retired;        /* when the schedule disabled it */
    bool kept;              /* somebody enabled it after that */
    int64_t destroying;     /* since when it is decided */
    int64_t destroyed;      /* since when it is gone */
    int64_t permitted;      /* when destruction was permitted */
    int64_t retention_days; /* of the vault, now */
} kv_retirement_facts;

typedef struct kv_retirement_turn {
    kv_retirement_act act;
    int64_t at;
} kv_retirement_turn;

/* What comes next for it, and when. The overlap is counted from the later of when it was followed
 * and when the schedule was set. It is destroyed only when it has been disabled for the whole time
 * between the two and for the vault's retention, and a day after the permission. */
kv_retirement_turn kv_retirement_next(const kv_rotation_policy *policy,
                                      const kv_retirement_facts *facts);
