/* postbox.c - whose turn it is. */
#include "server/vault/notices/postbox.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/hash.h"

enum { REST_MS = 60 * 1000, SHORTEST_MS = 5 };

typedef struct target {
    UT_hash_handle hh;
    uint8_t uid[KV_TARGET_BYTES];
    kv_channel channel;
    bool busy;
    int64_t due_at; /* 0: nothing waits */
    int64_t not_before;
    unsigned troubles;
} target;

struct kv_postbox {
    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t more;   /* CLOCK_MONOTONIC */
    target *targets;
    unsigned troubled_most; /* threads for targets in trouble */
    unsigned troubled;      /* of webhooks, busy now */
    bool stopped;
};

kv_postbox *kv_postbox_new(unsigned threads)
{
    kv_postbox *box = calloc(1, sizeof(*box));
    pthread_condattr_t monotonic;

    if (!box)
        return NULL;
    box->troubled_most = threads / 2 ? threads / 2 : 1;
    (void)pthread_mutex_init(&box->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&box->more, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return box;
}

void kv_postbox_free(kv_postbox *box)
{
    target *at;
    target *next;

    if (!box)
        return;
    HASH_ITER (hh, box->targets, at, next) {
        HASH_DEL(box->targets, at);
        free(at);
    }
    (void)pthread_cond_destroy(&box->more);
    (void)pthread_mutex_destroy(&box->mutex);
    free(box);
}

static target *find(kv_postbox *box, const uint8_t *uid)
{
    target *at = NULL;

    HASH_FIND(hh, box->targets, uid, KV_TARGET_BYTES, at);
    return at;
}

static int64_t earlier(int64_t a, int64_t b)
{
    if (!a || !b)
        return a ? a : b;
    return a < b ? a : b;
}

void kv_postbox_add(kv_postbox *box, kv_slice uid, kv_channel channel, int64_t due_at)
{
    target *fresh;
    target *at;

    if (uid.len != KV_TARGET_BYTES)
        return;
    fresh = calloc(1, sizeof(*fresh));
    (void)pthread_mutex_lock(&box->mutex);
    at = find(box, uid.data);
    if (!at && fresh) {
        memcpy(fresh->uid, uid.data, KV_TARGET_BYTES);
        fresh->channel = channel;
        HASH_ADD(hh, box->targets, uid, KV_TARGET_BYTES, fresh);
        if (KV_HASH_HAS(fresh)) {
            at = fresh;
            fresh = NULL;
        }
    }
    if (at)
        at->due_at = earlier(at->due_at, due_at > 0 ? due_at : 1);
    (void)pthread_cond_broadcast(&box->more);
    (void)pthread_mutex_unlock(&box->mutex);
    free(fresh);
}

static int64_t ready_at(const target *at)
{
    return at->due_at > at->not_before ? at->due_at : at->not_before;
}

bool kv_postbox_take(kv_postbox *box, kv_channel channel, int64_t now_ms,
                     uint8_t out[KV_TARGET_BYTES], int64_t *next_at)
{
    target *best = NULL;

    *next_at = 0;
    (void)pthread_mutex_lock(&box->mutex);
    for (target *at = box->targets; at; at = at->hh.next) {
        bool full =
            channel == KV_CHANNEL_WEBHOOK && at->troubles && box->troubled >= box->troubled_most;

        /* Who gives a troubled one back wakes the others. */
        if (at->channel != channel || at->busy || !at->due_at || full)
            continue;
        *next_at = earlier(*next_at, ready_at(at));
        if (ready_at(at) <= now_ms && (!best || ready_at(at) < ready_at(best)))
            best = at;
    }
    if (best) {
        best->busy = true;
        best->due_at = 0;
        box->troubled += channel == KV_CHANNEL_WEBHOOK && best->troubles;
        memcpy(out, best->uid, KV_TARGET_BYTES);
    }
    (void)pthread_mutex_unlock(&box->mutex);
    return best != NULL;
}

void kv_postbox_give_back(kv_postbox *box, const uint8_t uid[KV_TARGET_BYTES],
                          const kv_turn_end *end)
{
    target *at;

    (void)pthread_mutex_lock(&box->mutex);
    at = find(box, uid);
    if (at) {
        box->troubled -= at->channel == KV_CHANNEL_WEBHOOK && at->troubles;
        at->busy = false;
        if (end->tried)
            at->troubles = end->trouble ? at->troubles + 1 : 0;
        at->not_before = end->not_before;
        at->due_at = earlier(at->due_at, end->due_at);
        if (!at->due_at && !at->troubles && !at->not_before) {
            HASH_DEL(box->targets, at);
            free(at);
        }
    }
    (void)pthread_cond_broadcast(&box->more);
    (void)pthread_mutex_unlock(&box->mutex);
}

unsigned kv_postbox_troubles(kv_postbox *box, const uint8_t uid[KV_TARGET_BYTES])
{
    unsigned troubles;
    target *at;

    (void)pthread_mutex_lock(&box->mutex);
    at = find(box, uid);
    troubles = at ? at->troubles : 0;
    (void)pthread_mutex_unlock(&box->mutex);
    return troubles;
}

bool kv_postbox_wait(kv_postbox *box, int64_t now_ms, int64_t until_ms)
{
    int64_t rest = until_ms && until_ms - now_ms < REST_MS ? until_ms - now_ms : REST_MS;
    kv_deadline until = kv_deadline_in_ms(rest > SHORTEST_MS ? rest : SHORTEST_MS);
    bool stopped;

    (void)pthread_mutex_lock(&box->mutex);
    if (!box->stopped)
        (void)pthread_cond_timedwait(&box->more, &box->mutex, &until.at);
    stopped = box->stopped;
    (void)pthread_mutex_unlock(&box->mutex);
    return !stopped;
}

void kv_postbox_stop(kv_postbox *box)
{
    (void)pthread_mutex_lock(&box->mutex);
    box->stopped = true;
    (void)pthread_cond_broadcast(&box->more);
    (void)pthread_mutex_unlock(&box->mutex);
}
