/* test_flow.c - a worker waits when it is too far ahead of the reader. */
#include "server/core/flow.h"

#include <pthread.h>

#include "tests/support/kv_cmocka.h"

static int make(void **state)
{
    *state = kv_flow_new(2, 100);
    return *state ? 0 : -1;
}

static int drop(void **state)
{
    kv_flow_free(*state);
    return 0;
}

static kv_status enter(void **state, size_t bytes, kv_error *err)
{
    return kv_flow_enter(*state, bytes, kv_deadline_in_ms(20), err);
}

static void only_so_many_messages_are_ahead(void **state)
{
    kv_error err;

    assert_kv_ok(enter(state, 1, &err));
    assert_kv_ok(enter(state, 1, &err));
    assert_kv_fails(KV_TIMEOUT, enter(state, 1, &err));
    kv_flow_leave(*state, 1, 1);
    assert_kv_ok(enter(state, 1, &err));
}

static void only_so_many_bytes_are_ahead(void **state)
{
    kv_error err;

    assert_kv_ok(enter(state, 60, &err));
    assert_kv_fails(KV_TIMEOUT, enter(state, 60, &err));
}

static void one_message_passes_however_large(void **state)
{
    kv_error err;

    assert_kv_ok(enter(state, 1000000, &err));
    assert_kv_fails(KV_TIMEOUT, enter(state, 1, &err));
    kv_flow_leave(*state, 1, 1000000);
    assert_kv_ok(enter(state, 1000000, &err));
}

static void a_closed_stream_ends_the_worker(void **state)
{
    kv_error err;

    kv_flow_close(*state);
    assert_kv_fails(KV_CANCELLED, enter(state, 1, &err));
}

static void *close_soon(void *flow)
{
    const struct timespec soon = { .tv_nsec = 20000000 };

    (void)nanosleep(&soon, NULL);
    kv_flow_close(flow);
    return NULL;
}

static void a_waiting_worker_hears_of_the_end(void **state)
{
    pthread_t other;
    kv_error err;

    assert_kv_ok(enter(state, 100, &err));
    assert_int_equal(pthread_create(&other, NULL, close_soon, *state), 0);
    assert_kv_fails(KV_CANCELLED, kv_flow_enter(*state, 1, kv_deadline_in_ms(10000), &err));
    (void)pthread_join(other, NULL);
}

#define FLOW(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW(only_so_many_messages_are_ahead),   FLOW(only_so_many_bytes_are_ahead),
        FLOW(one_message_passes_however_large),  FLOW(a_closed_stream_ends_the_worker),
        FLOW(a_waiting_worker_hears_of_the_end),
    };

    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
