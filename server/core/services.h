/* services.h - what a call is served with: borrowed pointers, the same for every call.
 *
 * The gates keep core free of auth and audit: the server's composition fills them, tests bring
 * their own.
 */
#pragma once

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/core/call.h"

struct kv_auth;
struct kv_audit;
struct kv_vault;
struct kv_watch;
struct kv_throttle;

/* A call that nobody served. All borrowed. */
typedef struct kv_refused {
    const uint8_t *request_id; /* 16 bytes */
    const kv_route *route;
    const kv_peer *peer;
    const uint8_t *principal; /* 16 bytes: whom its certificate was last identified as; or NULL */
    const kv_error *error;
} kv_refused;

typedef struct kv_gates {
    /* Fills call->caller from call->peer and call->credential (and entry->roles). A refusal is
     * KV_UNAUTHENTICATED with a reason. The credential is wiped afterwards: what is kept of it must
     * be a copy. Worker thread. */
    kv_status (*identify)(void *context, kv_call *call);
    /* May call->caller do call->route->needs on kv_call_target(call)? KV_DENIED with a reason.
     * Called again before each message of a stream. Worker thread. */
    kv_status (*permit)(void *context, kv_call *call);
    /* Was this change made before, with the call's idempotency key? Then `*again`, and call->out is
     * the answer; else the key is noted in call->work, to be stored with the change. Worker thread.
     * Optional. */
    kv_status (*recall)(void *context, kv_call *call, bool *again);
    /* Takes the calls, a list linked by `next`, oldest first. Makes their `entry` durable and then
     * calls kv_call_answer() on each; when that fails, first kv_fail(&call->error,
     * KV_UNAVAILABLE, ...). Must not wait for the disk. Worker thread. */
    void (*audit_post)(void *context, KV_TAKES kv_call *calls);
    /* A refusal before identification, or "busy": counted once per second, peer and reason. Must
     * not wait. Loop and worker threads. */
    void (*audit_refused)(void *context, const kv_refused *refused);
    /* A call was answered without waiting for its worker (deadline) or its caller left: "outcome
     * unknown". The worker posts the outcome later. `status` is KV_TIMEOUT or KV_CANCELLED. Must
     * not wait. Loop thread. Optional. */
    void (*audit_left)(void *context, const uint8_t request_id[16], const kv_route *route,
                       const kv_peer *peer, kv_status status);
    /* Makes it durable that a stream begins, before its first message leaves. May wait. Worker
     * thread. Optional. */
    kv_status (*audit_begin)(void *context, kv_call *call);
    /* Takes a call that its operation made a watcher: it ends elsewhere. Worker thread. */
    void (*park)(void *context, KV_TAKES kv_call *call);
    void *context; /* borrowed */
} kv_gates;

struct kv_services {
    const kv_route *routes;
    size_t route_count;
    kv_gates gates;
    struct kv_auth *auth;
    struct kv_audit *audit;
    struct kv_vault *vault;
    struct kv_watch *watch;       /* NULL: nothing can be watched */
    struct kv_throttle *throttle; /* NULL: calls are not counted */
    kv_log *log;                  /* may be NULL */
    kv_clock clock;
};
