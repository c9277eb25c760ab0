/* test_blackout.c - when nothing is renewed, as people write it. */
#include "server/lifecycle/blackout.h"
#include "tests/support/kv_cmocka.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define MONDAY INT64_C(1795392000000) /* 2026-11-23T00:00:00Z */

static kv_blackout window(const char *text)
{
    kv_blackout out;
    kv_error err = { 0 };

    assert_kv_ok(kv_blackout_parse(kv_slice_text(text), "w", &out, &err));
    return out;
}

static void a_weekend(void **state)
{
    kv_blackout w = window("Fri 18:00 - Mon 06:00");
    int64_t end = MONDAY + 7 * DAY + 6 * HOUR;

    (void)state;
    assert_int_equal(kv_blackout_end(&w, 1, MONDAY + 4 * DAY + 18 * HOUR - 1), 0);
    assert_int_equal(kv_blackout_end(&w, 1, MONDAY + 4 * DAY + 18 * HOUR), end);
    assert_int_equal(kv_blackout_end(&w, 1, MONDAY + 6 * DAY), end);
    assert_int_equal(kv_blackout_end(&w, 1, MONDAY + 1), MONDAY + 6 * HOUR);
    assert_int_equal(kv_blackout_end(&w, 1, MONDAY + 6 * HOUR), 0);
    assert_int_equal(kv_blackout_end(NULL, 0, MONDAY), 0);
}

static void a_freeze_and_what_follows_without_a_gap(void **state)
{
    kv_blackout w[] = { window("2026-11-24T12:00Z - 2026-11-27T18:00Z"),
                        window("Fri 18:00 - Mon 06:00"), window("Mon 06:00 - Mon 08:30") };

    (void)state;
    assert_int_equal(kv_blackout_end(w, 1, MONDAY + 2 * DAY), MONDAY + 4 * DAY + 18 * HOUR);
    assert_int_equal(kv_blackout_end(w, 3, MONDAY + 2 * DAY),
                     MONDAY + 7 * DAY + 8 * HOUR + 30 * MINUTE);
    assert_int_equal(kv_blackout_end(w, 1, MONDAY), 0);
}

static void windows_without_a_gap_come_to_an_end(void **state)
{
    kv_blackout w[] = { window("Mon 00:00 - Thu 00:00"), window("Thu 00:00 - Sun 24:00") };

    (void)state;
    assert_in_range(kv_blackout_end(w, 2, MONDAY), MONDAY + 366 * DAY, MONDAY + 380 * DAY);
}

static void what_is_no_window_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "Fri",
        "Fri 18:00",
        "Fri 18:00 - ",
        "Fri 18:00 - Fri 18:00",
        "Mon 00:00 - Sun 24:00 ",
        "Fre 18:00 - Mon 06:00",
        "Fri 25:00 - Mon 06:00",
        "Fri 18:60 - Mon 06:00",
        "Fri 24:01 - Mon 06:00",
        "Fri 18:00-Mon 06:00",
        "Fri 18:00 - 2027-01-06T00:00Z",
        "2026-12-20T00:00Z - 2026-12-20T00:00Z",
        "2026-12-21T00:00Z - 2026-12-20T00:00Z",
        "2026-02-30T00:00Z - 2026-12-20T00:00Z",
        "2026-12-20 00:00 - 2027-01-06 00:00",
        "1960-12-20T00:00Z - 2027-01-06T00:00Z",
        "2026-12-20T00:00Z - 2027-01-06T00:00Z and on and on and on"
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        kv_blackout out;
        kv_error err = { 0 };

        if (kv_blackout_parse(kv_slice_text(bad[i]), "w[3]", &out, &err) != KV_BAD_REQUEST)
            fail_msg("'%s' was taken", bad[i]);
        assert_string_equal(err.field, "w[3]");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_weekend),
        cmocka_unit_test(a_freeze_and_what_follows_without_a_gap),
        cmocka_unit_test(windows_without_a_gap_come_to_an_end),
        cmocka_unit_test(what_is_no_window_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
