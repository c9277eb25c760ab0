/* test_clock.c - a test chooses the wall time; deadlines follow the other clock. */
#include "server/base/clock.h"

#include <unistd.h>

#include "server/base/compiler.h"
#include "tests/support/kv_cmocka.h"

static int64_t chosen(void *context)
{
    return *(int64_t *)context;
}

static void wall_time_can_be_chosen(void **state)
{
    int64_t now = 1000;
    kv_clock clock = { .now_ms = chosen, .context = &now };

    (void)state;
    assert_int_equal(kv_clock_now_ms(&clock), 1000);
    now = -5;
    assert_int_equal(kv_clock_now_ms(&clock), -5);
    assert_int_equal(kv_clock_steady_ms(&clock), -5);
}

static void without_a_choice_it_is_the_systems(void **state)
{
    kv_clock clock = KV_CLOCK_SYSTEM;
    int64_t seconds = (int64_t)time(NULL);
    int64_t steady_ms = kv_monotonic_us() / 1000;

    (void)state;
    assert_in_range(kv_clock_now_ms(&clock) / 1000, seconds - 1, seconds + 5);
    assert_in_range(kv_clock_now_ms(NULL) / 1000, seconds - 1, seconds + 5);
    assert_true(kv_clock_steady_ms(NULL) >= steady_ms);
}

static void monotonic_time_goes_on(void **state)
{
    int64_t before = kv_monotonic_us();

    (void)state;
    (void)usleep(2000);
    assert_true(kv_monotonic_us() - before >= 2000);
}

static void a_deadline_passes(void **state)
{
    int64_t before = kv_monotonic_us();
    kv_deadline soon = kv_deadline_in_ms(20);
    kv_deadline later = kv_deadline_in_ms(60000);
    bool passed = kv_deadline_passed(soon);
    int64_t left_ms = kv_deadline_left_ms(soon);
    bool in_time = kv_monotonic_us() - before < 19000; /* nobody else had the processor */

    (void)state;
    assert_false(in_time && passed);
    assert_in_range(left_ms, in_time ? 1 : 0, 20);
    (void)usleep(25000);
    assert_true(kv_deadline_passed(soon));
    assert_int_equal(kv_deadline_left_ms(soon), 0);
    assert_in_range(kv_deadline_left_ms(later), 50000, 60000);
}

static void the_extremes_are_legal_times(void **state)
{
    static const int64_t rows[] = { INT64_MIN, -1, 0, 1, KV_DEADLINE_LONGEST_MS, INT64_MAX };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_deadline deadline = kv_deadline_in_ms(rows[i]);

        assert_true(deadline.at.tv_sec >= 0);
        assert_in_range(deadline.at.tv_nsec, 0, 999999999);
        if (rows[i] <= 0)
            assert_true(kv_deadline_passed(deadline));
        if (rows[i] > 1)
            assert_in_range(kv_deadline_left_ms(deadline), KV_DEADLINE_LONGEST_MS - 1000,
                            KV_DEADLINE_LONGEST_MS);
    }
}

static void a_time_of_somebody_else_has_bounds(void **state)
{
    static const struct {
        int64_t seconds, left;
    } rows[] = { { INT64_MIN, 500 }, { -1, 500 },     { 0, 500 },          { 999, 500 },
                 { 1000, 500 },      { 1001, 750 },   { 1002, 1750 },      { 1010, 9750 },
                 { 1011, 10000 },    { 1012, 10000 }, { INT64_MAX, 10000 } };
    int64_t now = 1000250;
    kv_clock clock = { .now_ms = chosen, .context = &now };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++)
        assert_int_equal(kv_clock_ms_until(&clock, rows[i].seconds, 500, 10000), rows[i].left);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wall_time_can_be_chosen),
        cmocka_unit_test(without_a_choice_it_is_the_systems),
        cmocka_unit_test(monotonic_time_goes_on),
        cmocka_unit_test(a_deadline_passes),
        cmocka_unit_test(the_extremes_are_legal_times),
        cmocka_unit_test(a_time_of_somebody_else_has_bounds),
    };

    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
