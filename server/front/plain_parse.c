/* plain_parse.c - the bytes of one HTTP/1.1 request, read strictly. */
#include <string.h>

#include "server/base/text.h"
#include "server/front/plain.h"

/* Takes what stands before `end` off `rest`; false when `end` is not there. */
static bool take(kv_slice *rest, const char *end, kv_slice *out)
{
    size_t len = strlen(end);
    const uint8_t *found = rest->len ? memmem(rest->data, rest->len, end, len) : NULL;

    if (!found)
        return false;
    *out = kv_slice_of(rest->data, (size_t)(found - rest->data));
    *rest = kv_slice_of(found + len, rest->len - out->len - len);
    return true;
}

static kv_slice trim(kv_slice text)
{
    while (text.len && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = kv_slice_of(text.data + 1, text.len - 1);
    while (text.len && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

static bool visible(kv_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f)
            return false;
    return text.len > 0;
}

static kv_plain_parsed parse_line(kv_slice line, kv_plain_request *out)
{
    kv_slice method, target;
    const uint8_t *query;

    if (!take(&line, " ", &method) || !take(&line, " ", &target) || !visible(target) ||
        target.data[0] != '/' ||
        (!kv_slice_equal(line, KV_SLICE("HTTP/1.1")) &&
         !kv_slice_equal(line, KV_SLICE("HTTP/1.0"))))
        return KV_PLAIN_BAD;
    query = memchr(target.data, '?', target.len);
    if (query)
        target.len = (size_t)(query - target.data);
    out->path = target;
    if (kv_slice_equal(method, KV_SLICE("GET")))
        out->method = KV_PLAIN_GET;
    else if (kv_slice_equal(method, KV_SLICE("POST")))
        out->method = KV_PLAIN_POST;
    return out->method ? KV_PLAIN_WHOLE : KV_PLAIN_METHOD;
}

/* What two readers could understand differently is refused. */
static kv_plain_parsed parse_field(kv_slice line, kv_plain_request *out, uint64_t *length,
                                   bool *has_length)
{
    kv_slice name;

    if (!take(&line, ":", &name) || !visible(name))
        return KV_PLAIN_BAD;
    line = trim(line);
    if (kv_text_equal_nocase(name, KV_SLICE("transfer-encoding")))
        return KV_PLAIN_LENGTH;
    if (kv_text_equal_nocase(name, KV_SLICE("if-none-match")))
        out->if_none_match = line;
    if (!kv_text_equal_nocase(name, KV_SLICE("content-length")))
        return KV_PLAIN_WHOLE;
    if (*has_length || !kv_text_number(line, UINT64_MAX / 16, length))
        return KV_PLAIN_BAD;
    *has_length = true;
    return KV_PLAIN_WHOLE;
}

kv_plain_parsed kv_plain_parse(kv_slice bytes, kv_plain_request *out)
{
    kv_plain_request request = { 0 };
    kv_slice rest = bytes, head, line;
    uint64_t length = 0;
    bool has_length = false;
    kv_plain_parsed parsed;

    if (!take(&rest, "\r\n\r\n", &head))
        return bytes.len > KV_PLAIN_HEAD_MAX ? KV_PLAIN_LARGE : KV_PLAIN_MORE;
    if (head.len > KV_PLAIN_HEAD_MAX)
        return KV_PLAIN_LARGE;
    head.len += 2; /* each line has its end */
    if (!take(&head, "\r\n", &line))
        return KV_PLAIN_BAD;
    parsed = parse_line(line, &request);
    while (parsed == KV_PLAIN_WHOLE && take(&head, "\r\n", &line))
        parsed = parse_field(line, &request, &length, &has_length);
    if (parsed != KV_PLAIN_WHOLE)
        return parsed;
    if (request.method == KV_PLAIN_POST && !has_length)
        return KV_PLAIN_LENGTH;
    if (length > KV_PLAIN_BODY_MAX)
        return KV_PLAIN_LARGE;
    if (rest.len < length)
        return KV_PLAIN_MORE;
    request.body = kv_slice_of(rest.data, (size_t)length);
    *out = request;
    return KV_PLAIN_WHOLE;
}
