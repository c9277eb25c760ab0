/* server.h - the whole server: built bottom-up, taken down in reverse. */
#pragma once

#include <stdint.h>

#include "server/base/log.h"
#include "server/settings.h"
#include "server/signals.h"

typedef struct kv_server kv_server;

/* Everything but listening: memory, tokens, identity, store, seals, audit chain, access, vaults,
 * reconciliation. `settings` and `log` are borrowed until kv_server_free().
 * Errors: KV_PRECONDITION when `keyvaultd init` has not run, another server has the home, or a PIN
 * is wrong; KV_INTERNAL with KV_REASON_INTEGRITY when database, audit log and token do not agree;
 * KV_UNAVAILABLE; KV_BAD_REQUEST for what the settings name. */
kv_status kv_server_new(const kv_settings *settings, kv_log *log, kv_server **out,
                        kv_error *err) KV_MUST_USE;
void kv_server_free(kv_server *server);

/* Listens, serves until SIGTERM or SIGINT, drains. SIGHUP reads the configuration again.
 * `signals` is borrowed, and knows from its end on that the process is about to end. */
kv_status kv_server_run(kv_server *server, kv_signals *signals, kv_error *err) KV_MUST_USE;

/* No core dumps, no ptrace by others; locks the heap for secrets; takes the home folder. Also for
 * `init`. The returned descriptor holds the lock of the home; close it last. */
kv_status kv_server_prepare(const kv_settings *settings, int *home_lock, kv_error *err) KV_MUST_USE;
