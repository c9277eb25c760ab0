/* memory.c - what is remembered between visits to authorities. */
#include "server/acme/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"

/* Servers throw nonces away after a while; one that is too old costs a request. */
enum { NONCES = 32, PAUSES = 64, FRESH_US = 5 * 60 * 1000 * 1000 };

typedef struct nonce {
    uint64_t server; /* 0: empty */
    int64_t came_us;
    char text[KV_ACME_NONCE_ROOM];
} nonce;

typedef struct pause {
    uint64_t account;
    int64_t until_ms;
    size_t len;
    char words[KV_ACME_WORDS_KEPT];
} pause;

struct kv_acme_memory {
    pthread_mutex_t mutex;
    nonce nonces[NONCES];
    pause pauses[PAUSES];
};

/* FNV-1a; never 0. */
static uint64_t mix(uint64_t hash, kv_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        hash = (uint64_t)((unsigned __int128)(hash ^ text.data[i]) * UINT64_C(1099511628211));
    return hash ? hash : 1;
}

static uint64_t number_of(kv_slice server)
{
    return mix(UINT64_C(14695981039346656037), server);
}

kv_status kv_acme_memory_new(kv_acme_memory **out, kv_error *err)
{
    kv_acme_memory *memory = calloc(1, sizeof(*memory));

    if (!memory || pthread_mutex_init(&memory->mutex, NULL) != 0) {
        free(memory);
        return kv_fail(err, KV_BUSY, "out of memory");
    }
    *out = memory;
    return KV_OK;
}

void kv_acme_memory_free(kv_acme_memory *memory)
{
    if (!memory)
        return;
    (void)pthread_mutex_destroy(&memory->mutex);
    free(memory);
}

bool kv_acme_nonce_good(kv_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') &&
            c != '-' && c != '_')
            return false;
    }
    return text.len > 0 && text.len <= KV_ACME_NONCE_MOST;
}

/* The newest of a server; NULL: none that is fresh. */
static nonce *newest(kv_acme_memory *memory, uint64_t server)
{
    int64_t now = kv_monotonic_us();
    nonce *best = NULL;

    for (size_t i = 0; i < NONCES; i++) {
        nonce *at = &memory->nonces[i];

        if (at->server == server && now - at->came_us < FRESH_US &&
            (!best || at->came_us > best->came_us))
            best = at;
    }
    return best;
}

static nonce *place(kv_acme_memory *memory)
{
    nonce *oldest = &memory->nonces[0];

    for (size_t i = 0; i < NONCES; i++) {
        if (!memory->nonces[i].server)
            return &memory->nonces[i];
        if (memory->nonces[i].came_us < oldest->came_us)
            oldest = &memory->nonces[i];
    }
    return oldest;
}

bool kv_acme_nonce_take(kv_acme_memory *memory, kv_slice server, char text[KV_ACME_NONCE_ROOM])
{
    nonce *found;

    if (!memory)
        return false;
    pthread_mutex_lock(&memory->mutex);
    found = newest(memory, number_of(server));
    if (found) {
        memcpy(text, found->text, KV_ACME_NONCE_ROOM);
        found->server = 0;
    }
    pthread_mutex_unlock(&memory->mutex);
    return found != NULL;
}

void kv_acme_nonce_put(kv_acme_memory *memory, kv_slice server, kv_slice text)
{
    nonce *at;

    if (!memory || !kv_acme_nonce_good(text))
        return;
    pthread_mutex_lock(&memory->mutex);
    at = place(memory);
    *at = (nonce){ .server = number_of(server), .came_us = kv_monotonic_us() };
    memcpy(at->text, text.data, text.len);
    pthread_mutex_unlock(&memory->mutex);
}

/* --- pauses --- */

/* Its own place, else an empty one, else the one that ends first. */
static pause *pause_of(kv_acme_memory *memory, uint64_t account)
{
    pause *soonest = &memory->pauses[0];

    for (size_t i = 0; i < PAUSES; i++)
        if (memory->pauses[i].account == account)
            return &memory->pauses[i];
    for (size_t i = 0; i < PAUSES; i++)
        if (memory->pauses[i].until_ms < soonest->until_ms)
            soonest = &memory->pauses[i];
    return soonest;
}

static void note_pause(pause *at, uint64_t account, int64_t until_ms, kv_slice words)
{
    if (at->account == account && at->until_ms >= until_ms)
        return;
    at->account = account;
    at->until_ms = until_ms;
    at->len = words.len <= sizeof(at->words) ? words.len : 0;
    if (at->len)
        memcpy(at->words, words.data, at->len);
}

void kv_acme_pause(kv_acme_memory *memory, kv_slice server, kv_slice spki, int64_t until_ms,
                   kv_slice words)
{
    uint64_t account = mix(number_of(server), spki);

    if (!memory)
        return;
    pthread_mutex_lock(&memory->mutex);
    note_pause(pause_of(memory, account), account, until_ms, words);
    pthread_mutex_unlock(&memory->mutex);
}

int64_t kv_acme_paused(kv_acme_memory *memory, kv_slice server, kv_slice spki, int64_t now_ms,
                       kv_arena *arena, kv_slice *words)
{
    uint64_t account = mix(number_of(server), spki);
    kv_error full = { 0 };
    int64_t left = 0;
    const pause *found;

    *words = KV_SLICE_NONE;
    if (!memory)
        return 0;
    pthread_mutex_lock(&memory->mutex);
    found = pause_of(memory, account);
    if (found->account == account)
        left = found->until_ms - now_ms;
    if (left > 0 &&
        kv_arena_copy(arena, kv_slice_of(found->words, found->len), words, &full) != KV_OK)
        *words = KV_SLICE_NONE;
    pthread_mutex_unlock(&memory->mutex);
    return left > 0 ? left : 0;
}
