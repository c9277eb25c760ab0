/* opened_store.h - the store of a server is opened, and found to be what the audit log says. */
#pragma once

#include "server/server_parts.h"

/* Before the tokens: their opening and the comparing of rows take seconds with many keys, and go on
 * side by side. What goes wrong is told by kv_server_open_store(). */
void kv_server_open_store_early(kv_server *server);
/* After the tokens. Rows are not trusted before kv_server_verify_store(). */
kv_status kv_server_open_store(kv_server *server, kv_error *err) KV_MUST_USE;
/* Are the rows those of the audit log's digest, and the seals of all that say who may what sound?
 * Of the other rows as many as are compared within [store] compare_seconds; from then on each is
 * before it is used. KV_INTERNAL with KV_REASON_INTEGRITY. */
kv_status kv_server_verify_store(kv_server *server, kv_error *err) KV_MUST_USE;
/* Waits until all rows are compared. KV_INTERNAL with KV_REASON_INTEGRITY; KV_CANCELLED when the
 * server stops before. */
kv_status kv_server_finish_store(kv_server *server, kv_error *err) KV_MUST_USE;
