/* errands.c - who is on an errand in this server. */
#include "server/vault/errands.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 128 };

typedef struct text {
    size_t len;
    uint8_t bytes[NAME_MAX_BYTES];
} text;

typedef struct place {
    bool taken;
    text object_uid;
    text vault_uid;
    text issuer;
    int64_t until_ms;
} place;

struct kv_errands {
    pthread_mutex_t mutex; /* guards all that follows */
    unsigned per_issuer;
    unsigned per_vault;
    bool refused;
    place places[KV_ERRANDS_MAX];
};

kv_errands *kv_errands_new(unsigned per_issuer, unsigned per_vault)
{
    kv_errands *errands = calloc(1, sizeof(*errands));

    if (!errands)
        return NULL;
    errands->per_issuer = per_issuer;
    errands->per_vault = per_vault;
    (void)pthread_mutex_init(&errands->mutex, NULL);
    return errands;
}

void kv_errands_free(kv_errands *errands)
{
    if (!errands)
        return;
    (void)pthread_mutex_destroy(&errands->mutex);
    free(errands);
}

/* Names are no longer than that; two that were cut would only wait for each other. */
static text copy(kv_slice from)
{
    text to = { .len = from.len < NAME_MAX_BYTES ? from.len : NAME_MAX_BYTES };

    if (to.len)
        memcpy(to.bytes, from.data, to.len);
    return to;
}

static bool same(const text *a, const text *b)
{
    return kv_slice_equal(kv_slice_of(a->bytes, a->len), kv_slice_of(b->bytes, b->len));
}

static int find_place(const kv_errands *errands, const place *wanted, int64_t now_ms)
{
    unsigned with_issuer = 0;
    unsigned with_vault = 0;
    int free_place = -1;

    for (int i = 0; i < KV_ERRANDS_MAX; i++) {
        const place *other = &errands->places[i];

        if (!other->taken) {
            free_place = free_place < 0 ? i : free_place;
            continue;
        }
        if (same(&other->object_uid, &wanted->object_uid) && other->until_ms > now_ms)
            return -1;
        if (!other->issuer.len || !same(&other->vault_uid, &wanted->vault_uid))
            continue;
        with_vault++;
        with_issuer += same(&other->issuer, &wanted->issuer);
    }
    if (wanted->issuer.len &&
        (with_issuer >= errands->per_issuer || with_vault >= errands->per_vault))
        return -1;
    return free_place;
}

int kv_errand_begin(kv_errands *errands, const kv_errand *errand, int64_t now_ms)
{
    place wanted = { .taken = true,
                     .object_uid = copy(errand->object_uid),
                     .vault_uid = copy(errand->vault_uid),
                     .issuer = copy(errand->issuer),
                     .until_ms = errand->until_ms };
    int number;

    pthread_mutex_lock(&errands->mutex);
    number = find_place(errands, &wanted, now_ms);
    if (number >= 0)
        errands->places[number] = wanted;
    else
        errands->refused = true;
    pthread_mutex_unlock(&errands->mutex);
    return number;
}

bool kv_errand_end(kv_errands *errands, int number)
{
    bool refused;

    pthread_mutex_lock(&errands->mutex);
    errands->places[number].taken = false;
    refused = errands->refused;
    errands->refused = false;
    pthread_mutex_unlock(&errands->mutex);
    return refused;
}
