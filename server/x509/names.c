/* names.c - the syntax of alternative names and object identifiers. */
#include "server/x509/names.h"

#include <arpa/inet.h>

#include "server/base/text.h"

enum { DNS_MAX = 253, LABEL_MAX = 63, LOCAL_PART_MAX = 64, OID_MAX = 64, ARC_DIGITS_MAX = 18 };

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_one_of(uint8_t c, const char *set)
{
    return c != 0 && strchr(set, c) != NULL;
}

static kv_slice from(kv_slice text, size_t at)
{
    return kv_slice_of(text.data + at, text.len - at);
}

/* Bytes before the first of `set`. */
static size_t until(kv_slice text, const char *set)
{
    size_t at = 0;

    while (at < text.len && !is_one_of(text.data[at], set))
        at++;
    return at;
}

static bool good_label(kv_slice label)
{
    if (label.len == 0 || label.len > LABEL_MAX || label.data[0] == '-' ||
        label.data[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++)
        if (!is_letter(label.data[i]) && !is_digit(label.data[i]) && label.data[i] != '-')
            return false;
    return true;
}

/* How many labels a host name without a wildcard has; 0 when it is not one. */
static size_t host_labels(kv_slice name)
{
    size_t labels = 0, at = 0;

    if (name.len > DNS_MAX)
        return 0;
    for (;;) {
        size_t len = until(from(name, at), ".");

        if (!good_label(kv_slice_of(name.data + at, len)))
            return 0;
        labels++;
        at += len;
        if (at == name.len)
            return labels;
        at++; /* the dot; what follows must be a label again */
    }
}

const char *kv_x509_dns_name_problem(kv_slice name)
{
    uint8_t address[16];

    if (kv_slice_starts_with(name, KV_SLICE("*."))) {
        if (name.len > DNS_MAX || host_labels(from(name, 2)) < 2)
            return "must have a host name of at least two labels after its wildcard";
        return NULL;
    }
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] == '*')
            return "must have a wildcard only as its whole first label";
    if (kv_x509_ip_bytes(name, address))
        return "must not be an IP address: use ip_addresses";
    if (!host_labels(name))
        return "must be a host name of letters, digits and hyphens, at most 253 bytes, its labels "
               "at most 63";
    return NULL;
}

const char *kv_x509_email_problem(kv_slice name)
{
    size_t local = until(name, "@");
    bool dot = true; /* one may not come first, last, or after another */

    for (size_t i = 0; i < local; i++) {
        uint8_t c = name.data[i];

        if (c == '.' && dot)
            return "must be an e-mail address";
        dot = c == '.';
        if (!dot && !is_letter(c) && !is_digit(c) && !is_one_of(c, "!#$%&'*+-/=?^_`{|}~"))
            return "must be an e-mail address in ASCII";
    }
    if (local == name.len || dot || local > LOCAL_PART_MAX || !host_labels(from(name, local + 1)))
        return "must be an e-mail address (local-part@host)";
    return NULL;
}

const char *kv_x509_upn_problem(kv_slice name)
{
    size_t user = until(name, "@");
    kv_slice suffix = user < name.len ? from(name, user + 1) : KV_SLICE_NONE;

    if (user == 0 || suffix.len == 0 || until(suffix, "@") != suffix.len ||
        until(name, " ") != name.len || !kv_text_printable(name))
        return "must be a user principal name (user@suffix) without spaces";
    return NULL;
}

static bool good_uri_characters(kv_slice rest)
{
    for (size_t i = 0; i < rest.len; i++) {
        uint8_t c = rest.data[i], byte;

        if (c == '%') {
            if (rest.len - i < 3 || !kv_unhex(kv_slice_of(rest.data + i + 1, 2), &byte, 1))
                return false;
        } else if (!is_letter(c) && !is_digit(c) && !is_one_of(c, "-._~:/?#[]@!$&'()*+,;=")) {
            return false;
        }
    }
    return true;
}

/* What stands between "//" and the path. */
static bool good_authority(kv_slice rest)
{
    kv_slice host = kv_slice_of(rest.data, until(rest, "/?#"));
    size_t user = until(host, "@");
    size_t len;

    if (user < host.len)
        host = from(host, user + 1);
    if (host.len && host.data[0] == '[') {
        uint8_t address[16];

        len = until(host, "]");
        return len < host.len &&
               kv_x509_ip_bytes(kv_slice_of(host.data + 1, len - 1), address) == 16;
    }
    len = until(host, ":");
    for (size_t i = len + 1; i < host.len; i++)
        if (!is_digit(host.data[i]))
            return false;
    return len > 0;
}

const char *kv_x509_uri_problem(kv_slice name)
{
    size_t scheme = until(name, ":");
    kv_slice rest;

    if (scheme == 0 || name.len - scheme < 2 || !is_letter(name.data[0]))
        return "must be an absolute URI (scheme:...)";
    for (size_t i = 1; i < scheme; i++)
        if (!is_letter(name.data[i]) && !is_digit(name.data[i]) && !is_one_of(name.data[i], "+-."))
            return "must be an absolute URI (scheme:...)";
    rest = from(name, scheme + 1);
    if (!good_uri_characters(rest))
        return "must be a URI of RFC 3986: other characters are written as %XX";
    if (kv_slice_starts_with(rest, KV_SLICE("//")) && !good_authority(from(rest, 2)))
        return "must name a host after //";
    return NULL;
}

size_t kv_x509_ip_bytes(kv_slice text, uint8_t out[16])
{
    char copy[INET6_ADDRSTRLEN];

    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.data, 0, text.len))
        return 0;
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    if (inet_pton(AF_INET, copy, out) == 1)
        return 4;
    return inet_pton(AF_INET6, copy, out) == 1 ? 16 : 0;
}

const char *kv_x509_ip_problem(kv_slice name)
{
    uint8_t address[16];

    return kv_x509_ip_bytes(name, address) ? NULL : "must be an IPv4 or IPv6 address";
}

const char *kv_x509_oid_problem(kv_slice text)
{
    static const char rule[] = "must be an object identifier such as 1.3.6.1.5.5.7.3.1";
    uint64_t arcs[2] = { 0, 0 };
    size_t count = 0, at = 0;

    if (text.len == 0 || text.len > OID_MAX)
        return rule;
    for (;;) {
        size_t len = until(from(text, at), ".");
        kv_slice arc = kv_slice_of(text.data + at, len);
        uint64_t value;

        if (len == 0 || len > ARC_DIGITS_MAX || (len > 1 && arc.data[0] == '0') ||
            !kv_text_number(arc, UINT64_MAX, &value))
            return rule;
        if (count < 2)
            arcs[count] = value;
        count++;
        at += len;
        if (at == text.len)
            break;
        at++;
    }
    if (count < 2 || arcs[0] > 2 || (arcs[0] < 2 && arcs[1] > 39))
        return rule;
    return NULL;
}
