/* client_session.c - requests out, answers in, over nghttp2. */
#include "server/front/grpc/client_session.h"

#include <stdlib.h>

#include <nghttp2/nghttp2.h>
#include <utlist.h>

#include "server/front/grpc/client_call.h"
#include "server/front/grpc/memory.h"

enum {
    KIB = 1024,
    MIB = 1024 * KIB,
    ARENA_SPARE = 16 * KIB,
    HEADER_OVERHEAD = 32,
    BEARER_BYTES = 7,
    CONNECTION_WINDOW = 16 * MIB,
    CODE_EXHAUSTED = 8,
    CODE_CANCELLED = 1,
    CODE_UNAVAILABLE = 14,
    MOST_OPEN = 1000 /* even when the server sets no limit */
};

/* --- what comes in --- */

static int on_header(nghttp2_session *http, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    kv_grpc_client *client = user;
    kv_grpc_client_call *call = nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);

    (void)flags;
    if (!call || call->over)
        return 0;
    call->header_bytes += name_len + value_len + HEADER_OVERHEAD;
    if (call->header_bytes > client->limits.header_bytes)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
    kv_client_call_header(call, kv_slice_of(name, name_len), kv_slice_of(value, value_len));
    return 0;
}

/* The message becomes an event. False when out of memory. */
static bool hand_over(kv_grpc_client_call *call)
{
    kv_client_event_node *node = calloc(1, sizeof(*node));

    if (!node)
        return false;
    node->message = call->in.message;
    call->untaken += kv_grpc_client_cost(node->message.len);
    call->in.message = (kv_buffer){ 0 };
    kv_deframe_next(&call->in);
    node->event = (kv_grpc_client_event){ .kind = KV_GRPC_CLIENT_MESSAGE,
                                          .user = call->user,
                                          .message = kv_buffer_slice(&node->message) };
    kv_client_queue_event(call->client, node);
    return true;
}

static void reset(kv_grpc_client_call *call, uint32_t code)
{
    (void)nghttp2_submit_rst_stream(call->client->http, NGHTTP2_FLAG_NONE, call->id, code);
}

/* The server may send more, unless the reader is behind. A message that is not whole yet always
 * gets its bytes, however long it is. */
static void give_back(kv_grpc_client_call *call)
{
    if (call->over || (call->held && call->untaken > call->client->limits.window / 2))
        return;
    (void)nghttp2_session_consume_stream(call->client->http, call->id, call->owed);
    call->owed = 0;
}

static void take_data(kv_grpc_client_call *call, kv_slice bytes)
{
    kv_error err;

    while (bytes.len && !call->over) {
        if (kv_deframe_feed(&call->in, &bytes, call->client->limits.message_bytes, &err) != KV_OK) {
            kv_client_call_end(call, kv_status_spelling(err.status)->grpc,
                               KV_SLICE("the answer is too long or compressed"));
            reset(call, NGHTTP2_CANCEL);
        } else if (call->in.whole && !hand_over(call)) {
            kv_client_call_end(call, CODE_EXHAUSTED, KV_SLICE("out of memory"));
            reset(call, NGHTTP2_CANCEL);
        }
    }
}

static int on_data(nghttp2_session *http, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *user)
{
    kv_grpc_client_call *call = nghttp2_session_get_stream_user_data(http, id);

    (void)flags;
    (void)user;
    (void)nghttp2_session_consume_connection(http, len);
    if (!call || call->over)
        return 0;
    take_data(call, kv_slice_of(data, len));
    call->owed += len;
    give_back(call);
    return 0;
}

static int on_frame(nghttp2_session *http, const nghttp2_frame *frame, void *user)
{
    kv_grpc_client *client = user;

    (void)http;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        client->leaving = true;
    return 0;
}

static int on_sent(nghttp2_session *http, const nghttp2_frame *frame, void *user)
{
    kv_grpc_client_call *call;

    (void)user;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    call = nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);
    if (call)
        call->sent = true;
    return 0;
}

static int on_close(nghttp2_session *http, int32_t id, uint32_t code, void *user)
{
    kv_grpc_client_call *call = nghttp2_session_get_stream_user_data(http, id);

    (void)user;
    if (!call)
        return 0;
    call->closed = true;
    (void)nghttp2_session_set_stream_user_data(http, id, NULL);
    if (!call->over)
        kv_client_call_conclude(call, code);
    else if (!call->end.ends) { /* its end has been taken already */
        DL_DELETE(call->client->ended, call);
        kv_client_call_free(call);
    }
    return 0;
}

/* --- what goes out --- */

static ssize_t read_request(nghttp2_session *http, int32_t id, uint8_t *buf, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *user)
{
    kv_grpc_client_call *call = source->ptr;
    size_t left = call->request.len - call->request_at;
    size_t step = left < room ? left : room;

    (void)http;
    (void)id;
    (void)user;
    memcpy(buf, call->request.data + call->request_at, step);
    call->request_at += step;
    if (call->request_at == call->request.len) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        kv_buffer_cleanup(&call->request);
        call->request_at = 0;
    }
    return (ssize_t)step;
}

static nghttp2_nv header(const char *name, kv_slice value, uint8_t flags)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value.data, strlen(name),
                         value.len, flags };
}

static kv_status add_bearer(kv_grpc_client_call *call, kv_slice credential, kv_slice *out,
                            kv_error *err)
{
    char *text = kv_arena_alloc(&call->arena, BEARER_BYTES + credential.len);

    if (!text)
        return kv_arena_full(err);
    memcpy(text, "Bearer ", BEARER_BYTES);
    memcpy(text + BEARER_BYTES, credential.data, credential.len);
    *out = kv_slice_of(text, BEARER_BYTES + credential.len);
    return KV_OK;
}

static kv_status submit(kv_grpc_client_call *call, const kv_grpc_client_request *request,
                        kv_error *err)
{
    nghttp2_data_provider provider = { .source.ptr = call, .read_callback = read_request };
    char timeout[KV_GRPC_TIMEOUT_TEXT_BYTES];
    nghttp2_nv headers[9];
    size_t count = 0;
    kv_slice bearer;

    kv_grpc_timeout_text(request->timeout_ms, timeout);
    headers[count++] = header(":method", KV_SLICE("POST"), 0);
    headers[count++] = header(":scheme", KV_SLICE("https"), 0);
    headers[count++] = header(":path", kv_slice_text(request->path), 0);
    headers[count++] = header(":authority", kv_slice_text(request->authority), 0);
    headers[count++] = header("content-type", KV_SLICE("application/grpc"), 0);
    headers[count++] = header("te", KV_SLICE("trailers"), 0);
    headers[count++] = header("grpc-timeout", kv_slice_text(timeout), 0);
    if (request->credential.len) {
        KV_TRY(add_bearer(call, request->credential, &bearer, err));
        headers[count++] = header("authorization", bearer, NGHTTP2_NV_FLAG_NO_INDEX);
    }
    if (request->idempotency_key.len)
        headers[count++] = header("idempotency-key", request->idempotency_key, 0);
    call->id = nghttp2_submit_request(call->client->http, NULL, headers, count, &provider, call);
    if (call->id < 0) {
        kv_fail(err, KV_UNAVAILABLE, "the connection takes no more calls");
        return kv_note(err, "%s", nghttp2_strerror(call->id));
    }
    return KV_OK;
}

static bool fill_request(kv_grpc_client_call *call, kv_slice message)
{
    uint8_t prefix[KV_GRPC_PREFIX_BYTES];

    kv_grpc_prefix((uint32_t)message.len, prefix);
    return kv_buffer_add(&call->request, kv_slice_of(prefix, sizeof(prefix))) &&
           kv_buffer_add(&call->request, message);
}

kv_status kv_grpc_client_start(kv_grpc_client *client, const kv_grpc_client_request *request,
                               kv_grpc_client_call **out, kv_error *err)
{
    kv_grpc_client_call *call;
    kv_status status;

    if (request->message.len > UINT32_MAX)
        return kv_fail(err, KV_BAD_REQUEST, "the message is too long");
    call = calloc(1, sizeof(*call));
    if (!call)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    call->client = client;
    call->user = request->user;
    call->held = request->held;
    call->code = KV_CLIENT_NO_CODE;
    call->arena = KV_ARENA(2 * client->limits.header_bytes + request->credential.len + ARENA_SPARE);
    status = fill_request(call, request->message) ? submit(call, request, err)
                                                  : kv_fail(err, KV_UNAVAILABLE, "out of memory");
    if (status != KV_OK) {
        kv_client_call_free(call);
        return status;
    }
    DL_APPEND(client->calls, call);
    client->open++;
    *out = call;
    return KV_OK;
}

void kv_grpc_client_cancel(kv_grpc_client_call *call, int code)
{
    if (call->over)
        return;
    kv_client_call_end(call, code,
                       code == CODE_CANCELLED ? KV_SLICE("the caller cancelled")
                                              : KV_SLICE("the deadline has passed"));
    reset(call, NGHTTP2_CANCEL);
}

void kv_grpc_client_taken(kv_grpc_client_call *call, size_t cost)
{
    call->untaken -= cost < call->untaken ? cost : call->untaken;
    if (!call->closed)
        give_back(call);
}

/* --- a session --- */

static int open_http(kv_grpc_client *client)
{
    nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, client->limits.window },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)client->limits.header_bytes },
    };
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    int rv;

    if (nghttp2_session_callbacks_new(&callbacks))
        return NGHTTP2_ERR_NOMEM;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    rv = nghttp2_option_new(&option);
    if (!rv) {
        nghttp2_option_set_no_auto_window_update(option, 1);
        rv = nghttp2_session_client_new3(&client->http, callbacks, client, option,
                                         kv_wiping_nghttp2());
        nghttp2_option_del(option);
    }
    nghttp2_session_callbacks_del(callbacks);
    if (!rv)
        rv = nghttp2_submit_settings(client->http, NGHTTP2_FLAG_NONE, settings, KV_COUNT(settings));
    return rv ? rv
              : nghttp2_session_set_local_window_size(client->http, NGHTTP2_FLAG_NONE, 0,
                                                      CONNECTION_WINDOW);
}

kv_status kv_grpc_client_new(const kv_grpc_client_limits *limits, kv_grpc_client **out,
                             kv_error *err)
{
    kv_grpc_client *client = calloc(1, sizeof(*client));

    if (!client)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    client->limits = *limits;
    if (!client->limits.message_bytes)
        client->limits.message_bytes = 16 * MIB;
    if (!client->limits.header_bytes)
        client->limits.header_bytes = 64 * KIB;
    if (!client->limits.window)
        client->limits.window = MIB;
    client->events_tail = &client->events;
    if (open_http(client)) {
        kv_grpc_client_free(client);
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    }
    *out = client;
    return KV_OK;
}

void kv_grpc_client_free(kv_grpc_client *client)
{
    kv_grpc_client_event event;

    if (!client)
        return;
    kv_grpc_client_fail(client, "the connection is closed");
    while (kv_grpc_client_next(client, &event))
        ;
    nghttp2_session_del(client->http);
    while (client->ended) {
        kv_grpc_client_call *call = client->ended;

        DL_DELETE(client->ended, call);
        kv_client_call_free(call);
    }
    free(client);
}

bool kv_grpc_client_leaving(const kv_grpc_client *client)
{
    return client->leaving || !nghttp2_session_check_request_allowed(client->http);
}

bool kv_grpc_client_has_room(const kv_grpc_client *client)
{
    uint32_t most =
        nghttp2_session_get_remote_settings(client->http, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

    return !kv_grpc_client_leaving(client) && client->open < most && client->open < MOST_OPEN;
}

kv_status kv_grpc_client_receive(kv_grpc_client *client, kv_slice bytes, kv_error *err)
{
    ssize_t taken = nghttp2_session_mem_recv(client->http, bytes.data, bytes.len);

    if (taken >= 0)
        return KV_OK;
    kv_fail(err, KV_UNAVAILABLE, "the server broke HTTP/2");
    return kv_note(err, "%s", nghttp2_strerror((int)taken));
}

kv_status kv_grpc_client_pull(kv_grpc_client *client, kv_slice *out, kv_error *err)
{
    const uint8_t *data;
    ssize_t len = nghttp2_session_mem_send(client->http, &data);

    if (len < 0) {
        kv_fail(err, KV_UNAVAILABLE, "the connection broke");
        return kv_note(err, "%s", nghttp2_strerror((int)len));
    }
    *out = kv_slice_of(data, (size_t)len);
    return KV_OK;
}

bool kv_grpc_client_next(kv_grpc_client *client, kv_grpc_client_event *event)
{
    kv_client_event_node *node = client->events;

    kv_client_event_free(client, client->last);
    client->last = node;
    if (!node)
        return false;
    client->events = node->next;
    if (!client->events)
        client->events_tail = &client->events;
    *event = node->event;
    return true;
}

void kv_grpc_client_fail(kv_grpc_client *client, const char *why)
{
    while (client->calls) {
        kv_grpc_client_call *call = client->calls;

        /* HTTP/2 must not name it again: it is freed when its end has been taken. */
        call->closed = true;
        (void)nghttp2_session_set_stream_user_data(client->http, call->id, NULL);
        kv_client_call_end(call, CODE_UNAVAILABLE, kv_slice_text(why));
    }
}

unsigned kv_grpc_client_open_calls(const kv_grpc_client *client)
{
    return client->open;
}
