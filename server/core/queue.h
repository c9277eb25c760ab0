/* queue.h - what waits for the workers of one lane: bounded, and fair between principals.
 *
 * Every principal has a line of its own and the lines are served in turn, so one busy client does
 * not delay another by more than one task per turn. One principal fills at most three quarters of
 * the queue.
 *
 * Threads: offer: any, never waits. take: workers, waits. close: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/base/error.h"

enum { KV_TASK_KEY_BYTES = 32, KV_QUEUE_BATCH = 16 };

typedef struct kv_queue kv_queue;
typedef struct kv_worker kv_worker;
typedef struct kv_task kv_task;

/* The node inside whatever is queued. */
struct kv_task {
    kv_task *next;
    void (*run)(KV_TAKES kv_task *task, kv_worker *worker);
    /* Whose it is: the principal's (see throttle.h), or a digest of the peer's address for who is
     * not known yet and for a handshake. */
    uint8_t key[KV_TASK_KEY_BYTES];
};

/* Room for `capacity` tasks (at least 1). KV_UNAVAILABLE when out of memory. */
kv_status kv_queue_new(unsigned capacity, kv_queue **out, kv_error *err) KV_MUST_USE;
/* Tasks still inside are dropped, not freed: drain with kv_queue_take() first. */
void kv_queue_free(kv_queue *queue);

/* KV_BUSY with retry_ms when the queue, or the principal's share of it, is full; KV_UNAVAILABLE
 * when it is closed. On failure the task stays the caller's. */
kv_status kv_queue_offer(kv_queue *queue, kv_task *task, kv_error *err) KV_MUST_USE;

/* Waits for work and takes ceil(queued / workers) tasks, at most KV_QUEUE_BATCH, linked by `next`.
 * NULL when the queue is closed and empty. */
kv_task *kv_queue_take(kv_queue *queue, unsigned workers);
/* The same without waiting: NULL when it is empty. */
kv_task *kv_queue_take_now(kv_queue *queue, unsigned workers);

/* Puts tasks back that a worker took and cannot run; they go first. Works on a closed queue. */
void kv_queue_put_back(kv_queue *queue, KV_TAKES kv_task *tasks);

/* No more offers; what is inside is still taken. Wakes every waiting worker. */
void kv_queue_close(kv_queue *queue);
bool kv_queue_closed(kv_queue *queue);
/* Takes no lock: as it was a moment ago. */
unsigned kv_queue_length(kv_queue *queue);
