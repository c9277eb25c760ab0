/* domains.c - compares the names of a request with the rules of an issuer. */
#include "server/issuer/domains.h"

#include <openssl/objects.h>

#include "server/base/text.h"
#include "server/x509/dn.h"
#include "server/x509/names.h"

enum { RULE_MAX = 320 };

static kv_slice from(kv_slice text, size_t at)
{
    return kv_slice_of(text.data + at, text.len - at);
}

/* Where the first of `c` is; the length when there is none. */
static size_t find(kv_slice text, char c)
{
    const uint8_t *at = text.len ? memchr(text.data, c, text.len) : NULL;

    return at ? (size_t)(at - text.data) : text.len;
}

/* Labels and dots; no wildcard. */
static bool is_host(kv_slice name)
{
    return !kv_x509_dns_name_problem(name) && find(name, '*') == name.len;
}

/* ---- networks ---- */

typedef struct network {
    uint8_t bytes[16];
    size_t len; /* of an address: 4 or 16 */
    uint64_t bits;
} network;

static bool bit_of(const uint8_t *bytes, size_t at)
{
    return bytes[at / 8] >> (7 - at % 8) & 1;
}

/* A network whose host bits are not zero is a slip of the pen. */
static bool read_network(kv_slice rule, network *out)
{
    size_t slash = find(rule, '/');
    network net = { .len = kv_x509_ip_bytes(kv_slice_of(rule.data, slash), net.bytes) };

    if (!net.len)
        return false;
    net.bits = net.len * 8;
    if (slash < rule.len && !kv_text_number(from(rule, slash + 1), net.len * 8, &net.bits))
        return false;
    for (size_t i = net.bits; i < net.len * 8; i++)
        if (bit_of(net.bytes, i))
            return false;
    *out = net;
    return true;
}

static bool network_allows(kv_slice rule, kv_slice address)
{
    uint8_t bytes[16];
    network net;

    if (!read_network(rule, &net) || kv_x509_ip_bytes(address, bytes) != net.len)
        return false;
    for (size_t i = 0; i < net.bits; i++)
        if (bit_of(net.bytes, i) != bit_of(bytes, i))
            return false;
    return true;
}

/* ---- hosts and mailboxes ---- */

/* `name` ends in `tail`, which begins with a dot, and has something before it. */
static bool is_below(kv_slice name, kv_slice tail)
{
    return name.len > tail.len && kv_text_equal_nocase(from(name, name.len - tail.len), tail);
}

static bool host_allows(kv_slice rule, kv_slice name)
{
    size_t dot = find(name, '.');

    if (kv_x509_dns_name_problem(name))
        return false;
    if (rule.len > 1 && rule.data[0] == '.')
        return is_host(from(rule, 1)) && is_below(name, rule);
    if (kv_x509_dns_name_problem(rule))
        return false;
    if (rule.data[0] == '*')
        return dot < name.len && kv_text_equal_nocase(from(name, dot), from(rule, 1));
    return kv_text_equal_nocase(name, rule);
}

/* `name` is local@domain with one "@". */
static bool mailbox_allows(kv_slice rule, kv_slice name)
{
    size_t at = find(rule, '@'), split = find(name, '@');
    kv_slice wanted, domain;

    if (at == rule.len || split == 0 || split == name.len)
        return false;
    wanted = from(rule, at + 1);
    domain = from(name, split + 1);
    if (!is_host(domain))
        return false;
    if (at > 0)
        return kv_slice_equal(kv_slice_of(rule.data, at), kv_slice_of(name.data, split)) &&
               kv_text_equal_nocase(wanted, domain);
    if (wanted.len > 1 && wanted.data[0] == '.')
        return is_below(domain, wanted);
    return kv_text_equal_nocase(wanted, domain);
}

/* The host of the authority, without user, port and brackets; empty when there is none. */
static kv_slice uri_host(kv_slice uri)
{
    size_t colon = find(uri, ':'), end = 0;
    kv_slice rest = colon < uri.len ? from(uri, colon + 1) : KV_SLICE_NONE;

    if (kv_x509_uri_problem(uri) || !kv_slice_starts_with(rest, KV_SLICE("//")))
        return KV_SLICE_NONE;
    rest = from(rest, 2);
    while (end < rest.len && !memchr("/?#", rest.data[end], 3))
        end++;
    rest = kv_slice_of(rest.data, end);
    if (find(rest, '@') < rest.len)
        rest = from(rest, find(rest, '@') + 1);
    if (rest.len && rest.data[0] == '[')
        return kv_slice_of(rest.data + 1, find(rest, ']') - 1);
    return kv_slice_of(rest.data, find(rest, ':'));
}

/* ---- rules ---- */

typedef bool allows(kv_slice rule, kv_slice name);

static bool uri_allows(kv_slice rule, kv_slice uri)
{
    kv_slice host = uri_host(uri);

    return host.len && (network_allows(rule, host) || (is_host(host) && host_allows(rule, host)));
}

/* A common name of whatever form. */
static bool any_allows(kv_slice rule, kv_slice name)
{
    return network_allows(rule, name) || host_allows(rule, name) || mailbox_allows(rule, name);
}

static bool is_rule(kv_slice rule)
{
    size_t at = find(rule, '@');
    kv_slice domain = at < rule.len ? from(rule, at + 1) : rule;
    bool below = domain.len > 0 && domain.data[0] == '.';
    network net;

    if (rule.len == 0 || rule.len > RULE_MAX)
        return false;
    if (at < rule.len && at > 0)
        return !kv_x509_email_problem(rule);
    if (at == 0)
        return is_host(below ? from(domain, 1) : domain);
    if (below)
        return is_host(from(rule, 1));
    return read_network(rule, &net) || !kv_x509_dns_name_problem(rule);
}

kv_status kv_issuer_domain_rule_check(kv_slice rule, const char *field, kv_error *err)
{
    if (is_rule(rule))
        return KV_OK;
    return kv_fail_field(err, field,
                         "must be a host name, \"*.\" or \".\" before one, an address or network, "
                         "a mailbox, or \"@\" before a domain");
}

static bool allowed(const kv_x509_list *rules, allows *by, kv_slice name)
{
    for (size_t i = 0; i < rules->count; i++)
        if (is_rule(rules->items[i]) && by(rules->items[i], name))
            return true;
    return false;
}

static kv_status check(const kv_x509_list *rules, allows *by, kv_slice name, const char *what,
                       kv_error *err)
{
    if (allowed(rules, by, name))
        return KV_OK;
    return kv_fail(err, KV_DENIED, "the issuer may not be used for the %s \"%.*s\"", what,
                   KV_SLICE_ARG(name));
}

static kv_status check_all(const kv_x509_list *rules, allows *by, const kv_x509_list *names,
                           const char *what, kv_error *err)
{
    for (size_t i = 0; i < names->count; i++)
        KV_TRY(check(rules, by, names->items[i], what, err));
    return KV_OK;
}

static bool looks_like_a_name(kv_slice text)
{
    bool marked = false;

    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == ' ')
            return false;
        marked = marked || memchr(".:*@", text.data[i], 4) != NULL;
    }
    return marked;
}

static kv_status check_subject(kv_arena *arena, const kv_x509_list *rules, kv_slice subject,
                               kv_error *err)
{
    kv_x509_dn dn;

    KV_TRY(kv_x509_dn_parse(arena, subject, "policy.x509_props.subject", &dn, err));
    for (size_t i = 0; i < dn.count; i++) {
        kv_slice value = dn.items[i].value;

        if (dn.items[i].nid == NID_pkcs9_emailAddress)
            KV_TRY(check(rules, mailbox_allows, value, "e-mail address of the subject", err));
        if (dn.items[i].nid == NID_commonName && looks_like_a_name(value))
            KV_TRY(check(rules, any_allows, value, "common name", err));
    }
    return KV_OK;
}

kv_status kv_issuer_domains_check(kv_arena *arena, const kv_x509_list *rules, kv_slice subject,
                                  const kv_x509_sans *sans, kv_error *err)
{
    KV_TRY(check_all(rules, host_allows, &sans->dns_names, "DNS name", err));
    KV_TRY(check_all(rules, network_allows, &sans->ip_addresses, "IP address", err));
    KV_TRY(check_all(rules, mailbox_allows, &sans->emails, "e-mail address", err));
    KV_TRY(check_all(rules, mailbox_allows, &sans->upns, "user principal name", err));
    KV_TRY(check_all(rules, uri_allows, &sans->uris, "URI", err));
    return check_subject(arena, rules, subject, err);
}
