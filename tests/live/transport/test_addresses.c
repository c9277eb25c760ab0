/* test_addresses.c - a server's name has several addresses, not all of which answer. */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/live/transport/scene.h"

enum { ADDRESSES = 2, FILLERS = 8, CONNECT_MS = 8000 };

/* What every name resolves to here: the functions below take the place of the library's. */
static struct sockaddr_in places[ADDRESSES];

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **out)
{
    struct addrinfo *list = calloc(ADDRESSES, sizeof(*list));

    (void)host;
    (void)port;
    (void)hints;
    if (!list)
        return EAI_MEMORY;
    for (size_t i = 0; i < ADDRESSES; i++)
        list[i] = (struct addrinfo){ .ai_family = AF_INET,
                                     .ai_socktype = SOCK_STREAM,
                                     .ai_addr = (struct sockaddr *)(void *)&places[i],
                                     .ai_addrlen = sizeof(places[i]),
                                     .ai_next = i + 1 < ADDRESSES ? &list[i + 1] : NULL };
    *out = list;
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    free(list);
}

/* A place where nobody accepts and whose queue is full: what is sent there gets no answer. */
typedef struct hole {
    int listener;
    int fillers[FILLERS];
} hole;

static void dig(hole *it, struct sockaddr_in *where)
{
    socklen_t len = sizeof(*where);

    *where = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    it->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(it->listener, (const void *)where, sizeof(*where)), 0);
    assert_int_equal(listen(it->listener, 0), 0);
    assert_int_equal(getsockname(it->listener, (void *)where, &len), 0);
    for (size_t i = 0; i < FILLERS; i++) {
        it->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connect(it->fillers[i], (const void *)where, sizeof(*where)))
            assert_int_equal(errno, EINPROGRESS);
    }
}

static void fill_in(hole *it)
{
    for (size_t i = 0; i < FILLERS; i++)
        (void)close(it->fillers[i]);
    (void)close(it->listener);
}

static kv_channel *channel_of(const scene *it)
{
    const kv_channel_config config = { .host = "vault.example",
                                       .port = "1",
                                       .server_name = "127.0.0.1",
                                       .ca_path = it->certs.ca,
                                       .cert_path = it->certs.client,
                                       .key_path = it->certs.client_key,
                                       .connect_ms = CONNECT_MS };
    kv_channel *channel;
    kv_error err;

    assert_kv_ok_with(kv_channel_new(&config, &channel, &err), &err);
    return channel;
}

static void an_address_that_is_silent_gives_way_to_the_next(void **state)
{
    scene *it = *state;
    kv_channel *channel = channel_of(it);
    kv_error err;
    hole silent;

    dig(&silent, &places[0]);
    places[1] = (struct sockaddr_in){ .sin_family = AF_INET,
                                      .sin_port = htons(kv_front_port(it->server.front)),
                                      .sin_addr = { htonl(INADDR_LOOPBACK) } };
    assert_kv_ok_with(scene_echo_on(it, channel, KV_SLICE("x"), 0, KV_SLICE_NONE, &err), &err);
    assert_int_equal(kv_channel_counts_get(channel).connections, 1);
    kv_channel_free(channel);
    fill_in(&silent);
}

static void where_all_are_silent_the_call_ends(void **state)
{
    scene *it = *state;
    kv_channel *channel = channel_of(it);
    hole silent[ADDRESSES];
    kv_error err;

    for (size_t i = 0; i < ADDRESSES; i++)
        dig(&silent[i], &places[i]);
    assert_kv_fails(KV_UNAVAILABLE,
                    scene_echo_on(it, channel, KV_SLICE("x"), 0, KV_SLICE_NONE, &err));
    kv_channel_free(channel);
    for (size_t i = 0; i < ADDRESSES; i++)
        fill_in(&silent[i]);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(an_address_that_is_silent_gives_way_to_the_next),
        SCENE(where_all_are_silent_the_call_ends),
    };

    kv_front_wipe_memory();
    return cmocka_run_group_tests_name("addresses", tests, NULL, NULL);
}
