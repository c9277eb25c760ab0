/* test_plain.c - a plain listener over real sockets: slow, many, endless, and more than one. */
#include "server/front/plain.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/kv_cmocka.h"

enum { THREADS = 2, WAIT_S = 30, REQUEST_MS = 600000 };

static atomic_bool no_descriptors;
static atomic_uint asked;

/* In the place of the library's, for the listener. */
int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    atomic_fetch_add(&asked, 1);
    if (!atomic_load(&no_descriptors))
        return (int)syscall(SYS_accept4, fd, address, len, flags);
    errno = EMFILE;
    return -1;
}

typedef struct bench {
    kv_plain *plain;
    kv_plain_route route;
} bench;

static void echo(void *context, const kv_plain_request *request, kv_arena *arena,
                 kv_plain_answer *out)
{
    kv_error err = { 0 };

    (void)context;
    out->status =
        request->rest.len && kv_arena_copy(arena, request->rest, &out->body, &err) == KV_OK ? 200
                                                                                            : 404;
}

static int set_up(void **state)
{
    bench *at = calloc(1, sizeof(*at));
    kv_plain_config config = {
        .listen = "127.0.0.1:0", .threads = THREADS, .request_ms = REQUEST_MS, .route_count = 1
    };
    kv_error err = { 0 };

    assert_non_null(at);
    at->route = (kv_plain_route){ "/echo/", KV_PLAIN_GET, echo, NULL };
    config.routes = &at->route;
    assert_kv_ok(kv_plain_start(&config, &at->plain, &err));
    *state = at;
    return 0;
}

static int take_down(void **state)
{
    bench *at = *state;

    kv_plain_stop(at->plain);
    free(at);
    return 0;
}

static int connect_to(const bench *at)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(kv_plain_port(at->plain)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct timeval limit = { .tv_sec = WAIT_S };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    return fd;
}

/* What comes until the end of the connection, which is closed. */
static void read_all(int fd, char *out, size_t size)
{
    size_t len = 0;
    ssize_t got;

    while (len + 1 < size && (got = recv(fd, out + len, size - len - 1, 0)) > 0)
        len += (size_t)got;
    out[len] = '\0';
    (void)close(fd);
}

static void ask(const bench *at, const char *request, char out[2048])
{
    int fd = connect_to(at);

    assert_true(send(fd, request, strlen(request), MSG_NOSIGNAL) > 0);
    read_all(fd, out, 2048);
}

static void one_connection_gets_one_answer(void **state)
{
    bench *at = *state;
    char got[2048];

    ask(at, "GET /echo/one HTTP/1.1\r\nHost: a\r\n\r\n", got);
    assert_ptr_equal(strstr(got, "HTTP/1.1 200 OK\r\n"), got);
    assert_non_null(strstr(got, "\r\nConnection: close\r\n"));
    assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\none");
    /* What is sent behind it is not looked at. */
    ask(at, "GET /echo/one HTTP/1.1\r\n\r\nGET /echo/two HTTP/1.1\r\n\r\n", got);
    assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\none");
    ask(at, "GET /echo/ HTTP/1.1\r\n\r\n", got);
    assert_ptr_equal(strstr(got, "HTTP/1.1 404"), got);
    assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\n");
    ask(at, "GET /other HTTP/1.1\r\n\r\n", got);
    assert_ptr_equal(strstr(got, "HTTP/1.1 404"), got);
    ask(at, "POST /echo/one HTTP/1.1\r\nContent-Length: 0\r\n\r\n", got);
    assert_ptr_equal(strstr(got, "HTTP/1.1 405"), got);
}

static void a_request_without_end_is_cut_off(void **state)
{
    bench *at = *state;
    char *line = malloc(64 * 1024 + 1);
    char got[2048];

    assert_non_null(line);
    memset(line, 'a', (size_t)64 * 1024);
    line[64 * 1024] = '\0';
    memcpy(line, "GET /echo/", 10);
    ask(at, line, got);
    assert_ptr_equal(strstr(got, "HTTP/1.1 413"), got);
    free(line);
}

/* Many who begin and never end, more than there are threads. With their full time, ten minutes,
 * they would keep everybody out until the test gives up. */
static void slow_ones_make_room_for_others(void **state)
{
    enum { SLOW = 4 * THREADS };
    bench *at = *state;
    int slow[SLOW];
    char got[2048];

    for (int i = 0; i < SLOW; i++) {
        slow[i] = connect_to(at);
        assert_int_equal(send(slow[i], "GET /echo/", 10, MSG_NOSIGNAL), 10);
    }
    ask(at, "GET /echo/one HTTP/1.1\r\n\r\n", got);
    assert_ptr_equal(strstr(got, "HTTP/1.1 200 OK\r\n"), got);
    for (int i = 0; i < SLOW; i++)
        (void)close(slow[i]);
}

/* With nobody waiting it has its time. */
static void a_slow_one_alone_is_waited_for(void **state)
{
    static const char request[] = "GET /echo/one HTTP/1.1\r\n\r\n";
    bench *at = *state;
    int fd = connect_to(at);
    char got[2048];

    for (size_t i = 0; request[i]; i++) {
        assert_int_equal(send(fd, request + i, 1, MSG_NOSIGNAL), 1);
        if (i % 5 == 0)
            (void)usleep(150000);
    }
    read_all(fd, got, sizeof(got));
    assert_ptr_equal(strstr(got, "HTTP/1.1 200 OK\r\n"), got);
}

/* A connection that cannot be accepted wakes the threads for as long as it waits. */
static void without_descriptors_it_rests(void **state)
{
    enum { LOOK_MS = 500, FEW = 200 /* many are a million */ };
    bench *at = *state;
    char got[2048];
    int fd;

    atomic_store(&no_descriptors, true);
    atomic_store(&asked, 0);
    fd = connect_to(at);
    while (!atomic_load(&asked))
        (void)poll(NULL, 0, 1);
    (void)poll(NULL, 0, LOOK_MS);
    assert_in_range(atomic_load(&asked), 1, FEW);
    atomic_store(&no_descriptors, false);
    assert_true(send(fd, "GET /echo/one HTTP/1.1\r\n\r\n", 26, MSG_NOSIGNAL) == 26);
    read_all(fd, got, sizeof(got));
    assert_ptr_equal(strstr(got, "HTTP/1.1 200 OK\r\n"), got);
}

#define ON_A_BENCH(test) cmocka_unit_test_setup_teardown(test, set_up, take_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_BENCH(one_connection_gets_one_answer), ON_A_BENCH(a_request_without_end_is_cut_off),
        ON_A_BENCH(slow_ones_make_room_for_others), ON_A_BENCH(a_slow_one_alone_is_waited_for),
        ON_A_BENCH(without_descriptors_it_rests),
    };

    return cmocka_run_group_tests_name("plain", tests, NULL, NULL);
}
