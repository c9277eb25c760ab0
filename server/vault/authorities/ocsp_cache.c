/* ocsp_cache.c - places for OCSP answers, found by a hash. */
#include "server/vault/authorities/ocsp_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SETS = 256, PLACES = 4 };

typedef struct place {
    uint8_t key[KV_OCSP_CACHE_KEY];
    uint8_t *der; /* NULL: empty */
    size_t len;
    int64_t this_ms;
    int64_t next_ms;
    uint64_t turn; /* when it was put here; not a time, which may be set back */
} place;

struct kv_ocsp_cache {
    pthread_mutex_t mutex; /* guards all that follows */
    uint64_t turns;
    place sets[SETS][PLACES];
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
    for (size_t i = 0; i < SETS; i++)
        for (size_t n = 0; n < PLACES; n++)
            free(cache->sets[i][n].der);
    (void)pthread_mutex_destroy(&cache->mutex);
    free(cache);
}

/* The key is a hash: any of its bits are as good as others. */
static place *set_of(kv_ocsp_cache *cache, const uint8_t key[KV_OCSP_CACHE_KEY])
{
    return cache->sets[((size_t)key[0] << 8 | key[1]) % SETS];
}

static bool is_of(const place *at, const uint8_t key[KV_OCSP_CACHE_KEY])
{
    return at->der && kv_slice_equal(kv_slice_of(at->key, sizeof(at->key)),
                                     kv_slice_of(key, KV_OCSP_CACHE_KEY));
}

static const place *find(kv_ocsp_cache *cache, const uint8_t key[KV_OCSP_CACHE_KEY], int64_t now_ms)
{
    const place *set = set_of(cache, key);

    for (size_t i = 0; i < PLACES; i++)
        if (is_of(&set[i], key))
            return now_ms >= set[i].this_ms && now_ms < set[i].next_ms ? &set[i] : NULL;
    return NULL;
}

/* Its own place, else an empty one (which had no turn yet), else the one that was filled first. */
static place *place_for(kv_ocsp_cache *cache, const uint8_t key[KV_OCSP_CACHE_KEY])
{
    place *set = set_of(cache, key);
    place *oldest = set;

    for (size_t i = 0; i < PLACES; i++) {
        if (is_of(&set[i], key))
            return &set[i];
        if (set[i].turn < oldest->turn)
            oldest = &set[i];
    }
    return oldest;
}

bool kv_ocsp_cache_get(kv_ocsp_cache *cache, const uint8_t key[KV_OCSP_CACHE_KEY], int64_t now_ms,
                       kv_arena *arena, kv_ocsp_kept *out)
{
    kv_error full = { 0 };
    const place *at;
    bool found;

    pthread_mutex_lock(&cache->mutex);
    at = find(cache, key, now_ms);
    found = at != NULL;
    if (at) {
        *out = (kv_ocsp_kept){ .this_ms = at->this_ms, .next_ms = at->next_ms };
        found = kv_arena_copy(arena, kv_slice_of(at->der, at->len), &out->der, &full) == KV_OK;
    }
    pthread_mutex_unlock(&cache->mutex);
    return found;
}

void kv_ocsp_cache_put(kv_ocsp_cache *cache, const uint8_t key[KV_OCSP_CACHE_KEY],
                       const kv_ocsp_kept *answer)
{
    uint8_t *copy = NULL;
    uint8_t *before;
    place *at;

    if (answer->der.len && answer->der.len <= KV_OCSP_CACHE_ANSWER)
        copy = malloc(answer->der.len);
    if (!copy)
        return;
    memcpy(copy, answer->der.data, answer->der.len);
    pthread_mutex_lock(&cache->mutex);
    at = place_for(cache, key);
    before = at->der;
    memcpy(at->key, key, sizeof(at->key));
    at->der = copy;
    at->len = answer->der.len;
    at->this_ms = answer->this_ms;
    at->next_ms = answer->next_ms;
    at->turn = ++cache->turns;
    pthread_mutex_unlock(&cache->mutex);
    free(before);
}
