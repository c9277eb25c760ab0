/* lru.h - a bounded memory of what was worked out before: 32-byte hash to a copy of some bytes.
 *
 * When full, what was asked for longest ago goes. Values are wiped when they go.
 *
 * Threads: any.
 */
#pragma once

#include <stdbool.h>

#include "server/base/arena.h"
#include "server/base/slice.h"

typedef struct kv_lru kv_lru;

/* At most `limit` (at least 1) entries. NULL when out of memory. */
kv_lru *kv_lru_new(unsigned limit);
void kv_lru_free(kv_lru *lru);

/* A copy in the arena; false when it is not there (or the arena is full). */
bool kv_lru_get(kv_lru *lru, const uint8_t key[32], kv_arena *arena, kv_slice *out);
/* Copies. Forgets rather than fails when out of memory. Replaces an entry of the same key. */
void kv_lru_put(kv_lru *lru, const uint8_t key[32], kv_slice value);
