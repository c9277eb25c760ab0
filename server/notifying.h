/* notifying.h - how this server tells people and programs what happens. */
#pragma once

#include "server/server_parts.h"

/* The mail server of the settings, if there is one. Reads its password; connects to nobody.
 * Errors: KV_BAD_REQUEST, KV_PRECONDITION and KV_UNAVAILABLE about the settings. */
kv_status kv_notifying_open(kv_server *server, const kv_address_policy *addresses,
                            kv_error *err) KV_MUST_USE;
void kv_notifying_close(kv_server *server);
/* What the vault layer needs of it; borrows from the server. */
kv_vault_notify kv_notifying_of(const kv_server *server);

/* Threads that find out whom to tell, call webhooks, and mail contacts. */
kv_status kv_notifying_start(kv_server *server, kv_notifying **out, kv_error *err) KV_MUST_USE;
/* After kv_vault_stop(), and the stop of outgoing connections, which ends what is under way. NULL
 * is fine. */
void kv_notifying_stop(kv_notifying *notifying);
