/* channel.c - what callers see: orders to the channel's thread, and waiting for their ends. */
#include "client/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utlist.h>

#include "client/channel_private.h"
#include "server/front/grpc/memory.h"

enum {
    CONNECT_MS = 5000,
    TELL_BYTES = 32 * 1024,
    AUTHORITY_BYTES = 300,
    MOST_CREDENTIAL_BYTES = 48 * 1024
};

static char *copy_text(const char *text)
{
    return text ? strdup(text) : NULL;
}

static bool add_endpoint(kv_channel *channel, const char *host, const char *port)
{
    kv_endpoint *to = &channel->endpoints[channel->endpoint_count++];

    to->host = copy_text(host);
    to->port = copy_text(port);
    to->authority = malloc(AUTHORITY_BYTES);
    to->server_name = channel->server_name ? channel->server_name : to->host;
    if (!to->host || !to->port || !to->authority)
        return false;
    return snprintf(to->authority, AUTHORITY_BYTES, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host,
                    port) < AUTHORITY_BYTES;
}

static bool copy_config(kv_channel *channel, const kv_channel_config *from)
{
    channel->config = (kv_channel_config){
        .connect_ms = from->connect_ms ? from->connect_ms : CONNECT_MS,
        .message_bytes = from->message_bytes,
        .header_bytes = from->header_bytes,
    };
    channel->server_name = copy_text(from->server_name);
    if (from->server_name && !channel->server_name)
        return false;
    if (!add_endpoint(channel, from->host, from->port))
        return false;
    for (size_t i = 0; i < from->other_count; i++)
        if (!add_endpoint(channel, from->others[i].host, from->others[i].port))
            return false;
    return true;
}

static void destroy(kv_channel *channel)
{
    if (channel->wake >= 0)
        (void)close(channel->wake);
    SSL_CTX_free(channel->tls);
    for (size_t i = 0; i < channel->endpoint_count; i++) {
        free(channel->endpoints[i].host);
        free(channel->endpoints[i].port);
        free(channel->endpoints[i].authority);
        SSL_SESSION_free(channel->endpoints[i].session);
        kv_lookup_abandon(channel->endpoints[i].lookup);
    }
    free(channel->server_name);
    (void)pthread_cond_destroy(&channel->changed);
    (void)pthread_mutex_destroy(&channel->mutex);
    free(channel);
}

static kv_status check_config(const kv_channel_config *config, kv_error *err)
{
    if (!config->host || !config->port || !config->ca_path)
        return kv_fail(err, KV_BAD_REQUEST, "host, port and CA file are needed");
    if (config->other_count >= KV_CHANNEL_ENDPOINTS)
        return kv_fail(err, KV_BAD_REQUEST, "there are more than %d servers",
                       (int)KV_CHANNEL_ENDPOINTS);
    return KV_OK;
}

kv_status kv_channel_new(const kv_channel_config *config, kv_channel **out, kv_error *err)
{
    kv_channel *channel;

    KV_TRY(check_config(config, err));
    channel = calloc(1, sizeof(*channel));
    if (!channel)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    (void)pthread_mutex_init(&channel->mutex, NULL);
    (void)pthread_cond_init(&channel->changed, NULL);
    channel->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (channel->wake < 0 || !copy_config(channel, config)) {
        destroy(channel);
        return kv_fail(err, KV_UNAVAILABLE, "out of memory or descriptors");
    }
    if (kv_channel_tls(config, &channel->tls, err) != KV_OK) {
        destroy(channel);
        return err->status;
    }
    if (pthread_create(&channel->thread, NULL, kv_channel_run, channel)) {
        destroy(channel);
        return kv_fail(err, KV_UNAVAILABLE, "the channel's thread could not be started");
    }
    *out = channel;
    return KV_OK;
}

/* The eventfd's counter cannot overflow; a failed write would be our bug. */
static void wake(kv_channel *channel)
{
    const uint64_t one = 1;

    if (write(channel->wake, &one, sizeof(one)) < 0)
        abort();
}

void kv_channel_free(kv_channel *channel)
{
    if (!channel)
        return;
    pthread_mutex_lock(&channel->mutex);
    channel->stopping = true;
    pthread_mutex_unlock(&channel->mutex);
    wake(channel);
    (void)pthread_join(channel->thread, NULL);
    destroy(channel);
}

kv_channel_counts kv_channel_counts_get(kv_channel *channel)
{
    kv_channel_counts counts;

    pthread_mutex_lock(&channel->mutex);
    counts = channel->counts;
    pthread_mutex_unlock(&channel->mutex);
    return counts;
}

static void order(kv_channel *channel, kv_channel_op *op)
{
    bool asleep;

    pthread_mutex_lock(&channel->mutex);
    asleep = channel->asleep;
    channel->asleep = false;
    DL_APPEND(channel->orders, op);
    pthread_mutex_unlock(&channel->mutex);
    if (asleep)
        wake(channel);
}

/* What no server of ours takes: said before it is sent. */
static kv_status check_request(const kv_channel_request *request, kv_error *err)
{
    if (request->credential.len > MOST_CREDENTIAL_BYTES)
        return kv_fail(err, KV_BAD_REQUEST, "the role token is too long");
    return KV_OK;
}

kv_status kv_channel_start(kv_channel *channel, const kv_channel_request *request,
                           kv_channel_done *done, void *context, kv_error *err)
{
    kv_channel_op *op;

    KV_TRY(check_request(request, err));
    op = kv_op_new(channel, request);
    if (!op)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    op->done = done;
    op->context = context;
    order(channel, op);
    return KV_OK;
}

/* --- blocking --- */

typedef struct waiter {
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t ended;
    bool over;
    kv_channel_result *out;
    kv_error *err;
} waiter;

/* The result's bytes in one block of the caller's. */
static void keep(kv_channel_result *out, const kv_channel_result *from)
{
    size_t len = from->message.len + from->details.len;
    uint8_t *memory = kv_wiping_malloc(len ? len : 1);

    *out = *from;
    out->message = out->details = KV_SLICE_NONE;
    if (!memory) {
        out->status = KV_UNAVAILABLE;
        return;
    }
    if (from->message.len)
        memcpy(memory, from->message.data, from->message.len);
    if (from->details.len)
        memcpy(memory + from->message.len, from->details.data, from->details.len);
    out->memory = memory;
    out->memory_len = len;
    out->message = kv_slice_of(memory, from->message.len);
    out->details = kv_slice_of(memory + from->message.len, from->details.len);
}

static void end_wait(void *context, const kv_channel_result *result, const kv_error *err)
{
    waiter *me = context;

    keep(me->out, result);
    *me->err = *err;
    if (me->out->status != err->status)
        kv_fail(me->err, me->out->status, "out of memory");
    pthread_mutex_lock(&me->mutex);
    me->over = true;
    pthread_cond_signal(&me->ended);
    pthread_mutex_unlock(&me->mutex);
}

kv_status kv_channel_call(kv_channel *channel, const kv_channel_request *request,
                          kv_channel_result *out, kv_error *err)
{
    waiter me = { .mutex = PTHREAD_MUTEX_INITIALIZER,
                  .ended = PTHREAD_COND_INITIALIZER,
                  .out = out,
                  .err = err };

    *out = (kv_channel_result){ .status = KV_UNAVAILABLE, .code = 14, .unsent = true };
    KV_TRY(kv_channel_start(channel, request, end_wait, &me, err));
    /* The deadline is the thread's business: it ends every call. */
    pthread_mutex_lock(&me.mutex);
    while (!me.over)
        pthread_cond_wait(&me.ended, &me.mutex);
    pthread_mutex_unlock(&me.mutex);
    return out->status;
}

void kv_channel_result_cleanup(kv_channel_result *result)
{
    kv_wiping_free(result->memory);
    *result = (kv_channel_result){ 0 };
}

/* --- streams --- */

kv_status kv_channel_stream_open(kv_channel *channel, const kv_channel_request *request,
                                 kv_channel_stream **out, kv_error *err)
{
    kv_channel_stream *stream;
    kv_channel_op *op;

    KV_TRY(check_request(request, err));
    stream = calloc(1, sizeof(*stream));
    op = kv_op_new(channel, request);
    if (!stream || !op) {
        free(stream);
        kv_op_free(op);
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    }
    stream->channel = channel;
    stream->tail = &stream->first;
    stream->op = op;
    op->stream = stream;
    order(channel, op);
    *out = stream;
    return KV_OK;
}

/* With the mutex held. True when the thread should be told that there is room again. */
static bool show_next(kv_channel_stream *stream)
{
    kv_channel_item *item = stream->first;

    stream->shown = item;
    if (!item)
        return false;
    stream->first = item->next;
    if (!stream->first)
        stream->tail = &stream->first;
    stream->taken += kv_grpc_client_cost(item->len);
    if (stream->taken < TELL_BYTES || stream->ended)
        return false;
    stream->channel->look = true;
    return true;
}

kv_status kv_channel_stream_next(kv_channel_stream *stream, kv_slice *message, bool *more,
                                 kv_error *err)
{
    kv_channel *channel = stream->channel;
    kv_error ended;
    bool tell;

    kv_wiping_free(stream->shown);
    stream->shown = NULL;
    pthread_mutex_lock(&channel->mutex);
    while (!stream->first && !stream->ended)
        pthread_cond_wait(&channel->changed, &channel->mutex);
    tell = show_next(stream);
    ended = stream->error;
    pthread_mutex_unlock(&channel->mutex);
    if (tell)
        wake(channel);

    *more = stream->shown != NULL;
    if (stream->shown) {
        *message = kv_slice_of(stream->shown->bytes, stream->shown->len);
        return KV_OK;
    }
    if (ended.status != KV_OK)
        *err = ended;
    return ended.status;
}

kv_slice kv_channel_stream_details(const kv_channel_stream *stream)
{
    return kv_buffer_slice(&stream->details);
}

void kv_channel_stream_close(kv_channel_stream *stream)
{
    kv_channel *channel = stream->channel;
    bool ended;

    pthread_mutex_lock(&channel->mutex);
    stream->closed = true;
    ended = stream->ended;
    channel->look = true;
    pthread_mutex_unlock(&channel->mutex);
    if (ended)
        kv_stream_free_all(stream);
    else
        wake(channel);
}
