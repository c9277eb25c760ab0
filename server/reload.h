/* reload.h - a new configuration while the server runs.
 *
 * The file is read again and checked whole, with everything it names; when anything is wrong
 * nothing changes. What cannot change in a running server keeps its value and is named in the log.
 *
 * Threads: kv_reload() from one at a time, kept apart from other users of the TLS identity.
 */
#pragma once

#include "server/server_parts.h"

/* Calls in flight go on; connections keep the TLS identity that they were made with. Errors: of the
 * configuration (kv_settings_read), of the TLS identity and of the client CAs. */
kv_status kv_reload(kv_server *server, kv_error *err) KV_MUST_USE;

/* Is this setting taken over by a reload? */
bool kv_reload_takes(const char *section, const char *key);

/* Frees the settings that reloads have made. Nobody may use the server's settings any more. */
void kv_reload_close(kv_server *server);
