/* session.h - the server's side of one HTTP/2 connection that speaks gRPC, without a socket.
 *
 * Bytes in, events out; answers in, bytes out. Nothing is called back: the owner feeds bytes,
 * takes the events they caused, answers, and pulls the bytes to send. A stream stays valid until
 * its KV_GRPC_GONE event has been taken.
 *
 * What a hostile peer can do is bounded here: header and message sizes, streams, control frames
 * (a token bucket that honest calls refill), resets, request bytes held and reply bytes unread.
 *
 * Threads: one owner at a time.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/base/error.h"
#include "server/base/slice.h"

typedef struct kv_grpc_session kv_grpc_session;
typedef struct kv_grpc_stream kv_grpc_stream;

/* 0 takes the default. */
typedef struct kv_grpc_limits {
    uint32_t streams;           /* open at once; 128 */
    uint32_t stream_window;     /* bytes a peer may send ahead on one stream; 1 MiB */
    uint32_t connection_window; /* and on all of them; 4 MiB */
    size_t header_bytes;        /* of one request, as HPACK counts; 16 KiB, four times that ends
                                   the connection */
    size_t message_bytes;       /* of one request message; 4 MiB */
    size_t request_bytes;       /* of unfinished requests held; 64 MiB */
    /* What several sessions hold of unfinished requests; borrowed. NULL: nobody counts. */
    atomic_size_t *held_by_all;
    size_t held_most;             /* of that; a session that is not trusted sees half of it */
    atomic_size_t *held_by_peer;  /* and those that are not trusted of one address; as above */
    size_t peer_most;             /* of that */
    size_t reply_bytes;           /* of replies the peer has not read; 64 MiB */
    unsigned glitches;            /* control and useless frames in a burst; 1000 */
    unsigned glitches_per_second; /* refill; 200. Every finished call gives 10 back */
    unsigned resets;              /* streams reset by the peer in a burst; 200 */
    unsigned resets_per_second;   /* 50 */
} kv_grpc_limits;

typedef enum kv_grpc_event_kind {
    KV_GRPC_BEGIN, /* the headers are complete: time to set a deadline or refuse */
    KV_GRPC_CALL,  /* the request message is complete */
    KV_GRPC_SENT,  /* messages of a stream have left: `messages` and `bytes` say how many */
    KV_GRPC_GONE   /* the stream has ended: forget it. `finished` if the answer was sent whole */
} kv_grpc_event_kind;

typedef struct kv_grpc_event {
    kv_grpc_event_kind kind;
    kv_grpc_stream *stream;
    void *user; /* kv_grpc_stream_set_user; outlives the stream's end */
    unsigned messages;
    size_t bytes;
    bool finished;
} kv_grpc_event;

/* What the headers said. Slices live as long as the stream. */
typedef struct kv_grpc_request {
    kv_slice path;            /* "/keyvault.v1.KeyService/Sign" */
    kv_slice credential;      /* of "authorization: Bearer ..."; empty if none */
    kv_slice idempotency_key; /* of "idempotency-key", as it came; empty if none */
    bool has_timeout;
    int64_t timeout_ms; /* grpc-timeout; at most about 3 years */
    kv_slice message;   /* from KV_GRPC_CALL on; empty before */
} kv_grpc_request;

/* How a call ends. Nothing is kept. */
typedef struct kv_grpc_trailer {
    int code;         /* gRPC status code */
    kv_slice message; /* UTF-8; percent-encoded on the way */
    kv_slice details; /* serialised google.rpc.Status; empty: none */
} kv_grpc_trailer;

/* KV_UNAVAILABLE when out of memory. */
kv_status kv_grpc_session_new(const kv_grpc_limits *limits, kv_grpc_session **out,
                              kv_error *err) KV_MUST_USE;
/* Streams that are still open get no event: their `user` is the owner's to clean up first. */
void kv_grpc_session_free(kv_grpc_session *session);

/* The peer is known now: it may hold as much as the limits say. Until then, half of it, and half
 * of what is for all. */
void kv_grpc_session_trust(kv_grpc_session *session);

/* Feeds what the peer sent. KV_BAD_REQUEST when the connection must end: pull once more (it holds
 * the GOAWAY), then close. */
kv_status kv_grpc_session_receive(kv_grpc_session *session, kv_slice bytes,
                                  kv_error *err) KV_MUST_USE;
/* The same for what the peer sent that has cost work below HTTP/2 and brings nothing: as much as so
 * many useless frames. */
kv_status kv_grpc_session_charge(kv_grpc_session *session, unsigned glitches,
                                 kv_error *err) KV_MUST_USE;
/* The oldest event; false when there is none. */
bool kv_grpc_session_next(kv_grpc_session *session, kv_grpc_event *event);

/* The next bytes to send, valid until the next function on this session; empty when there is
 * nothing to send now. KV_BAD_REQUEST when the connection must end. */
kv_status kv_grpc_session_pull(kv_grpc_session *session, kv_slice *out, kv_error *err) KV_MUST_USE;

const kv_grpc_request *kv_grpc_stream_request(const kv_grpc_stream *stream);
void kv_grpc_stream_set_user(kv_grpc_stream *stream, void *user);
/* Wipes the credential and the message, once they have been copied into a call. */
void kv_grpc_stream_forget_request(kv_grpc_stream *stream);

/* Queues one message (copied). KV_BUSY when the peer leaves too many replies unread: nothing was
 * queued, finish the stream with that error. */
kv_status kv_grpc_stream_send(kv_grpc_stream *stream, kv_slice message, kv_error *err) KV_MUST_USE;
/* Ends the stream after what is queued. Once per stream; ignored when it is already ending. */
void kv_grpc_stream_finish(kv_grpc_stream *stream, const kv_grpc_trailer *trailer);

/* First of the two GOAWAYs: no new streams, please. */
void kv_grpc_session_announce_end(kv_grpc_session *session);
/* The second: streams begun later are refused. Open ones go on. */
void kv_grpc_session_end(kv_grpc_session *session);

/* What ended the session, if it was too much of what is no use. */
typedef enum kv_grpc_flood {
    KV_GRPC_FLOOD_NONE,
    KV_GRPC_FLOOD_FRAMES,  /* of HTTP/2, resets among them */
    KV_GRPC_FLOOD_RECORDS, /* kv_grpc_session_charge() */
    KV_GRPC_FLOOD_COUNT
} kv_grpc_flood;

kv_grpc_flood kv_grpc_session_flood(const kv_grpc_session *session);

/* Nothing more to read or write: close the connection. */
bool kv_grpc_session_over(kv_grpc_session *session);

unsigned kv_grpc_session_open_streams(const kv_grpc_session *session);
/* Bytes of replies queued and not yet pulled. */
size_t kv_grpc_session_unsent(const kv_grpc_session *session);
/* Bytes of DATA pulled so far: it stands still while `unsent` is above 0 when the peer stalls. */
uint64_t kv_grpc_session_progress(const kv_grpc_session *session);
