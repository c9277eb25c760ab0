/* loop.h - a thread that owns connections, and what the parts of the front share. Private to
 * front/.
 *
 * Threads: a kv_loop and everything on it belongs to its own thread, except the mailbox and the
 * counters. kv_front is read by all; what changes in it is atomic.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include <event2/event.h>

#include "server/core/mailbox.h"
#include "server/front/front.h"
#include "server/front/grpc/methods.h"
#include "server/front/peers.h"

typedef struct kv_conn kv_conn;
typedef struct kv_stub kv_stub;
typedef struct kv_listener kv_listener;
typedef struct kv_loop kv_loop;

enum { KV_LOOP_SCRATCH_BYTES = 64 * 1024, KV_TICK_MS = 250, KV_LOOP_RANDOM_BYTES = 1024 };

struct kv_loop {
    kv_front *front; /* borrowed */
    unsigned index;
    kv_front_config config; /* this loop's own copy: kv_front_tune() changes it by mail */
    pthread_t thread;
    bool started;
    struct event_base *base;
    kv_mailbox *box;
    struct event *mail_event;
    struct event *tick_event;
    struct event *goaway_event; /* the second GOAWAY of a drain */
    kv_mail drain_order;
    kv_mail cut_order;
    kv_mail stop_order;
    bool draining;
    bool crowded; /* as seen at the last tick */

    kv_conn *conns; /* utlist DL */
    kv_conn *dirty; /* have something to send; utlist DL by dirty links */
    kv_stub *stubs; /* by serial; uthash */
    uint64_t next_serial;
    atomic_uint open;                     /* connections */
    atomic_uint running;                  /* calls out of the loop */
    uint8_t random[KV_LOOP_RANDOM_BYTES]; /* for request ids: the generator is asked now and then */
    size_t random_left;
    uint8_t *scratch; /* KV_LOOP_SCRATCH_BYTES, wiped after use */
};

struct kv_front {
    kv_front_config config; /* defaults filled in; the main thread's */
    kv_services *services;
    kv_lanes *lanes;
    kv_tls *tls;
    kv_methods *methods;
    kv_peers *peers;
    atomic_size_t held; /* bytes of unfinished requests */
    kv_listener *listener;
    kv_loop *loops;
    atomic_bool serving;
    atomic_bool draining;
    atomic_uint_fast64_t accepted, refused, calls, late;
    atomic_uint_fast64_t floods[KV_GRPC_FLOOD_COUNT]; /* connections that were ended */
    atomic_int_fast64_t flood_told_us;                /* when the log was last told of one */
};

kv_status kv_loop_open(kv_loop *loop, kv_front *front, unsigned index, kv_error *err) KV_MUST_USE;
kv_status kv_loop_start(kv_loop *loop, kv_error *err) KV_MUST_USE;
/* Asks the loop to end (it closes its connections) and joins its thread. */
void kv_loop_stop(kv_loop *loop);
void kv_loop_close(kv_loop *loop);

/* From any thread. */
void kv_loop_drain(kv_loop *loop);
/* The drain's time is over: closes the connections. The loop goes on, for calls that come home. */
void kv_loop_cut(kv_loop *loop);
void kv_loop_tell_serving(kv_loop *loop);
void kv_loop_tune(kv_loop *loop, const kv_front_config *config);
/* Takes the descriptor. `host` without the port, `address` with it. */
void kv_loop_give_socket(kv_loop *loop, int fd, const char *host, const char *address);

/* Something is to be sent: after the current batch of events the connection is flushed once. */
void kv_loop_mark_dirty(kv_loop *loop, kv_conn *conn);
void kv_loop_flush(kv_loop *loop);
