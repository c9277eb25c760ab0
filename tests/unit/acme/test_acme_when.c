/* test_acme_when.c - Retry-After and RFC 3339. */
#include "server/acme/when.h"

#include "server/base/compiler.h"
#include "tests/support/kv_cmocka.h"

/* Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110. */
#define EXAMPLE_MS INT64_C(784111777000)

static void a_wait_is_seconds_or_a_date(void **state)
{
    static const struct {
        const char *text;
        int64_t wait;
    } cases[] = {
        { "0", 0 },
        { "1", 1000 },
        { "120", 120 * 1000 },
        { "604800", KV_ACME_WAIT_MOST_MS },
        { "604801", KV_ACME_WAIT_MOST_MS },
        { "18446744073709551615", KV_ACME_WAIT_MOST_MS },
        { "Sun, 06 Nov 1994 08:49:37 GMT", 7000 },
        { "Sunday, 06-Nov-94 08:49:37 GMT", 7000 },
        { "Sun Nov  6 08:49:37 1994", 7000 },
        { "Sun, 06 Nov 1994 08:49:30 GMT", 0 },
        { "Sun, 06 Nov 1994 08:49:00 GMT", 0 },
        { "Fri, 01 Jan 2100 00:00:00 GMT", KV_ACME_WAIT_MOST_MS },
        { "", -1 },
        { "-1", -1 },
        { "1.5", -1 },
        { " 5", -1 },
        { "5 s", -1 },
        { "soon", -1 },
        { "18446744073709551616", -1 },
        { "Sun, 06 Nov 1994 08:49:37 CET", -1 },
        { "Sun, 06 Nov 1994 08:49:37 GMT and a very long tail that no date would ever have", -1 },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(cases); i++)
        if (kv_acme_retry_after(kv_slice_text(cases[i].text), EXAMPLE_MS - 7000) != cases[i].wait)
            fail_msg("'%s'", cases[i].text);
    assert_int_equal(kv_acme_retry_after(kv_slice_of("5\0", 2), 0), -1);
}

static void times_are_those_of_rfc_3339(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        { "1994-11-06T08:49:37Z", EXAMPLE_MS },
        { "1994-11-06t08:49:37z", EXAMPLE_MS },
        { "1994-11-06 08:49:37Z", EXAMPLE_MS },
        { "1994-11-06T09:49:37+01:00", EXAMPLE_MS },
        { "1994-11-06T03:19:37-05:30", EXAMPLE_MS },
        { "1994-11-06T08:49:37.25Z", EXAMPLE_MS + 250 },
        { "1994-11-06T08:49:37.123456789Z", EXAMPLE_MS + 123 },
        { "1970-01-01T00:00:00Z", 0 },
        { "2024-02-29T00:00:00Z", INT64_C(1709164800000) },
        { "9999-12-31T23:59:59Z", INT64_C(253402300799000) },
    };
    static const char *const bad[] = {
        "",
        "1994-11-06",
        "1994-11-06T08:49:37",
        "1994-11-06T08:49Z",
        "1994-13-06T08:49:37Z",
        "1994-00-06T08:49:37Z",
        "1994-11-00T08:49:37Z",
        "1994-11-31T08:49:37Z",
        "2023-02-29T00:00:00Z",
        "1994-11-06T24:00:00Z",
        "1994-11-06T08:49:37.Z",
        "1994-11-06T08:49:37Z ",
        "1994-11-06T08:49:37+1:00",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "94-11-06T08:49:37Z",
    };
    int64_t ms = 0;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(good); i++)
        if (!kv_acme_time(kv_slice_text(good[i].text), &ms) || ms != good[i].ms)
            fail_msg("'%s': %lld", good[i].text, (long long)ms);
    for (size_t i = 0; i < KV_COUNT(bad); i++)
        if (kv_acme_time(kv_slice_text(bad[i]), &ms))
            fail_msg("'%s'", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_is_seconds_or_a_date),
        cmocka_unit_test(times_are_those_of_rfc_3339),
    };

    return cmocka_run_group_tests_name("acme_when", tests, NULL, NULL);
}
