/* arena.h - the memory of one call: taken piece by piece, wiped and freed at once.
 *
 * Nothing in an arena is freed on its own. Every block is wiped (OPENSSL_cleanse) before it is
 * returned to the system. A secret arena takes its blocks from OpenSSL's locked heap.
 *
 * Threads:  one owner at a time, like the call it belongs to.
 * Lifetime: kv_arena_cleanup() ends it; an arena may be used again afterwards.
 */
#pragma once

#include <stdbool.h>

#include "server/base/error.h"
#include "server/base/slice.h"

typedef struct kv_arena_block kv_arena_block;

typedef struct kv_arena {
    kv_arena_block *blocks;
    size_t used;  /* bytes handed out so far */
    size_t limit; /* most bytes ever handed out */
    bool secret;
} kv_arena;

/* An arena that hands out at most `max_bytes`. */
#define KV_ARENA(max_bytes)        ((kv_arena){ .limit = (max_bytes) })
#define KV_ARENA_SECRET(max_bytes) ((kv_arena){ .limit = (max_bytes), .secret = true })

/* Zeroed bytes, aligned for any type; NULL past the limit or out of memory.
 * A `len` of 0 gives a valid pointer. */
void *kv_arena_alloc(kv_arena *arena, size_t len);
/* `count` elements of `size` bytes, overflow checked. */
void *kv_arena_array(kv_arena *arena, size_t count, size_t size);

/* Copies; fail with KV_BUSY when the arena is full. The copy of text is followed by a NUL byte
 * that is not counted. */
kv_status kv_arena_copy(kv_arena *arena, kv_slice from, kv_slice *out, kv_error *err) KV_MUST_USE;
kv_status kv_arena_text(kv_arena *arena, kv_slice from, const char **out,
                        kv_error *err) KV_MUST_USE;
/* printf into the arena. */
kv_status kv_arena_print(kv_arena *arena, kv_slice *out, kv_error *err, const char *format, ...)
    KV_PRINTF(4, 5) KV_MUST_USE;
/* The error of an allocation that gave NULL. */
kv_status kv_arena_full(kv_error *err) KV_MUST_USE;

void kv_arena_cleanup(kv_arena *arena);
