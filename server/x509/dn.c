/* dn.c - the parser of distinguished names. */
#include "server/x509/dn.h"

#include <openssl/objects.h>

#include "server/base/text.h"

typedef enum alphabet { UTF8_TEXT, ASCII_TEXT, PRINTABLE_STRING, COUNTRY_CODE } alphabet;

typedef struct attribute_type {
    const char *name;
    int nid;
    size_t most; /* characters: the upper bounds of RFC 5280, or OpenSSL's */
    alphabet alphabet;
    bool repeats;
} attribute_type;

/* The names that may stand before "=", in any case. To know another attribute, add a row. */
static const attribute_type types[] = {
    { "CN", NID_commonName, 64, UTF8_TEXT, false },
    { "O", NID_organizationName, 64, UTF8_TEXT, false },
    { "OU", NID_organizationalUnitName, 64, UTF8_TEXT, true },
    { "C", NID_countryName, 2, COUNTRY_CODE, false },
    { "ST", NID_stateOrProvinceName, 128, UTF8_TEXT, false },
    { "S", NID_stateOrProvinceName, 128, UTF8_TEXT, false },
    { "L", NID_localityName, 128, UTF8_TEXT, false },
    { "STREET", NID_streetAddress, 128, UTF8_TEXT, true },
    { "postalCode", NID_postalCode, 40, UTF8_TEXT, false },
    { "DC", NID_domainComponent, 63, ASCII_TEXT, true },
    { "UID", NID_userId, 128, UTF8_TEXT, false },
    { "serialNumber", NID_serialNumber, 64, PRINTABLE_STRING, false },
    { "E", NID_pkcs9_emailAddress, 128, ASCII_TEXT, false },
    { "emailAddress", NID_pkcs9_emailAddress, 128, ASCII_TEXT, false },
    { "T", NID_title, 64, UTF8_TEXT, false },
    { "title", NID_title, 64, UTF8_TEXT, false },
    { "G", NID_givenName, 64, UTF8_TEXT, false },
    { "GN", NID_givenName, 64, UTF8_TEXT, false },
    { "givenName", NID_givenName, 64, UTF8_TEXT, false },
    { "SN", NID_surname, 64, UTF8_TEXT, false },
    { "surname", NID_surname, 64, UTF8_TEXT, false },
    { "initials", NID_initials, 64, UTF8_TEXT, false },
    { "pseudonym", NID_pseudonym, 128, UTF8_TEXT, false },
    { "dnQualifier", NID_dnQualifier, 64, PRINTABLE_STRING, false },
    { "businessCategory", NID_businessCategory, 128, UTF8_TEXT, false },
    { "organizationIdentifier", NID_organizationIdentifier, 128, UTF8_TEXT, false },
};

typedef struct parser {
    kv_slice text;
    size_t at;
    const char *field;
    kv_error *err;
} parser;

static bool ended(const parser *p)
{
    return p->at == p->text.len;
}

static uint8_t next(const parser *p)
{
    return p->text.data[p->at];
}

static void skip_spaces(parser *p)
{
    while (!ended(p) && next(p) == ' ')
        p->at++;
}

static bool is_special(uint8_t c)
{
    return c != 0 && strchr(" \"#+,;<=>\\", c) != NULL;
}

static kv_status read_type(parser *p, const attribute_type **out)
{
    size_t start = p->at;
    kv_slice name;

    while (!ended(p) && next(p) != '=' && next(p) != ' ' && next(p) != ',' && next(p) != '+')
        p->at++;
    name = kv_slice_of(p->text.data + start, p->at - start);
    skip_spaces(p);
    if (ended(p) || next(p) != '=' || name.len == 0)
        return kv_fail_field(p->err, p->field,
                             "must be a distinguished name: type=value, separated by commas (at "
                             "byte %zu)",
                             start);
    p->at++;
    for (size_t i = 0; i < KV_COUNT(types); i++) {
        if (kv_text_equal_nocase(name, kv_slice_text(types[i].name))) {
            *out = &types[i];
            return KV_OK;
        }
    }
    return kv_fail_field(p->err, p->field, "has an unknown attribute type at byte %zu", start);
}

/* After "\": a special character, or a byte in hexadecimal. */
static kv_status read_escape(parser *p, uint8_t *out)
{
    if (!ended(p) && is_special(next(p))) {
        *out = p->text.data[p->at++];
        return KV_OK;
    }
    if (p->text.len - p->at >= 2 && kv_unhex(kv_slice_of(p->text.data + p->at, 2), out, 1)) {
        p->at += 2;
        return KV_OK;
    }
    return kv_fail_field(p->err, p->field,
                         "has a \\ at byte %zu that is not followed by a special character or two "
                         "hexadecimal digits",
                         p->at - 1);
}

static kv_status read_quoted(parser *p, uint8_t *value, size_t *len)
{
    size_t start = p->at++;

    while (!ended(p)) {
        uint8_t c = p->text.data[p->at++];

        if (c == '"')
            return KV_OK;
        if (c == '\\')
            KV_TRY(read_escape(p, &c));
        value[(*len)++] = c;
    }
    return kv_fail_field(p->err, p->field, "has a quotation mark at byte %zu that is never closed",
                         start);
}

static kv_status read_plain(parser *p, uint8_t *value, size_t *len)
{
    size_t kept = 0; /* length without trailing spaces that are not escaped */

    if (!ended(p) && next(p) == '#')
        return kv_fail_field(p->err, p->field,
                             "has a hexadecimal value at byte %zu: not supported (a # that belongs "
                             "to the value is written \\#)",
                             p->at);
    while (!ended(p) && next(p) != ',' && next(p) != '+') {
        uint8_t c = p->text.data[p->at++];
        bool escaped = c == '\\';

        if (c == '"' || c == ';' || c == '<' || c == '>')
            return kv_fail_field(p->err, p->field,
                                 "has the character %c at byte %zu, which must be escaped with \\",
                                 c, p->at - 1);
        if (escaped)
            KV_TRY(read_escape(p, &c));
        value[(*len)++] = c;
        if (escaped || c != ' ')
            kept = *len;
    }
    *len = kept;
    return KV_OK;
}

static bool is_printable_string(kv_slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) &&
            (c == 0 || !strchr(" '()+,-./:=?", c)))
            return false;
    }
    return true;
}

static bool is_ascii(kv_slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] >= 0x80)
            return false;
    return true;
}

static bool is_country(kv_slice value)
{
    return value.len == 2 && (value.data[0] | 0x20) >= 'a' && (value.data[0] | 0x20) <= 'z' &&
           (value.data[1] | 0x20) >= 'a' && (value.data[1] | 0x20) <= 'z';
}

static size_t characters(kv_slice utf8)
{
    size_t count = 0;

    for (size_t i = 0; i < utf8.len; i++)
        count += (utf8.data[i] & 0xc0) != 0x80;
    return count;
}

static kv_status check_value(const parser *p, const attribute_type *type, kv_slice value)
{
    if (value.len == 0)
        return kv_fail_field(p->err, p->field, "has no value for %s", type->name);
    if (!kv_text_printable(value))
        return kv_fail_field(p->err, p->field,
                             "has a value for %s that is not UTF-8 or has control characters",
                             type->name);
    if (type->alphabet == COUNTRY_CODE && !is_country(value))
        return kv_fail_field(p->err, p->field, "has a country (C) that is not two letters");
    if (type->alphabet == ASCII_TEXT && !is_ascii(value))
        return kv_fail_field(p->err, p->field, "has a value for %s that is not ASCII", type->name);
    if (type->alphabet == PRINTABLE_STRING && !is_printable_string(value))
        return kv_fail_field(p->err, p->field,
                             "has a value for %s that is not letters, digits and '()+,-./:=?",
                             type->name);
    if (characters(value) > type->most)
        return kv_fail_field(p->err, p->field,
                             "has a value for %s that is longer than %zu characters", type->name,
                             type->most);
    return KV_OK;
}

static kv_status read_attribute(parser *p, kv_arena *arena, const attribute_type **type,
                                kv_slice *out)
{
    uint8_t *value;
    size_t len = 0;

    KV_TRY(read_type(p, type));
    skip_spaces(p);
    value = kv_arena_alloc(arena, p->text.len - p->at + 1);
    if (!value)
        return kv_arena_full(p->err);
    if (!ended(p) && next(p) == '"')
        KV_TRY(read_quoted(p, value, &len));
    else
        KV_TRY(read_plain(p, value, &len));
    skip_spaces(p);
    *out = kv_slice_of(value, len);
    return check_value(p, *type, *out);
}

static kv_status check_single(const parser *p, const kv_x509_attribute *items, size_t count,
                              const attribute_type *type)
{
    if (count == KV_X509_ATTRIBUTES_MAX)
        return kv_fail_field(p->err, p->field, "has more than %d attributes",
                             KV_X509_ATTRIBUTES_MAX);
    for (size_t i = 0; i < count && !type->repeats; i++)
        if (items[i].nid == type->nid)
            return kv_fail_field(p->err, p->field, "has more than one %s", type->name);
    return KV_OK;
}

kv_status kv_x509_dn_parse(kv_arena *arena, kv_slice text, const char *field, kv_x509_dn *out,
                           kv_error *err)
{
    parser p = { .text = text, .field = field, .err = err };
    kv_x509_attribute *items =
        kv_arena_array(arena, KV_X509_ATTRIBUTES_MAX, sizeof(kv_x509_attribute));
    bool same_rdn = false;
    size_t count = 0;

    if (!items)
        return kv_arena_full(err);
    skip_spaces(&p);
    if (ended(&p)) {
        *out = (kv_x509_dn){ .items = items };
        return KV_OK;
    }
    for (;;) {
        const attribute_type *type = types;
        kv_slice value = KV_SLICE_NONE;

        skip_spaces(&p);
        KV_TRY(read_attribute(&p, arena, &type, &value));
        KV_TRY(check_single(&p, items, count, type));
        items[count++] =
            (kv_x509_attribute){ .nid = type->nid, .value = value, .same_rdn = same_rdn };
        if (ended(&p))
            break;
        if (next(&p) != ',' && next(&p) != '+')
            return kv_fail_field(err, field, "has text after a quoted value at byte %zu", p.at);
        same_rdn = next(&p) == '+';
        p.at++;
    }
    *out = (kv_x509_dn){ .items = items, .count = count };
    return KV_OK;
}
