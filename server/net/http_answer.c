/* http_answer.c - what a peer sends, within bounds. */
#include "server/net/http_impl.h"

#include <stdlib.h>

#include "server/base/secret_buf.h"
#include "server/base/text.h"

enum { FIRST_ROOM = 4096 };

void kv_http_sink_rewind(kv_http_sink *sink)
{
    sink->header_count = 0;
    sink->headers_done = false;
    sink->body_len = 0;
}

void kv_http_sink_cleanup(kv_http_sink *sink)
{
    if (sink->body)
        kv_wipe(sink->body, sink->body_room);
    free(sink->body);
    *sink = (kv_http_sink){ 0 };
}

static kv_slice trimmed(kv_slice text)
{
    while (text.len && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = kv_slice_of(text.data + 1, text.len - 1);
    while (text.len && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

static kv_status malformed(kv_error *err, const char *what)
{
    return kv_fail(err, KV_UNAVAILABLE, "the peer's answer is not HTTP: %s", what);
}

static kv_status take_header(kv_http_sink *sink, kv_slice line)
{
    kv_http_header *header = &sink->headers[sink->header_count];
    const uint8_t *colon = memchr(line.data, ':', line.len);
    size_t name = colon ? (size_t)(colon - line.data) : 0;

    if (sink->header_count == KV_HTTP_HEADERS)
        return kv_fail(sink->err, KV_UNAVAILABLE, "the peer's answer has more than %d headers",
                       KV_HTTP_HEADERS);
    for (size_t i = 0; i < line.len; i++)
        if ((line.data[i] < ' ' && line.data[i] != '\t') || line.data[i] == 0x7f)
            return malformed(sink->err, "a header holds a control character");
    /* A line that starts with a blank continues the one before it, which no one does any more. */
    if (!name || line.data[0] == ' ' || line.data[0] == '\t' || line.data[name - 1] == ' ' ||
        line.data[name - 1] == '\t')
        return malformed(sink->err, "a header has no name");
    KV_TRY(kv_arena_copy(sink->arena, kv_slice_of(line.data, name), &header->name, sink->err));
    KV_TRY(kv_arena_copy(sink->arena, trimmed(kv_slice_of(colon + 1, line.len - name - 1)),
                         &header->value, sink->err));
    sink->header_count++;
    return KV_OK;
}

static kv_status take_line(kv_http_sink *sink, kv_slice line)
{
    sink->header_bytes += line.len;
    if (sink->header_bytes > KV_HTTP_HEADER_BYTES)
        return kv_fail(sink->err, KV_UNAVAILABLE, "the headers of the peer's answer are too long");
    while (line.len && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
        line.len--;
    if (kv_slice_starts_with(line, KV_SLICE("HTTP/"))) {
        sink->header_count = 0;
        sink->headers_done = false;
        return KV_OK;
    }
    if (sink->headers_done)
        return KV_OK;
    if (!line.len) {
        sink->headers_done = true;
        return KV_OK;
    }
    return take_header(sink, line);
}

size_t kv_http_on_header(char *data, size_t size, size_t count, void *context)
{
    size_t len = size * count;

    return take_line(context, kv_slice_of(data, len)) == KV_OK ? len : 0;
}

/* Not realloc: what is left behind would not be wiped. */
static kv_status make_room(kv_http_sink *sink, size_t needed)
{
    size_t room = sink->body_room ? sink->body_room : FIRST_ROOM;
    uint8_t *body;

    while (room < needed)
        room *= 2;
    body = malloc(room);
    if (!body)
        return kv_fail(sink->err, KV_BUSY, "out of memory");
    if (sink->body) {
        memcpy(body, sink->body, sink->body_len);
        kv_wipe(sink->body, sink->body_room);
        free(sink->body);
    }
    sink->body = body;
    sink->body_room = room;
    return KV_OK;
}

static kv_status take_body(kv_http_sink *sink, const char *data, size_t len)
{
    if (len > sink->body_most - sink->body_len)
        return kv_fail(sink->err, KV_UNAVAILABLE, "the peer's answer is longer than %zu bytes",
                       sink->body_most);
    if (sink->body_len + len > sink->body_room)
        KV_TRY(make_room(sink, sink->body_len + len));
    memcpy(sink->body + sink->body_len, data, len);
    sink->body_len += len;
    return KV_OK;
}

size_t kv_http_on_body(char *data, size_t size, size_t count, void *context)
{
    size_t len = size * count;

    if (len == 0)
        return 0;
    return take_body(context, data, len) == KV_OK ? len : 0;
}

bool kv_http_header_of(const kv_http_answer *answer, const char *name, unsigned nth, kv_slice *out)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (!kv_text_equal_nocase(answer->headers[i].name, kv_slice_text(name)))
            continue;
        if (nth-- == 0) {
            *out = answer->headers[i].value;
            return true;
        }
    }
    return false;
}

kv_slice kv_http_media_type(const kv_http_answer *answer)
{
    kv_slice type = KV_SLICE_NONE;
    const uint8_t *end;

    if (!kv_http_header_of(answer, "Content-Type", 0, &type) || !type.len)
        return KV_SLICE_NONE;
    end = memchr(type.data, ';', type.len);
    return trimmed(end ? kv_slice_of(type.data, (size_t)(end - type.data)) : type);
}
