/* client_watch.c - a stream of events that outlives its connections. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/client_private.h"
#include "client/keyvault_watch.h"
#include "server/front/grpc/memory.h"

#define PATH "/keyvault.v1.EventService/WatchEvents"

/* A stream is opened anew so often at least: a connection that died unheard is noticed then. */
enum { STREAM_MS = 15 * 60 * 1000, FIRST_WAIT_MS = 500, LONGEST_WAIT_MS = 30000 };

struct keyvault_watch {
    keyvault *handle;
    ProtobufCMessage *request; /* Keyvault__V1__WatchEventsRequest, owned */
    keyvault_stream *stream;   /* NULL: to be opened */
    bool heard;                /* this stream has given a message */
    uint32_t wait_ms;          /* before the next attempt */
};

static Keyvault__V1__WatchEventsRequest *request_of(const keyvault_watch *watch)
{
    return (Keyvault__V1__WatchEventsRequest *)(void *)watch->request;
}

/* May it work another time, and with the same question? */
static bool passes(int code)
{
    return code == KV_CODE_UNAVAILABLE || code == KV_CODE_RESOURCE_EXHAUSTED ||
           code == KV_CODE_DEADLINE_EXCEEDED || code == KV_CODE_CANCELLED;
}

static void rest(keyvault_watch *watch)
{
    struct timespec pause = { .tv_sec = watch->wait_ms / 1000,
                              .tv_nsec = (long)(watch->wait_ms % 1000) * 1000000 };

    if (watch->wait_ms)
        (void)nanosleep(&pause, NULL);
}

static int open_again(keyvault_watch *watch, keyvault_error *err)
{
    const keyvault_options options = { .timeout_ms = STREAM_MS };

    rest(watch);
    watch->heard = false;
    return keyvault_stream_open(watch->handle, PATH, watch->request, &options, &watch->stream, err);
}

static void end_stream(keyvault_watch *watch)
{
    keyvault_stream_close(watch->stream);
    watch->stream = NULL;
}

static void wait_longer(keyvault_watch *watch)
{
    watch->wait_ms = watch->wait_ms ? watch->wait_ms * 2 : FIRST_WAIT_MS;
    if (watch->wait_ms > LONGEST_WAIT_MS)
        watch->wait_ms = LONGEST_WAIT_MS;
}

int keyvault_watch_open(keyvault *handle, const Keyvault__V1__WatchEventsRequest *request,
                        keyvault_watch **out, keyvault_error *err)
{
    keyvault_watch *watch = calloc(1, sizeof(*watch));
    kv_slice packed = KV_SLICE_NONE;
    int code;

    if (!watch)
        return kv_failure(err, KV_CODE_UNAVAILABLE, "out of memory");
    watch->handle = handle;
    code = kv_client_pack(&request->base, &packed, err);
    if (!code)
        code = kv_client_unpack(request->base.descriptor, packed, &watch->request, err);
    kv_wiping_free((void *)(uintptr_t)packed.data);
    if (code) {
        keyvault_watch_close(watch);
        return code;
    }
    *out = watch;
    return 0;
}

/* The server ended the stream in good order: its role token is over, or it stops. */
static int next(keyvault_watch *watch, ProtobufCMessage **message, keyvault_error *err)
{
    int code = keyvault_stream_next(watch->stream, message, err);

    if (!code && !*message)
        return kv_failure(err, KV_CODE_UNAVAILABLE, "the server ended the stream");
    return code;
}

int keyvault_watch_next(keyvault_watch *watch, Keyvault__V1__WatchEventsResponse **out,
                        keyvault_error *err)
{
    for (;;) {
        Keyvault__V1__WatchEventsRequest *request = request_of(watch);
        ProtobufCMessage *message = NULL;
        keyvault_error failed = { 0 };
        int code = watch->stream ? 0 : open_again(watch, &failed);

        if (!code)
            code = next(watch, &message, &failed);
        if (!code) {
            *out = (Keyvault__V1__WatchEventsResponse *)(void *)message;
            request->has_after_case = KEYVAULT__V1__WATCH_EVENTS_REQUEST__HAS_AFTER_AFTER;
            request->after = (*out)->cursor;
            watch->heard = true;
            watch->wait_ms = 0;
            return 0;
        }
        end_stream(watch);
        /* One that worked until now is opened again at once, and in silence. */
        if (watch->heard && (passes(code) || kv_client_token_refused(&failed))) {
            watch->heard = false;
            continue;
        }
        wait_longer(watch);
        if (err)
            *err = failed;
        return code;
    }
}

void keyvault_watch_close(keyvault_watch *watch)
{
    if (!watch)
        return;
    end_stream(watch);
    keyvault_message_free(watch->request);
    free(watch);
}
