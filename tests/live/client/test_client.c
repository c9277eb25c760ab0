/* test_client.c - libkeyvault as a program uses it: threads, pipelines, deadlines, a cut cable. */
#include "client/keyvault.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <grpc/health/v1/health.pb-c.h>
#include <keyvault/v1/audit.pb-c.h>

#include "tests/live/client/cable.h"
#include "tests/live/client/fake_vault.h"
#include "tests/support/kv_cmocka.h"

#define GET_KEY "/keyvault.v1.KeyService/GetKey"

enum {
    PIPELINED = 200,
    THREADS = 8,
    CALLS = 25,
    NAME_BYTES = 32,
    UNAVAILABLE = 14,
    DEADLINE_EXCEEDED = 4,
    INVALID_ARGUMENT = 3,
    UNAUTHENTICATED = 16,
    NOT_FOUND = 5
};

typedef struct scene {
    kv_test_certs certs;
    fake_vault vault;
    cable *cable;
    keyvault *handle;
} scene;

static keyvault *open_handle_with(const scene *it, uint32_t attempts)
{
    char endpoint[32];
    keyvault_config config = { .endpoint = endpoint,
                               .attempts = attempts,
                               .ca_path = it->certs.ca,
                               .certificate_path = it->certs.client,
                               .key_path = it->certs.client_key };
    keyvault *handle;
    keyvault_error err = { 0 };

    (void)snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", cable_port(it->cable));
    if (keyvault_open(&config, &handle, &err))
        fail_msg("%s", err.message);
    return handle;
}

static keyvault *open_handle(const scene *it)
{
    return open_handle_with(it, 0);
}

static int set_up(void **state)
{
    scene *it = calloc(1, sizeof(*it));

    kv_test_certs_make(&it->certs);
    fake_vault_start(&it->vault, &it->certs);
    it->cable = cable_new((uint16_t)kv_front_port(it->vault.front));
    it->handle = open_handle(it);
    *state = it;
    return 0;
}

static int tear_down(void **state)
{
    scene *it = *state;

    keyvault_close(it->handle);
    cable_free(it->cable);
    fake_vault_stop(&it->vault);
    kv_test_certs_remove(&it->certs);
    free(it);
    return 0;
}

static void nap_ms(long ms)
{
    const struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    (void)nanosleep(&time, NULL);
}

static void get_key(keyvault *handle, const char *name)
{
    Keyvault__V1__KeyBundle *key;
    keyvault_error err = { 0 };

    if (keyvault_key_get(handle, "shop", name, NULL, &key, &err))
        fail_msg("%s: %s", err.name, err.message);
    assert_string_equal(key->id->name, name);
    keyvault_message_free(key);
}

/* --- */

static void gets_one_role_token_for_many_calls(void **state)
{
    scene *it = *state;

    for (int i = 0; i < CALLS; i++)
        get_key(it->handle, "web");
    assert_int_equal(it->vault.issued, 1);
    assert_int_equal(it->vault.who, 1);
    assert_int_equal(it->vault.gets, CALLS);
}

static void renews_a_role_token_that_the_server_calls_expired(void **state)
{
    scene *it = *state;

    get_key(it->handle, "web");
    atomic_store(&it->vault.expired_up_to, 1);
    get_key(it->handle, "web");
    assert_int_equal(it->vault.issued, 2);
    assert_int_equal(it->vault.gets, 2);
}

static void shows_a_role_token_whole_once_and_then_its_digest(void **state)
{
    scene *it = *state;

    for (int i = 0; i < CALLS; i++)
        get_key(it->handle, "web");
    assert_int_equal(it->vault.issued, 1);
    assert_int_equal(it->vault.digests, CALLS - 1);
    assert_int_equal(it->vault.gets, CALLS);
    /* A digest that is refused as expired is renewed like the token. */
    atomic_store(&it->vault.expired_up_to, 1);
    get_key(it->handle, "web");
    assert_int_equal(it->vault.issued, 2);
    assert_int_equal(it->vault.digests, CALLS);
    get_key(it->handle, "web");
    assert_int_equal(it->vault.digests, CALLS + 1);
}

static void shows_it_whole_again_to_a_server_that_does_not_remember(void **state)
{
    scene *it = *state;

    atomic_store(&it->vault.forgetful, true);
    for (int i = 0; i < CALLS; i++)
        get_key(it->handle, "web");
    assert_int_equal(it->vault.issued, 1);
    assert_int_equal(it->vault.gets, CALLS);
    assert_int_equal(it->vault.digests, 3); /* then it is left at that */
}

static void tries_a_new_role_token_only_once(void **state)
{
    scene *it = *state;
    Keyvault__V1__KeyBundle *key;
    keyvault_error err = { 0 };

    atomic_store(&it->vault.expired_up_to, 1000);
    assert_int_equal(keyvault_key_get(it->handle, "shop", "web", NULL, &key, &err),
                     UNAUTHENTICATED);
    assert_string_equal(err.reason, "TOKEN_EXPIRED");
    assert_int_equal(it->vault.issued, 2);
    assert_int_equal(it->vault.gets, 0);
}

static void tells_the_servers_error(void **state)
{
    scene *it = *state;
    Keyvault__V1__KeyBundle *key;
    keyvault_error err = { 0 };

    assert_int_equal(keyvault_key_get(it->handle, "shop", "missing", NULL, &key, &err), NOT_FOUND);
    assert_string_equal(err.name, "NOT_FOUND");
    assert_string_equal(err.message, "there is no key 'missing'");
    assert_int_equal(keyvault_key_get(it->handle, "shop", "missing", NULL, &key, NULL), NOT_FOUND);
}

/* --- pipelines --- */

typedef struct tally {
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    unsigned good, failed, codes[17];
    keyvault *again; /* submit once more from the callback */
} tally;

static void count(void *context, ProtobufCMessage *response, const keyvault_error *err)
{
    tally *it = context;
    Keyvault__V1__GetKeyRequest request = KEYVAULT__V1__GET_KEY_REQUEST__INIT;
    keyvault *again;

    pthread_mutex_lock(&it->mutex);
    it->good += response != NULL;
    it->failed += response == NULL;
    it->codes[err->code]++;
    again = it->again;
    it->again = NULL;
    pthread_cond_signal(&it->changed);
    pthread_mutex_unlock(&it->mutex);
    keyvault_message_free(response);
    request.name = (char *)(uintptr_t) "again";
    if (again && keyvault_submit(again, GET_KEY, &request.base, count, it, NULL, NULL))
        abort();
}

static void submit(keyvault *handle, const char *name, tally *to, uint32_t timeout_ms)
{
    Keyvault__V1__GetKeyRequest request = KEYVAULT__V1__GET_KEY_REQUEST__INIT;
    const keyvault_options options = { .timeout_ms = timeout_ms };
    keyvault_error err = { 0 };

    request.vault = (char *)(uintptr_t) "shop";
    request.name = (char *)(uintptr_t)name;
    if (keyvault_submit(handle, GET_KEY, &request.base, count, to, &options, &err))
        fail_msg("%s", err.message);
}

static void wait_for(tally *it, unsigned total)
{
    pthread_mutex_lock(&it->mutex);
    while (it->good + it->failed < total)
        pthread_cond_wait(&it->changed, &it->mutex);
    pthread_mutex_unlock(&it->mutex);
}

#define TALLY                                                                   \
    {                                                                           \
        .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER \
    }

static void has_many_calls_in_flight_on_one_connection(void **state)
{
    scene *it = *state;
    tally to = TALLY;

    for (int i = 0; i < PIPELINED; i++)
        submit(it->handle, "web", &to, 0);
    wait_for(&to, PIPELINED);
    assert_int_equal(to.good, PIPELINED);
    assert_int_equal(it->vault.issued, 1);
}

static void submits_from_a_callback(void **state)
{
    scene *it = *state;
    tally to = TALLY;

    to.again = it->handle;
    submit(it->handle, "web", &to, 0);
    wait_for(&to, 2);
    assert_int_equal(to.good, 2);
}

static void *call_often(void *handle)
{
    for (int i = 0; i < CALLS; i++)
        get_key(handle, "web");
    return NULL;
}

static void serves_many_threads_with_one_handle(void **state)
{
    scene *it = *state;
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, it->handle), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(it->vault.gets, THREADS * CALLS);
    assert_int_equal(it->vault.issued, 1);
}

/* --- when things go wrong --- */

static void wait_for_gets(scene *it, unsigned count)
{
    while (atomic_load(&it->vault.gets) < count)
        nap_ms(5);
}

static void cut_with_four_in_flight(scene *it, keyvault *handle, tally *to)
{
    get_key(handle, "web");
    atomic_store(&it->vault.holds, true);
    for (int i = 0; i < 4; i++)
        submit(handle, "held", to, 0);
    wait_for_gets(it, 5);
    cable_cut(it->cable);
}

static void ends_calls_in_flight_when_the_connection_dies_then_goes_on(void **state)
{
    scene *it = *state;
    keyvault *handle = open_handle_with(it, 1);
    tally to = TALLY;

    cut_with_four_in_flight(it, handle, &to);
    wait_for(&to, 4);
    assert_int_equal(to.codes[UNAVAILABLE], 4);
    assert_int_equal(it->vault.gets, 5);
    get_key(handle, "web");
    keyvault_close(handle);
}

static void repeats_reads_in_flight_when_the_connection_dies(void **state)
{
    scene *it = *state;
    tally to = TALLY;

    cut_with_four_in_flight(it, it->handle, &to);
    wait_for_gets(it, 9);
    atomic_store(&it->vault.holds, false);
    wait_for(&to, 4);
    assert_int_equal(to.good, 4);
    assert_int_equal(it->vault.gets, 9);
}

static void ends_calls_at_their_deadline(void **state)
{
    scene *it = *state;
    Keyvault__V1__GetKeyRequest request = KEYVAULT__V1__GET_KEY_REQUEST__INIT;
    const keyvault_options options = { .timeout_ms = 100 };
    ProtobufCMessage *response;
    keyvault_error err = { 0 };

    get_key(it->handle, "web");
    atomic_store(&it->vault.holds, true);
    request.vault = (char *)(uintptr_t) "shop";
    request.name = (char *)(uintptr_t) "held";
    assert_int_equal(keyvault_call(it->handle, GET_KEY, &request.base, &response, &options, &err),
                     DEADLINE_EXCEEDED);
    atomic_store(&it->vault.holds, false);
    get_key(it->handle, "web");
}

static void ends_what_is_in_flight_when_it_is_closed(void **state)
{
    scene *it = *state;
    keyvault *handle = open_handle(it);
    tally to = TALLY;

    atomic_store(&it->vault.holds, true);
    for (int i = 0; i < 4; i++)
        submit(handle, "held", &to, 0);
    keyvault_close(handle);
    assert_int_equal(to.failed, 4);
    assert_int_equal(to.codes[UNAVAILABLE], 4);
}

static void says_when_nobody_listens(void **state)
{
    scene *it = *state;
    keyvault_config config = { .endpoint = "127.0.0.1:1", .ca_path = it->certs.ca };
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    ProtobufCMessage *response;
    keyvault *handle;
    keyvault_error err = { 0 };

    assert_int_equal(keyvault_open(&config, &handle, &err), 0);
    assert_int_equal(
        keyvault_call(handle, "/grpc.health.v1.Health/Check", &request.base, &response, NULL, &err),
        UNAVAILABLE);
    assert_non_null(strstr(err.message, "127.0.0.1:1"));
    keyvault_close(handle);
}

static void refuses_what_is_no_call(void **state)
{
    scene *it = *state;
    Keyvault__V1__GetKeyRequest request = KEYVAULT__V1__GET_KEY_REQUEST__INIT;
    Keyvault__V1__SearchAuditRequest search = KEYVAULT__V1__SEARCH_AUDIT_REQUEST__INIT;
    ProtobufCMessage *response;
    keyvault_stream *stream;
    keyvault_error err = { 0 };

    assert_int_equal(keyvault_call(it->handle, "/no/method", &request.base, &response, NULL, &err),
                     INVALID_ARGUMENT);
    assert_int_equal(keyvault_call(it->handle, GET_KEY, &search.base, &response, NULL, &err),
                     INVALID_ARGUMENT);
    assert_int_equal(keyvault_call(it->handle, "/keyvault.v1.AuditService/SearchAudit",
                                   &search.base, &response, NULL, &err),
                     INVALID_ARGUMENT);
    assert_int_equal(keyvault_stream_open(it->handle, GET_KEY, &request.base, NULL, &stream, &err),
                     INVALID_ARGUMENT);
}

static void refuses_endpoints_that_are_none(void **state)
{
    static const char *const wrong[] = { "", ":1", "host:", "host:port", "[::1", "[::1]x" };
    scene *it = *state;
    keyvault *handle;
    keyvault_error err = { 0 };

    for (size_t i = 0; i < KV_COUNT(wrong); i++) {
        keyvault_config config = { .endpoint = wrong[i], .ca_path = it->certs.ca };

        assert_int_equal(keyvault_open(&config, &handle, &err), INVALID_ARGUMENT);
    }
}

/* --- streams --- */

static unsigned read_stream(scene *it, uint32_t limit)
{
    Keyvault__V1__SearchAuditRequest request = KEYVAULT__V1__SEARCH_AUDIT_REQUEST__INIT;
    keyvault_stream *stream;
    keyvault_error err = { 0 };
    unsigned got = 0;

    request.limit = limit;
    if (keyvault_stream_open(it->handle, "/keyvault.v1.AuditService/SearchAudit", &request.base,
                             NULL, &stream, &err))
        fail_msg("%s", err.message);
    for (;;) {
        Keyvault__V1__AuditRecord *record;

        if (keyvault_stream_next(stream, (ProtobufCMessage **)(void *)&record, &err))
            fail_msg("%s", err.message);
        if (!record)
            break;
        assert_int_equal(record->sequence, ++got);
        keyvault_message_free(record);
    }
    keyvault_stream_close(stream);
    return got;
}

static void reads_streams_to_their_end(void **state)
{
    scene *it = *state;

    assert_int_equal(read_stream(it, 1000), 1000);
    assert_int_equal(read_stream(it, 0), 0);
    atomic_store(&it->vault.expired_up_to, 1);
    assert_int_equal(read_stream(it, 3), 3);
    assert_int_equal(it->vault.issued, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gets_one_role_token_for_many_calls),
        TEST(renews_a_role_token_that_the_server_calls_expired),
        TEST(shows_a_role_token_whole_once_and_then_its_digest),
        TEST(shows_it_whole_again_to_a_server_that_does_not_remember),
        TEST(tries_a_new_role_token_only_once),
        TEST(tells_the_servers_error),
        TEST(has_many_calls_in_flight_on_one_connection),
        TEST(submits_from_a_callback),
        TEST(serves_many_threads_with_one_handle),
        TEST(ends_calls_in_flight_when_the_connection_dies_then_goes_on),
        TEST(repeats_reads_in_flight_when_the_connection_dies),
        TEST(ends_calls_at_their_deadline),
        TEST(ends_what_is_in_flight_when_it_is_closed),
        TEST(says_when_nobody_listens),
        TEST(refuses_what_is_no_call),
        TEST(refuses_endpoints_that_are_none),
        TEST(reads_streams_to_their_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
