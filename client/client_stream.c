/* client_stream.c - server-streaming calls, message by message. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "client/client_private.h"
#include "server/base/secret_buf.h"
#include "server/front/grpc/memory.h"

struct keyvault_stream {
    keyvault *handle;
    char *path;
    kv_method method;
    char target[KV_SCOPE_BYTES];
    kv_slice packed;
    kv_deadline deadline;
    kv_secret_buf token;
    kv_channel_stream *stream;
    bool begun; /* a message has come, or the call was repeated */
};

/* --- waiting for a role token --- */

typedef struct waiter {
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t ended;
    bool over;
    kv_secret_buf token;
    keyvault_error err;
} waiter;

static void token_ready(void *context, kv_slice token, const keyvault_error *err)
{
    waiter *me = context;
    kv_error copying;

    pthread_mutex_lock(&me->mutex);
    me->err = *err;
    if (!err->code && kv_secret_buf_copy(token, &me->token, &copying) != KV_OK)
        (void)kv_failure_of(&me->err, &copying);
    me->over = true;
    pthread_cond_signal(&me->ended);
    pthread_mutex_unlock(&me->mutex);
}

static int get_token(keyvault_stream *it, keyvault_error *err)
{
    waiter me = { .mutex = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER };

    kv_secret_buf_cleanup(&it->token);
    if (!kv_client_wants_token(it->handle, &it->method, it->path))
        return 0;
    kv_client_get_token(it->handle, it->target, it->deadline, token_ready, &me);
    pthread_mutex_lock(&me.mutex);
    while (!me.over)
        pthread_cond_wait(&me.ended, &me.mutex);
    pthread_mutex_unlock(&me.mutex);
    it->token = kv_secret_buf_move(&me.token);
    if (me.err.code && err)
        *err = me.err;
    return me.err.code;
}

/* --- */

static int open_stream(keyvault_stream *it, keyvault_error *err)
{
    kv_channel_request request = { .path = it->path,
                                   .message = it->packed,
                                   .deadline = it->deadline };
    kv_error failed = { 0 };
    int code = get_token(it, err);

    if (code)
        return code;
    request.credential = kv_secret_buf_slice(&it->token);
    if (kv_channel_stream_open(it->handle->channel, &request, &it->stream, &failed) != KV_OK)
        return kv_failure_of(err, &failed);
    return 0;
}

static int fill(keyvault_stream *it, const ProtobufCMessage *request, keyvault_error *err)
{
    int code;

    if (!kv_method_scope(&it->method, request, it->target))
        return kv_failure(err, KV_CODE_INVALID_ARGUMENT, "the name is too long");
    if (!it->path)
        return kv_failure(err, KV_CODE_UNAVAILABLE, "out of memory");
    code = kv_client_pack(request, &it->packed, err);
    return code ? code : open_stream(it, err);
}

int keyvault_stream_open(keyvault *handle, const char *path, const ProtobufCMessage *request,
                         const keyvault_options *options, keyvault_stream **out,
                         keyvault_error *err)
{
    kv_method method;
    int code = kv_client_method(path, request, true, &method, err);
    keyvault_stream *it;

    if (code)
        return code;
    it = calloc(1, sizeof(*it));
    if (!it)
        return kv_failure(err, KV_CODE_UNAVAILABLE, "out of memory");
    *it = (keyvault_stream){ .handle = handle,
                             .path = strdup(path),
                             .method = method,
                             .deadline = kv_client_deadline(handle, options) };
    code = fill(it, request, err);
    if (code) {
        keyvault_stream_close(it);
        return code;
    }
    *out = it;
    return 0;
}

static int fail(keyvault_stream *it, const kv_error *err, keyvault_error *out)
{
    return kv_failure_from_server(out, kv_status_spelling(err->status)->grpc, err->message,
                                  kv_channel_stream_details(it->stream));
}

/* An expired role token is noticed before the first message: then, and once, it is worth another
 * try. */
static int repeat(keyvault_stream *it, keyvault_error *err)
{
    it->begun = true;
    kv_channel_stream_close(it->stream);
    it->stream = NULL;
    kv_client_drop_token(it->handle, kv_secret_buf_slice(&it->token));
    return open_stream(it, err);
}

int keyvault_stream_next(keyvault_stream *stream, ProtobufCMessage **response, keyvault_error *err)
{
    for (;;) {
        kv_slice message = KV_SLICE_NONE;
        kv_error ended = { 0 };
        keyvault_error failed;
        bool more = false;
        int code;

        if (!stream->stream)
            return kv_failure(err, KV_CODE_UNAVAILABLE, "the stream has ended");
        if (kv_channel_stream_next(stream->stream, &message, &more, &ended) == KV_OK) {
            stream->begun = true;
            if (more)
                return kv_client_unpack(stream->method.output, message, response, err);
            *response = NULL;
            return 0;
        }
        (void)fail(stream, &ended, &failed);
        if (stream->begun || !kv_client_token_refused(&failed)) {
            if (err)
                *err = failed;
            return failed.code;
        }
        code = repeat(stream, err);
        if (code)
            return code;
    }
}

void keyvault_stream_close(keyvault_stream *stream)
{
    if (!stream)
        return;
    if (stream->stream)
        kv_channel_stream_close(stream->stream);
    kv_wiping_free((void *)(uintptr_t)stream->packed.data);
    kv_secret_buf_cleanup(&stream->token);
    free(stream->path);
    free(stream);
}
