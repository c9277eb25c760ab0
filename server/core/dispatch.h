/* dispatch.h - the order in which a call is served. Worker threads only. */
#pragma once

#include "server/core/call.h"
#include "server/core/lanes.h"

/* The task.run of a call: serves it and adds it to the worker's finished calls. */
void kv_dispatch(KV_TAKES kv_task *task, kv_worker *worker);

/* Hands the worker's finished calls to the audit thread. The lane calls it when it has nothing more
 * to do, or earlier. */
void kv_dispatch_flush(kv_worker *worker);
/* Asked after a task that began at `began_us` (CLOCK_MONOTONIC); the next may take as long. Yes
 * when as many calls are finished as still wait for this worker, `waiting`, so that one half of
 * them is made durable while the other is worked on; or when the oldest would wait too long: a
 * quarter of the time that it has taken so far, 1 to 5 ms. */
bool kv_dispatch_should_flush(const kv_worker *worker, int64_t began_us, unsigned waiting);
