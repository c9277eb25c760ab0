/* memory.c - the allocator knows how long a block is, so nobody else has to remember. */
#include "server/front/grpc/memory.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void *kv_wiping_malloc(size_t size)
{
    return malloc(size);
}

void *kv_wiping_calloc(size_t count, size_t size)
{
    return calloc(count, size);
}

void kv_wiping_free(void *memory)
{
    if (memory)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

void *kv_wiping_realloc(void *memory, size_t size)
{
    size_t old = memory ? malloc_usable_size(memory) : 0;
    void *moved;

    if (!memory)
        return malloc(size);
    if (size <= old && size >= old / 2)
        return memory;
    moved = malloc(size);
    if (!moved)
        return NULL;
    memcpy(moved, memory, old < size ? old : size);
    kv_wiping_free(memory);
    return moved;
}

static void *mem_malloc(size_t size, void *context)
{
    (void)context;
    return kv_wiping_malloc(size);
}

static void mem_free(void *memory, void *context)
{
    (void)context;
    kv_wiping_free(memory);
}

static void *mem_calloc(size_t count, size_t size, void *context)
{
    (void)context;
    return kv_wiping_calloc(count, size);
}

static void *mem_realloc(void *memory, size_t size, void *context)
{
    (void)context;
    return kv_wiping_realloc(memory, size);
}

nghttp2_mem *kv_wiping_nghttp2(void)
{
    static const nghttp2_mem memory = { NULL, mem_malloc, mem_free, mem_calloc, mem_realloc };

    /* nghttp2 copies it; the parameter merely lacks a const. */
    return (nghttp2_mem *)&memory;
}
