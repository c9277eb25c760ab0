/* arena.c - blocks of at least 4 KiB in a list, wiped before they go. */
#include "server/base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

enum { BLOCK_BYTES = 4096, SMALL_TEXT_BYTES = 256 };

struct kv_arena_block {
    kv_arena_block *next;
    size_t size;
    size_t used;
    alignas(max_align_t) uint8_t bytes[];
};

static kv_arena_block *add_block(kv_arena *arena, size_t len)
{
    size_t payload = BLOCK_BYTES - sizeof(kv_arena_block);
    size_t size = len > payload ? len : payload;
    kv_arena_block *block;

    if (arena->secret)
        block = OPENSSL_secure_malloc(sizeof(*block) + size);
    else
        block = malloc(sizeof(*block) + size);
    if (!block)
        return NULL;

    block->next = arena->blocks;
    block->size = size;
    block->used = 0;
    arena->blocks = block;
    return block;
}

static size_t round_up(size_t len)
{
    size_t unit = alignof(max_align_t);

    return (len + unit - 1) / unit * unit;
}

void *kv_arena_alloc(kv_arena *arena, size_t len)
{
    kv_arena_block *block = arena->blocks;
    uint8_t *data;
    size_t need;

    if (len > SIZE_MAX / 2)
        return NULL;
    need = round_up(len ? len : 1);
    if (need > arena->limit - arena->used)
        return NULL;
    if (!block || block->size - block->used < need)
        block = add_block(arena, need);
    if (!block)
        return NULL;

    data = block->bytes + block->used;
    block->used += need;
    arena->used += need;
    return memset(data, 0, need);
}

void *kv_arena_array(kv_arena *arena, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    return kv_arena_alloc(arena, count * size);
}

kv_status kv_arena_full(kv_error *err)
{
    kv_fail(err, KV_BUSY, "the request needs more memory than one call may use");
    return kv_because(err, KV_REASON_LIMIT_REACHED);
}

kv_status kv_arena_copy(kv_arena *arena, kv_slice from, kv_slice *out, kv_error *err)
{
    uint8_t *data = kv_arena_alloc(arena, from.len + 1);

    if (!data)
        return kv_arena_full(err);
    if (from.len)
        memcpy(data, from.data, from.len);
    *out = kv_slice_of(data, from.len);
    return KV_OK;
}

kv_status kv_arena_text(kv_arena *arena, kv_slice from, const char **out, kv_error *err)
{
    kv_slice copy = KV_SLICE_NONE;

    KV_TRY(kv_arena_copy(arena, from, &copy, err));
    *out = (const char *)copy.data;
    return KV_OK;
}

kv_status kv_arena_print(kv_arena *arena, kv_slice *out, kv_error *err, const char *format, ...)
{
    char small[SMALL_TEXT_BYTES];
    va_list arguments;
    char *data;
    int len;

    /* Most texts are made once: those that are short. */
    va_start(arguments, format);
    len = vsnprintf(small, sizeof(small), format, arguments);
    va_end(arguments);
    if (len < 0)
        return kv_fail(err, KV_INTERNAL, "a text could not be formatted");

    data = kv_arena_alloc(arena, (size_t)len + 1);
    if (data && (size_t)len < sizeof(small))
        memcpy(data, small, (size_t)len);
    explicit_bzero(small, (size_t)len < sizeof(small) ? (size_t)len : sizeof(small));
    if (!data)
        return kv_arena_full(err);
    if ((size_t)len >= sizeof(small)) {
        va_start(arguments, format);
        (void)vsnprintf(data, (size_t)len + 1, format, arguments);
        va_end(arguments);
    }
    *out = kv_slice_of(data, (size_t)len);
    return KV_OK;
}

void kv_arena_cleanup(kv_arena *arena)
{
    kv_arena_block *block = arena->blocks;

    while (block) {
        kv_arena_block *next = block->next;

        explicit_bzero(block->bytes, block->used);
        if (arena->secret)
            OPENSSL_secure_free(block);
        else
            free(block);
        block = next;
    }
    arena->blocks = NULL;
    arena->used = 0;
}
