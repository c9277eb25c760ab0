/* peers.h - how many connections are open, in all and from each address.
 *
 * Threads: any; locked inside.
 */
#pragma once

#include <stdbool.h>

#include "server/base/error.h"

typedef struct kv_peers kv_peers;

/* KV_UNAVAILABLE when out of memory. */
kv_status kv_peers_new(unsigned most, unsigned most_per_address, kv_peers **out,
                       kv_error *err) KV_MUST_USE;
void kv_peers_free(kv_peers *peers);

/* `host` is the address without its port. False when it is one too many: nothing was counted. */
bool kv_peers_enter(kv_peers *peers, const char *host);
void kv_peers_leave(kv_peers *peers, const char *host);
unsigned kv_peers_count(kv_peers *peers);
