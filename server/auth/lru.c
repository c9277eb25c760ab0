/* lru.c - a hash table whose order of insertion is the order of use. */
#include "server/auth/lru.h"

#include <pthread.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#include "server/base/hash.h"
typedef struct kv_lru_entry {
    uint8_t key[32];
    UT_hash_handle hh;
    size_t len;
    uint8_t value[];
} kv_lru_entry;

struct kv_lru {
    unsigned limit;
    pthread_mutex_t mutex; /* guards the table */
    kv_lru_entry *entries; /* the longest unused first */
};

kv_lru *kv_lru_new(unsigned limit)
{
    kv_lru *lru = calloc(1, sizeof(*lru));

    if (!lru)
        return NULL;
    lru->limit = limit ? limit : 1;
    pthread_mutex_init(&lru->mutex, NULL);
    return lru;
}

static void free_entry(kv_lru_entry *entry)
{
    OPENSSL_cleanse(entry->value, entry->len);
    free(entry);
}

static void remove_entry(kv_lru *lru, kv_lru_entry *entry)
{
    HASH_DEL(lru->entries, entry);
    free_entry(entry);
}

/* As the newest; without memory it is forgotten. */
static void add_entry(kv_lru *lru, kv_lru_entry *entry)
{
    HASH_ADD(hh, lru->entries, key, sizeof(entry->key), entry);
    if (!KV_HASH_HAS(entry))
        free_entry(entry);
}

void kv_lru_free(kv_lru *lru)
{
    kv_lru_entry *entry, *next;

    if (!lru)
        return;
    HASH_ITER (hh, lru->entries, entry, next)
        remove_entry(lru, entry);
    pthread_mutex_destroy(&lru->mutex);
    free(lru);
}

bool kv_lru_get(kv_lru *lru, const uint8_t key[32], kv_arena *arena, kv_slice *out)
{
    kv_lru_entry *entry = NULL;
    uint8_t *copy = NULL;

    pthread_mutex_lock(&lru->mutex);
    HASH_FIND(hh, lru->entries, key, sizeof(entry->key), entry);
    if (entry)
        copy = kv_arena_alloc(arena, entry->len);
    if (copy) {
        memcpy(copy, entry->value, entry->len);
        *out = kv_slice_of(copy, entry->len);
        HASH_DEL(lru->entries, entry);
        add_entry(lru, entry);
    }
    pthread_mutex_unlock(&lru->mutex);
    return copy != NULL;
}

void kv_lru_put(kv_lru *lru, const uint8_t key[32], kv_slice value)
{
    kv_lru_entry *entry = calloc(1, sizeof(*entry) + value.len);
    kv_lru_entry *old = NULL;

    if (!entry)
        return;
    memcpy(entry->key, key, sizeof(entry->key));
    entry->len = value.len;
    if (value.len)
        memcpy(entry->value, value.data, value.len);

    pthread_mutex_lock(&lru->mutex);
    HASH_FIND(hh, lru->entries, key, sizeof(old->key), old);
    if (!old && HASH_COUNT(lru->entries) >= lru->limit)
        old = lru->entries;
    if (old)
        remove_entry(lru, old);
    add_entry(lru, entry);
    pthread_mutex_unlock(&lru->mutex);
}
