/* stream.c - one stream's request: its headers looked at, its message put together. */
#include "server/front/grpc/stream.h"

#include <stdlib.h>

#include <utlist.h>

#include "server/front/grpc/memory.h"

enum {
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    ARENA_SPARE = 64 * 1024 /* beside the headers: the trailer */
};

kv_status kv_deframe_feed(kv_deframe *deframe, kv_slice *bytes, size_t most, kv_error *err)
{
    size_t want, step;

    while (bytes->len && deframe->prefix_len < KV_GRPC_PREFIX_BYTES) {
        deframe->prefix[deframe->prefix_len++] = bytes->data[0];
        bytes->data++;
        bytes->len--;
    }
    if (deframe->prefix_len < KV_GRPC_PREFIX_BYTES)
        return KV_OK;
    if (deframe->prefix[0] != 0)
        return kv_fail(err, KV_UNSUPPORTED, "compressed messages are not supported");
    want = kv_grpc_prefix_length(deframe->prefix);
    if (want > most)
        return kv_fail(err, KV_BUSY, "the message is %zu bytes, at most %zu are accepted", want,
                       most);

    step = want - deframe->message.len < bytes->len ? want - deframe->message.len : bytes->len;
    if (!kv_buffer_add(&deframe->message, kv_slice_of(bytes->data, step)))
        return kv_fail(err, KV_BUSY, "out of memory");
    bytes->data += step;
    bytes->len -= step;
    deframe->whole = deframe->message.len == want;
    return KV_OK;
}

void kv_deframe_next(kv_deframe *deframe)
{
    kv_buffer_cleanup(&deframe->message);
    deframe->prefix_len = 0;
    deframe->whole = false;
}

void kv_deframe_cleanup(kv_deframe *deframe)
{
    kv_deframe_next(deframe);
}

kv_grpc_stream *kv_stream_new(kv_grpc_session *session, int32_t id)
{
    kv_grpc_stream *stream = calloc(1, sizeof(*stream));

    if (!stream)
        return NULL;
    stream->session = session;
    stream->id = id;
    stream->arena = KV_ARENA(2 * session->limits.header_bytes + ARENA_SPARE);
    stream->out_tail = &stream->out;
    DL_APPEND(session->streams, stream);
    session->open++;
    return stream;
}

void kv_stream_free(kv_grpc_stream *stream)
{
    kv_grpc_session *session = stream->session;

    while (stream->out) {
        kv_outgoing *gone = stream->out;

        stream->out = gone->next;
        session->unsent -= gone->len - gone->sent;
        kv_wiping_free(gone);
    }
    kv_stream_hold(session, -(ssize_t)stream->in.message.len);
    kv_deframe_cleanup(&stream->in);
    kv_arena_cleanup(&stream->arena);
    DL_DELETE(session->streams, stream);
    free(stream);
}

void kv_stream_tell(kv_grpc_stream *stream, unsigned event)
{
    kv_grpc_session *session = stream->session;

    stream->events |= event;
    if (stream->listed)
        return;
    stream->listed = true;
    stream->next_event = NULL;
    if (session->last_event)
        session->last_event->next_event = stream;
    else
        session->events = stream;
    session->last_event = stream;
}

/* Headers only, then the stream ends: for what is HTTP/2 but not gRPC. */
static void refuse_http(kv_grpc_stream *stream, const char *status)
{
    nghttp2_nv header = { (uint8_t *)":status", (uint8_t *)status, 7, strlen(status), 0 };

    stream->answering = true;
    stream->finishing = true;
    if (nghttp2_submit_response(stream->session->http, stream->id, &header, 1, NULL))
        stream->session->broken = true;
}

void kv_stream_refuse(kv_grpc_stream *stream, int code, const char *message)
{
    kv_grpc_stream_finish(stream,
                          &(kv_grpc_trailer){ .code = code, .message = kv_slice_text(message) });
}

static bool is_grpc(kv_slice type)
{
    static const kv_slice plain = { (const uint8_t *)"application/grpc", 16 };

    return kv_slice_starts_with(type, plain) &&
           (type.len == plain.len || type.data[plain.len] == '+' || type.data[plain.len] == ';');
}

static bool read_timeout(kv_grpc_stream *stream)
{
    kv_grpc_request *request = &stream->request;

    if (!stream->timeout.data)
        return true;
    request->has_timeout = true;
    return kv_grpc_timeout_parse(stream->timeout, &request->timeout_ms);
}

void kv_stream_begin(kv_grpc_stream *stream)
{
    if (stream->too_many_headers) {
        kv_stream_refuse(stream, GRPC_EXHAUSTED, "the headers are too large");
    } else if (!kv_slice_equal(stream->method, KV_SLICE("POST"))) {
        refuse_http(stream, "405");
    } else if (!is_grpc(stream->content_type)) {
        refuse_http(stream, "415");
    } else if (stream->encoding.len && !kv_slice_equal(stream->encoding, KV_SLICE("identity"))) {
        kv_stream_refuse(stream, GRPC_UNIMPLEMENTED, "grpc-encoding is not supported");
    } else if (!read_timeout(stream)) {
        kv_stream_refuse(stream, GRPC_INVALID_ARGUMENT, "grpc-timeout is malformed");
    } else {
        stream->begun = true;
        kv_stream_tell(stream, KV_STREAM_EVENT_BEGIN);
    }
}

/* Who has become trusted holds nothing any more that counts for the address. */
static void hold_of_address(kv_grpc_session *session, ssize_t bytes)
{
    ssize_t most = (ssize_t)session->unknown;

    if (session->trusted || bytes < -most)
        bytes = -most;
    session->unknown += (size_t)bytes;
    atomic_fetch_add(session->limits.held_by_peer, (size_t)bytes);
}

void kv_stream_hold(kv_grpc_session *session, ssize_t bytes)
{
    session->held += (size_t)bytes;
    if (session->limits.held_by_all)
        atomic_fetch_add(session->limits.held_by_all, (size_t)bytes);
    if (session->limits.held_by_peer)
        hold_of_address(session, bytes);
}

static bool holds_too_much(const kv_grpc_session *session)
{
    const kv_grpc_limits *limits = &session->limits;
    size_t mine = session->trusted ? limits->request_bytes : limits->request_bytes / 2;
    size_t all = session->trusted ? limits->held_most : limits->held_most / 2;

    if (!session->trusted && limits->held_by_peer &&
        atomic_load(limits->held_by_peer) > limits->peer_most)
        return true;
    if (!limits->held_by_all)
        return session->held > limits->request_bytes;
    return session->held > mine || atomic_load(limits->held_by_all) > all;
}

void kv_stream_take(kv_grpc_stream *stream, kv_slice bytes)
{
    kv_grpc_session *session = stream->session;
    size_t before = stream->in.message.len;
    kv_error err = { 0 };

    if (stream->finishing)
        return;
    if (stream->in.whole) {
        kv_stream_refuse(stream, GRPC_INVALID_ARGUMENT, "more than one request message");
        return;
    }
    if (kv_deframe_feed(&stream->in, &bytes, session->limits.message_bytes, &err) != KV_OK) {
        kv_stream_refuse(stream, kv_status_spelling(err.status)->grpc, err.message);
        return;
    }
    kv_stream_hold(session, (ssize_t)(stream->in.message.len - before));
    if (holds_too_much(session))
        kv_stream_refuse(stream, GRPC_EXHAUSTED, "too many unfinished requests");
    else if (bytes.len)
        kv_stream_refuse(stream, GRPC_INVALID_ARGUMENT, "more than one request message");
}

void kv_stream_end(kv_grpc_stream *stream)
{
    stream->ended = true;
    if (stream->finishing)
        return;
    if (!stream->in.whole) {
        kv_stream_refuse(stream, GRPC_INVALID_ARGUMENT, "the request message is incomplete");
        return;
    }
    stream->request.message = kv_buffer_slice(&stream->in.message);
    kv_stream_tell(stream, KV_STREAM_EVENT_CALL);
}
