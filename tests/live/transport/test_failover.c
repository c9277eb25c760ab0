/* test_failover.c - another server when one is gone, sessions resumed, calls repeated if safe. */
#include <stdio.h>
#include <stdlib.h>

#include <keyvault/v1/keys.pb-c.h>

#include "client/keyvault.h"
#include "tests/live/transport/scene.h"

#define GET_KEY    "/keyvault.v1.KeyService/GetKey"
#define DELETE_KEY "/keyvault.v1.KeyService/DeleteKey"

enum {
    UNAVAILABLE = 14,
    RESOURCE_EXHAUSTED = 8,
    ABORTED = 10,
    INVALID_ARGUMENT = 3,
    BRIEF_MS = 30000
};

/* A second server with the certificates of the first. */
static void start_other(const scene *it, kv_test_server *other)
{
    kv_front_config config = kv_test_front_config();
    kv_lanes_config lanes = kv_test_lanes_config();

    *other = (kv_test_server){ 0 };
    kv_test_server_start(other, &config, &lanes, &it->certs);
}

static kv_channel *channel_to_both(const scene *it, const kv_test_server *other)
{
    char first[8], second[8];
    const kv_channel_endpoint others[] = { { "127.0.0.1", second } };
    const kv_channel_config config = { .host = "127.0.0.1",
                                       .port = first,
                                       .others = others,
                                       .other_count = 1,
                                       .ca_path = it->certs.ca,
                                       .cert_path = it->certs.client,
                                       .key_path = it->certs.client_key };
    kv_channel *channel;
    kv_error err;

    (void)snprintf(first, sizeof(first), "%u", kv_front_port(it->server.front));
    (void)snprintf(second, sizeof(second), "%u", kv_front_port(other->front));
    assert_kv_ok_with(kv_channel_new(&config, &channel, &err), &err);
    return channel;
}

static kv_status echo_on(scene *it, kv_channel *channel)
{
    kv_error err;

    return scene_echo_on(it, channel, KV_SLICE("x"), 0, KV_SLICE_NONE, &err);
}

static void stop_first(scene *it)
{
    (void)kv_test_server_stop(&it->server);
    it->server.front = NULL;
}

/* --- the channel --- */

static void the_next_server_takes_over_and_stays(void **state)
{
    scene *it = *state;
    kv_test_server other;
    kv_channel *channel;

    start_other(it, &other);
    channel = channel_to_both(it, &other);
    assert_int_equal(echo_on(it, channel), KV_OK);
    assert_int_equal(kv_channel_counts_get(channel).endpoint, 0);
    assert_int_equal(atomic_load(&other.posted), 0);
    stop_first(it);
    for (int i = 0; i < 5; i++)
        assert_int_equal(echo_on(it, channel), KV_OK);
    assert_int_equal(kv_channel_counts_get(channel).endpoint, 1);
    assert_int_equal(kv_channel_counts_get(channel).connections, 2);
    assert_int_equal(atomic_load(&other.posted), 5);

    assert_true(kv_test_server_stop(&other));
    assert_int_equal(echo_on(it, channel), KV_UNAVAILABLE);
    kv_channel_free(channel);
}

static void a_server_absent_from_the_start_is_passed_over(void **state)
{
    scene *it = *state;
    kv_test_server other;
    kv_channel *channel;

    start_other(it, &other);
    channel = channel_to_both(it, &other);
    stop_first(it);
    assert_int_equal(echo_on(it, channel), KV_OK);
    assert_int_equal(kv_channel_counts_get(channel).endpoint, 1);
    kv_channel_free(channel);
    assert_true(kv_test_server_stop(&other));
}

static void too_many_servers_are_refused(void **state)
{
    scene *it = *state;
    const kv_channel_endpoint others[KV_CHANNEL_ENDPOINTS] = { { "a", "1" } };
    const kv_channel_config config = { .host = "127.0.0.1",
                                       .port = "1",
                                       .others = others,
                                       .other_count = KV_CHANNEL_ENDPOINTS,
                                       .ca_path = it->certs.ca };
    kv_channel *channel;
    kv_error err;

    assert_kv_fails(KV_BAD_REQUEST, kv_channel_new(&config, &channel, &err));
}

static void fail_first(kv_test_server *server, unsigned times, kv_status status, unsigned retry_ms)
{
    server->failing = times;
    kv_fail(&server->failure, status, "not now");
    server->failure.retry_ms = retry_ms;
    atomic_store(&server->asked, 0);
}

/* Each answer sends the channel to the other server, and each connection that it leaves keeps a
 * call that does not end. */
static void many_connections_that_end_late_are_in_nobodys_way(void **state)
{
    enum { ROUNDS = 12 };
    scene *it = *state;
    kv_test_server other;
    kv_channel *channel;
    tally all = { 0 };
    kv_error err;

    start_other(it, &other);
    channel = channel_to_both(it, &other);
    kv_channel_free(it->channel);
    it->channel = channel;
    for (unsigned i = 0; i < ROUNDS; i++) {
        kv_test_server *now = i % 2 ? &other : &it->server;
        const kv_channel_request get = scene_request_of(GET_KEY, KV_SLICE_NONE, LONG_MS);
        kv_channel_result result;

        atomic_store(&now->held, true);
        fail_first(now, 1, KV_UNAVAILABLE, 0);
        scene_start(it, SERVICE "Sleep", scene_sleep_request(it, 0), 1, &all);
        assert_int_equal(kv_channel_call(channel, &get, &result, &err), KV_UNAVAILABLE);
        kv_channel_result_cleanup(&result);
        assert_int_equal(kv_channel_counts_get(channel).connections, i + 1);
    }
    assert_int_equal(echo_on(it, channel), KV_OK);
    assert_int_equal(atomic_load(&all.done), 0);
    atomic_store(&it->server.held, false);
    atomic_store(&other.held, false);
    scene_wait_for(&all.good, ROUNDS);
    kv_channel_free(channel);
    it->channel = NULL;
    assert_true(kv_test_server_stop(&other));
}

static int scene_set_up_restless(void **state)
{
    kv_front_config config = kv_test_front_config();
    kv_lanes_config lanes = kv_test_lanes_config();
    scene *it;
    int code = scene_set_up(state);

    /* The same with connections that end after a second without calls. */
    it = *state;
    assert_true(kv_test_server_stop(&it->server));
    kv_channel_free(it->channel);
    config.idle_ms = 1000;
    kv_test_server_start(&it->server, &config, &lanes, &it->certs);
    it->channel = scene_open_channel(it, it->certs.client, it->certs.client_key, NULL);
    return code;
}

static void a_new_connection_resumes_the_session(void **state)
{
    scene *it = *state;
    kv_channel_counts counts;
    kv_channel *stranger;

    for (unsigned i = 1; i <= 3; i++) {
        /* Refused without a certificate: the resumed session still has it. */
        assert_int_equal(echo_on(it, it->channel), KV_OK);
        counts = kv_channel_counts_get(it->channel);
        assert_int_equal(counts.connections, i);
        assert_int_equal(counts.resumed, i - 1);
        scene_wait_until_alone(it);
    }
    stranger = scene_open_channel(it, NULL, NULL, NULL);
    assert_int_equal(echo_on(it, stranger), KV_UNAUTHENTICATED);
    scene_wait_until_alone(it);
    assert_int_equal(echo_on(it, stranger), KV_UNAUTHENTICATED);
    assert_int_equal(kv_channel_counts_get(stranger).resumed, 1);
    kv_channel_free(stranger);
}

static void a_ticket_dies_with_the_identity(void **state)
{
    scene *it = *state;
    kv_tls_identity identity;
    kv_error err;

    assert_int_equal(echo_on(it, it->channel), KV_OK);
    assert_kv_ok(kv_tls_identity_read(it->certs.server, it->certs.server_key, &identity, &err));
    assert_kv_ok(kv_tls_swap(it->server.tls, &identity, &err));
    kv_tls_identity_cleanup(&identity);
    scene_wait_until_alone(it);
    assert_int_equal(echo_on(it, it->channel), KV_OK);
    assert_int_equal(kv_channel_counts_get(it->channel).connections, 2);
    assert_int_equal(kv_channel_counts_get(it->channel).resumed, 0);
}

/* --- the handle --- */

/* No certificate: then it asks for no role token, which the test server has not. */
static keyvault *handle_to(scene *it, const char *endpoint, uint32_t attempts)
{
    const keyvault_config config = { .endpoint = endpoint,
                                     .ca_path = it->certs.ca,
                                     .attempts = attempts };
    keyvault *handle;
    keyvault_error err;

    it->server.strangers = true;
    assert_int_equal(keyvault_open(&config, &handle, &err), 0);
    return handle;
}

static keyvault *handle_to_first(scene *it, uint32_t attempts)
{
    char endpoint[32];

    (void)snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", kv_front_port(it->server.front));
    return handle_to(it, endpoint, attempts);
}

static int get_key(keyvault *handle, keyvault_error *err)
{
    Keyvault__V1__GetKeyRequest request = KEYVAULT__V1__GET_KEY_REQUEST__INIT;
    const keyvault_options options = { .timeout_ms = BRIEF_MS };
    ProtobufCMessage *response = NULL;
    int code = keyvault_call(handle, GET_KEY, &request.base, &response, &options, err);

    keyvault_message_free(response);
    return code;
}

static int delete_key(keyvault *handle, keyvault_error *err)
{
    Keyvault__V1__DeleteKeyRequest request = KEYVAULT__V1__DELETE_KEY_REQUEST__INIT;
    ProtobufCMessage *response = NULL;
    int code = keyvault_call(handle, DELETE_KEY, &request.base, &response, NULL, err);

    keyvault_message_free(response);
    return code;
}

static void a_read_is_repeated_as_the_server_asks(void **state)
{
    scene *it = *state;
    keyvault *handle = handle_to_first(it, 0);
    int64_t before = kv_monotonic_us();
    keyvault_error err;

    fail_first(&it->server, 2, KV_BUSY, 300);
    assert_int_equal(get_key(handle, &err), 0);
    assert_int_equal(atomic_load(&it->server.asked), 3);
    assert_true(kv_monotonic_us() - before >= 600000);

    fail_first(&it->server, 3, KV_UNAVAILABLE, 0);
    assert_int_equal(get_key(handle, &err), 0);
    assert_int_equal(atomic_load(&it->server.asked), 4);
    keyvault_close(handle);
}

static void a_read_is_not_repeated_for_ever(void **state)
{
    scene *it = *state;
    keyvault *handle = handle_to_first(it, 0);
    keyvault *once;
    keyvault_error err;

    fail_first(&it->server, 100, KV_UNAVAILABLE, 0);
    assert_int_equal(get_key(handle, &err), UNAVAILABLE);
    assert_int_equal(atomic_load(&it->server.asked), 4);
    /* Not before the deadline, so not at all. */
    fail_first(&it->server, 100, KV_BUSY, 60000);
    assert_int_equal(get_key(handle, &err), RESOURCE_EXHAUSTED);
    assert_int_equal(err.retry_ms, 60000);
    assert_int_equal(atomic_load(&it->server.asked), 1);
    /* Without a time a limit is a limit. */
    fail_first(&it->server, 100, KV_BUSY, 0);
    assert_int_equal(get_key(handle, &err), RESOURCE_EXHAUSTED);
    assert_int_equal(atomic_load(&it->server.asked), 1);
    fail_first(&it->server, 100, KV_NOT_FOUND, 0);
    (void)get_key(handle, &err);
    assert_int_equal(atomic_load(&it->server.asked), 1);

    once = handle_to_first(it, 1);
    fail_first(&it->server, 100, KV_UNAVAILABLE, 0);
    assert_int_equal(get_key(once, &err), UNAVAILABLE);
    assert_int_equal(atomic_load(&it->server.asked), 1);
    keyvault_close(once);
    keyvault_close(handle);
}

/* The server knows it again by its key, so it does no harm. */
static void a_change_is_repeated_with_its_key(void **state)
{
    scene *it = *state;
    keyvault *handle = handle_to_first(it, 0);
    keyvault_error err;

    fail_first(&it->server, 2, KV_UNAVAILABLE, 10);
    assert_int_equal(delete_key(handle, &err), 0);
    assert_int_equal(atomic_load(&it->server.asked), 3);
    assert_int_equal(it->server.repeated_keys, 2);
    /* The next call is another one. */
    assert_int_equal(delete_key(handle, &err), 0);
    assert_int_equal(it->server.repeated_keys, 2);
    /* That somebody else came first is told, unless it may have been this very call. */
    fail_first(&it->server, 1, KV_CONFLICT, 0);
    assert_int_equal(delete_key(handle, &err), ABORTED);
    assert_int_equal(atomic_load(&it->server.asked), 1);
    /* What changes nothing has none. */
    assert_int_equal(get_key(handle, &err), 0);
    assert_string_equal(it->server.last_key, "");
    keyvault_close(handle);
}

static void a_handle_goes_to_the_next_endpoint(void **state)
{
    scene *it = *state;
    kv_test_server other;
    char endpoints[64];
    keyvault *handle;
    keyvault_error err;

    start_other(it, &other);
    other.strangers = true;
    (void)snprintf(endpoints, sizeof(endpoints), "127.0.0.1:%u, 127.0.0.1:%u",
                   kv_front_port(it->server.front), kv_front_port(other.front));
    handle = handle_to(it, endpoints, 0);
    assert_int_equal(delete_key(handle, &err), 0);
    assert_int_equal(atomic_load(&it->server.asked), 1);
    /* A server that answers but does not serve: the next one is asked. */
    fail_first(&it->server, 100, KV_UNAVAILABLE, 60000);
    assert_int_equal(delete_key(handle, &err), 0);
    assert_int_equal(atomic_load(&it->server.asked), 1);
    assert_int_equal(atomic_load(&other.asked), 1);
    fail_first(&other, 100, KV_UNAVAILABLE, 60000);
    fail_first(&it->server, 0, KV_OK, 0);
    it->server.failure = (kv_error){ 0 };
    assert_int_equal(get_key(handle, &err), 0);
    assert_int_equal(atomic_load(&other.asked), 1);
    assert_int_equal(atomic_load(&it->server.asked), 1);
    /* And one that is gone: what was not sent can be a change. */
    other.failing = 0;
    stop_first(it);
    assert_int_equal(delete_key(handle, &err), 0);
    assert_int_equal(atomic_load(&other.asked), 2);
    keyvault_close(handle);
    assert_true(kv_test_server_stop(&other));
}

static void lists_of_endpoints_are_checked(void **state)
{
    static const char *const wrong[] = { "",     ",",     "a,",
                                         "a,,b", ",a",    "a b",
                                         "a:b",  "a,b:x", "1,2,3,4,5,6,7,8,9" };
    static const char *const right[] = { "a", "a,b", " a , b:8444 ", "[::1]:1,[::1]",
                                         "1,2,3,4,5,6,7,8" };
    scene *it = *state;

    for (size_t i = 0; i < KV_COUNT(wrong); i++) {
        const keyvault_config config = { .endpoint = wrong[i], .ca_path = it->certs.ca };
        keyvault *handle;
        keyvault_error err;

        assert_int_equal(keyvault_open(&config, &handle, &err), INVALID_ARGUMENT);
    }
    for (size_t i = 0; i < KV_COUNT(right); i++)
        keyvault_close(handle_to(it, right[i], 0));
}

#define SCENE(name)    cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)
#define RESTLESS(name) cmocka_unit_test_setup_teardown(name, scene_set_up_restless, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(the_next_server_takes_over_and_stays),
        SCENE(a_server_absent_from_the_start_is_passed_over),
        SCENE(too_many_servers_are_refused),
        SCENE(many_connections_that_end_late_are_in_nobodys_way),
        RESTLESS(a_new_connection_resumes_the_session),
        RESTLESS(a_ticket_dies_with_the_identity),
        SCENE(a_read_is_repeated_as_the_server_asks),
        SCENE(a_read_is_not_repeated_for_ever),
        SCENE(a_change_is_repeated_with_its_key),
        SCENE(a_handle_goes_to_the_next_endpoint),
        SCENE(lists_of_endpoints_are_checked),
    };

    kv_front_wipe_memory();
    return cmocka_run_group_tests_name("failover", tests, NULL, NULL);
}
