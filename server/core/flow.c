/* flow.c - two counters behind a mutex. */
#include "server/core/flow.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct kv_flow {
    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t changed;
    unsigned most_messages;
    size_t most_bytes;
    unsigned messages;
    size_t bytes;
    bool closed;
};

kv_flow *kv_flow_new(unsigned messages, size_t bytes)
{
    kv_flow *flow = calloc(1, sizeof(*flow));
    pthread_condattr_t monotonic;

    if (!flow)
        return NULL;
    flow->most_messages = messages;
    flow->most_bytes = bytes;
    (void)pthread_mutex_init(&flow->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&flow->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return flow;
}

void kv_flow_free(kv_flow *flow)
{
    if (!flow)
        return;
    (void)pthread_cond_destroy(&flow->changed);
    (void)pthread_mutex_destroy(&flow->mutex);
    free(flow);
}

static bool has_room(const kv_flow *flow, size_t bytes)
{
    if (flow->messages == 0)
        return true;
    return flow->messages < flow->most_messages && flow->bytes + bytes <= flow->most_bytes;
}

kv_status kv_flow_enter(kv_flow *flow, size_t bytes, kv_deadline deadline, kv_error *err)
{
    bool closed, room;
    int late = 0;

    pthread_mutex_lock(&flow->mutex);
    while (!flow->closed && !has_room(flow, bytes) && !late)
        late = pthread_cond_timedwait(&flow->changed, &flow->mutex, &deadline.at);
    closed = flow->closed;
    room = !closed && has_room(flow, bytes);
    if (room) {
        flow->messages++;
        flow->bytes += bytes;
    }
    pthread_mutex_unlock(&flow->mutex);

    if (closed)
        return kv_fail(err, KV_CANCELLED, "the caller has left");
    return room ? KV_OK : kv_fail(err, KV_TIMEOUT, "the caller did not read the stream in time");
}

kv_status kv_flow_try(kv_flow *flow, size_t bytes, kv_error *err)
{
    bool closed, room;

    pthread_mutex_lock(&flow->mutex);
    closed = flow->closed;
    room = !closed && has_room(flow, bytes);
    if (room) {
        flow->messages++;
        flow->bytes += bytes;
    }
    pthread_mutex_unlock(&flow->mutex);

    if (closed)
        return kv_fail(err, KV_CANCELLED, "the caller has left");
    return room ? KV_OK : kv_fail(err, KV_BUSY, "the stream has no room now");
}

void kv_flow_leave(kv_flow *flow, unsigned messages, size_t bytes)
{
    pthread_mutex_lock(&flow->mutex);
    flow->messages -= messages < flow->messages ? messages : flow->messages;
    flow->bytes -= bytes < flow->bytes ? bytes : flow->bytes;
    pthread_cond_signal(&flow->changed);
    pthread_mutex_unlock(&flow->mutex);
}

void kv_flow_close(kv_flow *flow)
{
    pthread_mutex_lock(&flow->mutex);
    flow->closed = true;
    pthread_cond_signal(&flow->changed);
    pthread_mutex_unlock(&flow->mutex);
}
