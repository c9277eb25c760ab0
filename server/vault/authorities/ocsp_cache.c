/* ocsp_cache.c - places for OCSP answers, found by a hash. */
#include "server/vault/authorities/ocsp_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES = 1024 };

typedef struct place {
    uint8_t key[KV_OCSP_CACHE_KEY];
    uint8_t *der; /* NULL: empty */
    size_t len;
    int64_t this_ms;
    int64_t next_ms;
} place;

struct kv_ocsp_cache {
    pthread_mutex_t mutex;
    place places[PLACES];
};

kv_ocsp_cache *kv_ocsp_cache_new(void)
{
    kv_ocsp_cache *cache = calloc(1, sizeof(*cache));

    if (cache)
        (void)pthread_mutex_init(&cache->mutex, NULL);
    return cache;
}

void kv_ocsp_cache_free(kv_ocsp_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < PLACES; i++)
        free(cache->places[i].der);
    (void)pthread_mutex_destroy(&cache->mutex);
    free(cache);
}

/* The key is a hash: any of its bits are as good as others. */
static place *place_of(kv_ocsp_cache *cache, const uint8_t key[KV_OCSP_CACHE_KEY])
{
    return &cache->places[((size_t)key[0] << 8 | key[1]) % PLACES];
}

static bool holds(const place *at, const uint8_t key[KV_OCSP_CACHE_KEY], int64_t now_ms)
{
    return at->der &&
           kv_slice_equal(kv_slice_of(at->key, sizeof(at->key)),
                          kv_slice_of(key, KV_OCSP_CACHE_KEY)) &&
           now_ms >= at->this_ms && now_ms < at->next_ms;
}

bool kv_ocsp_cache_get(kv_ocsp_cache *cache, const uint8_t key[KV_OCSP_CACHE_KEY], int64_t now_ms,
                       kv_arena *arena, kv_ocsp_kept *out)
{
    const place *at = place_of(cache, key);
    kv_error full = { 0 };
    bool found;

    pthread_mutex_lock(&cache->mutex);
    found = holds(at, key, now_ms);
    if (found) {
        *out = (kv_ocsp_kept){ .this_ms = at->this_ms, .next_ms = at->next_ms };
        found = kv_arena_copy(arena, kv_slice_of(at->der, at->len), &out->der, &full) == KV_OK;
    }
    pthread_mutex_unlock(&cache->mutex);
    return found;
}

void kv_ocsp_cache_put(kv_ocsp_cache *cache, const uint8_t key[KV_OCSP_CACHE_KEY],
                       const kv_ocsp_kept *answer)
{
    place *at = place_of(cache, key);
    uint8_t *copy = NULL;
    uint8_t *before;

    if (answer->der.len && answer->der.len <= KV_OCSP_CACHE_ANSWER)
        copy = malloc(answer->der.len);
    if (!copy)
        return;
    memcpy(copy, answer->der.data, answer->der.len);
    pthread_mutex_lock(&cache->mutex);
    before = at->der;
    memcpy(at->key, key, sizeof(at->key));
    at->der = copy;
    at->len = answer->der.len;
    at->this_ms = answer->this_ms;
    at->next_ms = answer->next_ms;
    pthread_mutex_unlock(&cache->mutex);
    free(before);
}
