/* buffer.c - doubles. */
#include "server/front/grpc/buffer.h"

#include "server/front/grpc/memory.h"

enum { FIRST_BYTES = 256 };

bool kv_buffer_add(kv_buffer *buffer, kv_slice bytes)
{
    size_t size = buffer->size ? buffer->size : FIRST_BYTES;
    uint8_t *grown;

    if (!bytes.len)
        return true;
    while (size - buffer->len < bytes.len)
        size *= 2;
    if (size != buffer->size) {
        grown = kv_wiping_realloc(buffer->data, size);
        if (!grown)
            return false;
        buffer->data = grown;
        buffer->size = size;
    }
    memcpy(buffer->data + buffer->len, bytes.data, bytes.len);
    buffer->len += bytes.len;
    return true;
}

void kv_buffer_drop(kv_buffer *buffer, size_t len)
{
    buffer->len -= len;
    if (buffer->len)
        memmove(buffer->data, buffer->data + len, buffer->len);
}

void kv_buffer_cleanup(kv_buffer *buffer)
{
    kv_wiping_free(buffer->data);
    *buffer = (kv_buffer){ 0 };
}
