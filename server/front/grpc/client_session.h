/* client_session.h - the client's side of one HTTP/2 connection that speaks gRPC, without a socket.
 *
 * The sibling of session.h: calls in, bytes out; bytes in, events out. Every call that was started
 * ends with exactly one KV_GRPC_CLIENT_END, also when the connection dies.
 *
 * Threads: one owner at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/base/error.h"
#include "server/base/slice.h"

typedef struct kv_grpc_client kv_grpc_client;
typedef struct kv_grpc_client_call kv_grpc_client_call;

typedef struct kv_grpc_client_limits {
    size_t message_bytes; /* longest answer; 0: 16 MiB */
    size_t header_bytes;  /* of one answer; 0: 64 KiB */
    uint32_t window;      /* of one stream: what may wait for the reader, in cost; 0: 1 MiB */
} kv_grpc_client_limits;

/* One request. Everything is copied. */
typedef struct kv_grpc_client_request {
    const char *path;
    const char *authority;
    kv_slice credential;      /* without "Bearer "; empty: none */
    kv_slice idempotency_key; /* empty: none */
    int64_t timeout_ms;
    kv_slice message;
    bool held; /* messages count against the window until kv_grpc_client_taken() */
    void *user;
} kv_grpc_client_request;

typedef enum kv_grpc_client_event_kind {
    KV_GRPC_CLIENT_MESSAGE,
    KV_GRPC_CLIENT_END /* the call is gone: forget it */
} kv_grpc_client_event_kind;

/* Slices are valid until the next function on this session. */
typedef struct kv_grpc_client_event {
    kv_grpc_client_event_kind kind;
    void *user;
    kv_slice message; /* the answer, or with END grpc-message in plain UTF-8 */
    int code;         /* with END: the gRPC status code */
    kv_slice details; /* with END: serialised google.rpc.Status, or empty */
    bool unsent;      /* with END: the server never saw the call */
} kv_grpc_client_event;

/* KV_UNAVAILABLE when out of memory. */
kv_status kv_grpc_client_new(const kv_grpc_client_limits *limits, kv_grpc_client **out,
                             kv_error *err) KV_MUST_USE;
/* Calls that have not ended get no event. */
void kv_grpc_client_free(kv_grpc_client *client);

/* May another call be started now? False at the server's limit and after its GOAWAY. */
bool kv_grpc_client_has_room(const kv_grpc_client *client);
/* The server sends no new streams away or is gone: start calls on another connection. */
bool kv_grpc_client_leaving(const kv_grpc_client *client);

/* KV_UNAVAILABLE when the session takes no more calls or memory is out. */
kv_status kv_grpc_client_start(kv_grpc_client *client, const kv_grpc_client_request *request,
                               kv_grpc_client_call **out, kv_error *err) KV_MUST_USE;
/* Ends it with `code` (1 CANCELLED, 4 DEADLINE_EXCEEDED) and tells the server. */
void kv_grpc_client_cancel(kv_grpc_client_call *call, int code);
/* What a message of so many bytes counts until its reader has taken it: empty ones cost, too. */
static inline size_t kv_grpc_client_cost(size_t bytes)
{
    return bytes + 128;
}
/* The reader has taken messages of a held call, of that cost in all. */
void kv_grpc_client_taken(kv_grpc_client_call *call, size_t cost);

/* KV_UNAVAILABLE when the connection must end: then kv_grpc_client_fail(). */
kv_status kv_grpc_client_receive(kv_grpc_client *client, kv_slice bytes, kv_error *err) KV_MUST_USE;
kv_status kv_grpc_client_pull(kv_grpc_client *client, kv_slice *out, kv_error *err) KV_MUST_USE;
/* The oldest event; false when there is none. */
bool kv_grpc_client_next(kv_grpc_client *client, kv_grpc_client_event *event);

/* The connection is gone: every open call ends with 14 UNAVAILABLE. */
void kv_grpc_client_fail(kv_grpc_client *client, const char *why);

unsigned kv_grpc_client_open_calls(const kv_grpc_client *client);
