/* test_health.c - an issuer falls ill once, is probed by one at a time, and recovers once. */
#include "server/lifecycle/health.h"
#include "tests/support/kv_cmocka.h"

#define NOW    INT64_C(1795176000000)
#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)

static kv_health_change hear(kv_health *health, bool fault, int64_t now)
{
    kv_health_news news = { .fault = fault, .now_ms = now };

    return kv_health_heard(health, &news);
}

static kv_health_leave may(const kv_health *health, int64_t now)
{
    int64_t until;

    return kv_health_may_ask(health, now, &until);
}

static kv_health ill(void)
{
    kv_health health = { 0 };

    for (int i = 0; i < KV_HEALTH_FAILURES; i++)
        (void)hear(&health, true, NOW);
    return health;
}

static void it_falls_ill_once_and_recovers_once(void **state)
{
    kv_health health = { 0 };

    (void)state;
    assert_int_equal(hear(&health, false, NOW), KV_HEALTH_SAME);
    for (int i = 1; i < KV_HEALTH_FAILURES; i++)
        assert_int_equal(hear(&health, true, NOW), KV_HEALTH_NOTED);
    assert_int_equal(may(&health, NOW), KV_HEALTH_ASK);
    assert_int_equal(hear(&health, true, NOW), KV_HEALTH_FELL_ILL);
    assert_int_equal(may(&health, NOW), KV_HEALTH_WAIT);
    assert_int_equal(hear(&health, true, NOW + MINUTE), KV_HEALTH_NOTED);
    assert_int_equal(hear(&health, false, NOW + HOUR), KV_HEALTH_RECOVERED);
    assert_int_equal(may(&health, NOW + HOUR), KV_HEALTH_ASK);
    assert_int_equal(hear(&health, false, NOW + HOUR), KV_HEALTH_SAME);
}

static void one_answer_ends_a_row_of_failures(void **state)
{
    kv_health health = { 0 };

    (void)state;
    for (int i = 0; i < 10 * KV_HEALTH_FAILURES; i++)
        assert_int_equal(hear(&health, i % 2, NOW), i ? KV_HEALTH_NOTED : KV_HEALTH_SAME);
}

static void one_probe_at_a_time_and_ever_more_seldom(void **state)
{
    kv_health health = ill();
    int64_t before = 0;
    int64_t now = NOW;
    int64_t until;

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(kv_health_may_ask(&health, now, &until), KV_HEALTH_WAIT);
        assert_true(until - now <= KV_HEALTH_PROBE_MAX_MS);
        assert_true(until - now >= before - before / 5);
        before = until - now;
        now = until;
        assert_int_equal(may(&health, now), KV_HEALTH_PROBE);
        kv_health_probing(&health, now, 3 * MINUTE);
        assert_int_equal(may(&health, now), KV_HEALTH_WAIT);
        assert_int_equal(hear(&health, true, now), KV_HEALTH_NOTED);
    }
    assert_true(before > KV_HEALTH_PROBE_MAX_MS / 2);
    /* A prober that died leaves its claim to run out. */
    kv_health_probing(&health, now, 3 * MINUTE);
    assert_int_equal(may(&health, now + 3 * MINUTE), KV_HEALTH_PROBE);
}

static void a_pause_is_obeyed_and_is_no_illness(void **state)
{
    kv_health_news news = { .pause_ms = HOUR, .now_ms = NOW };
    kv_health health = { 0 };
    int64_t until;

    (void)state;
    assert_int_equal(kv_health_heard(&health, &news), KV_HEALTH_NOTED);
    assert_int_equal(kv_health_may_ask(&health, NOW, &until), KV_HEALTH_WAIT);
    assert_int_equal(until, NOW + HOUR);
    assert_int_equal(may(&health, NOW + HOUR), KV_HEALTH_ASK);
    news.pause_ms = 1000 * HOUR;
    (void)kv_health_heard(&health, &news);
    assert_int_equal(may(&health, NOW + KV_HEALTH_PAUSE_MAX_MS), KV_HEALTH_ASK);
}

static void of_several_pauses_the_longest_counts(void **state)
{
    kv_health_news news = { .pause_ms = HOUR, .now_ms = NOW };
    kv_health health = { .paused_until = NOW + 1000 * HOUR };

    (void)state;
    assert_int_equal(kv_health_heard(&health, &news), KV_HEALTH_NOTED);
    assert_int_equal(health.paused_until, NOW + HOUR);
    news = (kv_health_news){ .pause_ms = MINUTE, .now_ms = NOW + MINUTE };
    assert_int_equal(kv_health_heard(&health, &news), KV_HEALTH_NOTED);
    assert_int_equal(health.paused_until, NOW + HOUR);
}

/* Faults and pauses in turn are one illness, told once, until it answers. */
static void a_pause_is_no_recovery(void **state)
{
    kv_health_news pause = { .pause_ms = MINUTE, .now_ms = NOW };
    kv_health health = { 0 };
    unsigned told = 0;

    (void)state;
    for (int i = 0; i < 10 * KV_HEALTH_FAILURES; i++) {
        told += hear(&health, true, NOW) == KV_HEALTH_FELL_ILL;
        assert_int_equal(kv_health_heard(&health, &pause), KV_HEALTH_NOTED);
    }
    assert_int_equal(told, 1);
    assert_int_equal(may(&health, NOW), KV_HEALTH_WAIT);
    assert_int_equal(may(&health, NOW + MINUTE), KV_HEALTH_PROBE);
    assert_int_equal(hear(&health, false, NOW + MINUTE), KV_HEALTH_RECOVERED);
    assert_int_equal(may(&health, NOW + MINUTE), KV_HEALTH_ASK);
}

static void a_clock_that_was_ahead_locks_nobody_out(void **state)
{
    kv_health_news news = { .pause_ms = HOUR, .now_ms = NOW + 1000 * HOUR };
    kv_health health = ill();

    (void)state;
    kv_health_probing(&health, NOW + 1000 * HOUR, HOUR);
    assert_int_equal(may(&health, NOW), KV_HEALTH_PROBE);
    (void)kv_health_heard(&health, &news);
    assert_int_equal(may(&health, NOW), KV_HEALTH_PROBE);
}

static void who_is_woken_is_spread_and_never_later(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 5000; seed++) {
        int64_t at = kv_health_wake(NOW, NOW + HOUR, 15 * MINUTE, seed);

        assert_in_range(at, NOW, NOW + 15 * MINUTE);
        assert_int_equal(kv_health_wake(NOW, NOW + 1, 15 * MINUTE, seed),
                         at < NOW + 1 ? at : NOW + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_falls_ill_once_and_recovers_once),
        cmocka_unit_test(one_answer_ends_a_row_of_failures),
        cmocka_unit_test(one_probe_at_a_time_and_ever_more_seldom),
        cmocka_unit_test(a_pause_is_obeyed_and_is_no_illness),
        cmocka_unit_test(of_several_pauses_the_longest_counts),
        cmocka_unit_test(a_pause_is_no_recovery),
        cmocka_unit_test(a_clock_that_was_ahead_locks_nobody_out),
        cmocka_unit_test(who_is_woken_is_spread_and_never_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
