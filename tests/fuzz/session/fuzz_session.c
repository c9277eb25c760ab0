/* fuzz_session.c - both sides of HTTP/2 with gRPC, fed with anything.
 *
 * The first byte says which side is fed (bit 0: the client's; bit 1: the server's without the
 * preface that is otherwise put in front), the second the size of the pieces.
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/front/grpc/client_session.h"
#include "server/front/grpc/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CLIENT = 1, NO_PREFACE = 2, REPLY_BYTES = 3000, MOST_STREAMS = 64 };

static const uint8_t reply[REPLY_BYTES];

/* What must never be false. */
static void must(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "%s\n", what);
    abort();
}

/* The owner's books: each stream begins before it is called and goes once. */
typedef struct books {
    kv_grpc_stream *open[MOST_STREAMS];
    unsigned count;
} books;

static int find(const books *all, const kv_grpc_stream *stream)
{
    for (unsigned i = 0; i < all->count; i++)
        if (all->open[i] == stream)
            return (int)i;
    return -1;
}

static void answer(kv_grpc_stream *stream)
{
    const kv_grpc_request *request = kv_grpc_stream_request(stream);
    kv_error err;

    if (request->message.len && request->message.data[0] % 2) {
        kv_grpc_stream_finish(stream, &(kv_grpc_trailer){ .code = 5,
                                                          .message = request->message,
                                                          .details = request->credential });
        return;
    }
    kv_grpc_stream_forget_request(stream);
    for (int i = 0; i < 3; i++)
        if (kv_grpc_stream_send(stream, kv_slice_of(reply, sizeof(reply)), &err) != KV_OK)
            break;
    kv_grpc_stream_finish(stream, &(kv_grpc_trailer){ .code = 0 });
}

static void take_events(kv_grpc_session *session, books *all)
{
    kv_grpc_event event;

    while (kv_grpc_session_next(session, &event)) {
        int at = find(all, event.stream);

        switch (event.kind) {
        case KV_GRPC_BEGIN:
            must(at < 0 && all->count < MOST_STREAMS, "begun twice, or too many");
            all->open[all->count++] = event.stream;
            kv_grpc_stream_set_user(event.stream, all);
            break;
        case KV_GRPC_CALL:
            must(at >= 0 && event.user == all, "called before it began");
            answer(event.stream);
            break;
        case KV_GRPC_SENT:
            must(at >= 0, "sent on a stream that is gone");
            break;
        case KV_GRPC_GONE:
            must(at >= 0, "gone twice");
            all->open[at] = all->open[--all->count];
            break;
        }
    }
}

static void pull_server(kv_grpc_session *session)
{
    kv_slice out = { 0 };
    kv_error err;

    while (kv_grpc_session_pull(session, &out, &err) == KV_OK && out.len)
        ;
}

static void feed_server(kv_slice bytes, size_t piece, bool preface)
{
    static const uint8_t hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    const kv_grpc_limits limits = { .streams = 16,
                                    .header_bytes = 2048,
                                    .message_bytes = 4096,
                                    .request_bytes = 8192,
                                    .reply_bytes = 65536 };
    kv_grpc_session *session;
    books all = { 0 };
    kv_status status;
    kv_error err;

    if (kv_grpc_session_new(&limits, &session, &err) != KV_OK)
        return;
    status =
        preface ? kv_grpc_session_receive(session, kv_slice_of(hello, sizeof(hello)), &err) : KV_OK;
    while (status == KV_OK && bytes.len && !kv_grpc_session_over(session)) {
        size_t step = piece < bytes.len ? piece : bytes.len;

        status = kv_grpc_session_receive(session, kv_slice_of(bytes.data, step), &err);
        bytes.data += step;
        bytes.len -= step;
        take_events(session, &all);
        pull_server(session);
        take_events(session, &all);
    }
    must(kv_grpc_session_unsent(session) <= 2 * limits.reply_bytes, "too much is held");
    kv_grpc_session_free(session);
}

static void feed_client(kv_slice bytes, size_t piece)
{
    const kv_grpc_client_limits limits = { .message_bytes = 4096, .header_bytes = 2048 };
    kv_grpc_client_request request = {
        .path = "/a/B", .authority = "x", .timeout_ms = 1000, .message = KV_SLICE("hello")
    };
    unsigned started = 0, ended = 0;
    kv_grpc_client *client;
    kv_grpc_client_call *call;
    kv_grpc_client_event event;
    kv_status status = KV_OK;
    kv_slice out;
    kv_error err;

    if (kv_grpc_client_new(&limits, &client, &err) != KV_OK)
        return;
    for (int i = 0; i < 4; i++) {
        request.held = i % 2 == 1;
        if (kv_grpc_client_start(client, &request, &call, &err) == KV_OK)
            started++;
        if (i == 3)
            kv_grpc_client_cancel(call, 4);
    }
    do {
        size_t step = piece < bytes.len ? piece : bytes.len;

        while (status == KV_OK && (status = kv_grpc_client_pull(client, &out, &err)) == KV_OK &&
               out.len)
            ;
        if (status == KV_OK)
            status = kv_grpc_client_receive(client, kv_slice_of(bytes.data, step), &err);
        bytes.data += step;
        bytes.len -= step;
        while (kv_grpc_client_next(client, &event))
            ended += event.kind == KV_GRPC_CLIENT_END;
    } while (status == KV_OK && bytes.len);
    kv_grpc_client_fail(client, "the end");
    while (kv_grpc_client_next(client, &event))
        ended += event.kind == KV_GRPC_CLIENT_END;
    must(started == ended, "a call did not end exactly once");
    kv_grpc_client_free(client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kv_slice bytes;

    if (size < 2)
        return 0;
    bytes = kv_slice_of(data + 2, size - 2);
    if (data[0] & CLIENT)
        feed_client(bytes, (size_t)data[1] + 1);
    else
        feed_server(bytes, (size_t)data[1] + 1, !(data[0] & NO_PREFACE));
    return 0;
}
