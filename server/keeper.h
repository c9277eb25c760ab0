/* keeper.h - the server's own chores, and its reloads. */
#pragma once

#include "server/server_parts.h"
#include "server/signals.h"

/* Threads that wait for the comparison of all rows and sweep their seals once, purge what is due
 * every hour, give the listener a new TLS key when the token's module was reinitialised, and warn
 * from 30 days before the end of its certificate. */
kv_status kv_keeper_start(kv_server *server, kv_keeper **out, kv_error *err) KV_MUST_USE;
/* Purges break off; waits for any other chore at hand. NULL is fine. */
void kv_keeper_stop(kv_keeper *keeper);

/* The main thread: returns at SIGTERM or SIGINT; SIGHUP reads the configuration again. */
void kv_keeper_wait_for_stop(kv_server *server, kv_signals *signals);
