/* der.c - whether a certificate is written in DER. */
#include "server/x509/der.h"

#include <stdint.h>
#include <string.h>

enum { DEPTH_MAX = 32, LENGTH_BYTES_MAX = 4, UTC_TIME_LEN = 13, GENERAL_TIME_LEN = 15 };

enum {
    TAG_BOOLEAN = 0x01,
    TAG_INTEGER = 0x02,
    TAG_BITS = 0x03,
    TAG_OCTETS = 0x04,
    TAG_NULL = 0x05,
    TAG_OID = 0x06,
    TAG_ENUMERATED = 0x0a,
    TAG_UTF8 = 0x0c,
    TAG_NUMERIC = 0x12,
    TAG_PRINTABLE = 0x13,
    TAG_IA5 = 0x16,
    TAG_UTC_TIME = 0x17,
    TAG_GENERAL_TIME = 0x18,
    TAG_VISIBLE = 0x1a,
    TAG_UNIVERSAL = 0x1c,
    TAG_BMP = 0x1e,
    TAG_SEQUENCE = 0x30,
    TAG_SET = 0x31,
    TAG_VERSION = 0xa0,
    TAG_EXTENSIONS = 0xa3,
    CONSTRUCTED = 0x20,
    OTHER_CLASS = 0xc0,
    LONG_TAG = 0x1f
};

typedef struct element {
    uint8_t tag;    /* its first byte */
    kv_slice value; /* what it holds */
    kv_slice whole;
} element;

static uint8_t next(kv_slice *rest)
{
    uint8_t byte = rest->data[0];

    *rest = kv_slice_of(rest->data + 1, rest->len - 1);
    return byte;
}

/* The bytes of a number in base 128 that is written as short as it can be. */
static bool skip_base128(kv_slice *rest, bool *one_byte)
{
    uint8_t byte;

    if (!rest->len || rest->data[0] == 0x80)
        return false;
    *one_byte = !(rest->data[0] & 0x80);
    do {
        if (!rest->len)
            return false;
        byte = next(rest);
    } while (byte & 0x80);
    return true;
}

static bool take_tag(kv_slice *rest, uint8_t *tag)
{
    bool one_byte = false;
    uint8_t first;

    if (!rest->len)
        return false;
    *tag = next(rest);
    if ((*tag & LONG_TAG) != LONG_TAG)
        return *tag != 0;
    first = rest->len ? rest->data[0] : 0;
    return skip_base128(rest, &one_byte) && !(one_byte && first < LONG_TAG);
}

static bool take_length(kv_slice *rest, size_t *len)
{
    size_t bytes;

    if (!rest->len)
        return false;
    *len = next(rest);
    if (*len < 0x80)
        return true;
    bytes = *len & 0x7f;
    if (bytes == 0 || bytes > LENGTH_BYTES_MAX || bytes > rest->len || rest->data[0] == 0)
        return false;
    for (*len = 0; bytes; bytes--)
        *len = *len << 8 | next(rest);
    return *len >= 0x80;
}

static bool take(kv_slice *rest, element *out)
{
    const uint8_t *start = rest->data;
    size_t len = 0;

    if (!take_tag(rest, &out->tag) || !take_length(rest, &len) || len > rest->len)
        return false;
    out->value = kv_slice_of(rest->data, len);
    *rest = kv_slice_of(rest->data + len, rest->len - len);
    out->whole = kv_slice_of(start, (size_t)(rest->data - start));
    return true;
}

static bool take_a(kv_slice *rest, uint8_t tag, element *out)
{
    return rest->len && rest->data[0] == tag && take(rest, out);
}

/* ---- values that have no others in them ---- */

static bool is_integer(kv_slice value)
{
    if (value.len < 2)
        return value.len == 1;
    return !(value.data[0] == 0 && !(value.data[1] & 0x80)) &&
           !(value.data[0] == 0xff && (value.data[1] & 0x80));
}

static bool is_bits(kv_slice value)
{
    uint8_t unused = value.len ? value.data[0] : 8;

    if (unused > 7 || (value.len == 1 && unused))
        return false;
    return value.len == 1 || !(value.data[value.len - 1] & ((1u << unused) - 1));
}

static bool is_oid(kv_slice value)
{
    bool one_byte;

    if (!value.len)
        return false;
    while (value.len)
        if (!skip_base128(&value, &one_byte))
            return false;
    return true;
}

/* Digits, and a Z at the end. */
static bool is_time(kv_slice value, size_t len)
{
    if (value.len != len || value.data[len - 1] != 'Z')
        return false;
    for (size_t i = 0; i + 1 < len; i++)
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
    return true;
}

/* How many bytes follow the first one of a character, or -1; the least second byte of it. */
static int utf8_tail(uint8_t first, uint8_t *least, uint8_t *most)
{
    *least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first < 0x80)
        return 0;
    if (first >= 0xc2 && first < 0xe0)
        return 1;
    if (first >= 0xe0 && first < 0xf0)
        return 2;
    return first >= 0xf0 && first <= 0xf4 ? 3 : -1;
}

static bool is_utf8(kv_slice value)
{
    while (value.len) {
        uint8_t least, most;
        int tail = utf8_tail(next(&value), &least, &most);

        if (tail < 0 || (size_t)tail > value.len)
            return false;
        for (; tail > 0; tail--) {
            uint8_t byte = next(&value);

            if (byte < least || byte > most)
                return false;
            least = 0x80;
            most = 0xbf;
        }
    }
    return true;
}

static bool is_printable(kv_slice value)
{
    static const char others[] = " '()+,-./:=?";

    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        bool alphanumeric =
            (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        if (!alphanumeric && !memchr(others, c, sizeof(others) - 1))
            return false;
    }
    return true;
}

static bool is_within(kv_slice value, uint8_t least, uint8_t most)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] < least || value.data[i] > most)
            return false;
    return true;
}

static bool is_numeric(kv_slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] != ' ' && (value.data[i] < '0' || value.data[i] > '9'))
            return false;
    return true;
}

/* Characters of `size` bytes each; the two halves of UTF-16 are none. */
static bool is_wide(kv_slice value, size_t size)
{
    if (value.len % size)
        return false;
    while (value.len) {
        uint32_t character = 0;

        for (size_t i = 0; i < size; i++)
            character = character << 8 | next(&value);
        if (character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
            return false;
    }
    return true;
}

static bool is_in_form(const element *of)
{
    kv_slice value = of->value;

    switch (of->tag) {
    case TAG_BOOLEAN:
        return value.len == 1 && (value.data[0] == 0 || value.data[0] == 0xff);
    case TAG_INTEGER:
    case TAG_ENUMERATED:
        return is_integer(value);
    case TAG_BITS:
        return is_bits(value);
    case TAG_NULL:
        return value.len == 0;
    case TAG_OID:
        return is_oid(value);
    case TAG_UTF8:
        return is_utf8(value);
    case TAG_PRINTABLE:
        return is_printable(value);
    case TAG_NUMERIC:
        return is_numeric(value);
    case TAG_IA5:
        return is_within(value, 0, 0x7f);
    case TAG_VISIBLE:
        return is_within(value, ' ', '~');
    case TAG_UNIVERSAL:
        return is_wide(value, 4);
    case TAG_BMP:
        return is_wide(value, 2);
    case TAG_UTC_TIME:
        return is_time(value, UTC_TIME_LEN);
    case TAG_GENERAL_TIME:
        return is_time(value, GENERAL_TIME_LEN);
    default:
        return true;
    }
}

/* ---- values in values ---- */

/* Sequences, sets, EXTERNAL and EMBEDDED PDV have others in them; no other kind may. */
static bool is_right_kind(uint8_t tag)
{
    uint8_t number = tag & LONG_TAG;
    bool holds = number == 8 || number == 11 || number == 16 || number == 17;

    return (tag & OTHER_CLASS) || holds == ((tag & CONSTRUCTED) != 0);
}

/* Of a set of many by their bytes, of one of several kinds by their tags (sections 10.3, 11.6):
 * what a tag says of the value in it does not matter. */
static bool in_order(kv_slice before, kv_slice after)
{
    uint8_t one = before.len ? before.data[0] & ~CONSTRUCTED : 0;
    uint8_t other = after.data[0] & ~CONSTRUCTED;

    return one == other ? kv_slice_compare(before, after) <= 0 : one < other;
}

bool kv_x509_is_der(kv_slice bytes)
{
    struct {
        kv_slice rest, before;
        bool sorted;
    } levels[DEPTH_MAX] = { { .rest = bytes } };
    size_t depth = 0;
    element e;

    if (!take(&bytes, &e) || bytes.len)
        return false;
    for (;;) {
        while (depth > 0 && !levels[depth].rest.len)
            depth--;
        if (!levels[depth].rest.len)
            return true;
        if (!take(&levels[depth].rest, &e) || !is_right_kind(e.tag) ||
            (levels[depth].sorted && !in_order(levels[depth].before, e.whole)))
            return false;
        levels[depth].before = e.whole;
        if (!(e.tag & CONSTRUCTED)) {
            if (!is_in_form(&e))
                return false;
            continue;
        }
        if (++depth == DEPTH_MAX)
            return false;
        levels[depth].rest = e.value;
        levels[depth].before = kv_slice_of(e.value.data, 0);
        levels[depth].sorted = e.tag == TAG_SET;
    }
}

/* ---- the values of extensions, and what is said without being needed ---- */

static bool names(kv_slice oid, const char bytes[3])
{
    return kv_slice_equal(oid, kv_slice_of((const uint8_t *)bytes, 3));
}

/* Both may be FALSE, and are so when nothing is said. */
static bool says_false(kv_slice *rest)
{
    element e;

    return take_a(rest, TAG_BOOLEAN, &e) && e.value.data[0] == 0;
}

static bool constraints_are_short(kv_slice value)
{
    element sequence;

    return !take_a(&value, TAG_SEQUENCE, &sequence) || !says_false(&sequence.value);
}

static bool usage_is_short(kv_slice value)
{
    element bits;

    if (!take_a(&value, TAG_BITS, &bits) || bits.value.len < 2)
        return true;
    return bits.value.data[bits.value.len - 1] >> bits.value.data[0] & 1;
}

static bool extension_is_der(kv_slice extension)
{
    element oid, value;

    if (!take_a(&extension, TAG_OID, &oid) || says_false(&extension) ||
        !take_a(&extension, TAG_OCTETS, &value) || !kv_x509_is_der(value.value))
        return false;
    if (names(oid.value, "\x55\x1d\x13"))
        return constraints_are_short(value.value);
    if (names(oid.value, "\x55\x1d\x0f"))
        return usage_is_short(value.value);
    return true;
}

static bool extensions_are_der(kv_slice value)
{
    element all, one;

    if (!take_a(&value, TAG_SEQUENCE, &all))
        return false;
    while (all.value.len)
        if (!take_a(&all.value, TAG_SEQUENCE, &one) || !extension_is_der(one.value))
            return false;
    return true;
}

/* Of version 1 nothing is said. */
static bool version_is_short(kv_slice value)
{
    element number;

    return take_a(&value, TAG_INTEGER, &number) && number.value.data[0] != 0;
}

bool kv_x509_certificate_is_der(kv_slice der)
{
    element certificate, tbs, e;

    if (!kv_x509_is_der(der) || !take_a(&der, TAG_SEQUENCE, &certificate) ||
        !take_a(&certificate.value, TAG_SEQUENCE, &tbs))
        return false;
    if (take_a(&tbs.value, TAG_VERSION, &e) && !version_is_short(e.value))
        return false;
    while (tbs.value.len) {
        if (!take(&tbs.value, &e))
            return false;
        if (e.tag == TAG_EXTENSIONS && !extensions_are_der(e.value))
            return false;
    }
    return true;
}
