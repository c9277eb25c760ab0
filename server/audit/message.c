/* message.c - what records and checkpoints share in reading protobuf messages. */
#include "server/audit/message.h"

static void *take(void *arena, size_t len)
{
    return kv_arena_alloc(arena, len);
}

static void keep(void *arena, void *bytes)
{
    (void)arena;
    (void)bytes;
}

ProtobufCAllocator kv_message_allocator(kv_arena *arena)
{
    return (ProtobufCAllocator){ .alloc = take, .free = keep, .allocator_data = arena };
}

bool kv_message_bytes(const ProtobufCBinaryData *field, uint8_t *out, size_t len)
{
    if (field->len != 0 && field->len != len)
        return false;
    memset(out, 0, len);
    if (field->len == len)
        memcpy(out, field->data, len);
    return true;
}
