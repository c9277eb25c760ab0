/* lint_names.c - rules about the names in a certificate. */
#include "server/x509/lint_names.h"

#include "server/base/text.h"
#include "server/x509/names.h"
#include "server/x509/suffix.h"

bool kv_lint_san_absent(const kv_x509_facts *facts)
{
    return kv_lint_is_server(facts) &&
           facts->sans.dns_names.count + facts->sans.ip_addresses.count == 0;
}

bool kv_lint_san_kind_foreign(const kv_x509_facts *facts)
{
    const kv_x509_sans *sans = &facts->sans;

    return kv_lint_is_server(facts) &&
           sans->emails.count + sans->upns.count + sans->uris.count + facts->other_sans > 0;
}

bool kv_lint_san_syntax(const kv_x509_facts *facts)
{
    for (size_t i = 0; i < facts->sans.dns_names.count; i++)
        if (kv_x509_dns_name_problem(facts->sans.dns_names.items[i]))
            return true;
    return false;
}

bool kv_lint_san_internal(const kv_x509_facts *facts)
{
    for (size_t i = 0; kv_lint_is_server(facts) && i < facts->sans.dns_names.count; i++) {
        kv_slice name = facts->sans.dns_names.items[i];

        if (!memchr(name.data, '.', name.len))
            return true;
    }
    return false;
}

/* .arpa is for the DNS itself. */
bool kv_lint_san_arpa(const kv_x509_facts *facts)
{
    const kv_slice arpa = KV_SLICE(".arpa");

    for (size_t i = 0; kv_lint_is_server(facts) && i < facts->sans.dns_names.count; i++) {
        kv_slice name = facts->sans.dns_names.items[i];

        if (name.len > arpa.len &&
            kv_text_equal_nocase(kv_slice_of(name.data + name.len - arpa.len, arpa.len), arpa))
            return true;
    }
    return false;
}

/* IANA's special-purpose networks. */
static bool is_reserved_v4(const uint8_t address[4])
{
    static const struct {
        uint32_t network;
        unsigned bits;
    } reserved[] = {
        { 0x00000000, 8 },  { 0x0a000000, 8 },  { 0x64400000, 10 }, { 0x7f000000, 8 },
        { 0xa9fe0000, 16 }, { 0xac100000, 12 }, { 0xc0000000, 24 }, { 0xc0000200, 24 },
        { 0xc01fc400, 24 }, { 0xc034c100, 24 }, { 0xc0586300, 24 }, { 0xc0a80000, 16 },
        { 0xc0af3000, 24 }, { 0xc6120000, 15 }, { 0xc6336400, 24 }, { 0xcb007100, 24 },
        { 0xe0000000, 4 },  { 0xf0000000, 4 },
    };
    uint32_t value = (uint32_t)address[0] << 24 | (uint32_t)address[1] << 16 |
                     (uint32_t)address[2] << 8 | address[3];

    for (size_t i = 0; i < KV_COUNT(reserved); i++)
        if ((value ^ reserved[i].network) >> (32 - reserved[i].bits) == 0)
            return true;
    return false;
}

/* Outside 2000::/3, or of those networks: 2001::/23, 2001:db8::/32, 2002::/16, 2620:4f:8000::/48,
 * 3fff::/20. */
static bool is_reserved_v6(const uint8_t address[16])
{
    static const struct {
        uint64_t network; /* its first 64 bits */
        unsigned bits;
    } reserved[] = { { UINT64_C(0x2001000000000000), 23 },
                     { UINT64_C(0x20010db800000000), 32 },
                     { UINT64_C(0x2002000000000000), 16 },
                     { UINT64_C(0x2620004f80000000), 48 },
                     { UINT64_C(0x3fff000000000000), 20 } };
    uint64_t value = 0;

    for (size_t i = 0; i < sizeof(value); i++)
        value = value << 8 | address[i];
    for (size_t i = 0; i < KV_COUNT(reserved); i++)
        if ((value ^ reserved[i].network) >> (64 - reserved[i].bits) == 0)
            return true;
    return address[0] >> 5 != 1;
}

bool kv_lint_san_reserved_ip(const kv_x509_facts *facts)
{
    for (size_t i = 0; kv_lint_is_server(facts) && i < facts->sans.ip_addresses.count; i++) {
        uint8_t address[16];
        size_t len = kv_x509_ip_bytes(facts->sans.ip_addresses.items[i], address);

        if (len == 0 || (len == 4 ? is_reserved_v4(address) : is_reserved_v6(address)))
            return true;
    }
    return false;
}

bool kv_lint_subject_and_san_absent(const kv_x509_facts *facts)
{
    const kv_x509_sans *sans = &facts->sans;

    return facts->subject.len == 0 && sans->dns_names.count + sans->ip_addresses.count +
                                              sans->emails.count + sans->upns.count +
                                              sans->uris.count + facts->other_sans ==
                                          0;
}

static bool listed(const kv_x509_list *names, kv_slice name)
{
    for (size_t i = 0; i < names->count; i++)
        if (kv_text_equal_nocase(names->items[i], name))
            return true;
    return false;
}

bool kv_lint_cn_not_in_san(const kv_x509_facts *facts)
{
    return kv_lint_is_server(facts) && facts->common_name.len &&
           !listed(&facts->sans.dns_names, facts->common_name) &&
           !listed(&facts->sans.ip_addresses, facts->common_name);
}

bool kv_lint_wildcard_suffix(const kv_x509_facts *facts)
{
    return kv_lint_is_server(facts) && kv_x509_any_wildcard_suffix(&facts->sans.dns_names);
}

bool kv_lint_suffix(const kv_x509_facts *facts)
{
    return kv_lint_is_server(facts) && kv_x509_any_suffix(&facts->sans.dns_names);
}

bool kv_lint_unknown_domain(const kv_x509_facts *facts)
{
    return kv_lint_is_server(facts) && kv_x509_any_unknown_domain(&facts->sans.dns_names);
}
