/* session.c - the server's side of HTTP/2: nghttp2's callbacks, and what the owner may ask. */
#include "server/front/grpc/session.h"

#include <stdlib.h>

#include <utlist.h>

#include "server/base/clock.h"
#include "server/base/text.h"
#include "server/front/grpc/memory.h"
#include "server/front/grpc/stream.h"

enum {
    KIB = 1024,
    MOST_ACKS = 200,
    MOST_SETTINGS = 16,
    MOST_CONTINUATIONS = 4,
    BEARER_BYTES = 7,
    HEADER_OVERHEAD = 32,   /* what HPACK adds to a header's size */
    HEADER_HARD_FACTOR = 4, /* so many times the limit ends the connection */
    CREDIT_PER_CALL = 10,   /* glitches given back */
    RESET_GLITCHES = 5,     /* price of making us reset a stream */
};

static kv_grpc_limits with_defaults(const kv_grpc_limits *wish)
{
    kv_grpc_limits limits = *wish;

    limits.streams = limits.streams ? limits.streams : 128;
    limits.stream_window = limits.stream_window ? limits.stream_window : 1024 * KIB;
    limits.connection_window = limits.connection_window ? limits.connection_window : 4096 * KIB;
    limits.header_bytes = limits.header_bytes ? limits.header_bytes : 16 * KIB;
    limits.message_bytes = limits.message_bytes ? limits.message_bytes : 4096 * KIB;
    limits.request_bytes = limits.request_bytes ? limits.request_bytes : 65536 * KIB;
    limits.reply_bytes = limits.reply_bytes ? limits.reply_bytes : 65536 * KIB;
    limits.glitches = limits.glitches ? limits.glitches : 1000;
    limits.glitches_per_second = limits.glitches_per_second ? limits.glitches_per_second : 200;
    limits.resets = limits.resets ? limits.resets : 200;
    limits.resets_per_second = limits.resets_per_second ? limits.resets_per_second : 50;
    return limits;
}

/* --- what comes in --- */

static int too_many_frames(kv_grpc_session *session)
{
    session->flood = KV_GRPC_FLOOD_FRAMES;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_begin_headers(nghttp2_session *http, const nghttp2_frame *frame, void *user)
{
    kv_grpc_stream *stream;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    stream = kv_stream_new(user, frame->hd.stream_id);
    if (!stream)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    (void)nghttp2_session_set_stream_user_data(http, frame->hd.stream_id, stream);
    return 0;
}

static bool keep(kv_grpc_stream *stream, kv_slice value, kv_slice *out)
{
    kv_error err;

    return kv_arena_copy(&stream->arena, value, out, &err) == KV_OK;
}

static bool keep_header(kv_grpc_stream *stream, kv_slice name, kv_slice value)
{
    if (kv_slice_equal(name, KV_SLICE(":path")))
        return keep(stream, value, &stream->request.path);
    if (kv_slice_equal(name, KV_SLICE(":method")))
        return keep(stream, value, &stream->method);
    if (kv_slice_equal(name, KV_SLICE("content-type")))
        return keep(stream, value, &stream->content_type);
    if (kv_slice_equal(name, KV_SLICE("grpc-encoding")))
        return keep(stream, value, &stream->encoding);
    if (kv_slice_equal(name, KV_SLICE("grpc-timeout")))
        return keep(stream, value, &stream->timeout);
    if (kv_slice_equal(name, KV_SLICE("idempotency-key")))
        return keep(stream, value, &stream->request.idempotency_key);
    if (kv_slice_equal(name, KV_SLICE("authorization")) && value.len > BEARER_BYTES &&
        kv_text_equal_nocase(kv_slice_of(value.data, BEARER_BYTES), KV_SLICE("Bearer ")))
        return keep(stream, kv_slice_of(value.data + BEARER_BYTES, value.len - BEARER_BYTES),
                    &stream->request.credential);
    return true;
}

static int on_header(nghttp2_session *http, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    kv_grpc_session *session = user;
    kv_grpc_stream *stream = nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);

    (void)flags;
    if (!stream)
        return 0;
    stream->header_bytes += name_len + value_len + HEADER_OVERHEAD;
    if (stream->header_bytes > HEADER_HARD_FACTOR * session->limits.header_bytes)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (stream->header_bytes > session->limits.header_bytes)
        stream->too_many_headers = true;
    else if (!stream->begun &&
             !keep_header(stream, kv_slice_of(name, name_len), kv_slice_of(value, value_len)))
        stream->too_many_headers = true;
    return 0;
}

static int on_data(nghttp2_session *http, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *user)
{
    kv_grpc_stream *stream = nghttp2_session_get_stream_user_data(http, id);

    (void)flags;
    (void)user;
    if (stream)
        kv_stream_take(stream, kv_slice_of(data, len));
    return 0;
}

static int on_frame(nghttp2_session *http, const nghttp2_frame *frame, void *user)
{
    kv_grpc_session *session = user;
    kv_grpc_stream *stream;
    bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    stream = nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_DATA && !ends && frame->hd.length <= frame->data.padlen &&
        !kv_guard_charge(&session->guard, 1))
        return too_many_frames(session);
    if (!stream)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        kv_stream_begin(stream);
    if (ends)
        kv_stream_end(stream);
    return 0;
}

static int on_close(nghttp2_session *http, int32_t id, uint32_t code, void *user)
{
    kv_grpc_session *session = user;
    kv_grpc_stream *stream = nghttp2_session_get_stream_user_data(http, id);

    (void)code;
    if (!stream)
        return 0;
    session->open--;
    stream->closed = true;
    if (stream->finished)
        kv_guard_credit(&session->guard, CREDIT_PER_CALL);
    if (stream->begun)
        kv_stream_tell(stream, KV_STREAM_EVENT_GONE);
    else
        kv_stream_free(stream);
    return 0;
}

/* --- what goes out --- */

static int on_sent(nghttp2_session *http, const nghttp2_frame *frame, void *user)
{
    kv_grpc_session *session = user;
    kv_grpc_stream *stream;

    if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR)
        return kv_guard_charge(&session->guard, RESET_GLITCHES) ? 0 : too_many_frames(session);
    /* With this code HTTP/2's own limit of resets ends a session. */
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code == NGHTTP2_INTERNAL_ERROR)
        session->flood = KV_GRPC_FLOOD_FRAMES;
    if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    stream = nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);
    if (!stream)
        return 0;
    stream->finished = true;
    /* Only now: a reset that is submitted earlier would overtake the answer. */
    if (!stream->ended)
        return nghttp2_submit_rst_stream(http, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR);
    return 0;
}

/* --- a session --- */

static nghttp2_option *make_options(const kv_grpc_limits *limits)
{
    nghttp2_option *option;

    if (nghttp2_option_new(&option))
        return NULL;
    nghttp2_option_set_max_outbound_ack(option, MOST_ACKS);
    nghttp2_option_set_max_settings(option, MOST_SETTINGS);
    nghttp2_option_set_max_continuations(option, MOST_CONTINUATIONS);
    nghttp2_option_set_stream_reset_rate_limit(option, limits->resets, limits->resets_per_second);
    return option;
}

static int open_http(kv_grpc_session *session)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option = make_options(&session->limits);
    int rv;

    if (!option)
        return NGHTTP2_ERR_NOMEM;
    rv = nghttp2_session_callbacks_new(&callbacks);
    if (!rv) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
        rv = nghttp2_session_server_new3(&session->http, callbacks, session, option,
                                         kv_wiping_nghttp2());
        nghttp2_session_callbacks_del(callbacks);
    }
    nghttp2_option_del(option);
    return rv;
}

static int send_settings(kv_grpc_session *session)
{
    const kv_grpc_limits *limits = &session->limits;
    nghttp2_settings_entry entries[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits->stream_window },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->header_bytes },
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
    };
    int rv = nghttp2_submit_settings(session->http, NGHTTP2_FLAG_NONE, entries, KV_COUNT(entries));

    if (rv)
        return rv;
    return nghttp2_session_set_local_window_size(session->http, NGHTTP2_FLAG_NONE, 0,
                                                 (int32_t)limits->connection_window);
}

kv_status kv_grpc_session_new(const kv_grpc_limits *limits, kv_grpc_session **out, kv_error *err)
{
    kv_grpc_session *session = calloc(1, sizeof(*session));

    if (!session)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    session->limits = with_defaults(limits);
    kv_guard_init(&session->guard, session->limits.glitches, session->limits.glitches_per_second,
                  kv_monotonic_us());
    if (open_http(session) || send_settings(session)) {
        kv_grpc_session_free(session);
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    }
    *out = session;
    return KV_OK;
}

void kv_grpc_session_free(kv_grpc_session *session)
{
    if (!session)
        return;
    nghttp2_session_del(session->http);
    while (session->streams)
        kv_stream_free(session->streams);
    free(session);
}

static kv_status end_broken(kv_grpc_session *session, uint32_t code, const char *why, kv_error *err)
{
    (void)nghttp2_session_terminate_session(session->http, code);
    session->broken = true;
    return kv_fail(err, KV_BAD_REQUEST, "%s", why);
}

kv_status kv_grpc_session_receive(kv_grpc_session *session, kv_slice bytes, kv_error *err)
{
    ssize_t taken;

    if (session->broken)
        return kv_fail(err, KV_BAD_REQUEST, "the connection is ending");
    if (!kv_guard_scan(&session->guard, bytes, kv_monotonic_us())) {
        session->flood = KV_GRPC_FLOOD_FRAMES;
        return end_broken(session, NGHTTP2_ENHANCE_YOUR_CALM, "too many useless frames", err);
    }
    taken = nghttp2_session_mem_recv(session->http, bytes.data, bytes.len);
    if (taken < 0) {
        if (taken == NGHTTP2_ERR_FLOODED)
            session->flood = KV_GRPC_FLOOD_FRAMES;
        end_broken(session, NGHTTP2_PROTOCOL_ERROR, "the peer broke HTTP/2", err);
        return kv_note(err, "%s", nghttp2_strerror((int)taken));
    }
    return KV_OK;
}

kv_status kv_grpc_session_charge(kv_grpc_session *session, unsigned glitches, kv_error *err)
{
    if (session->broken)
        return kv_fail(err, KV_BAD_REQUEST, "the connection is ending");
    kv_guard_refill(&session->guard, kv_monotonic_us());
    if (kv_guard_charge(&session->guard, glitches))
        return KV_OK;
    session->flood = KV_GRPC_FLOOD_RECORDS;
    return end_broken(session, NGHTTP2_ENHANCE_YOUR_CALM, "too many useless records", err);
}

bool kv_grpc_session_next(kv_grpc_session *session, kv_grpc_event *event)
{
    kv_grpc_stream *stream = session->events;
    unsigned kind = KV_GRPC_BEGIN;

    if (!stream)
        return false;
    while (!(stream->events & 1U << kind))
        kind++;
    stream->events &= ~(1U << kind);
    if (!stream->events) {
        session->events = stream->next_event;
        if (!session->events)
            session->last_event = NULL;
        stream->listed = false;
    }

    *event = (kv_grpc_event){ .kind = (kv_grpc_event_kind)kind,
                              .stream = stream,
                              .user = stream->user,
                              .finished = stream->finished };
    if (kind == KV_GRPC_SENT) {
        event->messages = stream->sent_messages;
        event->bytes = stream->sent_bytes;
        stream->sent_messages = 0;
        stream->sent_bytes = 0;
    }
    if (kind == KV_GRPC_GONE)
        kv_stream_free(stream);
    return true;
}

kv_status kv_grpc_session_pull(kv_grpc_session *session, kv_slice *out, kv_error *err)
{
    const uint8_t *data;
    ssize_t len = nghttp2_session_mem_send(session->http, &data);

    if (len < 0) {
        session->broken = true;
        kv_fail(err, KV_BAD_REQUEST, "the peer broke HTTP/2");
        return kv_note(err, "%s", nghttp2_strerror((int)len));
    }
    *out = kv_slice_of(data, (size_t)len);
    return KV_OK;
}

/* --- the end --- */

void kv_grpc_session_announce_end(kv_grpc_session *session)
{
    (void)nghttp2_submit_shutdown_notice(session->http);
}

void kv_grpc_session_end(kv_grpc_session *session)
{
    (void)nghttp2_submit_goaway(session->http, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(session->http),
                                NGHTTP2_NO_ERROR, NULL, 0);
}

bool kv_grpc_session_over(kv_grpc_session *session)
{
    return session->broken || (!nghttp2_session_want_read(session->http) &&
                               !nghttp2_session_want_write(session->http));
}

kv_grpc_flood kv_grpc_session_flood(const kv_grpc_session *session)
{
    return session->flood;
}

void kv_grpc_session_trust(kv_grpc_session *session)
{
    session->trusted = true;
    kv_stream_hold(session, 0);
}

unsigned kv_grpc_session_open_streams(const kv_grpc_session *session)
{
    return session->open;
}

size_t kv_grpc_session_unsent(const kv_grpc_session *session)
{
    return session->unsent;
}

uint64_t kv_grpc_session_progress(const kv_grpc_session *session)
{
    return session->progress;
}
