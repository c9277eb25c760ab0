/* channel_lookup.h - the addresses of a host, found without keeping the channel's thread: a name
 * service that does not answer must not hold up calls beyond their deadlines.
 *
 * getaddrinfo() can be neither polled nor cancelled. It runs in a thread of its own, which is left
 * to itself when nobody waits for it any longer. Private to client/.
 *
 * Threads: one owner.
 */
#pragma once

#include <netdb.h>
#include <stdbool.h>

#include "server/base/error.h"

typedef struct kv_lookup kv_lookup;

/* Begins. The texts are copied. KV_UNAVAILABLE when memory, descriptors or threads run out. */
kv_status kv_lookup_start(const char *host, const char *port, kv_lookup **out,
                          kv_error *err) KV_MUST_USE;
/* To be polled: readable when it is over. Belongs to the lookup. */
int kv_lookup_fd(const kv_lookup *lookup);
/* To be asked before it is taken: what the thread wrote is seen by whoever has seen this. */
bool kv_lookup_over(const kv_lookup *lookup);
/* What getaddrinfo() returned, and for freeaddrinfo() what it found; once it is over. Frees. */
int kv_lookup_take(KV_TAKES kv_lookup *lookup, struct addrinfo **out);
/* Nobody wants to know any more. NULL does nothing. */
void kv_lookup_abandon(KV_TAKES kv_lookup *lookup);
