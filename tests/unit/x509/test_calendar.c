/* test_calendar.c - months of every length, leap years, and times before 1970. */
#include "server/x509/calendar.h"

#include <time.h>

#include "tests/support/kv_cmocka.h"

static int64_t at(int year, int month, int day, int hour)
{
    struct tm parts = {
        .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour
    };

    return (int64_t)timegm(&parts) * 1000;
}

static void months_are_calendar_months(void **state)
{
    (void)state;
    assert_int_equal(kv_x509_add_months(at(2026, 1, 31, 5), 1), at(2026, 2, 28, 5));
    assert_int_equal(kv_x509_add_months(at(2028, 1, 31, 5), 1), at(2028, 2, 29, 5));
    assert_int_equal(kv_x509_add_months(at(2100, 1, 30, 0), 1), at(2100, 2, 28, 0));
    assert_int_equal(kv_x509_add_months(at(2400, 1, 30, 0), 1), at(2400, 2, 29, 0));
    assert_int_equal(kv_x509_add_months(at(2028, 2, 29, 1), 12), at(2029, 2, 28, 1));
    assert_int_equal(kv_x509_add_months(at(2028, 2, 29, 1), 48), at(2032, 2, 29, 1));
    assert_int_equal(kv_x509_add_months(at(2026, 3, 31, 1), 1), at(2026, 4, 30, 1));
    assert_int_equal(kv_x509_add_months(at(2026, 12, 31, 23), 2), at(2027, 2, 28, 23));
    assert_int_equal(kv_x509_add_months(at(2026, 11, 20, 0), 1), at(2026, 12, 20, 0));
    assert_int_equal(kv_x509_add_months(at(2026, 11, 20, 0), 1200), at(2126, 11, 20, 0));
    assert_int_equal(kv_x509_add_months(at(2026, 5, 5, 0) + 123, 1), at(2026, 6, 5, 0) + 123);
    assert_int_equal(kv_x509_add_months(at(1969, 12, 31, 23) + 1, 1), at(1970, 1, 31, 23) + 1);
    assert_int_equal(kv_x509_add_months(at(2026, 5, 5, 0), 0), at(2026, 5, 5, 0));
    assert_int_equal(kv_x509_add_months(at(2026, 3, 31, 5), -1), at(2026, 2, 28, 5));
    assert_int_equal(kv_x509_add_months(at(2026, 1, 31, 5), -1), at(2025, 12, 31, 5));
    assert_int_equal(kv_x509_add_months(at(2026, 1, 5, 5), -12), at(2025, 1, 5, 5));
    assert_int_equal(kv_x509_add_months(at(2028, 2, 29, 1), -12), at(2027, 2, 28, 1));
    assert_int_equal(kv_x509_add_months(at(2026, 12, 31, 1), -25), at(2024, 11, 30, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(months_are_calendar_months) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
