/* message.h - protobuf-c in an arena: nothing is ever freed by hand.
 *
 * Threads: any.
 */
#pragma once

#include <stdbool.h>

#include <protobuf-c/protobuf-c.h>

#include "server/base/arena.h"

/* Takes from the arena, frees nothing. The arena must outlive what is unpacked. */
ProtobufCAllocator kv_message_allocator(kv_arena *arena);

/* Copies a field of exactly `len` bytes; an empty one gives zeros. False for any other length. */
bool kv_message_bytes(const ProtobufCBinaryData *field, uint8_t *out, size_t len);
