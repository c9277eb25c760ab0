/* lanes.h - the worker threads: one pool and one queue per lane, so none waits behind another.
 *
 * A worker that stays in one task for longer than `stuck_ms` is replaced (its other tasks go back
 * to the queue), up to twice the lane's size; then the lane refuses with KV_UNAVAILABLE until one
 * of them comes back. A replaced worker that comes back ends.
 *
 * Threads:  offer and tick: any. new, stop, free: the main thread.
 * Lifetime: offers stop before kv_lanes_stop(); everything a task lends outlives kv_lanes_stop().
 */
#pragma once

#include "server/core/queue.h"
#include "server/core/route.h"

typedef struct kv_lanes kv_lanes;

typedef struct kv_lane_config {
    unsigned workers;  /* 0: the lane is not offered, an offer gives KV_UNAVAILABLE */
    unsigned queue;    /* most tasks waiting; 0 means 1024 */
    unsigned stuck_ms; /* 0 means 60,000 */
} kv_lane_config;

typedef struct kv_lanes_config {
    kv_lane_config lane[KV_LANE_COUNT];
    /* Optional. Called on the worker's thread when it starts and ends. `index` is below twice the
     * lane's size and belongs to one living worker at a time: the key for pinned token sessions. */
    void (*worker_start)(void *context, kv_lane lane, unsigned index);
    void (*worker_stop)(void *context, kv_lane lane, unsigned index);
    void *context; /* borrowed */
} kv_lanes_config;

/* What a task sees of the thread that runs it. */
struct kv_worker {
    kv_lane lane;
    unsigned index;
    /* Calls that are finished and not yet handed to the audit thread, newest first. The worker
     * adds; whoever hands them over takes all. */
    _Atomic(kv_call *) done;
    _Atomic unsigned done_count;   /* about so many; exact while only the worker is at it */
    _Atomic int64_t done_until_us; /* CLOCK_MONOTONIC: the oldest of them waits no longer */
};

/* Starts the threads. KV_UNAVAILABLE when a thread cannot start. */
kv_status kv_lanes_new(const kv_lanes_config *config, kv_lanes **out, kv_error *err) KV_MUST_USE;

/* KV_BUSY with retry_ms when the queue is full, KV_UNAVAILABLE when the lane is stuck, stopped or
 * absent. On failure the task stays the caller's. */
kv_status kv_lanes_offer(kv_lanes *lanes, kv_lane lane, kv_task *task, kv_error *err) KV_MUST_USE;

/* Hands over what workers have finished, also those that are in their next task for long. For a
 * loop; takes locks for moments only. */
void kv_lanes_flush(kv_lanes *lanes);

/* Looks for stuck workers, and flushes. Called about once a second by a loop. */
void kv_lanes_tick(kv_lanes *lanes);

/* Closes the queues, runs what is inside, joins the threads; waits for a stuck one as long as it
 * takes. Idempotent. */
void kv_lanes_stop(kv_lanes *lanes);
/* Stops first. */
void kv_lanes_free(kv_lanes *lanes);

const char *kv_lane_name(kv_lane lane);
unsigned kv_lanes_waiting(kv_lanes *lanes, kv_lane lane);
