/* dispatch.h - the order in which a call is served. Worker threads only. */
#pragma once

#include "server/core/call.h"
#include "server/core/lanes.h"

/* The task.run of a call: serves it and adds it to the worker's finished calls. */
void kv_dispatch(KV_TAKES kv_task *task, kv_worker *worker);

/* Hands the worker's finished calls to the audit thread. The lane calls it after a batch, or
 * earlier when the oldest has waited for half a millisecond. */
void kv_dispatch_flush(kv_worker *worker);
bool kv_dispatch_should_flush(const kv_worker *worker);
