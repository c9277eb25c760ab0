/* keeper.h - the server's own chores and its signals. */
#pragma once

#include "server/server_parts.h"

/* A thread that sweeps the seals of all rows once, purges what is due every hour, and gives the
 * listener a new TLS key when the token's module was reinitialised. */
kv_status kv_keeper_start(kv_server *server, kv_keeper **out, kv_error *err) KV_MUST_USE;
/* Waits for the chore at hand. NULL is fine. */
void kv_keeper_stop(kv_keeper *keeper);

/* The main thread: returns at SIGTERM or SIGINT; SIGHUP reads the TLS certificate again. */
void kv_keeper_wait_for_stop(kv_server *server);
