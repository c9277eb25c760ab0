/* scene.c - a server, a channel, requests, tallies. */
#include "tests/live/transport/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <test/v1/echo.pb-c.h>

void scene_nap_ms(long ms)
{
    struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    (void)nanosleep(&time, NULL);
}

kv_channel *scene_open_channel(const scene *it, const char *cert, const char *key,
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
    it->channel = scene_open_channel(it, it->certs.client, it->certs.client_key, NULL);
    *state = it;
    return 0;
}

int scene_set_up(void **state)
{
    kv_front_config config = kv_test_front_config();
    kv_lanes_config lanes = kv_test_lanes_config();

    return set_up_with(state, &config, &lanes);
}

int scene_set_up_hasty(void **state)
{
    kv_front_config config = kv_test_front_config();
    kv_lanes_config lanes = kv_test_lanes_config();

    config.drain_ms = 200;
    return set_up_with(state, &config, &lanes);
}

int scene_set_up_narrow(void **state)
{
    kv_front_config config = kv_test_front_config();
    kv_lanes_config lanes = kv_test_lanes_config();

    lanes.lane[KV_LANE_SLOW] = (kv_lane_config){ .workers = 1, .queue = 4 };
    return set_up_with(state, &config, &lanes);
}

int scene_set_up_12(void **state)
{
    kv_front_config config = kv_test_front_config();
    kv_lanes_config lanes = kv_test_lanes_config();
    scene *it;
    int code = scene_set_up(state);

    it = *state;
    assert_true(kv_test_server_stop(&it->server));
    it->server.tls12 = true;
    kv_test_server_start(&it->server, &config, &lanes, &it->certs);
    kv_channel_free(it->channel);
    it->channel = scene_open_channel(it, it->certs.client, it->certs.client_key, NULL);
    return code;
}

int scene_tear_down(void **state)
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

kv_channel_request scene_request_of(const char *path, kv_slice message, int64_t ms)
{
    return (
        kv_channel_request){ .path = path, .message = message, .deadline = kv_deadline_in_ms(ms) };
}

kv_slice scene_echo_request(scene *it, kv_slice payload, uint32_t reply_bytes)
{
    Keyvault__Test__V1__EchoRequest message = KEYVAULT__TEST__V1__ECHO_REQUEST__INIT;

    message.payload.data = (uint8_t *)(uintptr_t)payload.data;
    message.payload.len = payload.len;
    message.reply_bytes = reply_bytes;
    return kv_slice_of(it->packed, keyvault__test__v1__echo_request__pack(&message, it->packed));
}

kv_slice scene_sleep_request(scene *it, uint32_t ms)
{
    Keyvault__Test__V1__SleepRequest message = KEYVAULT__TEST__V1__SLEEP_REQUEST__INIT;

    message.milliseconds = ms;
    return kv_slice_of(it->packed, keyvault__test__v1__sleep_request__pack(&message, it->packed));
}

kv_slice scene_stream_request(scene *it, uint32_t count, uint32_t delay_ms, uint32_t bytes)
{
    Keyvault__Test__V1__StreamRequest message = KEYVAULT__TEST__V1__STREAM_REQUEST__INIT;

    message.count = count;
    message.delay_ms = delay_ms;
    message.payload_bytes = bytes;
    return kv_slice_of(it->packed, keyvault__test__v1__stream_request__pack(&message, it->packed));
}

/* Calls Echo; the payload's length must come back. */
kv_status scene_echo_on(scene *it, kv_channel *channel, kv_slice payload, uint32_t reply_bytes,
                        kv_slice credential, kv_error *err)
{
    kv_channel_request request =
        scene_request_of(SERVICE "Echo", scene_echo_request(it, payload, reply_bytes), LONG_MS);
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

kv_status scene_echo(scene *it, kv_error *err)
{
    return scene_echo_on(it, it->channel, KV_SLICE("hello"), 0, KV_SLICE_NONE, err);
}

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

void scene_wait_for(atomic_uint *counter, unsigned wanted)
{
    kv_deadline deadline = kv_deadline_in_ms(LONG_MS);

    while (atomic_load(counter) < wanted && !kv_deadline_passed(deadline))
        scene_nap_ms(5);
    assert_int_equal(atomic_load(counter), wanted);
}

static kv_front_stats stats_of(const scene *it)
{
    kv_front_stats stats = { 0 };

    kv_front_stats_get(it->server.front, &stats);
    return stats;
}

void scene_wait_for_calls(scene *it, unsigned wanted)
{
    kv_deadline deadline = kv_deadline_in_ms(LONG_MS);

    while (stats_of(it).calls < wanted && !kv_deadline_passed(deadline))
        scene_nap_ms(1);
    assert_int_equal(stats_of(it).calls, wanted);
}

void scene_wait_until_alone(scene *it)
{
    kv_deadline deadline = kv_deadline_in_ms(LONG_MS);

    while (stats_of(it).open && !kv_deadline_passed(deadline))
        scene_nap_ms(5);
    assert_int_equal(stats_of(it).open, 0);
}

void scene_start(scene *it, const char *path, kv_slice message, unsigned times, tally *all)
{
    for (unsigned i = 0; i < times; i++) {
        kv_channel_request request = scene_request_of(path, message, LONG_MS);
        kv_error err;

        assert_kv_ok(kv_channel_start(it->channel, &request, count, all, &err));
    }
}
