/* queue.c - one line per principal, the lines in a ring that is served in turn. */
#include "server/core/queue.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "server/base/hash.h"

enum { RETRY_MS = 100 };

/* One principal's tasks. Exists only while there are some. */
typedef struct line {
    uint8_t key[KV_TASK_KEY_BYTES];
    kv_task *first;
    kv_task **tail;
    unsigned length;
    struct line *prev, *next; /* ring */
    UT_hash_handle hh;
} line;

struct kv_queue {
    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t changed;
    unsigned capacity;
    atomic_uint length; /* changed with the mutex held, read by anybody */
    unsigned share;     /* most tasks of one principal */
    bool closed;
    kv_task *first_again; /* put back: served before the lines */
    line *lines;          /* by key */
    line *ring;           /* the head is next to be served */
};

kv_status kv_queue_new(unsigned capacity, kv_queue **out, kv_error *err)
{
    kv_queue *queue = calloc(1, sizeof(*queue));

    if (!queue)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    queue->capacity = capacity;
    queue->share = capacity - capacity / 4;
    (void)pthread_mutex_init(&queue->mutex, NULL);
    (void)pthread_cond_init(&queue->changed, NULL);
    *out = queue;
    return KV_OK;
}

static void drop_line(kv_queue *queue, line *gone)
{
    HASH_DEL(queue->lines, gone);
    CDL_DELETE(queue->ring, gone);
    free(gone);
}

void kv_queue_free(kv_queue *queue)
{
    if (!queue)
        return;
    while (queue->ring)
        drop_line(queue, queue->ring);
    (void)pthread_cond_destroy(&queue->changed);
    (void)pthread_mutex_destroy(&queue->mutex);
    free(queue);
}

/* The line of that key, made when there is none; NULL when out of memory. */
static line *line_of(kv_queue *queue, const uint8_t *key)
{
    line *found;

    HASH_FIND(hh, queue->lines, key, KV_TASK_KEY_BYTES, found);
    if (found)
        return found;
    found = calloc(1, sizeof(*found));
    if (!found)
        return NULL;
    memcpy(found->key, key, sizeof(found->key));
    found->tail = &found->first;
    HASH_ADD(hh, queue->lines, key, KV_TASK_KEY_BYTES, found);
    if (!KV_HASH_HAS(found)) {
        free(found);
        return NULL;
    }
    CDL_APPEND(queue->ring, found);
    return found;
}

/* With the mutex held. */
static kv_status append(kv_queue *queue, kv_task *task, kv_error *err)
{
    line *mine;

    if (queue->closed)
        return kv_fail(err, KV_UNAVAILABLE, "the server is shutting down");
    if (queue->length >= queue->capacity)
        return kv_fail(err, KV_BUSY, "too many requests are waiting");
    mine = line_of(queue, task->key);
    if (!mine)
        return kv_fail(err, KV_BUSY, "the server is out of memory");
    if (mine->length >= queue->share)
        return kv_fail(err, KV_BUSY, "too many requests of this caller are waiting");

    task->next = NULL;
    *mine->tail = task;
    mine->tail = &task->next;
    mine->length++;
    queue->length++;
    pthread_cond_signal(&queue->changed);
    return KV_OK;
}

kv_status kv_queue_offer(kv_queue *queue, kv_task *task, kv_error *err)
{
    kv_status status;

    pthread_mutex_lock(&queue->mutex);
    status = append(queue, task, err);
    pthread_mutex_unlock(&queue->mutex);
    if (status == KV_BUSY)
        err->retry_ms = RETRY_MS;
    return status;
}

/* With the mutex held; the queue is not empty. */
static kv_task *take_one(kv_queue *queue)
{
    line *turn = queue->ring;
    kv_task *task = queue->first_again;

    queue->length--;
    if (task) {
        queue->first_again = task->next;
        return task;
    }

    assert(turn);
    task = turn->first;
    turn->first = task->next;
    turn->length--;
    if (!turn->first) {
        drop_line(queue, turn);
    } else {
        queue->ring = turn->next; /* the ring's head moves on: the next principal's turn */
    }
    return task;
}

/* With the mutex held. */
static kv_task *take_share(kv_queue *queue, unsigned workers)
{
    unsigned count = (queue->length + workers - 1) / workers;
    kv_task *list = NULL, **tail = &list;

    if (count > KV_QUEUE_BATCH)
        count = KV_QUEUE_BATCH;
    for (; count; count--) {
        kv_task *task = take_one(queue);

        task->next = NULL;
        *tail = task;
        tail = &task->next;
    }
    return list;
}

kv_task *kv_queue_take(kv_queue *queue, unsigned workers)
{
    kv_task *list;

    pthread_mutex_lock(&queue->mutex);
    while (!queue->length && !queue->closed)
        pthread_cond_wait(&queue->changed, &queue->mutex);
    list = take_share(queue, workers);
    pthread_mutex_unlock(&queue->mutex);
    return list;
}

kv_task *kv_queue_take_now(kv_queue *queue, unsigned workers)
{
    kv_task *list;

    pthread_mutex_lock(&queue->mutex);
    list = take_share(queue, workers);
    pthread_mutex_unlock(&queue->mutex);
    return list;
}

void kv_queue_put_back(kv_queue *queue, kv_task *tasks)
{
    kv_task **tail = &tasks;
    unsigned count = 0;

    while (*tail) {
        count++;
        tail = &(*tail)->next;
    }
    pthread_mutex_lock(&queue->mutex);
    *tail = queue->first_again;
    queue->first_again = tasks;
    queue->length += count;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->mutex);
}

void kv_queue_close(kv_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->closed = true;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->mutex);
}

bool kv_queue_closed(kv_queue *queue)
{
    bool closed;

    pthread_mutex_lock(&queue->mutex);
    closed = queue->closed;
    pthread_mutex_unlock(&queue->mutex);
    return closed;
}

unsigned kv_queue_length(kv_queue *queue)
{
    return atomic_load_explicit(&queue->length, memory_order_relaxed);
}
