/* watch.h - the streams that wait for events: one thread for all of them.
 *
 * A call that watches begins on a worker, as any other, and is then handed over to this thread,
 * which owns it until it ends: no worker waits. Each watcher is a cursor and the few messages that
 * the loop has not sent yet. One that does not read falls behind, costs nothing, and is told to
 * come again after a while.
 *
 * Every event is judged for each watcher when it is about to be sent; who may not watch any more is
 * told within a second.
 *
 * Threads:  enter, leave, start: workers. new, stop, free: the main thread.
 * Lifetime: started before the doors open; stopped before the vault and the audit log.
 */
#pragma once

#include "server/core/call.h"

typedef struct kv_watch kv_watch;
typedef struct kv_watcher kv_watcher;

typedef struct kv_watch_config {
    kv_services *services;  /* borrowed */
    unsigned most;          /* streams at once; 0: 4,096 */
    unsigned per_principal; /* of them; 0: 256 */
    unsigned slow_ms;       /* how long one may not read; 0: 20,000 */
} kv_watch_config;

/* KV_UNAVAILABLE when the thread cannot start. */
kv_status kv_watch_new(const kv_watch_config *config, kv_watch **out, kv_error *err) KV_MUST_USE;
/* Ends every stream with KV_UNAVAILABLE, and refuses more. Idempotent; NULL is fine. */
void kv_watch_stop(kv_watch *watch);
/* Stops first. */
void kv_watch_free(kv_watch *watch);

/* Takes a place for the call, whose `in` is a kv_event_watch_in, from that cursor on, and notes it
 * in call->watcher. KV_BUSY when there is none, KV_UNAVAILABLE when the server stops. */
kv_status kv_watch_enter(kv_watch *watch, kv_call *call, int64_t cursor, kv_error *err) KV_MUST_USE;
/* Gives the place back: the call was not handed over. */
void kv_watch_leave(kv_watcher *watcher);
/* Hands the watcher and its call over. */
void kv_watch_start(KV_TAKES kv_watcher *watcher);

unsigned kv_watch_count(kv_watch *watch);
