/* test_http_reach.c - where a request goes, whom it trusts, and what is no request. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/contract/net/net_world.h"

/* --- where it goes --- */

static void addresses_are_checked_when_names_are_resolved(void **state)
{
    static const char *const hosts[] = { "localhost", "127.0.0.1", "2130706433", "0x7f.1",
                                         "[::ffff:127.0.0.1]" };
    world *at = *state;
    kv_http_answer answer;
    kv_http *strict = client(at, "10.0.0.0/8", NULL), *usual = at->http;

    for (size_t i = 0; i < KV_COUNT(hosts); i++) {
        kv_http_request request = get(at, "/echo");

        request.url = url_on(at, at->peer, hosts[i], "/echo");
        at->http = strict;
        assert_not_sent(KV_PRECONDITION, request);
        at->http = usual;
    }
    assert_int_equal(http_peer_links(at->peer), 0);
    kv_http_free(strict);
}

static void redirects_are_followed_only_when_asked(void **state)
{
    world *at = *state;
    kv_http_answer answer;
    kv_slice value;
    kv_http_request request = get(at, "/hops/2");

    assert_sent(request);
    assert_int_equal(answer.status, 302);
    assert_true(kv_http_header_of(&answer, "Location", 0, &value));
    assert_slice_equal(KV_SLICE("/hops/1"), value);
    assert_slice_equal(KV_SLICE("elsewhere"), answer.body);
    request.redirects = 3;
    assert_sent(request);
    assert_int_equal(answer.status, 200);
    assert_true(holds(&answer, "GET /echo"));
    request.redirects = 2;
    assert_not_sent(KV_UNAVAILABLE, request);
    request = get(at, "/loop/0");
    request.redirects = KV_HTTP_REDIRECTS;
    assert_not_sent(KV_UNAVAILABLE, request);
    assert_non_null(strstr(at->err.message, "redirects more than 10 times"));
    request = get(at, "/nowhere");
    request.redirects = 1;
    assert_not_sent(KV_UNAVAILABLE, request);
}

static void a_redirect_leads_nowhere_it_should_not(void **state)
{
    static const struct {
        const char *to;
        kv_status status;
    } rows[] = {
        { "http://localhost/", KV_UNAVAILABLE },   { "file:///etc/passwd", KV_UNAVAILABLE },
        { "gopher://localhost/", KV_UNAVAILABLE }, { "https://a:b@localhost/", KV_UNAVAILABLE },
        { "https://10.0.0.1/", KV_PRECONDITION },  { "https://169.254.169.254/x", KV_PRECONDITION },
        { "https://[fe80::1]/", KV_PRECONDITION }, { "//192.168.0.1/", KV_PRECONDITION },
    };
    world *at = *state;
    kv_http_answer answer;

    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        char path[96];
        kv_http_request request;

        (void)snprintf(path, sizeof(path), "/to?%s", rows[i].to);
        request = get(at, path);
        request.redirects = 1;
        assert_not_sent(rows[i].status, request);
    }
}

static void headers_stay_at_their_origin(void **state)
{
    world *at = *state;
    kv_http_answer answer;
    kv_http_header header = { KV_SLICE("X-Api-Key"), KV_SLICE("hush") };
    kv_http_request request = get(at, "/hops/0");

    request.redirects = 1;
    request.headers = &header;
    request.header_count = 1;
    assert_sent(request);
    assert_true(holds(&answer, "X-Api-Key: hush"));
    request.url = url_on(at, at->peer, "localhost", "/other-origin");
    assert_sent(request);
    assert_int_equal(answer.status, 200);
    assert_false(holds(&answer, "hush"));
}

static void a_proxy_is_the_configured_one_alone(void **state)
{
    world *at = *state;
    kv_http_answer answer;
    char proxy[64];
    kv_http *through, *usual = at->http;
    kv_http_request request;
    http_peer *plain = http_peer_start(NULL, NULL, false, serve, at);

    /* The environment's would refuse. */
    assert_int_equal(setenv("https_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(setenv("no_proxy", "example.test", 1), 0);
    assert_sent(get(at, "/echo"));
    (void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", http_peer_port(plain));
    through = client(at, "", proxy);
    at->http = through;
    request = get(at, "");
    request.allow_http = true;
    request.url = "http://example.test/seen-by-the-proxy";
    assert_sent(request);
    assert_true(holds(&answer, "GET http://example.test/seen-by-the-proxy HTTP/1.1"));
    request.url = "http://169.254.169.254/latest";
    assert_not_sent(KV_PRECONDITION, request);
    request.url = "http://[::1]/";
    assert_not_sent(KV_PRECONDITION, request);
    assert_int_equal(http_peer_links(plain), 1);
    at->http = usual;
    kv_http_free(through);
    http_peer_stop(plain);
    (void)unsetenv("https_proxy");
    (void)unsetenv("ALL_PROXY");
    (void)unsetenv("no_proxy");
}

/* --- whom it trusts --- */

static void distrusts(world *at, const certificate_shape *shape)
{
    made_certificate *leaf = make_certificate(shape);
    http_peer *peer = http_peer_start(leaf->key, leaf->x509, false, serve, at);
    kv_http_request request = get(at, "/echo");
    kv_http_answer answer;

    request.url = url_on(at, peer, "localhost", "/echo");
    assert_not_sent(KV_UNAVAILABLE, request);
    http_peer_stop(peer);
    free_certificate(leaf);
}

static void a_peer_proves_its_name_with_a_certificate_in_force(void **state)
{
    world *at = *state;
    int64_t now = time(NULL);
    certificate_shape shape = { .name = "localhost",
                                .alternative = "DNS:other.test",
                                .from_s = now - 60,
                                .until_s = now + 60,
                                .issuer = at->ca };
    kv_http_request request = get(at, "/echo");
    kv_http_answer answer;

    distrusts(at, &shape);
    shape.alternative = "DNS:localhost";
    shape.until_s = now - 1;
    distrusts(at, &shape);
    shape.until_s = now + 60;
    shape.from_s = now + 30;
    distrusts(at, &shape);
    shape.from_s = now - 60;
    shape.usage = "clientAuth";
    distrusts(at, &shape);
    shape.usage = NULL;
    shape.issuer = NULL;
    distrusts(at, &shape);
    /* The system's store does not know the test's CA; a file that is none is no store. */
    request = get(at, "/echo");
    request.ca_file = "/etc/ssl/certs/ca-certificates.crt";
    assert_not_sent(KV_UNAVAILABLE, request);
    request.ca_file = "/nonexistent.pem";
    assert_not_sent(KV_UNAVAILABLE, request);
    request.ca_file = at->ca_file;
    assert_sent(request);
}

static void plain_http_is_for_those_who_ask(void **state)
{
    world *at = *state;
    kv_http_answer answer;
    http_peer *plain = http_peer_start(NULL, NULL, false, serve, at);
    kv_http_request request = get(at, "/echo");
    char url[64];

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/echo", http_peer_port(plain));
    request.url = url;
    assert_not_sent(KV_BAD_REQUEST, request);
    request.allow_http = true;
    assert_sent(request);
    assert_int_equal(answer.status, 200);
    http_peer_stop(plain);
}

static void old_tls_is_refused(void **state)
{
    world *at = *state;
    kv_http_answer answer;
    kv_http_request request = get(at, "/echo");
    http_peer *peer = http_peer_start_old(at->leaf->key, at->leaf->x509, serve, at);

    request.url = url_on(at, peer, "localhost", "/echo");
    assert_not_sent(KV_UNAVAILABLE, request);
    http_peer_stop(peer);
}

static void nobody_there_is_an_answer_too(void **state)
{
    world *at = *state;
    kv_http_answer answer;
    kv_http_request request = get(at, "/echo");

    request.url = "https://127.0.0.1:1/";
    assert_not_sent(KV_UNAVAILABLE, request);
    request.url = "https://name.invalid/";
    assert_not_sent(KV_UNAVAILABLE, request);
}

/* --- what is no request --- */

static void malformed_urls_are_refused(void **state)
{
    static const char *const urls[] = {
        "",
        "localhost/",
        "/path",
        "//localhost/",
        "file:///etc/passwd",
        "ftp://localhost/",
        "http://localhost/",
        "https://",
        "https://user@localhost/",
        "https://user:secret@localhost/",
        "https://localhost:99999/",
        "https://localhost/a b",
        "https://localhost/\r\nX-A: b",
        "https://local\x7fhost/",
        "https://m\xc3\xbcsli.test/",
        "https://[::1/",
        "javascript:alert(1)",
    };
    world *at = *state;
    kv_http_answer answer;

    for (size_t i = 0; i < KV_COUNT(urls); i++) {
        kv_http_request request = get(at, "");

        request.url = urls[i];
        if (send_it(at, request, &answer) != KV_BAD_REQUEST)
            fail_msg("'%s': %s", urls[i], at->err.message);
        assert_string_equal(at->err.field, "url");
    }
}

static void malformed_headers_are_refused(void **state)
{
    static const kv_http_header bad[] = {
        { { (const uint8_t *)"X A", 3 }, KV_SLICE_NONE },
        { { (const uint8_t *)"X\0A", 3 }, KV_SLICE_NONE },
        { { (const uint8_t *)"", 0 }, KV_SLICE_NONE },
        { { (const uint8_t *)"X:A", 3 }, KV_SLICE_NONE },
        { { (const uint8_t *)"X-A", 3 }, { (const uint8_t *)"a\r\nX-B: b", 9 } },
        { { (const uint8_t *)"X-A", 3 }, { (const uint8_t *)"a\0b", 3 } },
        { { (const uint8_t *)"hOST", 4 }, { (const uint8_t *)"a", 1 } },
        { { (const uint8_t *)"Cookie", 6 }, { (const uint8_t *)"a", 1 } },
        { { (const uint8_t *)"Accept-Encoding", 15 }, { (const uint8_t *)"gzip", 4 } },
    };
    world *at = *state;
    kv_http_answer answer;
    kv_http_request request = get(at, "/echo");

    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        request.headers = &bad[i];
        request.header_count = 1;
        assert_not_sent(KV_BAD_REQUEST, request);
        assert_string_equal(at->err.field, "headers");
    }
    request = get(at, "/echo");
    request.content_type = "a\nb";
    assert_not_sent(KV_BAD_REQUEST, request);
    request = get(at, "/echo");
    request.body = KV_SLICE("a");
    assert_not_sent(KV_BAD_REQUEST, request);
    request = get(at, "/echo");
    request.redirects = KV_HTTP_REDIRECTS + 1;
    assert_not_sent(KV_BAD_REQUEST, request);
    request.redirects = 1;
    request.method = KV_HTTP_POST;
    assert_not_sent(KV_BAD_REQUEST, request);
    assert_int_equal(http_peer_links(at->peer), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(addresses_are_checked_when_names_are_resolved),
        IN_A_WORLD(redirects_are_followed_only_when_asked),
        IN_A_WORLD(a_redirect_leads_nowhere_it_should_not),
        IN_A_WORLD(headers_stay_at_their_origin),
        IN_A_WORLD(a_proxy_is_the_configured_one_alone),
        IN_A_WORLD(a_peer_proves_its_name_with_a_certificate_in_force),
        IN_A_WORLD(plain_http_is_for_those_who_ask),
        IN_A_WORLD(old_tls_is_refused),
        IN_A_WORLD(nobody_there_is_an_answer_too),
        IN_A_WORLD(malformed_urls_are_refused),
        IN_A_WORLD(malformed_headers_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
