/* routes.c - echo, stream, sleep, fail: spelled and meant in one place, for tests only. */
#include "tests/live/transport/routes.h"

#include <stdio.h>
#include <test/v1/echo.pb-c.h>
#include <time.h>

#include "server/core/call.h"
#include "tests/live/transport/server.h"

typedef struct echo_in {
    kv_target target;
    kv_slice payload;
    uint32_t number; /* reply_bytes, count or milliseconds */
    uint32_t delay_ms;
    uint32_t payload_bytes;
    kv_error failure;
} echo_in;

typedef struct echo_out {
    kv_slice payload;
    uint32_t number;
} echo_out;

static void *arena_alloc(void *arena, size_t size)
{
    return kv_arena_alloc(arena, size);
}

static void arena_free(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *type, kv_slice body,
                                kv_arena *arena, kv_error *err)
{
    ProtobufCAllocator allocator = { arena_alloc, arena_free, arena };
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, body.len, body.data);

    if (!message)
        kv_fail(err, KV_BAD_REQUEST, "malformed message");
    return message;
}

static kv_status decode_echo(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    echo_in *echo = in;
    Keyvault__Test__V1__EchoRequest *message =
        (void *)unpack(&keyvault__test__v1__echo_request__descriptor, body, arena, err);

    if (!message)
        return err->status;
    echo->payload = kv_slice_of(message->payload.data, message->payload.len);
    echo->number = message->reply_bytes;
    return KV_OK;
}

static kv_status decode_stream(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    echo_in *echo = in;
    Keyvault__Test__V1__StreamRequest *message =
        (void *)unpack(&keyvault__test__v1__stream_request__descriptor, body, arena, err);

    if (!message)
        return err->status;
    echo->number = message->count;
    echo->delay_ms = message->delay_ms;
    echo->payload_bytes = message->payload_bytes;
    return KV_OK;
}

static kv_status decode_sleep(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    Keyvault__Test__V1__SleepRequest *message =
        (void *)unpack(&keyvault__test__v1__sleep_request__descriptor, body, arena, err);

    if (!message)
        return err->status;
    ((echo_in *)in)->number = message->milliseconds;
    return KV_OK;
}

static kv_status status_of_code(int code)
{
    for (kv_status status = KV_OK; status < KV_STATUS_COUNT; status++)
        if (kv_status_spelling(status)->grpc == code)
            return status;
    return KV_INTERNAL;
}

static kv_reason reason_of_name(const char *name)
{
    for (kv_reason reason = KV_REASON_NONE; reason < KV_REASON_COUNT; reason++)
        if (!strcmp(kv_reason_name(reason), name))
            return reason;
    return KV_REASON_NONE;
}

static kv_status decode_fail(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_error *failure = &((echo_in *)in)->failure;
    Keyvault__Test__V1__FailRequest *message =
        (void *)unpack(&keyvault__test__v1__fail_request__descriptor, body, arena, err);

    if (!message)
        return err->status;
    kv_fail_field(failure, message->field, "%s", message->message);
    failure->status = status_of_code(message->code);
    failure->reason = reason_of_name(message->reason);
    failure->retry_ms = message->retry_ms;
    return KV_OK;
}

static kv_status encode(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const echo_out *echo = out;
    Keyvault__Test__V1__EchoResponse message = KEYVAULT__TEST__V1__ECHO_RESPONSE__INIT;
    uint8_t *data;
    size_t len;

    message.payload.data = (uint8_t *)(uintptr_t)echo->payload.data;
    message.payload.len = echo->payload.len;
    message.number = echo->number;
    len = keyvault__test__v1__echo_response__get_packed_size(&message);
    data = kv_arena_alloc(arena, len);
    if (!data)
        return kv_arena_full(err);
    *body = kv_slice_of(data, keyvault__test__v1__echo_response__pack(&message, data));
    return KV_OK;
}

static void nap(uint32_t ms)
{
    struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

    if (ms)
        (void)nanosleep(&time, NULL);
}

static kv_status run_echo(kv_call *call)
{
    const echo_in *in = call->in;
    echo_out *out = call->out;
    uint8_t *zeroes;

    out->payload = in->payload;
    if (!in->number)
        return KV_OK;
    zeroes = kv_arena_alloc(&call->arena, in->number);
    if (!zeroes)
        return kv_arena_full(&call->error);
    out->payload = kv_slice_of(zeroes, in->number);
    return KV_OK;
}

static kv_status run_stream(kv_call *call)
{
    const echo_in *in = call->in;
    uint8_t *payload = kv_arena_alloc(&call->arena, in->payload_bytes);

    if (!payload)
        return kv_arena_full(&call->error);
    for (uint32_t i = 0; i < in->number; i++) {
        echo_out out = { .payload = kv_slice_of(payload, in->payload_bytes), .number = i };

        KV_TRY(kv_call_send(call, &out));
        nap(in->delay_ms);
    }
    return KV_OK;
}

static kv_status run_sleep(kv_call *call)
{
    kv_test_server *server = call->services->gates.context;

    atomic_fetch_add(&server->slept, 1);
    nap(((echo_in *)call->in)->number);
    while (atomic_load(&server->held))
        nap(1);
    return KV_OK;
}

static kv_status run_fail(kv_call *call)
{
    call->error = ((echo_in *)call->in)->failure;
    return call->error.status;
}

/* Stands for methods of the real services, whose messages it does not read. */
/* The tests that look make one call after the other. */
static void note_key(kv_test_server *server, kv_slice key)
{
    if (key.len && kv_slice_equal(key, kv_slice_text(server->last_key)))
        server->repeated_keys++;
    (void)snprintf(server->last_key, sizeof(server->last_key), "%.*s", KV_SLICE_ARG(key));
}

static kv_status run_failing(kv_call *call)
{
    kv_test_server *server = call->services->gates.context;

    note_key(server, call->idempotency_key);
    if (atomic_fetch_add(&server->asked, 1) < server->failing)
        call->error = server->failure;
    return call->error.status;
}

static kv_status decode_nothing(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    (void)body;
    (void)arena;
    (void)in;
    (void)err;
    return KV_OK;
}

static kv_status encode_nothing(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    (void)out;
    (void)arena;
    (void)err;
    *body = KV_SLICE_NONE;
    return KV_OK;
}

#define FAILING(method)                                                                            \
    {                                                                                              \
        .name = "Test" method, .needs = KV_MAY_KEYS_READ, .lane = KV_LANE_KEYS,                    \
        .in_size = sizeof(echo_in), .out_size = sizeof(echo_out), .run = run_failing, .at = {      \
            [KV_DOOR_GRPC] = { "/keyvault.v1.KeyService/" method, decode_nothing, encode_nothing } \
        }                                                                                          \
    }

#define SPELLED(name, read)                                                      \
    {                                                                            \
        [KV_DOOR_GRPC] = { "/keyvault.test.v1.EchoService/" name, read, encode } \
    }

const kv_route kv_test_routes[] = {
    { .name = "TestEcho",
      .needs = KV_MAY_KEYS_READ,
      .lane = KV_LANE_KEYS,
      .in_size = sizeof(echo_in),
      .out_size = sizeof(echo_out),
      .run = run_echo,
      .at = SPELLED("Echo", decode_echo) },
    { .name = "TestStream",
      .needs = KV_MAY_KEYS_READ,
      .lane = KV_LANE_SLOW,
      .streams = true,
      .in_size = sizeof(echo_in),
      .out_size = sizeof(echo_out),
      .run = run_stream,
      .at = SPELLED("Stream", decode_stream) },
    { .name = "TestSleep",
      .needs = KV_MAY_KEYS_READ,
      .lane = KV_LANE_SLOW,
      .in_size = sizeof(echo_in),
      .out_size = sizeof(echo_out),
      .run = run_sleep,
      .at = SPELLED("Sleep", decode_sleep) },
    { .name = "TestFail",
      .needs = KV_MAY_KEYS_READ,
      .lane = KV_LANE_KEYS,
      .in_size = sizeof(echo_in),
      .out_size = sizeof(echo_out),
      .run = run_fail,
      .at = SPELLED("Fail", decode_fail) },
    FAILING("GetKey"),
    FAILING("DeleteKey"),
};

const size_t kv_test_route_count = KV_COUNT(kv_test_routes);
