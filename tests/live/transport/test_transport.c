/* test_transport.c - our channel against our front, over real sockets and real TLS. */
#include "client/channel.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>
#include <test/v1/echo.pb-c.h>

#include "tests/live/transport/server.h"
#include "tests/support/kv_cmocka.h"

#define SERVICE "/keyvault.test.v1.EchoService/"

enum { LONG_MS = 20000, MIB = 1024 * 1024, PACKED_BYTES = 9 * 1024 * 1024 };

typedef struct scene {
    kv_test_certs certs;
    kv_test_server server;
    kv_channel *channel;
    uint8_t *packed; /* PACKED_BYTES, for building requests */
} scene;

static void nap_ms(long ms)
{
    struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    (void)nanosleep(&time, NULL);
}

static kv_channel *open_channel(const scene *it, const char *cert, const char *key,
                                const char *server_name)
{
    char port[8];
    kv_channel_config config = { .host = "127.0.0.1",
                                 .port = port,
                                 .server_name = server_name,
                                 .ca_path = it->certs.ca,
                                 .cert_path = cert,
                                 .key_path = key };
    kv_channel *channel;
    kv_error err;

    (void)snprintf(port, sizeof(port), "%u", kv_front_port(it->server.front));
    assert_kv_ok_with(kv_channel_new(&config, &channel, &err), &err);
    return channel;
}

static int set_up_with(void **state, const kv_front_config *config, const kv_lanes_config *lanes)
{
    scene *it = calloc(1, sizeof(*it));

    it->packed = malloc(PACKED_BYTES);
    kv_test_certs_make(&it->certs);
    kv_test_server_start(&it->server, config, lanes, &it->certs);
    it->channel = open_channel(it, it->certs.client, it->certs.client_key, NULL);
    *state = it;
    return 0;
}

static int set_up(void **state)
{
    kv_front_config config = kv_test_front_config();
    kv_lanes_config lanes = kv_test_lanes_config();

    return set_up_with(state, &config, &lanes);
}

static int set_up_narrow(void **state)
{
    kv_front_config config = kv_test_front_config();
    kv_lanes_config lanes = kv_test_lanes_config();

    lanes.lane[KV_LANE_SLOW] = (kv_lane_config){ .workers = 1, .queue = 4 };
    return set_up_with(state, &config, &lanes);
}

static int tear_down(void **state)
{
    scene *it = *state;
    bool drained;

    kv_channel_free(it->channel);
    drained = !it->server.front || kv_test_server_stop(&it->server);
    kv_test_certs_remove(&it->certs);
    free(it->packed);
    free(it);
    return drained ? 0 : -1;
}

static kv_channel_request request_of(const char *path, kv_slice message, int64_t ms)
{
    return (
        kv_channel_request){ .path = path, .message = message, .deadline = kv_deadline_in_ms(ms) };
}

static kv_slice echo_request(scene *it, kv_slice payload, uint32_t reply_bytes)
{
    Keyvault__Test__V1__EchoRequest message = KEYVAULT__TEST__V1__ECHO_REQUEST__INIT;

    message.payload.data = (uint8_t *)(uintptr_t)payload.data;
    message.payload.len = payload.len;
    message.reply_bytes = reply_bytes;
    return kv_slice_of(it->packed, keyvault__test__v1__echo_request__pack(&message, it->packed));
}

static kv_slice sleep_request(scene *it, uint32_t ms)
{
    Keyvault__Test__V1__SleepRequest message = KEYVAULT__TEST__V1__SLEEP_REQUEST__INIT;

    message.milliseconds = ms;
    return kv_slice_of(it->packed, keyvault__test__v1__sleep_request__pack(&message, it->packed));
}

static kv_slice stream_request(scene *it, uint32_t count, uint32_t delay_ms, uint32_t bytes)
{
    Keyvault__Test__V1__StreamRequest message = KEYVAULT__TEST__V1__STREAM_REQUEST__INIT;

    message.count = count;
    message.delay_ms = delay_ms;
    message.payload_bytes = bytes;
    return kv_slice_of(it->packed, keyvault__test__v1__stream_request__pack(&message, it->packed));
}

/* Calls Echo; the payload's length must come back. */
static kv_status echo_on(scene *it, kv_channel *channel, kv_slice payload, uint32_t reply_bytes,
                         kv_slice credential, kv_error *err)
{
    kv_channel_request request =
        request_of(SERVICE "Echo", echo_request(it, payload, reply_bytes), LONG_MS);
    kv_channel_result result;
    kv_status status;

    request.credential = credential;
    status = kv_channel_call(channel, &request, &result, err);
    if (status == KV_OK) {
        Keyvault__Test__V1__EchoResponse *answer = keyvault__test__v1__echo_response__unpack(
            NULL, result.message.len, result.message.data);

        assert_non_null(answer);
        assert_int_equal(answer->payload.len, reply_bytes ? reply_bytes : payload.len);
        if (!reply_bytes && payload.len)
            assert_memory_equal(answer->payload.data, payload.data, payload.len);
        keyvault__test__v1__echo_response__free_unpacked(answer, NULL);
    }
    kv_channel_result_cleanup(&result);
    return status;
}

static kv_status echo(scene *it, kv_error *err)
{
    return echo_on(it, it->channel, KV_SLICE("hello"), 0, KV_SLICE_NONE, err);
}

static void answers_a_call(void **state)
{
    kv_error err;

    assert_kv_ok(echo(*state, &err));
    assert_kv_ok(echo(*state, &err));
}

static void says_it_is_healthy_even_without_a_certificate(void **state)
{
    scene *it = *state;
    kv_channel *channel = open_channel(it, NULL, NULL, NULL);
    kv_channel_request request = request_of("/grpc.health.v1.Health/Check", KV_SLICE_NONE, LONG_MS);
    kv_channel_result result;
    kv_error err;

    assert_kv_ok(kv_channel_call(channel, &request, &result, &err));
    assert_slice_equal(KV_SLICE("\x08\x01"), result.message);
    kv_channel_result_cleanup(&result);
    kv_front_set_serving(it->server.front, false);
    assert_kv_ok(kv_channel_call(channel, &request, &result, &err));
    assert_slice_equal(KV_SLICE("\x08\x02"), result.message);
    kv_channel_result_cleanup(&result);
    request.message = KV_SLICE("\x0a\x02no");
    assert_kv_fails(KV_NOT_FOUND, kv_channel_call(channel, &request, &result, &err));
    kv_channel_result_cleanup(&result);

    assert_kv_fails(KV_UNAUTHENTICATED,
                    echo_on(it, channel, KV_SLICE("x"), 0, KV_SLICE_NONE, &err));
    assert_int_equal(atomic_load(&it->server.refused), 1);
    kv_channel_free(channel);
}

static void watchers_hear_of_a_change(void **state)
{
    scene *it = *state;
    kv_channel_request request = request_of("/grpc.health.v1.Health/Watch", KV_SLICE_NONE, LONG_MS);
    kv_channel_stream *stream;
    kv_slice message;
    kv_error err;
    bool more;

    assert_kv_ok(kv_channel_stream_open(it->channel, &request, &stream, &err));
    assert_kv_ok(kv_channel_stream_next(stream, &message, &more, &err));
    assert_slice_equal(KV_SLICE("\x08\x01"), message);
    kv_front_set_serving(it->server.front, false);
    assert_kv_ok(kv_channel_stream_next(stream, &message, &more, &err));
    assert_slice_equal(KV_SLICE("\x08\x02"), message);
    kv_channel_stream_close(stream);
}

static void does_not_know_every_method(void **state)
{
    scene *it = *state;
    kv_channel_request request = request_of(SERVICE "Nothing", KV_SLICE_NONE, LONG_MS);
    kv_channel_result result;
    kv_error err;

    assert_kv_fails(KV_UNSUPPORTED, kv_channel_call(it->channel, &request, &result, &err));
    assert_int_equal(result.code, 12);
    kv_channel_result_cleanup(&result);
}

static kv_slice fail_request(scene *it, int code, char *message, char *field, char *reason)
{
    Keyvault__Test__V1__FailRequest fail = KEYVAULT__TEST__V1__FAIL_REQUEST__INIT;

    fail.code = code;
    fail.message = message;
    fail.field = field;
    fail.reason = reason;
    fail.retry_ms = 1500;
    return kv_slice_of(it->packed, keyvault__test__v1__fail_request__pack(&fail, it->packed));
}

static void tells_an_error_with_its_details(void **state)
{
    scene *it = *state;
    char message[] = "na\xc3\xafve 100% \xe2\x82\xac", field[] = "policy.days",
         reason[] = "EXPIRED";
    kv_channel_request request =
        request_of(SERVICE "Fail", fail_request(it, 3, message, field, reason), LONG_MS);
    kv_channel_result result;
    Google__Rpc__Status *status;
    Google__Rpc__BadRequest *bad;
    Google__Rpc__ErrorInfo *info;
    kv_error err;

    assert_kv_fails(KV_BAD_REQUEST, kv_channel_call(it->channel, &request, &result, &err));
    assert_string_equal(err.message, message);
    status = google__rpc__status__unpack(NULL, result.details.len, result.details.data);
    assert_non_null(status);
    assert_int_equal(status->code, 3);
    assert_string_equal(status->message, message);
    assert_int_equal(status->n_details, 3);
    assert_string_equal(status->details[0]->type_url, "type.googleapis.com/google.rpc.ErrorInfo");
    info = google__rpc__error_info__unpack(NULL, status->details[0]->value.len,
                                           status->details[0]->value.data);
    assert_string_equal(info->reason, reason);
    bad = google__rpc__bad_request__unpack(NULL, status->details[1]->value.len,
                                           status->details[1]->value.data);
    assert_string_equal(bad->field_violations[0]->field, field);
    google__rpc__bad_request__free_unpacked(bad, NULL);
    google__rpc__error_info__free_unpacked(info, NULL);
    google__rpc__status__free_unpacked(status, NULL);
    kv_channel_result_cleanup(&result);
}

static void an_internal_error_says_nothing_but_its_request(void **state)
{
    scene *it = *state;
    char secret[] = "table objects row 7", none[] = "";
    kv_channel_request request =
        request_of(SERVICE "Fail", fail_request(it, 13, secret, none, none), LONG_MS);
    kv_channel_result result;
    kv_error err;

    assert_kv_fails(KV_INTERNAL, kv_channel_call(it->channel, &request, &result, &err));
    assert_null(strstr(err.message, "objects"));
    assert_non_null(strstr(err.message, "request "));
    assert_null(memmem(result.details.data, result.details.len, "objects", 7));
    kv_channel_result_cleanup(&result);
}

static void permission_is_asked(void **state)
{
    scene *it = *state;
    kv_error err;

    assert_kv_fails(KV_DENIED,
                    echo_on(it, it->channel, KV_SLICE("x"), 0, KV_SLICE("no role"), &err));
    assert_int_equal(atomic_load(&it->server.posted), 1);
}

/* --- many at once --- */

typedef struct tally {
    atomic_uint good, bad, busy, unavailable, done;
} tally;

static void count(void *context, const kv_channel_result *result, const kv_error *err)
{
    tally *all = context;

    (void)err;
    if (result->status == KV_OK)
        atomic_fetch_add(&all->good, 1);
    else if (result->status == KV_BUSY)
        atomic_fetch_add(&all->busy, 1);
    else if (result->status == KV_UNAVAILABLE)
        atomic_fetch_add(&all->unavailable, 1);
    else
        atomic_fetch_add(&all->bad, 1);
    atomic_fetch_add(&all->done, 1);
}

static void wait_for(atomic_uint *counter, unsigned wanted)
{
    kv_deadline deadline = kv_deadline_in_ms(LONG_MS);

    while (atomic_load(counter) < wanted && !kv_deadline_passed(deadline))
        nap_ms(5);
    assert_int_equal(atomic_load(counter), wanted);
}

static void start(scene *it, const char *path, kv_slice message, unsigned times, tally *all)
{
    for (unsigned i = 0; i < times; i++) {
        kv_channel_request request = request_of(path, message, LONG_MS);
        kv_error err;

        assert_kv_ok(kv_channel_start(it->channel, &request, count, all, &err));
    }
}

static void answers_a_thousand_calls_at_once(void **state)
{
    scene *it = *state;
    tally all = { 0 };

    start(it, SERVICE "Echo", echo_request(it, KV_SLICE("one of many"), 0), 1000, &all);
    wait_for(&all.done, 1000);
    assert_int_equal(atomic_load(&all.good), 1000);
    assert_int_equal(atomic_load(&it->server.posted), 1000);
}

static void carries_megabytes_in_parallel(void **state)
{
    scene *it = *state;
    uint8_t *payload = calloc(1, MIB);
    tally all = { 0 };

    start(it, SERVICE "Echo", echo_request(it, kv_slice_of(payload, MIB), 0), 20, &all);
    wait_for(&all.done, 20);
    assert_int_equal(atomic_load(&all.good), 20);
    free(payload);
}

static void a_full_queue_is_told_at_once(void **state)
{
    scene *it = *state;
    tally all = { 0 };

    start(it, SERVICE "Sleep", sleep_request(it, 100), 20, &all);
    wait_for(&all.done, 20);
    assert_true(atomic_load(&all.busy) >= 20 - 1 - 4 - 1);
    assert_int_equal(atomic_load(&all.good) + atomic_load(&all.busy), 20);
    assert_int_equal(atomic_load(&it->server.refused), atomic_load(&all.busy));
}

/* --- streams --- */

static void read_stream(scene *it, uint32_t messages, uint32_t bytes, long pause_every_100)
{
    kv_channel_request request =
        request_of(SERVICE "Stream", stream_request(it, messages, 0, bytes), LONG_MS);
    kv_channel_stream *stream;
    kv_slice message;
    kv_error err;
    bool more;

    assert_kv_ok(kv_channel_stream_open(it->channel, &request, &stream, &err));
    for (uint32_t i = 0; i < messages; i++) {
        Keyvault__Test__V1__EchoResponse *answer;

        assert_kv_ok(kv_channel_stream_next(stream, &message, &more, &err));
        assert_true(more);
        answer = keyvault__test__v1__echo_response__unpack(NULL, message.len, message.data);
        assert_non_null(answer);
        assert_int_equal(answer->number, i);
        assert_int_equal(answer->payload.len, bytes);
        keyvault__test__v1__echo_response__free_unpacked(answer, NULL);
        if (pause_every_100 && i % 100 == 0)
            nap_ms(pause_every_100);
    }
    assert_kv_ok(kv_channel_stream_next(stream, &message, &more, &err));
    assert_false(more);
    kv_channel_stream_close(stream);
}

static void streams_a_thousand_messages(void **state)
{
    read_stream(*state, 1000, 20, 0);
}

static void a_slow_reader_gets_every_message(void **state)
{
    read_stream(*state, 1000, 16 * 1024, 20);
}

static void a_closed_stream_stops_its_worker(void **state)
{
    scene *it = *state;
    kv_channel_request request =
        request_of(SERVICE "Stream", stream_request(it, 1000000, 0, 1000), LONG_MS);
    kv_channel_stream *stream;
    kv_slice message;
    kv_error err;
    bool more;

    assert_kv_ok(kv_channel_stream_open(it->channel, &request, &stream, &err));
    assert_kv_ok(kv_channel_stream_next(stream, &message, &more, &err));
    kv_channel_stream_close(stream);
    wait_for(&it->server.posted, 1);
    wait_for(&it->server.left, 1);
    assert_kv_ok(echo(it, &err));
}

/* --- time --- */

static void the_deadline_does_not_wait_for_the_worker(void **state)
{
    scene *it = *state;
    kv_channel_request request = request_of(SERVICE "Sleep", sleep_request(it, 1500), 100);
    int64_t before = kv_monotonic_us();
    kv_channel_result result;
    kv_error err;

    assert_kv_fails(KV_TIMEOUT, kv_channel_call(it->channel, &request, &result, &err));
    assert_true(kv_monotonic_us() - before < 1000000);
    kv_channel_result_cleanup(&result);
    /* The late worker's outcome is audited all the same. */
    wait_for(&it->server.late, 1);
    assert_int_equal(atomic_load(&it->server.left), 1);
    assert_kv_ok(echo(it, &err));
}

static void late_calls_do_not_block_the_lane_for_others(void **state)
{
    scene *it = *state;
    tally all = { 0 };
    kv_error err;

    start(it, SERVICE "Sleep", sleep_request(it, 300), 8, &all);
    assert_kv_ok(echo(it, &err)); /* another lane */
    assert_int_equal(atomic_load(&all.done), 0);
    wait_for(&all.done, 8);
    assert_int_equal(atomic_load(&all.good), 8);
}

/* --- limits --- */

static void a_message_over_the_limit_is_refused(void **state)
{
    scene *it = *state;
    uint8_t *payload = calloc(1, 5 * MIB);
    kv_error err;

    assert_kv_fails(
        KV_BUSY, echo_on(it, it->channel, kv_slice_of(payload, 5 * MIB), 0, KV_SLICE_NONE, &err));
    assert_kv_ok(
        echo_on(it, it->channel, kv_slice_of(payload, 4 * MIB - 64), 0, KV_SLICE_NONE, &err));
    assert_kv_ok(echo_on(it, it->channel, KV_SLICE("x"), 7 * MIB, KV_SLICE_NONE, &err));
    free(payload);
}

static void headers_over_the_limit_are_refused(void **state)
{
    scene *it = *state;
    char *text = malloc(100 * 1024);
    kv_error err;

    memset(text, 'a', 100 * 1024);
    assert_kv_fails(KV_BUSY,
                    echo_on(it, it->channel, KV_SLICE("x"), 0, kv_slice_of(text, 20 * 1024), &err));
    assert_kv_ok(echo(it, &err));
    assert_kv_fails(KV_BAD_REQUEST, echo_on(it, it->channel, KV_SLICE("x"), 0,
                                            kv_slice_of(text, 100 * 1024), &err));
    free(text);
}

/* --- who may connect --- */

static void refuse_certificate(scene *it, const char *cert, const char *key)
{
    kv_channel *channel = open_channel(it, cert, key, NULL);
    kv_error err;

    assert_kv_fails(KV_UNAVAILABLE, echo_on(it, channel, KV_SLICE("x"), 0, KV_SLICE_NONE, &err));
    kv_channel_free(channel);
}

static void a_certificate_must_fit_the_rules(void **state)
{
    scene *it = *state;
    kv_channel *channel = open_channel(it, it->certs.foreign, it->certs.foreign_key, NULL);
    kv_error err;

    refuse_certificate(it, it->certs.usage, it->certs.usage_key);
    /* TLS does not decide whether an issuer is trusted; `identify` does, and here it trusts all. */
    assert_kv_ok(echo_on(it, channel, KV_SLICE("x"), 0, KV_SLICE_NONE, &err));
    kv_channel_free(channel);
}

static void the_server_must_have_the_right_name(void **state)
{
    scene *it = *state;
    kv_channel *channel = open_channel(it, it->certs.client, it->certs.client_key, "other.example");
    kv_error err;

    assert_kv_fails(KV_UNAVAILABLE, echo_on(it, channel, KV_SLICE("x"), 0, KV_SLICE_NONE, &err));
    assert_non_null(strstr(err.message, "refused"));
    kv_channel_free(channel);
}

static void the_identity_can_be_swapped_while_serving(void **state)
{
    scene *it = *state;
    kv_test_certs other;
    kv_tls_identity identity;
    kv_channel *channel;
    kv_error err;

    assert_kv_ok(echo(it, &err));
    kv_test_certs_make(&other);
    assert_kv_ok(kv_tls_identity_read(other.server, other.server_key, &identity, &err));
    assert_kv_ok(kv_tls_swap(it->server.tls, &identity, &err));
    kv_tls_identity_cleanup(&identity);
    assert_kv_ok(echo(it, &err)); /* the old connection goes on */
    channel = open_channel(it, it->certs.client, it->certs.client_key, NULL);
    assert_kv_fails(KV_UNAVAILABLE, echo_on(it, channel, KV_SLICE("x"), 0, KV_SLICE_NONE, &err));
    kv_channel_free(channel);
    kv_test_certs_remove(&other);
}

/* --- the end --- */

static void calls_in_flight_survive_a_drain(void **state)
{
    scene *it = *state;
    tally all = { 0 };
    kv_error err;

    assert_kv_ok(echo(it, &err));
    start(it, SERVICE "Sleep", sleep_request(it, 200), 16, &all);
    nap_ms(100);
    assert_true(kv_test_server_stop(&it->server));
    it->server.front = NULL;
    wait_for(&all.done, 16);
    assert_int_equal(atomic_load(&all.good), 16);
    assert_kv_fails(KV_UNAVAILABLE, echo(it, &err));
}

static void a_drain_under_load_loses_no_call(void **state)
{
    scene *it = *state;
    tally all = { 0 };
    kv_slice message = echo_request(it, KV_SLICE("x"), 0);

    start(it, SERVICE "Echo", message, 500, &all);
    assert_true(kv_front_drain(it->server.front));
    start(it, SERVICE "Echo", message, 500, &all);
    wait_for(&all.done, 1000);
    /* Each call either was answered or never began. */
    assert_int_equal(atomic_load(&all.good) + atomic_load(&all.unavailable), 1000);
    assert_int_equal(atomic_load(&it->server.posted), atomic_load(&all.good));
}

/* The server as a program, to be killed. */
typedef struct victim {
    pid_t pid;
    FILE *out;
    int in;
    unsigned port;
    kv_test_certs certs;
} victim;

static void spawn_victim(victim *it)
{
    char *const arguments[] = { (char[]){ KV_TRANSPORT_SERVER }, NULL };
    posix_spawn_file_actions_t actions;
    int in[2], out[2];

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    assert_int_equal(posix_spawn(&it->pid, arguments[0], &actions, NULL, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    (void)close(in[0]);
    (void)close(out[1]);
    it->in = in[1];
    it->out = fdopen(out[0], "r");
    assert_int_equal(fscanf(it->out, "%u %127s", &it->port, it->certs.folder), 2);
}

static kv_channel *channel_to(const victim *it)
{
    char port[8], ca[160], cert[160], key[160];
    kv_channel_config config = {
        .host = "127.0.0.1", .port = port, .ca_path = ca, .cert_path = cert, .key_path = key
    };
    kv_channel *channel;
    kv_error err;

    (void)snprintf(port, sizeof(port), "%u", it->port);
    (void)snprintf(ca, sizeof(ca), "%s/ca.pem", it->certs.folder);
    (void)snprintf(cert, sizeof(cert), "%s/client.pem", it->certs.folder);
    (void)snprintf(key, sizeof(key), "%s/client.key", it->certs.folder);
    assert_kv_ok_with(kv_channel_new(&config, &channel, &err), &err);
    return channel;
}

static void a_dead_connection_completes_its_calls(void **state)
{
    scene *it = *state;
    kv_channel *usual = it->channel;
    tally all = { 0 };
    victim server;
    kv_error err;

    spawn_victim(&server);
    it->channel = channel_to(&server);
    assert_kv_ok(echo(it, &err));
    start(it, SERVICE "Sleep", sleep_request(it, 10000), 3, &all);
    nap_ms(100);
    assert_int_equal(kill(server.pid, SIGKILL), 0);
    wait_for(&all.done, 3);
    assert_int_equal(atomic_load(&all.unavailable), 3);
    assert_kv_fails(KV_UNAVAILABLE, echo(it, &err));

    (void)waitpid(server.pid, NULL, 0);
    (void)fclose(server.out);
    (void)close(server.in);
    kv_test_certs_remove(&server.certs);
    kv_channel_free(it->channel);
    it->channel = usual;
}

static void a_freed_channel_completes_its_calls(void **state)
{
    scene *it = *state;
    tally all = { 0 };

    start(it, SERVICE "Sleep", sleep_request(it, 500), 10, &all);
    kv_channel_free(it->channel);
    it->channel = NULL;
    assert_int_equal(atomic_load(&all.unavailable), 10);
}

static void an_absent_server_is_told(void **state)
{
    scene *it = *state;
    kv_error err;

    assert_true(kv_test_server_stop(&it->server));
    it->server.front = NULL;
    assert_kv_fails(KV_UNAVAILABLE, echo(it, &err));
}

#define SCENE(name)  cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define NARROW(name) cmocka_unit_test_setup_teardown(name, set_up_narrow, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(answers_a_call),
        SCENE(says_it_is_healthy_even_without_a_certificate),
        SCENE(watchers_hear_of_a_change),
        SCENE(does_not_know_every_method),
        SCENE(tells_an_error_with_its_details),
        SCENE(an_internal_error_says_nothing_but_its_request),
        SCENE(permission_is_asked),
        SCENE(answers_a_thousand_calls_at_once),
        SCENE(carries_megabytes_in_parallel),
        NARROW(a_full_queue_is_told_at_once),
        SCENE(streams_a_thousand_messages),
        SCENE(a_slow_reader_gets_every_message),
        SCENE(a_closed_stream_stops_its_worker),
        SCENE(the_deadline_does_not_wait_for_the_worker),
        SCENE(late_calls_do_not_block_the_lane_for_others),
        SCENE(a_message_over_the_limit_is_refused),
        SCENE(headers_over_the_limit_are_refused),
        SCENE(a_certificate_must_fit_the_rules),
        SCENE(the_server_must_have_the_right_name),
        SCENE(the_identity_can_be_swapped_while_serving),
        SCENE(calls_in_flight_survive_a_drain),
        SCENE(a_drain_under_load_loses_no_call),
        SCENE(a_dead_connection_completes_its_calls),
        SCENE(a_freed_channel_completes_its_calls),
        SCENE(an_absent_server_is_told),
    };

    kv_front_wipe_memory();
    return cmocka_run_group_tests_name("transport", tests, NULL, NULL);
}
