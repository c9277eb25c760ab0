/* work.h - what one call brings to the operations of the vault.
 *
 * Threads:  the worker that runs the call.
 * Lifetime: the call's; everything in it is borrowed.
 */
#pragma once

#include "server/audit/record.h"
#include "server/auth/caller.h"
#include "server/base/arena.h"
#include "server/base/clock.h"

/* What a call is about, decoded first and checked by server/auth. The first member of every `in`.
 * Names are as the caller spelled them and not yet checked. Empty: the operation has no such part
 * (a list of vaults has none at all). */
typedef struct kv_target {
    kv_slice vault;
    kv_collection collection;
    kv_slice name;
    kv_slice version; /* empty: the current one */
    /* An issuer or webhook of the vault: permitted as the collection, recorded as the name. */
    kv_slice issuer;
} kv_target;

struct kv_idempotency; /* idempotency.h */

typedef struct kv_work {
    kv_arena *arena; /* wiped when the call ends; results live here */
    kv_deadline deadline;
    int64_t now_ms;          /* wall time when the call was taken up */
    int64_t now_us;          /* kv_monotonic_us() then */
    const kv_caller *caller; /* never NULL past `identify` */
    kv_caller *newcomer;     /* the same, for the operation that finds out who asks */
    kv_audit_entry *entry;   /* an operation adds the object, version and key it touched */
    struct kv_idempotency *idempotency; /* NULL: the call came without a key */
} kv_work;
