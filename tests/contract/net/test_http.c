/* test_http.c - what goes out and what comes in, within bounds. */
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "tests/contract/net/net_world.h"

/* --- what works --- */

static void an_answer_is_told_whole(void **state)
{
    world *at = *state;
    kv_http_answer answer;
    kv_slice value;

    assert_sent(get(at, "/echo?a=b"));
    assert_int_equal(answer.status, 200);
    assert_true(holds(&answer, "GET /echo?a=b HTTP/1.1\r\n"));
    assert_true(holds(&answer, "User-Agent: kv/test\r\n"));
    assert_false(holds(&answer, "Accept-Encoding"));
    assert_false(holds(&answer, "Cookie"));
    assert_true(kv_http_header_of(&answer, "replay-NONCE", 0, &value));
    assert_slice_equal(KV_SLICE("abc"), value);
    assert_true(kv_http_header_of(&answer, "Link", 0, &value));
    assert_slice_equal(KV_SLICE("<https://a>;rel=\"up\""), value);
    assert_true(kv_http_header_of(&answer, "Link", 1, &value));
    assert_slice_equal(KV_SLICE("<https://b>"), value);
    assert_false(kv_http_header_of(&answer, "Link", 2, &value));
    assert_true(kv_http_header_of(&answer, "X-Empty", 0, &value));
    assert_int_equal(value.len, 0);
    assert_false(kv_http_header_of(&answer, "Location", 0, &value));
    assert_slice_equal(KV_SLICE("message/http"), kv_http_media_type(&answer));
    assert_sent(get(at, "/empty"));
    assert_int_equal(answer.status, 204);
    assert_int_equal(answer.body.len, 0);
}

static void every_method_brings_what_it_may(void **state)
{
    static const char *const names[KV_HTTP_METHOD_COUNT] = { "GET", "HEAD",   "POST",
                                                             "PUT", "DELETE", "OPTIONS" };
    world *at = *state;

    for (int method = 0; method < KV_HTTP_METHOD_COUNT; method++) {
        bool brings = method == KV_HTTP_POST || method == KV_HTTP_PUT;
        kv_http_request request = get(at, "/echo");
        kv_http_answer answer;
        char line[32];

        request.method = (kv_http_method)method;
        request.body = brings ? KV_SLICE("a\0b") : KV_SLICE_NONE;
        request.content_type = brings ? "application/jose+json" : NULL;
        request.headers = (kv_http_header[]){ { KV_SLICE("Authorization"), KV_SLICE("Bearer x") },
                                              { KV_SLICE("X-None"), KV_SLICE_NONE } };
        request.header_count = 2;
        assert_sent(request);
        assert_int_equal(answer.status, 200);
        if (method == KV_HTTP_HEAD) {
            assert_int_equal(answer.body.len, 0);
            continue;
        }
        (void)snprintf(line, sizeof(line), "%s /echo HTTP/1.1\r\n", names[method]);
        assert_true(holds(&answer, line));
        assert_true(holds(&answer, "Authorization: Bearer x\r\nX-None:\r\n"));
        assert_int_equal(holds(&answer, "Content-Type: application/jose+json\r\n"), brings);
        assert_int_equal(holds(&answer, "Content-Type"), brings);
        assert_int_equal(holds(&answer, "Content-Length: 3\r\n"), brings);
        assert_false(holds(&answer, "Expect"));
        if (brings)
            assert_memory_equal(answer.body.data + answer.body.len - 3, "a\0b", 3);
    }
}

static void connections_are_used_again_and_keep_nothing(void **state)
{
    world *at = *state;
    kv_http_answer answer;
    kv_address_policy none = { 0 };
    kv_http_request request;

    assert_sent(get(at, "/cookie"));
    assert_sent(get(at, "/echo"));
    assert_int_equal(http_peer_links(at->peer), 1);
    assert_false(holds(&answer, "Cookie"));
    /* The connection is there, and the address still is none that this request may go to. */
    request = get(at, "/echo");
    request.addresses = &none;
    assert_not_sent(KV_PRECONDITION, request);
    assert_int_equal(http_peer_links(at->peer), 1);
}

static void interim_answers_and_trailers_say_nothing(void **state)
{
    world *at = *state;
    kv_http_answer answer;
    kv_slice value;

    assert_sent(get(at, "/twice"));
    assert_true(kv_http_header_of(&answer, "X-A", 0, &value));
    assert_slice_equal(KV_SLICE("late"), value);
    assert_false(kv_http_header_of(&answer, "X-A", 1, &value));
    assert_sent(get(at, "/trailers"));
    assert_slice_equal(KV_SLICE("ok"), answer.body);
    assert_true(kv_http_header_of(&answer, "X-A", 0, &value));
    assert_slice_equal(KV_SLICE("first"), value);
    assert_false(kv_http_header_of(&answer, "X-A", 1, &value));
    assert_false(kv_http_header_of(&answer, "X-B", 0, &value));
}

/* --- bounds --- */

static void an_answer_without_end_is_refused(void **state)
{
    world *at = *state;
    kv_http_answer answer;
    kv_http_request request = get(at, "/echo");

    assert_not_sent(KV_UNAVAILABLE, get(at, "/flood"));
    assert_non_null(strstr(at->err.message, "longer than 65536 bytes"));
    assert_not_sent(KV_UNAVAILABLE, get(at, "/headers"));
    assert_non_null(strstr(at->err.message, "headers"));
    assert_not_sent(KV_UNAVAILABLE, get(at, "/interims"));
    request.body_most = 10;
    assert_not_sent(KV_UNAVAILABLE, request);
    request = get(at, "/empty");
    request.body_most = 0;
    assert_sent(request);
    at->arena.limit = at->arena.used + 16;
    assert_not_sent(KV_BUSY, get(at, "/echo"));
}

static void an_answer_that_breaks_the_rules_is_refused(void **state)
{
    static const char *const paths[] = { "/nul", "/folded", "/nameless",    "/bell",
                                         "/old", "/short",  "/two-lengths", "/gzip" };
    world *at = *state;
    kv_http_answer answer;

    for (size_t i = 0; i < KV_COUNT(paths); i++) {
        kv_status got = send_it(at, get(at, paths[i]), &answer);

        if (got != KV_UNAVAILABLE || at->err.status != got)
            fail_msg("%s: %d %s", paths[i], (int)got, at->err.message);
    }
}

static void a_deadline_ends_a_slow_answer(void **state)
{
    static const char *const paths[] = { "/slow-body", "/slow-head" };
    world *at = *state;
    kv_http_answer answer;

    for (size_t i = 0; i < KV_COUNT(paths); i++) {
        kv_http_request request = get(at, paths[i]);
        int64_t start = kv_monotonic_us();

        request.deadline = kv_deadline_in_ms(SOON_MS);
        assert_not_sent(KV_TIMEOUT, request);
        assert_in_range((kv_monotonic_us() - start) / 1000, SOON_MS - 1, LONG_MS);
    }
}

typedef struct stopper {
    atomic_bool flag;
    kv_http *http; /* NULL: the flag */
} stopper;

static void *stop_soon(void *context)
{
    stopper *with = context;

    (void)nanosleep(&(struct timespec){ .tv_nsec = SOON_MS * 1000000L }, NULL);
    if (with->http)
        kv_http_stop(with->http);
    else
        atomic_store(&with->flag, true);
    return NULL;
}

static void a_request_can_be_stopped(void **state)
{
    world *at = *state;
    kv_http_answer answer;

    for (int whole = 0; whole < 2; whole++) {
        stopper with = { .http = whole ? at->http : NULL };
        kv_http_request request = get(at, "/slow-body");
        int64_t start = kv_monotonic_us();
        pthread_t thread;

        request.stop = &with.flag;
        assert_int_equal(pthread_create(&thread, NULL, stop_soon, &with), 0);
        assert_not_sent(KV_CANCELLED, request);
        assert_in_range((kv_monotonic_us() - start) / 1000, SOON_MS - 1, LONG_MS);
        (void)pthread_join(thread, NULL);
    }
    assert_not_sent(KV_CANCELLED, get(at, "/echo"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(an_answer_is_told_whole),
        IN_A_WORLD(every_method_brings_what_it_may),
        IN_A_WORLD(connections_are_used_again_and_keep_nothing),
        IN_A_WORLD(interim_answers_and_trailers_say_nothing),
        IN_A_WORLD(an_answer_without_end_is_refused),
        IN_A_WORLD(an_answer_that_breaks_the_rules_is_refused),
        IN_A_WORLD(a_deadline_ends_a_slow_answer),
        IN_A_WORLD(a_request_can_be_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
