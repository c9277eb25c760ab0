/* test_budget.c - so many in a time, and no more. */
#include "server/lifecycle/budget.h"
#include "tests/support/kv_cmocka.h"

#define NOW  INT64_C(1795176000000)
#define HOUR INT64_C(3600000)

/* How many are had when somebody asks every second for that long. */
static unsigned take(kv_budget budget, int64_t *full_at, int64_t reserve, int64_t from, int64_t ms)
{
    unsigned count = 0;

    for (int64_t now = from; now < from + ms; now += 1000)
        while (kv_budget_ready(budget, *full_at, reserve, now) <= now) {
            *full_at = kv_budget_take(budget, *full_at, now);
            count++;
        }
    return count;
}

static void a_full_bucket_then_one_at_a_time(void **state)
{
    kv_budget budget = kv_budget_of(100, HOUR);
    int64_t full_at = 0;

    (void)state;
    assert_int_equal(take(budget, &full_at, 0, NOW, 1000), 100);
    assert_int_equal(take(budget, &full_at, 0, NOW + 1000, HOUR), 100);
    /* It never holds more than that. */
    assert_int_equal(take(budget, &full_at, 0, NOW + 1000 * HOUR, 1000), 100);
}

static void a_reserve_is_left(void **state)
{
    kv_budget budget = kv_budget_of(100, HOUR);
    int64_t full_at = 0;

    (void)state;
    assert_int_equal(take(budget, &full_at, 20, NOW, 1000), 80);
    assert_int_equal(take(budget, &full_at, 0, NOW, 1000), 20);
    full_at = 0;
    assert_int_equal(take(kv_budget_of(1, HOUR), &full_at, 5, NOW, 1000), 1);
}

static void no_limit_is_none(void **state)
{
    int64_t full_at = 0;

    (void)state;
    assert_int_equal(kv_budget_ready(kv_budget_of(0, HOUR), NOW + HOUR, 0, NOW), NOW);
    full_at = kv_budget_take(kv_budget_of(0, HOUR), full_at, NOW);
    assert_int_equal(full_at, NOW);
}

static void a_clock_that_was_ahead_does_not_close_it(void **state)
{
    kv_budget budget = kv_budget_of(100, HOUR);
    int64_t full_at = NOW + 10000 * HOUR;

    (void)state;
    assert_true(kv_budget_ready(budget, full_at, 0, NOW) <= NOW + HOUR);
    assert_in_range(take(budget, &full_at, 0, NOW, 3 * HOUR), 399, 401);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_bucket_then_one_at_a_time),
        cmocka_unit_test(a_reserve_is_left),
        cmocka_unit_test(no_limit_is_none),
        cmocka_unit_test(a_clock_that_was_ahead_does_not_close_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
