/* link.c - other chains of a certificate, as a Link header names them (RFC 8288). */
#include "server/acme/messages.h"

#include "server/base/text.h"

static kv_slice skip(kv_slice text, size_t count)
{
    return kv_slice_of(text.data + count, text.len - count);
}

static kv_slice trimmed(kv_slice text)
{
    while (text.len && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = skip(text, 1);
    while (text.len && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* Up to `mark` outside of quotes; takes it and the mark off. */
static kv_slice take_until(kv_slice *rest, char mark)
{
    bool quoted = false;
    size_t i = 0;
    kv_slice part;

    for (; i < rest->len; i++) {
        uint8_t c = rest->data[i];

        if (quoted && c == '\\' && i + 1 < rest->len)
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && c == (uint8_t)mark)
            break;
    }
    part = kv_slice_of(rest->data, i);
    *rest = skip(*rest, i < rest->len ? i + 1 : i);
    return trimmed(part);
}

/* Is "alternate" among the relation types of `rel="..."`? */
static bool is_alternate(kv_slice parameter)
{
    kv_slice name = take_until(&parameter, '=');
    kv_slice value = trimmed(parameter);

    if (!kv_text_equal_nocase(name, KV_SLICE("rel")))
        return false;
    if (value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"')
        value = kv_slice_of(value.data + 1, value.len - 2);
    while (value.len)
        if (kv_text_equal_nocase(take_until(&value, ' '), KV_SLICE("alternate")))
            return true;
    return false;
}

/* One link: "<url>; name=value; ...". False at the end. */
static bool next(kv_slice *rest, kv_slice *url, bool *alternate)
{
    const uint8_t *end;
    kv_slice parameters;

    while (rest->len && (rest->data[0] == ',' || rest->data[0] == ' ' || rest->data[0] == '\t'))
        *rest = skip(*rest, 1);
    if (!rest->len || rest->data[0] != '<' || !(end = memchr(rest->data, '>', rest->len)))
        return false;
    *url = kv_slice_of(rest->data + 1, (size_t)(end - rest->data) - 1);
    *rest = skip(*rest, url->len + 2);
    parameters = take_until(rest, ',');
    *alternate = false;
    while (parameters.len)
        *alternate = is_alternate(take_until(&parameters, ';')) || *alternate;
    return true;
}

bool kv_acme_link_alternate(kv_slice header, unsigned nth, kv_slice *out)
{
    bool alternate = false;
    kv_slice url;

    while (next(&header, &url, &alternate)) {
        if (!alternate || !kv_acme_url_good(url))
            continue;
        if (nth-- == 0) {
            *out = url;
            return true;
        }
    }
    return false;
}
