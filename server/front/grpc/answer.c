/* answer.c - what leaves on a stream: messages, then the trailer. */
#include "server/front/grpc/memory.h"
#include "server/front/grpc/stream.h"

#define NV(name_, value_)                                                               \
    {                                                                                   \
        (uint8_t *)(name_), (uint8_t *)(value_), sizeof(name_) - 1, sizeof(value_) - 1, \
            NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE                \
    }

static void one_has_left(kv_grpc_stream *stream)
{
    kv_outgoing *gone = stream->out;

    stream->out = gone->next;
    if (!stream->out)
        stream->out_tail = &stream->out;
    stream->sent_messages++;
    stream->sent_bytes += gone->len - KV_GRPC_PREFIX_BYTES;
    if (!stream->finishing)
        kv_stream_tell(stream, KV_STREAM_EVENT_SENT);
    kv_wiping_free(gone);
}

static ssize_t read_out(nghttp2_session *http, int32_t id, uint8_t *buf, size_t room,
                        uint32_t *flags, nghttp2_data_source *source, void *user)
{
    kv_grpc_stream *stream = source->ptr;
    kv_grpc_session *session = user;
    size_t filled = 0;

    while (stream->out && filled < room) {
        kv_outgoing *first = stream->out;
        size_t left = first->len - first->sent;
        size_t step = left < room - filled ? left : room - filled;

        memcpy(buf + filled, first->bytes + first->sent, step);
        filled += step;
        first->sent += step;
        session->unsent -= step;
        if (first->sent == first->len)
            one_has_left(stream);
    }
    session->progress += filled;
    if (!stream->out && stream->finishing) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(http, id, stream->trailer, stream->trailer_count))
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    } else if (!filled) {
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)filled;
}

const kv_grpc_request *kv_grpc_stream_request(const kv_grpc_stream *stream)
{
    return &stream->request;
}

void kv_grpc_stream_set_user(kv_grpc_stream *stream, void *user)
{
    stream->user = user;
}

void kv_grpc_stream_forget_request(kv_grpc_stream *stream)
{
    kv_stream_hold(stream->session, -(ssize_t)stream->in.message.len);
    kv_buffer_cleanup(&stream->in.message);
    stream->request.message = KV_SLICE_NONE;
    stream->request.credential = KV_SLICE_NONE;
    /* The arena holds the credential; nothing of the request is needed any more. */
    kv_arena_cleanup(&stream->arena);
    stream->request.path = KV_SLICE_NONE;
}

static void start_answer(kv_grpc_stream *stream)
{
    static const nghttp2_nv headers[] = { NV(":status", "200"),
                                          NV("content-type", "application/grpc") };
    nghttp2_data_provider provider = { .source.ptr = stream, .read_callback = read_out };
    nghttp2_session *http = stream->session->http;
    int rv;

    if (stream->answering)
        rv = nghttp2_session_resume_data(http, stream->id);
    else
        rv = nghttp2_submit_response(http, stream->id, headers, KV_COUNT(headers), &provider);
    stream->answering = true;
    /* INVALID_ARGUMENT: it was not deferred, and will be read anyway. */
    if (rv && rv != NGHTTP2_ERR_INVALID_ARGUMENT)
        stream->session->broken = true;
}

kv_status kv_grpc_stream_send(kv_grpc_stream *stream, kv_slice message, kv_error *err)
{
    kv_grpc_session *session = stream->session;
    kv_outgoing *out;

    if (stream->closed || stream->finishing)
        return KV_OK;
    if (message.len > UINT32_MAX || session->unsent + message.len > session->limits.reply_bytes)
        return kv_fail(err, KV_BUSY, "too many replies are waiting to be read");
    out = kv_wiping_malloc(sizeof(*out) + KV_GRPC_PREFIX_BYTES + message.len);
    if (!out)
        return kv_fail(err, KV_BUSY, "the server is out of memory");
    *out = (kv_outgoing){ .len = KV_GRPC_PREFIX_BYTES + message.len };
    kv_grpc_prefix((uint32_t)message.len, out->bytes);
    if (message.len)
        memcpy(out->bytes + KV_GRPC_PREFIX_BYTES, message.data, message.len);
    *stream->out_tail = out;
    stream->out_tail = &out->next;
    session->unsent += out->len;
    start_answer(stream);
    return KV_OK;
}

static void add_trailer(kv_grpc_stream *stream, kv_slice name, kv_slice value)
{
    stream->trailer[stream->trailer_count++] =
        (nghttp2_nv){ (uint8_t *)name.data, (uint8_t *)value.data, name.len, value.len, 0 };
}

/* By gRPC's status code. */
static const char *const codes[] = { "0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                     "9", "10", "11", "12", "13", "14", "15", "16" };

static void fill_trailer(kv_grpc_stream *stream, const kv_grpc_trailer *trailer)
{
    bool known = trailer->code >= 0 && (size_t)trailer->code < KV_COUNT(codes);
    kv_slice text;
    kv_error err;

    add_trailer(stream, KV_SLICE("grpc-status"), kv_slice_text(codes[known ? trailer->code : 13]));
    if (trailer->message.len &&
        kv_grpc_percent(&stream->arena, trailer->message, &text, &err) == KV_OK)
        add_trailer(stream, KV_SLICE("grpc-message"), text);
    if (trailer->details.len &&
        kv_grpc_base64(&stream->arena, trailer->details, &text, &err) == KV_OK)
        add_trailer(stream, KV_SLICE("grpc-status-details-bin"), text);
}

/* Headers and trailer in one, for an answer without a message. */
static void send_trailer_only(kv_grpc_stream *stream)
{
    nghttp2_nv all[2 + KV_COUNT(stream->trailer)] = { NV(":status", "200"),
                                                      NV("content-type", "application/grpc") };

    memcpy(all + 2, stream->trailer, sizeof(stream->trailer));
    stream->answering = true;
    if (nghttp2_submit_response(stream->session->http, stream->id, all, 2 + stream->trailer_count,
                                NULL))
        stream->session->broken = true;
}

void kv_grpc_stream_finish(kv_grpc_stream *stream, const kv_grpc_trailer *trailer)
{
    if (stream->closed || stream->finishing)
        return;
    stream->finishing = true;
    fill_trailer(stream, trailer);
    if (stream->answering)
        start_answer(stream);
    else
        send_trailer_only(stream);
}
