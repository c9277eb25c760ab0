/* test_transport.c - calls of our channel to our front, over real sockets and real TLS. */
#include "tests/live/transport/scene.h"

#include <stdlib.h>

#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>
#include <test/v1/echo.pb-c.h>

static void answers_a_call(void **state)
{
    kv_error err;

    assert_kv_ok(scene_echo(*state, &err));
    assert_kv_ok(scene_echo(*state, &err));
}

static void says_it_is_healthy_even_without_a_certificate(void **state)
{
    scene *it = *state;
    kv_channel *channel = scene_open_channel(it, NULL, NULL, NULL);
    kv_channel_request request =
        scene_request_of("/grpc.health.v1.Health/Check", KV_SLICE_NONE, LONG_MS);
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
                    scene_echo_on(it, channel, KV_SLICE("x"), 0, KV_SLICE_NONE, &err));
    assert_int_equal(atomic_load(&it->server.refused), 1);
    kv_channel_free(channel);
}

static void watchers_hear_of_a_change(void **state)
{
    scene *it = *state;
    kv_channel_request request =
        scene_request_of("/grpc.health.v1.Health/Watch", KV_SLICE_NONE, LONG_MS);
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
    kv_channel_request request = scene_request_of(SERVICE "Nothing", KV_SLICE_NONE, LONG_MS);
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
        scene_request_of(SERVICE "Fail", fail_request(it, 3, message, field, reason), LONG_MS);
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
        scene_request_of(SERVICE "Fail", fail_request(it, 13, secret, none, none), LONG_MS);
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
                    scene_echo_on(it, it->channel, KV_SLICE("x"), 0, KV_SLICE("no role"), &err));
    assert_int_equal(atomic_load(&it->server.posted), 1);
}

/* --- many at once --- */

static void answers_a_thousand_calls_at_once(void **state)
{
    scene *it = *state;
    tally all = { 0 };

    scene_start(it, SERVICE "Echo", scene_echo_request(it, KV_SLICE("one of many"), 0), 1000, &all);
    scene_wait_for(&all.done, 1000);
    assert_int_equal(atomic_load(&all.good), 1000);
    assert_int_equal(atomic_load(&it->server.posted), 1000);
}

static void carries_megabytes_in_parallel(void **state)
{
    scene *it = *state;
    uint8_t *payload = calloc(1, MIB);
    tally all = { 0 };

    scene_start(it, SERVICE "Echo", scene_echo_request(it, kv_slice_of(payload, MIB), 0), 20, &all);
    scene_wait_for(&all.done, 20);
    assert_int_equal(atomic_load(&all.good), 20);
    free(payload);
}

static void a_full_queue_is_told_at_once(void **state)
{
    scene *it = *state;
    tally all = { 0 };

    atomic_store(&it->server.held, true);
    scene_start(it, SERVICE "Sleep", scene_sleep_request(it, 0), 20, &all);
    /* A worker may have taken two along. */
    while (atomic_load(&all.done) < 20 - 1 - 4 - 1)
        scene_nap_ms(1);
    assert_int_equal(atomic_load(&all.good), 0);
    atomic_store(&it->server.held, false);
    scene_wait_for(&all.done, 20);
    assert_true(atomic_load(&all.busy) >= 20 - 1 - 4 - 1);
    assert_int_equal(atomic_load(&all.good) + atomic_load(&all.busy), 20);
    assert_int_equal(atomic_load(&it->server.refused), atomic_load(&all.busy));
}

/* --- streams --- */

static void read_stream(scene *it, uint32_t messages, uint32_t bytes, long pause_every_100)
{
    kv_channel_request request =
        scene_request_of(SERVICE "Stream", scene_stream_request(it, messages, 0, bytes), LONG_MS);
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
            scene_nap_ms(pause_every_100);
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
        scene_request_of(SERVICE "Stream", scene_stream_request(it, 1000000, 0, 1000), LONG_MS);
    kv_channel_stream *stream;
    kv_slice message;
    kv_error err;
    bool more;

    assert_kv_ok(kv_channel_stream_open(it->channel, &request, &stream, &err));
    assert_kv_ok(kv_channel_stream_next(stream, &message, &more, &err));
    kv_channel_stream_close(stream);
    scene_wait_for(&it->server.posted, 1);
    scene_wait_for(&it->server.left, 1);
    assert_kv_ok(scene_echo(it, &err));
}

/* --- time --- */

static void the_deadline_does_not_wait_for_the_worker(void **state)
{
    scene *it = *state;
    kv_channel_request request = scene_request_of(SERVICE "Sleep", KV_SLICE_NONE, LONG_MS);
    kv_channel_result result;
    unsigned late;
    kv_error err;

    assert_kv_ok(scene_echo(it, &err)); /* it is connected */
    request.message = scene_sleep_request(it, 0);
    atomic_store(&it->server.held, true);
    /* Longer, where the worker had not even begun. */
    for (int64_t ms = 200; ms < LONG_MS && !atomic_load(&it->server.slept); ms *= 4) {
        request.deadline = kv_deadline_in_ms(ms);
        assert_kv_fails(KV_TIMEOUT, kv_channel_call(it->channel, &request, &result, &err));
        kv_channel_result_cleanup(&result);
    }
    late = atomic_load(&it->server.late);
    atomic_store(&it->server.held, false);
    /* The late worker's outcome is audited all the same. */
    while (atomic_load(&it->server.late) == late)
        scene_nap_ms(1);
    assert_true(atomic_load(&it->server.left) > 0);
    assert_kv_ok(scene_echo(it, &err));
}

static void late_calls_do_not_block_the_lane_for_others(void **state)
{
    scene *it = *state;
    tally all = { 0 };
    kv_error err;

    atomic_store(&it->server.held, true);
    scene_start(it, SERVICE "Sleep", scene_sleep_request(it, 0), 8, &all);
    assert_kv_ok(scene_echo(it, &err)); /* another lane */
    assert_int_equal(atomic_load(&all.done), 0);
    atomic_store(&it->server.held, false);
    scene_wait_for(&all.done, 8);
    assert_int_equal(atomic_load(&all.good), 8);
}

static void a_second_answer_is_none(void **state)
{
    scene *it = *state;
    kv_channel_request request =
        scene_request_of(SERVICE "Stream", scene_stream_request(it, 3, 0, 10), LONG_MS);
    kv_channel_result result;
    kv_error err;

    assert_kv_fails(KV_INTERNAL, kv_channel_call(it->channel, &request, &result, &err));
    assert_non_null(strstr(err.message, "more than one message"));
    assert_int_equal(result.message.len, 0);
    kv_channel_result_cleanup(&result);
    request.message = scene_stream_request(it, 1, 0, 10);
    assert_kv_ok(kv_channel_call(it->channel, &request, &result, &err));
    kv_channel_result_cleanup(&result);
}

#define SCENE(name)  cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)
#define NARROW(name) cmocka_unit_test_setup_teardown(name, scene_set_up_narrow, scene_tear_down)

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
        SCENE(a_second_answer_is_none),
        SCENE(a_slow_reader_gets_every_message),
        SCENE(a_closed_stream_stops_its_worker),
        SCENE(the_deadline_does_not_wait_for_the_worker),
        SCENE(late_calls_do_not_block_the_lane_for_others),
    };

    kv_front_wipe_memory();
    return cmocka_run_group_tests_name("transport", tests, NULL, NULL);
}
