/* challenges.h - how this server proves control over names: solvers, and the listeners that answer
 * for them. Inner to composition. */
#pragma once

#include "server/server_parts.h"

/* Before the vault is opened: the solvers that the settings ask for. */
void kv_challenges_prepare(kv_server *server);
/* After it was: the board of proofs, and the listeners. Their ports are told
 * in files of the home, acme-http-port and acme-tls-port. */
kv_status kv_challenges_open(kv_server *server, kv_error *err) KV_MUST_USE;
/* Listeners end. Proofs that are under way break off. */
void kv_challenges_stop(kv_server *server);
/* After the vault was closed, also when nothing was prepared. */
void kv_challenges_close(kv_server *server);

/* The route of http-01, for a listener that serves plain HTTP. */
kv_plain_route kv_challenges_route(kv_server *server);
