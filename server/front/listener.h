/* listener.h - the listening socket: loop 0 accepts and hands descriptors round, in turn.
 *
 * The last 64 descriptors that the process may have (half of them when it is fewer than 128) are
 * for tokens, store and audit log: a connection that would get one of them is closed. When there
 * is none left all the same, a reserve is given up for a moment to take the waiting connection and
 * close it: otherwise the listener would spin.
 *
 * Threads: open and close: main. The rest: loop 0.
 */
#pragma once

#include "server/front/loop.h"

/* Listens (front->config.listen) and watches from loop 0, which has not started yet. */
kv_status kv_listener_open(kv_front *front, kv_listener **out, kv_error *err) KV_MUST_USE;
/* Stops accepting; loop 0 (or the main thread when it does not run). */
void kv_listener_stop(kv_listener *listener);
void kv_listener_free(kv_listener *listener);
uint16_t kv_listener_port(const kv_listener *listener);
