/* test_guard.c - frames are found across pieces, and useless ones cost. */
#include "server/front/grpc/guard.h"

#include "tests/support/kv_cmocka.h"

enum { PING = 6, WINDOW_UPDATE = 8, UNKNOWN = 0xfb, BURST = 10, PER_SECOND = 5 };

static const uint8_t preface[24] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static kv_guard guard_past_preface(void)
{
    kv_guard guard;

    kv_guard_init(&guard, BURST, PER_SECOND, 0);
    assert_true(kv_guard_scan(&guard, kv_slice_of(preface, sizeof(preface)), 0));
    return guard;
}

/* `count` frames of that type with 8 bytes of payload; how many were let through. */
static unsigned frames(kv_guard *guard, uint8_t type, unsigned count, int64_t now_us)
{
    uint8_t frame[17] = { 0, 0, 8, type };

    /* A payload that would be an expensive header if it were taken for one. */
    memset(frame + 9, UNKNOWN, 8);
    for (unsigned i = 0; i < count; i++)
        if (!kv_guard_scan(guard, kv_slice_of(frame, sizeof(frame)), now_us))
            return i;
    return count;
}

static void a_burst_is_allowed_and_no_more(void **state)
{
    kv_guard guard = guard_past_preface();

    (void)state;
    assert_int_equal(frames(&guard, PING, 100, 0), BURST);
}

static void time_gives_tokens_back(void **state)
{
    kv_guard guard = guard_past_preface();

    (void)state;
    assert_int_equal(frames(&guard, PING, BURST, 0), BURST);
    assert_int_equal(frames(&guard, PING, 100, 2000000), 2 * PER_SECOND);
}

static void calls_give_tokens_back(void **state)
{
    kv_guard guard = guard_past_preface();

    (void)state;
    assert_int_equal(frames(&guard, PING, BURST, 0), BURST);
    kv_guard_credit(&guard, 4);
    assert_int_equal(frames(&guard, PING, 100, 0), 4);
}

static void unknown_frames_cost_and_window_updates_hardly(void **state)
{
    kv_guard guard = guard_past_preface();

    (void)state;
    assert_int_equal(frames(&guard, WINDOW_UPDATE, 100, 0), 100); /* a hundredth each */
    assert_int_equal(frames(&guard, UNKNOWN, 100, 0), BURST - 1);
}

static void data_is_free_and_skipped(void **state)
{
    kv_guard guard = guard_past_preface();

    (void)state;
    assert_int_equal(frames(&guard, 0, 1000, 0), 1000);
}

static void frames_are_found_byte_by_byte(void **state)
{
    const uint8_t ping[17] = { 0, 0, 8, PING };
    kv_guard guard;
    unsigned passed = 0;
    bool good = true;

    (void)state;
    kv_guard_init(&guard, BURST, PER_SECOND, 0);
    for (size_t i = 0; i < sizeof(preface); i++)
        assert_true(kv_guard_scan(&guard, kv_slice_of(preface + i, 1), 0));
    for (; good; passed++)
        for (size_t i = 0; i < sizeof(ping) && good; i++)
            good = kv_guard_scan(&guard, kv_slice_of(ping + i, 1), 0);
    assert_int_equal(passed - 1, BURST);
}

static void a_charge_counts_like_frames(void **state)
{
    kv_guard guard = guard_past_preface();

    (void)state;
    assert_true(kv_guard_charge(&guard, BURST));
    assert_false(kv_guard_charge(&guard, 1));
}

static void time_gives_back_what_was_charged_without_a_scan(void **state)
{
    kv_guard guard = guard_past_preface();

    (void)state;
    assert_true(kv_guard_charge(&guard, BURST));
    kv_guard_refill(&guard, 1000000);
    assert_true(kv_guard_charge(&guard, PER_SECOND));
    assert_false(kv_guard_charge(&guard, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_allowed_and_no_more),
        cmocka_unit_test(time_gives_tokens_back),
        cmocka_unit_test(calls_give_tokens_back),
        cmocka_unit_test(unknown_frames_cost_and_window_updates_hardly),
        cmocka_unit_test(data_is_free_and_skipped),
        cmocka_unit_test(frames_are_found_byte_by_byte),
        cmocka_unit_test(a_charge_counts_like_frames),
        cmocka_unit_test(time_gives_back_what_was_charged_without_a_scan),
    };

    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
