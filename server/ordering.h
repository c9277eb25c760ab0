/* ordering.h - the threads that take operations at issuers outside a step further when it is time.
 */
#pragma once

#include "server/server_parts.h"

kv_status kv_ordering_start(kv_server *server, kv_ordering **out, kv_error *err) KV_MUST_USE;
/* After kv_vault_stop(). Waits for the steps at hand, which the end of outgoing connections ends.
 * NULL is fine. */
void kv_ordering_stop(kv_ordering *ordering);
