/* test_plain_parse.c - one HTTP/1.1 request, and everything that is none. */
#include "server/base/compiler.h"
#include "server/front/plain.h"
#include "tests/support/kv_cmocka.h"

static kv_plain_parsed parse(const char *text, kv_plain_request *out)
{
    return kv_plain_parse(kv_slice_text(text), out);
}

static void requests_are_read(void **state)
{
    kv_plain_request request;

    (void)state;
    assert_int_equal(KV_PLAIN_WHOLE, parse("GET /crl/shop/root.crl?x=1 HTTP/1.1\r\nHost: a\r\n"
                                           "If-None-Match:  \"12\" \r\n\r\n",
                                           &request));
    assert_int_equal(request.method, KV_PLAIN_GET);
    assert_slice_equal(KV_SLICE("/crl/shop/root.crl"), request.path);
    assert_slice_equal(KV_SLICE("\"12\""), request.if_none_match);
    assert_int_equal(request.body.len, 0);
    assert_int_equal(KV_PLAIN_WHOLE,
                     parse("POST /ocsp HTTP/1.0\r\ncontent-LENGTH: 3\r\n\r\nabcd", &request));
    assert_int_equal(request.method, KV_PLAIN_POST);
    assert_slice_equal(KV_SLICE("abc"), request.body);
}

static void what_is_not_one_is_refused(void **state)
{
    static const struct {
        const char *text;
        kv_plain_parsed parsed;
    } cases[] = {
        { "", KV_PLAIN_MORE },
        { "GET / HTTP/1.1\r\n", KV_PLAIN_MORE },
        { "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\na", KV_PLAIN_MORE },
        { "\r\n\r\n", KV_PLAIN_BAD },
        { "GET\r\n\r\n", KV_PLAIN_BAD },
        { "GET / \r\n\r\n", KV_PLAIN_BAD },
        { "GET / HTTP/2\r\n\r\n", KV_PLAIN_BAD },
        { "GET http://a/ HTTP/1.1\r\n\r\n", KV_PLAIN_BAD },
        { "GET /\x7f HTTP/1.1\r\n\r\n", KV_PLAIN_BAD },
        { "GET / HTTP/1.1\r\nno colon\r\n\r\n", KV_PLAIN_BAD },
        { "GET / HTTP/1.1\r\n folded: x\r\n\r\n", KV_PLAIN_BAD },
        { "GET / HTTP/1.1\r\nHost : x\r\n\r\n", KV_PLAIN_BAD },
        { "PUT / HTTP/1.1\r\n\r\n", KV_PLAIN_METHOD },
        { "get / HTTP/1.1\r\n\r\n", KV_PLAIN_METHOD },
        { "POST / HTTP/1.1\r\n\r\n", KV_PLAIN_LENGTH },
        { "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", KV_PLAIN_LENGTH },
        { "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", KV_PLAIN_BAD },
        { "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", KV_PLAIN_BAD },
        { "POST / HTTP/1.1\r\nContent-Length: 8193\r\n\r\n", KV_PLAIN_LARGE },
        { "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", KV_PLAIN_BAD },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(cases); i++) {
        kv_plain_request request = { 0 };

        if (parse(cases[i].text, &request) != cases[i].parsed)
            fail_msg("case %zu: %d", i, (int)parse(cases[i].text, &request));
    }
}

static void a_long_head_is_refused(void **state)
{
    static uint8_t nines[KV_PLAIN_HEAD_MAX + 2];
    kv_plain_request request;

    (void)state;
    memset(nines, '9', sizeof(nines));
    assert_int_equal(KV_PLAIN_MORE,
                     kv_plain_parse(kv_slice_of(nines, KV_PLAIN_HEAD_MAX), &request));
    assert_int_equal(KV_PLAIN_LARGE, kv_plain_parse(kv_slice_of(nines, sizeof(nines)), &request));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_read),
        cmocka_unit_test(what_is_not_one_is_refused),
        cmocka_unit_test(a_long_head_is_refused),
    };

    return cmocka_run_group_tests_name("plain_parse", tests, NULL, NULL);
}
