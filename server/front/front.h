/* front.h - the gRPC door's house: listener, loops, connections.
 *
 * Start-up: kv_lanes_new(), kv_front_start(). Take-down, in this order: kv_front_drain(),
 * kv_lanes_stop(), stop the audit thread (every call has come home then), kv_front_stop().
 *
 * Threads: all functions from the main thread, except set_serving, stats and port (any).
 */
#pragma once

#include "server/core/lanes.h"
#include "server/core/services.h"
#include "server/front/grpc/session.h"
#include "server/front/tls.h"

typedef struct kv_front kv_front;

/* 0 takes the default. */
typedef struct kv_front_config {
    const char *listen;     /* "127.0.0.1:7443", "[::1]:0", "*:7443"; port 0 takes a free one */
    unsigned loops;         /* threads that own connections; 1 */
    unsigned backlog;       /* connections the system holds unaccepted; 512 */
    unsigned connections;   /* open at once; 4096 */
    unsigned per_address;   /* open at once from one address; 1024 */
    unsigned handshake_ms;  /* from accept to the end of the handshake; 5,000 */
    unsigned idle_ms;       /* a connection without a call; 300,000 */
    unsigned stall_ms;      /* a peer that does not read replies waiting for it; 20,000 */
    unsigned drain_ms;      /* the longest a drain waits for calls; 5,000 */
    unsigned deadline_ms;   /* of a call that sets none; 30,000 */
    unsigned deadline_most; /* a longer grpc-timeout is cut to it, ms; 300,000 */
    size_t request_bytes;   /* of unfinished requests, in all; 512 MiB. Half of it is for callers
                               that nobody has identified, an eighth of that for each address */
    unsigned call_memory;   /* bytes one call may use, its messages apart; 16 MiB */
    unsigned stream_unsent; /* messages of a stream a worker may be ahead; 16 */
    size_t stream_bytes;    /* and bytes; 1 MiB */
    unsigned detached;      /* calls per connection whose caller left and that still run; 128 */
    kv_grpc_limits grpc;
} kv_front_config;

typedef struct kv_front_stats {
    uint64_t accepted; /* connections so far */
    uint64_t refused;  /* connections over a limit, and failed handshakes */
    uint64_t calls;    /* handed to workers so far */
    uint64_t late;     /* answered by the loop at the deadline, or left by the caller */
    uint64_t floods[KV_GRPC_FLOOD_COUNT]; /* connections that were ended, by what there was too
                                             much of; the first is not used */
    unsigned open;                        /* connections now */
    unsigned running;                     /* calls now with workers or the audit thread */
} kv_front_stats;

/* Makes the libraries wipe what they free. Call once, before anything else touches libevent. */
void kv_front_wipe_memory(void);

/* Listens and starts the loops. `services`, `lanes` and `tls` are borrowed until kv_front_stop().
 * KV_BAD_REQUEST for an address that cannot be parsed, KV_UNAVAILABLE when it cannot be listened
 * on. Health says NOT_SERVING until kv_front_set_serving(). */
kv_status kv_front_start(const kv_front_config *config, kv_services *services, kv_lanes *lanes,
                         kv_tls *tls, kv_front **out, kv_error *err) KV_MUST_USE;

/* Other numbers from now on, for connections and calls that begin; addresses, loops and backlog
 * stay as they are. */
void kv_front_tune(kv_front *front, const kv_front_config *config);

/* What grpc.health.v1.Health says, for the server ("") and for each of its services. */
void kv_front_set_serving(kv_front *front, bool serving);

/* Stops listening, says NOT_SERVING and GOAWAY, and waits until every call has been answered and
 * sent, or drain_ms have passed. True when everything was; otherwise the connections are closed, as
 * if each caller had left. */
bool kv_front_drain(kv_front *front);

/* Closes every connection, joins the loops, frees everything. Nothing may post home any more. */
void kv_front_stop(kv_front *front);

uint16_t kv_front_port(const kv_front *front);
void kv_front_stats_get(kv_front *front, kv_front_stats *out);
