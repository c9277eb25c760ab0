/* stream.h - one stream of a session: what has come, what is to go. Private to grpc/.
 *
 * Threads: the session's owner.
 */
#pragma once

#include <sys/types.h>

#include <nghttp2/nghttp2.h>

#include "server/base/arena.h"
#include "server/front/grpc/buffer.h"
#include "server/front/grpc/guard.h"
#include "server/front/grpc/session.h"
#include "server/front/grpc/wording.h"

/* Cuts a byte stream into length-prefixed messages. */
typedef struct kv_deframe {
    uint8_t prefix[KV_GRPC_PREFIX_BYTES];
    unsigned prefix_len;
    kv_buffer message;
    bool whole; /* `message` is complete */
} kv_deframe;

/* Takes from `bytes` up to the end of one message; KV_BUSY past `most` bytes, KV_UNSUPPORTED when
 * compressed. Call it again with the rest once the whole message has been dealt with. */
kv_status kv_deframe_feed(kv_deframe *deframe, kv_slice *bytes, size_t most,
                          kv_error *err) KV_MUST_USE;
/* Ready for the next message. */
void kv_deframe_next(kv_deframe *deframe);
void kv_deframe_cleanup(kv_deframe *deframe);

/* One message on its way out, prefix included. */
typedef struct kv_outgoing {
    struct kv_outgoing *next;
    size_t len;
    size_t sent;
    uint8_t bytes[];
} kv_outgoing;

enum {
    KV_STREAM_EVENT_BEGIN = 1 << KV_GRPC_BEGIN,
    KV_STREAM_EVENT_CALL = 1 << KV_GRPC_CALL,
    KV_STREAM_EVENT_SENT = 1 << KV_GRPC_SENT,
    KV_STREAM_EVENT_GONE = 1 << KV_GRPC_GONE,
};

struct kv_grpc_stream {
    kv_grpc_session *session;
    int32_t id;
    void *user;

    kv_arena arena; /* headers in, trailers out */
    size_t header_bytes;
    bool too_many_headers;
    kv_slice method, content_type, encoding, timeout;
    kv_grpc_request request;
    kv_deframe in;

    bool begun;     /* the owner has been told of it */
    bool ended;     /* the peer has said all */
    bool closed;    /* HTTP/2 has forgotten it */
    bool answering; /* response headers are submitted */
    bool finishing; /* the trailer is known: nothing more may be added */
    bool finished;  /* and sent */
    kv_outgoing *out;
    kv_outgoing **out_tail;
    nghttp2_nv trailer[3];
    size_t trailer_count;

    unsigned events; /* bits, not yet taken */
    unsigned sent_messages;
    size_t sent_bytes;
    bool listed;
    kv_grpc_stream *next_event;
    kv_grpc_stream *prev, *next; /* all of the session */
};

struct kv_grpc_session {
    nghttp2_session *http;
    kv_grpc_limits limits;
    kv_guard guard;
    kv_grpc_stream *streams; /* utlist DL */
    kv_grpc_stream *events, *last_event;
    unsigned open;
    size_t held;    /* request bytes */
    size_t unknown; /* of them, those that count for the address: it was not trusted yet */
    bool trusted;
    size_t unsent; /* reply bytes */
    uint64_t progress;
    kv_grpc_flood flood;
    bool broken;
};

/* Request bytes come (or go, below 0). */
void kv_stream_hold(kv_grpc_session *session, ssize_t bytes);
kv_grpc_stream *kv_stream_new(kv_grpc_session *session, int32_t id);
void kv_stream_free(kv_grpc_stream *stream);
/* Queues an event for the owner. */
void kv_stream_tell(kv_grpc_stream *stream, unsigned event);
/* Takes the body's bytes; breaking a limit finishes the stream. */
void kv_stream_take(kv_grpc_stream *stream, kv_slice bytes);
/* Looks at the complete headers: begins or refuses. */
void kv_stream_begin(kv_grpc_stream *stream);
/* The peer has said all: hands the call over or refuses. */
void kv_stream_end(kv_grpc_stream *stream);
/* Answers with a status and no message. */
void kv_stream_refuse(kv_grpc_stream *stream, int code, const char *message);
