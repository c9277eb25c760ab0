/* ocsp_cache.h - OCSP answers that were signed a while ago and still hold.
 *
 * An answer belongs to everything that it says: its key is a hash of the authority, the responder,
 * the question and the states of the certificates as they are stored now. So nothing has to be
 * taken back when a certificate is revoked: the next question has another key. A fixed number of
 * places, four for the keys that fall together, of which the one that was filled first goes; at
 * most 8 MiB.
 *
 * Threads: any; a lock for the time of a copy.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

typedef struct kv_ocsp_cache kv_ocsp_cache;

enum { KV_OCSP_CACHE_KEY = 32, KV_OCSP_CACHE_ANSWER = 8192 };

typedef struct kv_ocsp_kept {
    kv_slice der;
    int64_t this_ms; /* when it was signed */
    int64_t next_ms; /* until when it holds */
} kv_ocsp_kept;

/* NULL: out of memory. */
kv_ocsp_cache *kv_ocsp_cache_new(void);
void kv_ocsp_cache_free(kv_ocsp_cache *cache); /* NULL is fine */

/* A copy in the arena; false when there is none that holds at `now_ms`, or the arena is full. */
bool kv_ocsp_cache_get(kv_ocsp_cache *cache, const uint8_t key[KV_OCSP_CACHE_KEY], int64_t now_ms,
                       kv_arena *arena, kv_ocsp_kept *out);
/* Copies it; what is longer than KV_OCSP_CACHE_ANSWER is not kept. */
void kv_ocsp_cache_put(kv_ocsp_cache *cache, const uint8_t key[KV_OCSP_CACHE_KEY],
                       const kv_ocsp_kept *answer);
