/* channel_op.c - a call from its request to the one place where its end is told. */
#include <stdlib.h>
#include <string.h>

#include "client/channel_private.h"
#include "server/front/grpc/memory.h"
#include "server/front/grpc/wording.h"

kv_channel_op *kv_op_new(kv_channel *channel, const kv_channel_request *request)
{
    kv_channel_op *op = calloc(1, sizeof(*op));

    if (!op)
        return NULL;
    op->channel = channel;
    op->deadline = request->deadline;
    op->not_before = request->not_before;
    op->may_shorten = request->digest;
    op->path = strdup(request->path);
    if (request->idempotency_key)
        op->idempotency_key = strdup(request->idempotency_key);
    if (!op->path || (request->idempotency_key && !op->idempotency_key) ||
        !kv_buffer_add(&op->credential, request->credential) ||
        !kv_buffer_add(&op->message, request->message)) {
        kv_op_free(op);
        return NULL;
    }
    return op;
}

void kv_op_free(kv_channel_op *op)
{
    if (!op)
        return;
    free(op->path);
    free(op->idempotency_key);
    kv_buffer_cleanup(&op->credential);
    kv_buffer_cleanup(&op->message);
    kv_buffer_cleanup(&op->answer);
    free(op);
}

/* The words of the end, as an error; KV_OK for code 0. */
static kv_error error_of(const kv_channel_op *op, const kv_grpc_client_event *event)
{
    kv_error err = { 0 };

    if (op->answered_twice)
        kv_fail(&err, KV_INTERNAL, "the server answered with more than one message");
    else if (event->code)
        kv_fail(&err, kv_grpc_status_of(event->code), "%.*s", KV_SLICE_ARG(event->message));
    else if (!op->stream && !op->answered)
        kv_fail(&err, KV_INTERNAL, "the server answered without a message");
    return err;
}

static void end_stream(kv_channel_op *op, const kv_grpc_client_event *event, const kv_error *err)
{
    kv_channel_stream *stream = op->stream;
    bool closed;

    pthread_mutex_lock(&op->channel->mutex);
    stream->op = NULL;
    stream->ended = true;
    stream->error = *err;
    if (!kv_buffer_add(&stream->details, event->details))
        kv_buffer_cleanup(&stream->details);
    closed = stream->closed;
    pthread_cond_broadcast(&op->channel->changed);
    pthread_mutex_unlock(&op->channel->mutex);
    if (closed)
        kv_stream_free_all(stream);
}

void kv_op_end(kv_channel_op *op, const kv_grpc_client_event *event)
{
    kv_error err = error_of(op, event);
    kv_channel_result result = {
        .status = err.status,
        .code = err.status == KV_OK                  ? 0
                : event->code && !op->answered_twice ? event->code
                                                     : 13,
        .unsent = event->unsent,
        .digest = op->digest,
        .message = err.status == KV_OK ? kv_buffer_slice(&op->answer) : KV_SLICE_NONE,
        .details = event->details,
    };

    if (op->stream)
        end_stream(op, event, &err);
    else
        op->done(op->context, &result, &err);
    kv_op_free(op);
}

void kv_op_fail(kv_channel_op *op, int code, bool unsent, const char *message)
{
    kv_op_end(op, &(kv_grpc_client_event){
                      .code = code, .unsent = unsent, .message = kv_slice_text(message) });
}

static bool add_item(kv_channel_stream *stream, kv_slice message)
{
    kv_channel_item *item = kv_wiping_malloc(sizeof(*item) + message.len);

    if (!item)
        return false;
    item->next = NULL;
    item->len = message.len;
    if (message.len)
        memcpy(item->bytes, message.data, message.len);
    pthread_mutex_lock(&stream->channel->mutex);
    *stream->tail = item;
    stream->tail = &item->next;
    pthread_cond_broadcast(&stream->channel->changed);
    pthread_mutex_unlock(&stream->channel->mutex);
    return true;
}

bool kv_op_message(kv_channel_op *op, kv_slice message)
{
    if (op->stream)
        return add_item(op->stream, message);
    op->answered_twice = op->answered;
    op->answered = true;
    return !op->answered_twice && kv_buffer_add(&op->answer, message);
}

void kv_stream_free_all(kv_channel_stream *stream)
{
    kv_wiping_free(stream->shown);
    while (stream->first) {
        kv_channel_item *gone = stream->first;

        stream->first = gone->next;
        kv_wiping_free(gone);
    }
    kv_buffer_cleanup(&stream->details);
    free(stream);
}
