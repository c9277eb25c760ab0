/* test_lookups.c - a name service that does not answer holds up nobody beyond their deadlines. */
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/live/transport/scene.h"

enum { CONNECT_MS = 3000, SOON_MS = 1000 };

/* --- a name service that is asked for names of "silent." --- */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned asked, inside;
    bool answers;
} service = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

typedef int asking(const char *host, const char *port, const struct addrinfo *hints,
                   struct addrinfo **out);

/* Takes the place of the library's. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **out)
{
    bool silent = !strncmp(host, "silent.", 7);
    asking *real;

    *(void **)(&real) = dlsym(RTLD_NEXT, "getaddrinfo");
    if (hints && (hints->ai_flags & AI_NUMERICHOST))
        return real(host, port, hints, out);
    pthread_mutex_lock(&service.mutex);
    service.asked++;
    service.inside++;
    (void)pthread_cond_broadcast(&service.changed);
    while (silent && !service.answers)
        (void)pthread_cond_wait(&service.changed, &service.mutex);
    service.inside--;
    (void)pthread_cond_broadcast(&service.changed);
    pthread_mutex_unlock(&service.mutex);
    return real(silent ? "localhost" : host, port, hints, out);
}

static void service_answers(bool does)
{
    pthread_mutex_lock(&service.mutex);
    service.answers = does;
    if (!does)
        service.asked = 0;
    (void)pthread_cond_broadcast(&service.changed);
    while (does && service.inside)
        (void)pthread_cond_wait(&service.changed, &service.mutex);
    pthread_mutex_unlock(&service.mutex);
}

/* The thread that asks may still be on its way. */
static void assert_asked(unsigned times)
{
    pthread_mutex_lock(&service.mutex);
    while (service.asked < times)
        (void)pthread_cond_wait(&service.changed, &service.mutex);
    assert_int_equal(service.asked, times);
    assert_int_equal(service.inside, times);
    pthread_mutex_unlock(&service.mutex);
}

/* --- channels --- */

static kv_channel *channel_of(const scene *it, const char *host, const kv_channel_endpoint *other)
{
    char port[8];
    const kv_channel_config config = { .host = host,
                                       .port = port,
                                       .others = other,
                                       .other_count = other ? 1 : 0,
                                       .server_name = "127.0.0.1",
                                       .ca_path = it->certs.ca,
                                       .cert_path = it->certs.client,
                                       .key_path = it->certs.client_key,
                                       .connect_ms = CONNECT_MS };
    kv_channel *channel;
    kv_error err;

    (void)snprintf(port, sizeof(port), "%u", kv_front_port(it->server.front));
    assert_kv_ok_with(kv_channel_new(&config, &channel, &err), &err);
    return channel;
}

static kv_status echo_in(scene *it, kv_channel *channel, int64_t ms, kv_error *err)
{
    kv_channel_request request =
        scene_request_of(SERVICE "Echo", scene_echo_request(it, KV_SLICE("x"), 0), ms);
    kv_channel_result result;
    kv_status status = kv_channel_call(channel, &request, &result, err);

    kv_channel_result_cleanup(&result);
    return status;
}

/* The connection that waited has what is left of its time: a machine with much to do may need
 * another one. */
static void echo_at_last(scene *it, kv_channel *channel)
{
    kv_deadline until = kv_deadline_in_ms(LONG_MS);
    kv_status status;
    kv_error err;

    do
        status = echo_in(it, channel, LONG_MS, &err);
    while (status == KV_UNAVAILABLE && !kv_deadline_passed(until));
    assert_kv_ok_with(status, &err);
}

static void a_call_ends_at_its_deadline_all_the_same(void **state)
{
    scene *it = *state;
    kv_channel *channel = channel_of(it, "silent.example", NULL);
    kv_error err;

    service_answers(false);
    assert_kv_fails(KV_TIMEOUT, echo_in(it, channel, SOON_MS, &err));
    assert_asked(1);
    service_answers(true);
    echo_at_last(it, channel);
    kv_channel_free(channel);
}

static void who_waits_long_is_told_what_does_not_answer(void **state)
{
    scene *it = *state;
    kv_channel *channel = channel_of(it, "silent.example", NULL);
    kv_error err;

    service_answers(false);
    for (int i = 0; i < 2; i++) {
        assert_kv_fails(KV_UNAVAILABLE, echo_in(it, channel, LONG_MS, &err));
        assert_non_null(strstr(err.message, "silent.example"));
        assert_non_null(strstr(err.message, "cannot be found"));
        assert_non_null(strstr(err.message, "name service does not answer"));
    }
    /* Whoever comes meanwhile does not ask once more. */
    assert_asked(1);
    service_answers(true);
    echo_at_last(it, channel);
    kv_channel_free(channel);
}

static void another_server_is_used_meanwhile(void **state)
{
    scene *it = *state;
    char port[8];
    const kv_channel_endpoint other = { "localhost", port };
    kv_channel *channel;
    kv_error err;

    (void)snprintf(port, sizeof(port), "%u", kv_front_port(it->server.front));
    channel = channel_of(it, "silent.example", &other);
    service_answers(false);
    assert_kv_ok_with(echo_in(it, channel, LONG_MS, &err), &err);
    assert_int_equal(kv_channel_counts_get(channel).endpoint, 1);
    kv_channel_free(channel);
    service_answers(true);
}

static void a_channel_is_closed_while_nobody_answers(void **state)
{
    scene *it = *state;
    kv_channel *channel = channel_of(it, "silent.example", NULL);
    kv_error err;

    service_answers(false);
    assert_kv_fails(KV_TIMEOUT, echo_in(it, channel, SOON_MS, &err));
    kv_channel_free(channel);
    assert_asked(1);
    service_answers(true);
}

static void what_nobody_knows_is_said_at_once(void **state)
{
    scene *it = *state;
    kv_channel *channel = channel_of(it, "no such host", NULL);
    kv_error err;

    assert_kv_fails(KV_UNAVAILABLE, echo_in(it, channel, LONG_MS, &err));
    assert_non_null(strstr(err.message, "cannot be found"));
    assert_null(strstr(err.message, "name service does not answer"));
    kv_channel_free(channel);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_call_ends_at_its_deadline_all_the_same),
        SCENE(who_waits_long_is_told_what_does_not_answer),
        SCENE(another_server_is_used_meanwhile),
        SCENE(a_channel_is_closed_while_nobody_answers),
        SCENE(what_nobody_knows_is_said_at_once),
    };

    kv_front_wipe_memory();
    return cmocka_run_group_tests_name("lookups", tests, NULL, NULL);
}
