/* known_logs.c - one list, many readers. */
#include "server/x509/known_logs.h"

#include <pthread.h>
#include <stdlib.h>

struct kv_known_logs {
    pthread_rwlock_t lock; /* guards `list` */
    kv_log_list *list;
};

kv_status kv_known_logs_new(kv_known_logs **out, kv_error *err)
{
    kv_known_logs *known = calloc(1, sizeof(*known));

    if (!known || pthread_rwlock_init(&known->lock, NULL) != 0) {
        free(known);
        return kv_fail(err, KV_BUSY, "out of memory");
    }
    *out = known;
    return KV_OK;
}

void kv_known_logs_free(kv_known_logs *known)
{
    if (!known)
        return;
    kv_log_list_free(known->list);
    (void)pthread_rwlock_destroy(&known->lock);
    free(known);
}

void kv_known_logs_set(kv_known_logs *known, kv_log_list *list)
{
    kv_log_list *before;

    (void)pthread_rwlock_wrlock(&known->lock);
    before = known->list;
    known->list = list;
    (void)pthread_rwlock_unlock(&known->lock);
    kv_log_list_free(before);
}

const kv_log_list *kv_known_logs_borrow(kv_known_logs *known)
{
    if (!known)
        return NULL;
    (void)pthread_rwlock_rdlock(&known->lock);
    return known->list;
}

void kv_known_logs_return(kv_known_logs *known)
{
    if (known)
        (void)pthread_rwlock_unlock(&known->lock);
}
