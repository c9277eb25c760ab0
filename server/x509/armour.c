/* armour.c - base64, PEM blocks, and telling them apart. */
#include "server/x509/armour.h"

#include <string.h>

enum { LAYERS_MAX = 3, LABEL_MAX = 64, SEQUENCE = 0x30, LONG_LENGTH = 0x80, NOT_BASE64 = 64 };

static const char dashes[] = "-----";
static const char begin[] = "-----BEGIN ";
static const char finish[] = "-----END ";

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

static uint8_t sextet(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint8_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint8_t)(c - 'a' + 26);
    if (c >= '0' && c <= '9')
        return (uint8_t)(c - '0' + 52);
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : NOT_BASE64;
}

bool kv_x509_unbase64(kv_arena *scratch, kv_slice text, kv_slice *out)
{
    uint8_t *bytes = kv_arena_alloc(scratch, text.len / 4 * 3 + 3);
    uint32_t group = 0;
    size_t digits = 0, padding = 0, len = 0;

    if (!bytes)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i], value = sextet(c);

        if (is_space(c))
            continue;
        if (c == '=' && ++padding <= 2)
            continue;
        if (value == NOT_BASE64 || padding)
            return false;
        group = (group << 6 | value) & 0xffffff;
        if (digits++ % 4)
            bytes[len++] = (uint8_t)(group >> (6 - 2 * ((digits - 1) % 4)));
    }
    /* A single left-over digit is no byte. */
    if (digits % 4 == 1 || (padding && (digits + padding) % 4))
        return false;
    *out = kv_slice_of(bytes, len);
    return true;
}

static kv_slice find(kv_slice text, const char *what)
{
    const uint8_t *at = text.len ? memmem(text.data, text.len, what, strlen(what)) : NULL;

    return at ? kv_slice_of(at, text.len - (size_t)(at - text.data)) : KV_SLICE_NONE;
}

static bool is_utf16(kv_slice bytes)
{
    bool mark = bytes.len >= 2 && ((bytes.data[0] == 0xff && bytes.data[1] == 0xfe) ||
                                   (bytes.data[0] == 0xfe && bytes.data[1] == 0xff));
    bool dash =
        bytes.len >= 4 && (!memcmp(bytes.data, "-\0-", 4) || !memcmp(bytes.data, "\0-\0-", 4));

    return mark || dash;
}

kv_x509_form kv_x509_form_of(kv_slice bytes)
{
    if (bytes.len >= 2 && bytes.data[0] == SEQUENCE && (bytes.data[1] & LONG_LENGTH))
        return KV_X509_FORM_DER;
    if (is_utf16(bytes))
        return KV_X509_FORM_UTF16;
    if (find(bytes, begin).len)
        return KV_X509_FORM_PEM;
    for (size_t i = 0; i < bytes.len; i++)
        if (!is_space(bytes.data[i]) && bytes.data[i] != '=' && sextet(bytes.data[i]) == NOT_BASE64)
            return KV_X509_FORM_UNKNOWN;
    return bytes.len ? KV_X509_FORM_BASE64 : KV_X509_FORM_UNKNOWN;
}

kv_status kv_x509_peel(kv_arena *scratch, kv_slice bytes, const char *field, const char *what,
                       kv_slice *out, kv_x509_form *form, kv_error *err)
{
    kv_x509_form now = kv_x509_form_of(bytes);

    if (!bytes.len)
        return kv_fail_field(err, field, "must not be empty");
    for (int i = 0; i < LAYERS_MAX && now == KV_X509_FORM_BASE64; i++) {
        if (!kv_x509_unbase64(scratch, bytes, &bytes))
            break;
        now = kv_x509_form_of(bytes);
    }
    if (now == KV_X509_FORM_UTF16)
        return kv_fail_field(err, field, "is UTF-16 text: save the file as UTF-8");
    if (now != KV_X509_FORM_DER && now != KV_X509_FORM_PEM)
        return kv_fail_field(err, field, "must be %s", what);
    *out = bytes;
    *form = now;
    return KV_OK;
}

/* ---- blocks ---- */

static kv_slice skip(kv_slice text, size_t len)
{
    return kv_slice_of(text.data + len, text.len - len);
}

static kv_slice before(kv_slice text, kv_slice tail)
{
    return kv_slice_of(text.data, (size_t)(tail.data - text.data));
}

/* "LABEL-----" at the start of `text`. */
static bool read_label(kv_slice text, kv_slice *label)
{
    kv_slice end =
        find(kv_slice_of(text.data, text.len < LABEL_MAX ? text.len : LABEL_MAX), dashes);

    if (!end.data)
        return false;
    *label = before(text, end);
    for (size_t i = 0; i < label->len; i++)
        if (label->data[i] < ' ' || label->data[i] > '~')
            return false;
    return true;
}

/* Everything up to the first empty line, if it looks like headers. */
static kv_slice take_headers(kv_slice *body)
{
    size_t line = 0;
    bool colon = false;

    for (size_t i = 0; i < body->len; i++) {
        bool blank = i == line || (i == line + 1 && body->data[line] == '\r');

        if (body->data[i] == ':' && i > line)
            colon = true;
        if (body->data[i] != '\n')
            continue;
        if (blank && colon) {
            kv_slice headers = kv_slice_of(body->data, line);

            *body = skip(*body, i + 1);
            return headers;
        }
        line = i + 1;
    }
    return KV_SLICE_NONE;
}

static kv_slice skip_line_end(kv_slice text)
{
    while (text.len && is_space(text.data[0])) {
        bool last = text.data[0] == '\n';

        text = skip(text, 1);
        if (last)
            break;
    }
    return text;
}

kv_status kv_x509_blocks_next(kv_arena *scratch, kv_x509_blocks *in, kv_x509_block *out, bool *more,
                              kv_error *err)
{
    kv_slice at = find(in->rest, begin), body, end, closing;
    size_t number = in->count + 1;

    *more = at.len > 0;
    if (!*more)
        return KV_OK;
    *out = (kv_x509_block){ .number = number };
    at = skip(at, strlen(begin));
    if (!read_label(at, &out->label))
        return kv_fail_field(err, in->field, "PEM block %zu has a malformed first line", number);
    body = skip(at, out->label.len + strlen(dashes));
    end = find(body, dashes);
    if (!kv_slice_starts_with(end, kv_slice_text(finish)))
        return kv_fail_field(err, in->field, "PEM block %zu has no end", number);
    if (!read_label(skip(end, strlen(finish)), &closing) || !kv_slice_equal(closing, out->label))
        return kv_fail_field(err, in->field, "PEM block %zu ends as another one", number);
    body = skip_line_end(before(body, end));
    out->headers = take_headers(&body);
    if (!kv_x509_unbase64(scratch, body, &out->der) || !out->der.len)
        return kv_fail_field(err, in->field, "PEM block %zu is not base64", number);
    in->rest = skip(end, strlen(finish) + closing.len + strlen(dashes));
    in->count = number;
    return KV_OK;
}
