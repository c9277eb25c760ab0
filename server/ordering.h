/* ordering.h - the threads that take a step when it is time: with issuers (renewals, operations),
 * and one for what asks nobody outside (rotation of keys, announcements). */
#pragma once

#include "server/server_parts.h"

kv_status kv_ordering_start(kv_server *server, kv_ordering **out, kv_error *err) KV_MUST_USE;
/* After kv_vault_stop(). Waits for the steps at hand, which the end of outgoing connections ends.
 * NULL is fine. */
void kv_ordering_stop(kv_ordering *ordering);
