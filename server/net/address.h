/* address.h - where an outgoing connection may go.
 *
 * A name that a caller chose (a webhook, an issuer's directory) may resolve to anything, so the
 * rule looks at the resolved address in the moment of the connection, never at the name. Public
 * addresses are allowed; private ones, loopback and the rest only inside a network that the
 * operator listed; link-local (where clouds serve credentials), multicast, broadcast and
 * unspecified ones never. IPv4 inside IPv6 (mapped, NAT64 64:ff9b::/96) counts as the IPv4 address
 * it stands for.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "server/base/error.h"
#include "server/base/slice.h"

/* An address or the start of a network, IPv4 as ::ffff:a.b.c.d. */
typedef struct kv_address {
    uint8_t bytes[16];
} kv_address;

typedef struct kv_network {
    kv_address first;
    unsigned bits; /* of the 128; an IPv4 prefix length counts 96 more */
} kv_network;

typedef enum kv_address_kind {
    KV_ADDRESS_PUBLIC,
    KV_ADDRESS_PRIVATE, /* RFC 1918, CGNAT (RFC 6598), unique local (RFC 4193) */
    KV_ADDRESS_LOOPBACK,
    KV_ADDRESS_RESERVED, /* documentation, benchmarks, tunnels, not assigned */
    KV_ADDRESS_NEVER     /* link-local, multicast, broadcast, unspecified */
} kv_address_kind;

enum { KV_NETWORKS_MOST = 32 };

/* The zero value allows public addresses alone. */
typedef struct kv_address_policy {
    kv_network allowed[KV_NETWORKS_MOST];
    unsigned count;
} kv_address_policy;

/* "192.0.2.1", "2001:db8::1", without brackets, ports and zones. */
bool kv_address_parse(kv_slice text, kv_address *out);
/* False for anything but AF_INET and AF_INET6. */
bool kv_address_of(const struct sockaddr *address, kv_address *out);
kv_address_kind kv_address_kind_of(const kv_address *address);

/* "10.0.0.0/8, 127.0.0.1, fd00::/8": networks, separated by commas and blanks; an address without
 * a length is a network of one; "" is none. KV_BAD_REQUEST about `field` for what is no network,
 * has bits after its prefix, or is more than KV_NETWORKS_MOST. */
kv_status kv_networks_parse(kv_slice text, const char *field, kv_address_policy *out,
                            kv_error *err) KV_MUST_USE;

bool kv_address_allowed(const kv_address_policy *policy, const kv_address *address);
