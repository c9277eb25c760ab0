/* text_sink.h - text that grows in an arena. Inner to server/notify. */
#pragma once

#include "server/base/arena.h"

/* The first failure stays: look at `full` when all is said. */
typedef struct kv_text_sink {
    kv_arena *arena;
    char *data;
    size_t len;
    size_t room;
    bool full;
} kv_text_sink;

void kv_sink_bytes(kv_text_sink *sink, const void *bytes, size_t len);
void kv_sink_text(kv_text_sink *sink, const char *text);
void kv_sink_slice(kv_text_sink *sink, kv_slice text);
void kv_sink_byte(kv_text_sink *sink, char byte);
/* KV_BUSY: the arena was full on the way. */
kv_status kv_sink_end(const kv_text_sink *sink, kv_slice *out, kv_error *err) KV_MUST_USE;
