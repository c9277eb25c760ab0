/* address.c - where an outgoing connection may go. */
#include "server/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "server/base/text.h"

enum { V4_BITS = 96, ALL_BITS = 128, LONGEST_TEXT = 64 };

#define V4(a, b, c, d)                                     \
    {                                                      \
        .bytes = { [10] = 0xff, 0xff, (a), (b), (c), (d) } \
    }
#define V6(...)                  \
    {                            \
        .bytes = { __VA_ARGS__ } \
    }

typedef struct known_network {
    kv_network network;
    kv_address_kind kind;
} known_network;

/* The first row that holds an address decides; IPv4 that no row holds is public, IPv6 is not
 * assigned outside 2000::/3. From the IANA registries of special-purpose addresses. */
/* shape: table */
static const known_network known_networks[] = {
    { { V4(0, 0, 0, 0), V4_BITS + 8 }, KV_ADDRESS_NEVER },
    { { V4(10, 0, 0, 0), V4_BITS + 8 }, KV_ADDRESS_PRIVATE },
    { { V4(100, 64, 0, 0), V4_BITS + 10 }, KV_ADDRESS_PRIVATE },
    { { V4(127, 0, 0, 0), V4_BITS + 8 }, KV_ADDRESS_LOOPBACK },
    { { V4(169, 254, 0, 0), V4_BITS + 16 }, KV_ADDRESS_NEVER },
    { { V4(172, 16, 0, 0), V4_BITS + 12 }, KV_ADDRESS_PRIVATE },
    { { V4(192, 0, 0, 0), V4_BITS + 24 }, KV_ADDRESS_RESERVED },
    { { V4(192, 0, 2, 0), V4_BITS + 24 }, KV_ADDRESS_RESERVED },
    { { V4(192, 88, 99, 0), V4_BITS + 24 }, KV_ADDRESS_RESERVED },
    { { V4(192, 168, 0, 0), V4_BITS + 16 }, KV_ADDRESS_PRIVATE },
    { { V4(198, 18, 0, 0), V4_BITS + 15 }, KV_ADDRESS_RESERVED },
    { { V4(198, 51, 100, 0), V4_BITS + 24 }, KV_ADDRESS_RESERVED },
    { { V4(203, 0, 113, 0), V4_BITS + 24 }, KV_ADDRESS_RESERVED },
    { { V4(224, 0, 0, 0), V4_BITS + 4 }, KV_ADDRESS_NEVER },
    { { V4(255, 255, 255, 255), ALL_BITS }, KV_ADDRESS_NEVER },
    { { V4(240, 0, 0, 0), V4_BITS + 4 }, KV_ADDRESS_RESERVED },
    { { V4(0, 0, 0, 0), V4_BITS }, KV_ADDRESS_PUBLIC },
    { { V6(0), ALL_BITS }, KV_ADDRESS_NEVER },
    { { V6([15] = 1), ALL_BITS }, KV_ADDRESS_LOOPBACK },
    { { V6(0x20, 0x01), 23 }, KV_ADDRESS_RESERVED },
    { { V6(0x20, 0x01, 0x0d, 0xb8), 32 }, KV_ADDRESS_RESERVED },
    { { V6(0x20, 0x02), 16 }, KV_ADDRESS_RESERVED },
    { { V6(0x3f, 0xff), 20 }, KV_ADDRESS_RESERVED },
    { { V6(0x20), 3 }, KV_ADDRESS_PUBLIC },
    { { V6(0xfc), 7 }, KV_ADDRESS_PRIVATE },
    { { V6(0xfe, 0x80), 10 }, KV_ADDRESS_NEVER },
    { { V6(0xfe, 0xc0), 10 }, KV_ADDRESS_PRIVATE },
    { { V6(0xff), 8 }, KV_ADDRESS_NEVER },
};

static const kv_network nat64 = { V6(0x00, 0x64, 0xff, 0x9b), V4_BITS };
static const kv_address mapped = V4(0, 0, 0, 0);

static bool holds(const kv_network *network, const kv_address *address)
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    uint8_t mask = (uint8_t)(0xff00U >> rest);

    for (unsigned i = 0; i < whole; i++)
        if (network->first.bytes[i] != address->bytes[i])
            return false;
    return !rest || ((network->first.bytes[whole] ^ address->bytes[whole]) & mask) == 0;
}

static kv_address unwrapped(const kv_address *address)
{
    kv_address inner = mapped;

    if (!holds(&nat64, address))
        return *address;
    memcpy(inner.bytes + 12, address->bytes + 12, 4);
    return inner;
}

bool kv_address_parse(kv_slice text, kv_address *out)
{
    char copy[LONGEST_TEXT];
    kv_address address = mapped;

    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.data, 0, text.len))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    if (inet_pton(AF_INET, copy, address.bytes + 12) != 1 &&
        inet_pton(AF_INET6, copy, address.bytes) != 1)
        return false;
    *out = address;
    return true;
}

bool kv_address_of(const struct sockaddr *address, kv_address *out)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof(v4));
        *out = mapped;
        memcpy(out->bytes + 12, &v4.sin_addr, 4);
        return true;
    }
    if (address->sa_family != AF_INET6)
        return false;
    memcpy(&v6, address, sizeof(v6));
    memcpy(out->bytes, &v6.sin6_addr, sizeof(out->bytes));
    return true;
}

kv_address_kind kv_address_kind_of(const kv_address *address)
{
    kv_address inner = unwrapped(address);

    for (unsigned i = 0; i < KV_COUNT(known_networks); i++)
        if (holds(&known_networks[i].network, &inner))
            return known_networks[i].kind;
    return KV_ADDRESS_RESERVED;
}

static bool parse_network(kv_slice text, kv_network *out)
{
    const uint8_t *slash = text.len ? memchr(text.data, '/', text.len) : NULL;
    kv_slice address = slash ? kv_slice_of(text.data, (size_t)(slash - text.data)) : text;
    uint64_t bits = ALL_BITS;
    bool v4 = text.len && !memchr(text.data, ':', text.len);

    if (!kv_address_parse(address, &out->first))
        return false;
    if (slash) {
        kv_slice digits = kv_slice_of(slash + 1, text.len - address.len - 1);

        if (!kv_text_number(digits, v4 ? ALL_BITS - V4_BITS : ALL_BITS, &bits))
            return false;
        bits += v4 ? V4_BITS : 0;
    }
    out->bits = (unsigned)bits;
    /* A typing error such as 10.1.0.0/8 would open more than was meant. */
    for (unsigned bit = out->bits; bit < ALL_BITS; bit++)
        if (out->first.bytes[bit / 8] & (0x80 >> bit % 8))
            return false;
    return true;
}

static bool separates(uint8_t byte)
{
    return byte == ',' || byte == ' ' || byte == '\t';
}

kv_status kv_networks_parse(kv_slice text, const char *field, kv_address_policy *out, kv_error *err)
{
    kv_address_policy policy = { 0 };
    size_t at = 0;

    while (at < text.len) {
        size_t end = at;
        kv_slice word;

        while (end < text.len && !separates(text.data[end]))
            end++;
        word = kv_slice_of(text.data + at, end - at);
        at = end + 1;
        if (!word.len)
            continue;
        if (policy.count == KV_NETWORKS_MOST)
            return kv_fail_field(err, field, "has more than %d networks", KV_NETWORKS_MOST);
        if (!parse_network(word, &policy.allowed[policy.count++]))
            return kv_fail_field(err, field,
                                 "'%.*s' is no network such as 10.0.0.0/8 or fd00::/8 (without "
                                 "bits after the prefix)",
                                 (int)(word.len < 48 ? word.len : 48), (const char *)word.data);
    }
    *out = policy;
    return KV_OK;
}

bool kv_address_allowed(const kv_address_policy *policy, const kv_address *address)
{
    kv_address inner = unwrapped(address);
    kv_address_kind kind = kv_address_kind_of(&inner);

    if (kind == KV_ADDRESS_PUBLIC)
        return true;
    if (kind == KV_ADDRESS_NEVER)
        return false;
    for (unsigned i = 0; i < policy->count; i++)
        if (holds(&policy->allowed[i], &inner))
            return true;
    return false;
}
