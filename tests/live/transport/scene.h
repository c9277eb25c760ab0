/* scene.h - what the tests of the transport share: a server, a channel, requests, tallies. */
#pragma once

#include "client/channel.h"
#include "tests/live/transport/server.h"
#include "tests/support/kv_cmocka.h"

#define SERVICE "/keyvault.test.v1.EchoService/"

enum { LONG_MS = 60000, MIB = 1024 * 1024, PACKED_BYTES = 9 * 1024 * 1024 };

typedef struct scene {
    kv_test_certs certs;
    kv_test_server server;
    kv_channel *channel;
    uint8_t *packed; /* PACKED_BYTES, for building requests */
} scene;

typedef struct tally {
    atomic_uint good, bad, busy, unavailable, done;
} tally;

void scene_nap_ms(long ms);

/* For cmocka: a server, and a channel to it with the good certificate. */
int scene_set_up(void **state);
/* The same with one slow worker and a short queue. */
int scene_set_up_narrow(void **state);
/* The same with 200 ms for a drain. */
int scene_set_up_hasty(void **state);
/* The same with TLS 1.2 allowed. */
int scene_set_up_12(void **state);
/* Fails when the server could not drain. */
int scene_tear_down(void **state);

/* NULL certificate: none. NULL name: the address. */
kv_channel *scene_open_channel(const scene *it, const char *cert, const char *key,
                               const char *server_name);
kv_channel_request scene_request_of(const char *path, kv_slice message, int64_t ms);
/* Packed into it->packed: valid until the next one. */
kv_slice scene_echo_request(scene *it, kv_slice payload, uint32_t reply_bytes);
kv_slice scene_sleep_request(scene *it, uint32_t ms);
kv_slice scene_stream_request(scene *it, uint32_t count, uint32_t delay_ms, uint32_t bytes);

/* Calls Echo; the payload, or so many bytes, must come back. */
kv_status scene_echo_on(scene *it, kv_channel *channel, kv_slice payload, uint32_t reply_bytes,
                        kv_slice credential, kv_error *err);
kv_status scene_echo(scene *it, kv_error *err);

/* Starts so many calls at once; their ends are counted. */
void scene_start(scene *it, const char *path, kv_slice message, unsigned times, tally *all);
/* Until the counter has that value. */
void scene_wait_for(atomic_uint *counter, unsigned wanted);
/* Until so many calls have come to the server so far. */
void scene_wait_for_calls(scene *it, unsigned wanted);
/* Until nobody is connected. */
void scene_wait_until_alone(scene *it);
