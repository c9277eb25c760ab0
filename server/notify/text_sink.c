/* text_sink.c - text that grows in an arena. */
#include "server/notify/text_sink.h"

enum { FIRST_ROOM = 2048 };

static bool make_room(kv_text_sink *sink, size_t more)
{
    size_t room = sink->room ? sink->room : FIRST_ROOM;
    char *data;

    if (sink->full || sink->len + more <= sink->room)
        return !sink->full;
    while (room < sink->len + more)
        room *= 2;
    data = kv_arena_alloc(sink->arena, room);
    sink->full = !data;
    if (!data)
        return false;
    if (sink->len)
        memcpy(data, sink->data, sink->len);
    sink->data = data;
    sink->room = room;
    return true;
}

void kv_sink_bytes(kv_text_sink *sink, const void *bytes, size_t len)
{
    if (!len || !make_room(sink, len))
        return;
    memcpy(sink->data + sink->len, bytes, len);
    sink->len += len;
}

void kv_sink_text(kv_text_sink *sink, const char *text)
{
    kv_sink_bytes(sink, text, strlen(text));
}

void kv_sink_slice(kv_text_sink *sink, kv_slice text)
{
    kv_sink_bytes(sink, text.data, text.len);
}

void kv_sink_byte(kv_text_sink *sink, char byte)
{
    kv_sink_bytes(sink, &byte, 1);
}

kv_status kv_sink_end(const kv_text_sink *sink, kv_slice *out, kv_error *err)
{
    if (sink->full)
        return kv_arena_full(err);
    *out = kv_slice_of(sink->data, sink->len);
    return KV_OK;
}
