/* test_connections.c - what ends a connection or keeps it from beginning, and its calls' fate. */
#include "tests/live/transport/visitor.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- limits --- */

static void a_message_over_the_limit_is_refused(void **state)
{
    scene *it = *state;
    uint8_t *payload = calloc(1, 5 * MIB);
    kv_error err;

    assert_kv_fails(KV_BUSY, scene_echo_on(it, it->channel, kv_slice_of(payload, 5 * MIB), 0,
                                           KV_SLICE_NONE, &err));
    assert_kv_ok(
        scene_echo_on(it, it->channel, kv_slice_of(payload, 4 * MIB - 64), 0, KV_SLICE_NONE, &err));
    assert_kv_ok(scene_echo_on(it, it->channel, KV_SLICE("x"), 7 * MIB, KV_SLICE_NONE, &err));
    free(payload);
}

static void headers_over_the_limit_are_refused(void **state)
{
    scene *it = *state;
    char *text = malloc(100 * 1024);
    kv_error err;

    memset(text, 'a', 100 * 1024);
    assert_kv_fails(KV_BUSY, scene_echo_on(it, it->channel, KV_SLICE("x"), 0,
                                           kv_slice_of(text, 20 * 1024), &err));
    assert_kv_ok(scene_echo(it, &err));
    assert_kv_fails(KV_BAD_REQUEST, scene_echo_on(it, it->channel, KV_SLICE("x"), 0,
                                                  kv_slice_of(text, 100 * 1024), &err));
    free(text);
}

/* --- who may connect --- */

static void refuse_certificate(scene *it, const char *cert, const char *key)
{
    kv_channel *channel = scene_open_channel(it, cert, key, NULL);
    kv_error err;

    assert_kv_fails(KV_UNAVAILABLE,
                    scene_echo_on(it, channel, KV_SLICE("x"), 0, KV_SLICE_NONE, &err));
    kv_channel_free(channel);
}

static void a_certificate_must_fit_the_rules(void **state)
{
    scene *it = *state;
    kv_channel *channel = scene_open_channel(it, it->certs.foreign, it->certs.foreign_key, NULL);
    kv_error err;

    refuse_certificate(it, it->certs.usage, it->certs.usage_key);
    /* TLS does not decide whether an issuer is trusted; `identify` does, and here it trusts all. */
    assert_kv_ok(scene_echo_on(it, channel, KV_SLICE("x"), 0, KV_SLICE_NONE, &err));
    kv_channel_free(channel);
}

static void the_server_must_have_the_right_name(void **state)
{
    scene *it = *state;
    kv_channel *channel =
        scene_open_channel(it, it->certs.client, it->certs.client_key, "other.example");
    kv_error err;

    assert_kv_fails(KV_UNAVAILABLE,
                    scene_echo_on(it, channel, KV_SLICE("x"), 0, KV_SLICE_NONE, &err));
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

    assert_kv_ok(scene_echo(it, &err));
    kv_test_certs_make(&other);
    assert_kv_ok(kv_tls_identity_read(other.server, other.server_key, &identity, &err));
    assert_kv_ok(kv_tls_swap(it->server.tls, &identity, &err));
    kv_tls_identity_cleanup(&identity);
    assert_kv_ok(scene_echo(it, &err)); /* the old connection goes on */
    channel = scene_open_channel(it, it->certs.client, it->certs.client_key, NULL);
    assert_kv_fails(KV_UNAVAILABLE,
                    scene_echo_on(it, channel, KV_SLICE("x"), 0, KV_SLICE_NONE, &err));
    kv_channel_free(channel);
    kv_test_certs_remove(&other);
}

/* --- the end --- */

static void calls_in_flight_survive_a_drain(void **state)
{
    scene *it = *state;
    tally all = { 0 };
    kv_error err;

    assert_kv_ok(scene_echo(it, &err));
    scene_start(it, SERVICE "Sleep", scene_sleep_request(it, 200), 16, &all);
    scene_wait_for_calls(it, 1 + 16);
    assert_true(kv_test_server_stop(&it->server));
    it->server.front = NULL;
    scene_wait_for(&all.done, 16);
    assert_int_equal(atomic_load(&all.good), 16);
    assert_kv_fails(KV_UNAVAILABLE, scene_echo(it, &err));
}

static void a_drain_under_load_loses_no_call(void **state)
{
    scene *it = *state;
    tally all = { 0 };
    kv_slice message = scene_echo_request(it, KV_SLICE("x"), 0);

    scene_start(it, SERVICE "Echo", message, 500, &all);
    assert_true(kv_front_drain(it->server.front));
    scene_start(it, SERVICE "Echo", message, 500, &all);
    scene_wait_for(&all.done, 1000);
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
    assert_kv_ok(scene_echo(it, &err));
    scene_start(it, SERVICE "Sleep", scene_sleep_request(it, 10000), 3, &all);
    scene_nap_ms(100);
    assert_int_equal(kill(server.pid, SIGKILL), 0);
    scene_wait_for(&all.done, 3);
    assert_int_equal(atomic_load(&all.unavailable), 3);
    assert_kv_fails(KV_UNAVAILABLE, scene_echo(it, &err));

    (void)waitpid(server.pid, NULL, 0);
    (void)fclose(server.out);
    (void)close(server.in);
    kv_test_certs_remove(&server.certs);
    kv_channel_free(it->channel);
    it->channel = usual;
}

static void a_drain_has_its_time(void **state)
{
    scene *it = *state;
    tally all = { 0 };

    atomic_store(&it->server.held, true);
    scene_start(it, SERVICE "Sleep", scene_sleep_request(it, 0), 3, &all);
    scene_wait_for(&it->server.slept, 3);
    assert_false(kv_front_drain(it->server.front));
    scene_wait_for(&all.done, 3); /* before their workers are back */
    assert_int_equal(atomic_load(&all.unavailable), 3);
    assert_int_equal(atomic_load(&it->server.posted), 0);
    (void)kv_test_server_stop(&it->server);
    it->server.front = NULL;
    assert_int_equal(atomic_load(&it->server.late), 3);
}

static void a_slow_reader_does_not_hold_a_shutdown_up(void **state)
{
    scene *it = *state;
    kv_channel_request request =
        scene_request_of(SERVICE "Stream", scene_stream_request(it, 100000, 0, 16 * 1024), LONG_MS);
    int64_t before = kv_monotonic_us();
    kv_channel_stream *stream;
    kv_slice message;
    kv_error err;
    bool more;

    assert_kv_ok(kv_channel_stream_open(it->channel, &request, &stream, &err));
    assert_kv_ok(kv_channel_stream_next(stream, &message, &more, &err));
    assert_false(kv_test_server_stop(&it->server));
    it->server.front = NULL;
    assert_true(kv_monotonic_us() - before < LONG_MS / 2 * INT64_C(1000));
    while ((kv_channel_stream_next(stream, &message, &more, &err)) == KV_OK)
        assert_true(more);
    assert_int_equal(err.status, KV_UNAVAILABLE);
    kv_channel_stream_close(stream);
}

/* Whether TLS says it, or the kernel of one that was killed; the call runs all the while. */
static void who_hangs_up_has_left(void **state)
{
    scene *it = *state;

    kv_channel_free(it->channel);
    it->channel = NULL;
    scene_wait_until_alone(it);
    atomic_store(&it->server.held, true);
    for (unsigned tls = 0; tls < 2; tls++) {
        visitor v = visitor_of(it, TLS1_3_VERSION, NULL);

        visitor_show(&v, it->certs.client, it->certs.client_key);
        assert_true(visitor_enters(it, &v, NULL));
        visitor_asks(&v, SERVICE "Sleep", scene_sleep_request(it, 0));
        scene_wait_for(&it->server.slept, tls + 1);
        if (tls)
            (void)SSL_shutdown(v.ssl);
        else
            assert_int_equal(shutdown(v.fd, SHUT_WR), 0);
        scene_wait_until_alone(it);
        assert_int_equal(atomic_load(&it->server.left), tls + 1);
        assert_int_equal(atomic_load(&it->server.posted), 0);
        visitor_leave(&v);
    }
    atomic_store(&it->server.held, false);
}

static void a_freed_channel_completes_its_calls(void **state)
{
    scene *it = *state;
    tally all = { 0 };

    atomic_store(&it->server.held, true);
    scene_start(it, SERVICE "Sleep", scene_sleep_request(it, 0), 10, &all);
    kv_channel_free(it->channel);
    it->channel = NULL;
    assert_int_equal(atomic_load(&all.unavailable), 10);
    atomic_store(&it->server.held, false);
}

static void an_absent_server_is_told(void **state)
{
    scene *it = *state;
    kv_error err;

    assert_true(kv_test_server_stop(&it->server));
    it->server.front = NULL;
    assert_kv_fails(KV_UNAVAILABLE, scene_echo(it, &err));
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

#define HASTY(name) cmocka_unit_test_setup_teardown(name, scene_set_up_hasty, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_message_over_the_limit_is_refused),
        SCENE(headers_over_the_limit_are_refused),
        SCENE(a_certificate_must_fit_the_rules),
        SCENE(the_server_must_have_the_right_name),
        SCENE(the_identity_can_be_swapped_while_serving),
        SCENE(calls_in_flight_survive_a_drain),
        SCENE(a_drain_under_load_loses_no_call),
        SCENE(a_dead_connection_completes_its_calls),
        HASTY(a_drain_has_its_time),
        HASTY(a_slow_reader_does_not_hold_a_shutdown_up),
        SCENE(who_hangs_up_has_left),
        SCENE(a_freed_channel_completes_its_calls),
        SCENE(an_absent_server_is_told),
    };

    kv_front_wipe_memory();
    return cmocka_run_group_tests_name("connections", tests, NULL, NULL);
}
