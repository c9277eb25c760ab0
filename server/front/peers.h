/* peers.h - how many connections are open, in all and from each address.
 *
 * Threads: any; locked inside.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "server/base/error.h"

typedef struct kv_peers kv_peers;

/* KV_UNAVAILABLE when out of memory. */
kv_status kv_peers_new(unsigned most, unsigned most_per_address, kv_peers **out,
                       kv_error *err) KV_MUST_USE;
void kv_peers_free(kv_peers *peers);
/* Other limits; connections that are open stay. */
void kv_peers_tune(kv_peers *peers, unsigned most, unsigned most_per_address);

enum { KV_PEER_HOST_BYTES = 48 };

/* Whom an address stands for: an IPv4 address for itself, also when it came in IPv6's clothes; one
 * of IPv6 for its network of 64 bits ("2001:db8:0:1::/64"), of which anybody has 2^64 addresses.
 * False for other families. */
bool kv_peers_host_of(const struct sockaddr *address, char out[KV_PEER_HOST_BYTES]);

/* `host` as above. False when it is one too many: nothing was counted. */
bool kv_peers_enter(kv_peers *peers, const char *host);
void kv_peers_leave(kv_peers *peers, const char *host);
/* A number for whoever counts what the strangers of this address hold, for as long as one that has
 * entered has not left. NULL when nobody has. */
atomic_size_t *kv_peers_held(kv_peers *peers, const char *host);
unsigned kv_peers_count(kv_peers *peers);
/* Is hardly any place left? */
bool kv_peers_crowded(kv_peers *peers);
