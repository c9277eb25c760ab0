/* flow.h - back pressure of one stream: how much the worker has sent that the loop has not.
 *
 * The flow lives in the call. Only the loop frees calls, so the loop may keep a pointer to it while
 * the worker owns the call; everything in it is behind its own mutex.
 *
 * Threads: worker and loop.
 */
#pragma once

#include "server/base/clock.h"
#include "server/base/error.h"

typedef struct kv_flow kv_flow;

/* At most `messages` or `bytes` unsent, whichever comes first; one message always passes.
 * NULL when out of memory. */
kv_flow *kv_flow_new(unsigned messages, size_t bytes);
void kv_flow_free(kv_flow *flow);

/* Waits for room and takes it. KV_CANCELLED when the stream is gone, KV_TIMEOUT at the deadline. */
kv_status kv_flow_enter(kv_flow *flow, size_t bytes, kv_deadline deadline,
                        kv_error *err) KV_MUST_USE;
/* Takes room only if there is some. KV_BUSY when there is none, KV_CANCELLED as above. */
kv_status kv_flow_try(kv_flow *flow, size_t bytes, kv_error *err) KV_MUST_USE;
/* Messages have left, `bytes` in all. */
void kv_flow_leave(kv_flow *flow, unsigned messages, size_t bytes);
/* Nobody reads any more. */
void kv_flow_close(kv_flow *flow);
