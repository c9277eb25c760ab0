/* test_duration.c - durations of ISO 8601: what is one, and where it ends on the calendar. */
#include "server/lifecycle/duration.h"

#include <stdio.h>
#include <time.h>

#include "tests/support/kv_cmocka.h"

#define DAY INT64_C(86400000)

static int64_t at(int year, int month, int day, int hour)
{
    struct tm parts = {
        .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour
    };

    return (int64_t)timegm(&parts) * 1000;
}

static kv_duration parsed(const char *text)
{
    kv_duration d = { 7, 7 };
    kv_error err = { 0 };

    assert_kv_ok(kv_duration_parse(kv_slice_text(text), "f", &d, &err));
    return d;
}

static void assert_parsed(const char *text, int64_t months, int64_t ms)
{
    kv_duration d = parsed(text);

    assert_int_equal(d.months, months);
    assert_int_equal(d.ms, ms);
}

static void texts_of_the_standard(void **state)
{
    (void)state;
    assert_parsed("P90D", 0, 90 * DAY);
    assert_parsed("P3M", 3, 0);
    assert_parsed("PT48H", 0, 2 * DAY);
    assert_parsed("P1Y10D", 12, 10 * DAY);
    assert_parsed("P2Y", 24, 0);
    assert_parsed("P4W", 0, 28 * DAY);
    assert_parsed("PT1M", 0, 60000);
    assert_parsed("P1M", 1, 0);
    assert_parsed("P1Y2M3DT4H5M6S", 14, 3 * DAY + 4 * 3600000 + 5 * 60000 + 6000);
    assert_parsed("P0Y1M", 1, 0);
    assert_parsed("P00090D", 0, 90 * DAY);
    assert_parsed("P100Y", 1200, 0);
    assert_parsed("", 0, 0);
}

static void everything_else_is_refused(void **state)
{
    static const char *const bad[] = {
        "P",      "PT",      "90D",
        "P90",    "p90d",    "P-1D",
        "-P1D",   "+P1D",    "P1.5D",
        "P1,5D",  "P1D ",    " P1D",
        "P1H",    "PT1D",    "PT1Y",
        "P1D1Y",  "P1M1Y",   "P1Y1Y",
        "P1DT",   "P1W1D",   "P1D1W",
        "P1DT1W", "P1TT1H",  "PT1M1H",
        "P0D",    "PT0S",    "P123456D",
        "P101Y",  "P1201M",  "P5219W",
        "P1Y\n",  "PD",      "P1YT1Y",
        "P1 D",   "PxD",     "P1S",
        "PT1S1S", "P36526D", "P00001Y00001M00001DT00001H00001M00001S",
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        kv_duration d;
        kv_error err = { 0 };

        if (kv_duration_parse(kv_slice_text(bad[i]), "f", &d, &err) != KV_BAD_REQUEST)
            fail_msg("'%s' is taken", bad[i]);
        assert_string_equal(err.field, "f");
    }
    for (size_t len = 1; len < 4; len++) {
        kv_duration d;
        kv_error err = { 0 };

        assert_kv_fails(KV_BAD_REQUEST, kv_duration_parse(kv_slice_of("P\0D", len), "f", &d, &err));
    }
}

static void assert_after(const char *text, int64_t from, int64_t to)
{
    kv_duration d = parsed(text);

    assert_int_equal(kv_duration_after(from, &d), to);
}

static void assert_before(const char *text, int64_t from, int64_t to)
{
    kv_duration d = parsed(text);

    assert_int_equal(kv_duration_before(from, &d), to);
}

static void months_end_where_the_calendar_says(void **state)
{
    (void)state;
    assert_after("P1M", at(2027, 1, 31, 5), at(2027, 2, 28, 5));
    assert_after("P1M", at(2028, 1, 31, 5), at(2028, 2, 29, 5));
    assert_after("P1Y", at(2028, 2, 29, 5), at(2029, 2, 28, 5));
    assert_after("P4Y", at(2028, 2, 29, 5), at(2032, 2, 29, 5));
    assert_after("P1M1D", at(2027, 1, 31, 5), at(2027, 3, 1, 5));
    assert_after("P90D", at(2028, 1, 1, 0), at(2028, 3, 31, 0));
    assert_after("P90D", at(2027, 1, 1, 0), at(2027, 4, 1, 0));
    assert_before("P1M", at(2027, 3, 31, 5), at(2027, 2, 28, 5));
    assert_before("P1M", at(2028, 3, 31, 5), at(2028, 2, 29, 5));
    assert_before("P1Y", at(2028, 2, 29, 5), at(2027, 2, 28, 5));
    assert_before("P13M", at(2027, 1, 15, 5), at(2025, 12, 15, 5));
    assert_before("P30D", at(2027, 3, 1, 0), at(2027, 1, 30, 0));
    assert_before("PT36H", at(2027, 3, 1, 12), at(2027, 2, 28, 0));
    assert_after("P100Y", at(2026, 11, 20, 0), at(2126, 11, 20, 0));
}

static void assert_span(const char *text, int64_t least, int64_t most)
{
    kv_duration d = parsed(text);

    assert_int_equal(kv_duration_least_ms(&d), least * DAY);
    assert_int_equal(kv_duration_most_ms(&d), most * DAY);
}

static void shortest_and_longest(void **state)
{
    (void)state;
    assert_span("P90D", 90, 90);
    assert_span("P1M", 28, 31);
    assert_span("P2M", 59, 62);
    assert_span("P3M", 89, 92);
    assert_span("P1Y", 365, 366);
    assert_span("P1Y1M", 393, 397);
    assert_span("P2Y", 730, 731);
    assert_span("P4Y", 1461, 1461);
    assert_span("P1M3D", 31, 34);
}

/* From each day of four years: never outside the bounds. */
static void bounds_hold_from_every_day(void **state)
{
    static const char *const some[] = { "P1M", "P2M", "P6M", "P11M", "P1Y", "P18M", "P2Y7D" };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(some); i++) {
        kv_duration d = parsed(some[i]);

        for (int64_t day = 0; day < 1461; day++) {
            int64_t from = at(2025, 1, 1, 0) + day * DAY;
            int64_t span = kv_duration_after(from, &d) - from;

            assert_true(span >= kv_duration_least_ms(&d) && span <= kv_duration_most_ms(&d));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_the_standard),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(months_end_where_the_calendar_says),
        cmocka_unit_test(shortest_and_longest),
        cmocka_unit_test(bounds_hold_from_every_day),
    };

    return cmocka_run_group_tests_name("duration", tests, NULL, NULL);
}
