/* notifying.h - how this server tells people and programs what happens. */
#pragma once

#include "server/server_parts.h"

/* The mail server of the settings, if there is one. Reads its password; connects to nobody.
 * Errors: KV_BAD_REQUEST, KV_PRECONDITION and KV_UNAVAILABLE about the settings. */
kv_status kv_notifying_open(kv_server *server, const kv_address_policy *addresses,
                            kv_error *err) KV_MUST_USE;
void kv_notifying_close(kv_server *server);
