/* grants.h - everything that decides who may what, in memory: read by every call, replaced a
 * principal at a time when its rows change.
 *
 * Threads:  any. Between kv_grants_lock() and kv_grants_unlock() what was found stays; nothing that
 *           can block belongs there.
 * Lifetime: the process.
 */
#pragma once

#include "server/auth/caller.h"
#include "server/auth/principal_rows.h"
#include "server/auth/scope.h"
#include "server/base/log.h"

typedef struct kv_grants kv_grants;

/* One assignment, in force until `ends_ms`. */
typedef struct kv_grant {
    kv_role role;
    kv_scope scope;
    int64_t ends_ms; /* 0: no end */
    const kv_assignment_row *row;
} kv_grant;

typedef struct kv_held {
    const kv_principal_rows *rows;
    const kv_grant *grants;
    unsigned grant_count;
    bool broken; /* its rows could not be read after a change: it may nothing */
} kv_held;

kv_status kv_grants_new(kv_records *records, kv_log *log, kv_grants **out,
                        kv_error *err) KV_MUST_USE;
void kv_grants_free(kv_grants *grants);

/* Reads all principals and revocations. KV_INTERNAL with KV_REASON_INTEGRITY. */
kv_status kv_grants_load(kv_grants *grants, kv_error *err) KV_MUST_USE;
/* A kv_records_watcher; `context` is the kv_grants. */
void kv_grants_watch(void *context, const kv_change *change);
/* Tries again to read a broken principal; at most once a second. */
void kv_grants_heal(kv_grants *grants, const uint8_t id[KV_PRINCIPAL_ID_BYTES]);

void kv_grants_lock(kv_grants *grants);
void kv_grants_unlock(kv_grants *grants);
/* Under the lock; NULL when there is none. */
const kv_held *kv_grants_principal(kv_grants *grants, kv_slice id);
/* The principal of a credential, and the credential. */
const kv_held *kv_grants_credential(kv_grants *grants, kv_slice match,
                                    const kv_credential_row **credential);
bool kv_grants_revoked(kv_grants *grants, const uint8_t jti[16]);
/* Calls `visit` for each principal until it returns false; order unspecified. */
typedef bool kv_grants_visitor(void *context, const kv_held *held);
void kv_grants_each(kv_grants *grants, kv_grants_visitor *visit, void *context);

static inline bool kv_grant_live(const kv_grant *grant, int64_t now_ms)
{
    return grant->ends_ms == 0 || now_ms < grant->ends_ms;
}
