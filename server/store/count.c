/* count.c - the digest over all rows, worked out in a thread of its own. */
#include "server/store/count.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct kv_count {
    kv_store *store; /* borrowed */
    pthread_t thread;
    /* The thread's until it has ended. */
    kv_status status;
    kv_error err;
    uint8_t counted[KV_STORE_DIGEST_BYTES];
    kv_store_state state;
};

static void *run(void *argument)
{
    kv_count *count = argument;

    count->status =
        count->store->ops->recount(count->store, count->counted, &count->state, &count->err);
    return NULL;
}

kv_count *kv_count_begin(kv_store *store)
{
    kv_count *count = calloc(1, sizeof(*count));

    if (!count)
        return NULL;
    count->store = store;
    if (pthread_create(&count->thread, NULL, run, count) == 0)
        return count;
    free(count);
    return NULL;
}

kv_status kv_count_take(kv_count *count, uint8_t counted[KV_STORE_DIGEST_BYTES],
                        kv_store_state *state, kv_error *err)
{
    kv_status status;

    (void)pthread_join(count->thread, NULL);
    status = count->status;
    if (status == KV_OK) {
        memcpy(counted, count->counted, sizeof(count->counted));
        *state = count->state;
    } else {
        *err = count->err;
    }
    free(count);
    return status;
}

void kv_count_free(kv_count *count)
{
    if (count)
        (void)pthread_join(count->thread, NULL);
    free(count);
}
