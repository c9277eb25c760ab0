/* buffer.h - bytes that grow; every copy left behind is wiped.
 *
 * Threads: one owner.
 */
#pragma once

#include "server/base/compiler.h"
#include "server/base/slice.h"

typedef struct kv_buffer {
    uint8_t *data;
    size_t len;
    size_t size;
} kv_buffer;

/* False when out of memory: nothing was added. */
bool kv_buffer_add(kv_buffer *buffer, kv_slice bytes) KV_MUST_USE;
/* Forgets the first bytes. */
void kv_buffer_drop(kv_buffer *buffer, size_t len);
static inline kv_slice kv_buffer_slice(const kv_buffer *buffer)
{
    return kv_slice_of(buffer->data, buffer->len);
}
void kv_buffer_cleanup(kv_buffer *buffer);
