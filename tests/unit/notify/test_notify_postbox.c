/* test_notify_postbox.c - whose turn it is: one at a time, and those in trouble leave room. */
#include "server/vault/notices/postbox.h"

#include <string.h>

#include "tests/support/kv_cmocka.h"

enum { THREADS = 4 };

static kv_postbox *box;
static int64_t next_at;

static int start(void **state)
{
    (void)state;
    box = kv_postbox_new(THREADS);
    assert_non_null(box);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    kv_postbox_free(box);
    return 0;
}

static void add(uint8_t name, kv_channel channel, int64_t due_at)
{
    uint8_t uid[KV_TARGET_BYTES] = { name };

    kv_postbox_add(box, kv_slice_of(uid, sizeof(uid)), channel, due_at);
}

/* 0: nobody's. */
static int take(kv_channel channel, int64_t now)
{
    uint8_t uid[KV_TARGET_BYTES];

    return kv_postbox_take(box, channel, now, uid, &next_at) ? uid[0] : 0;
}

static void give(uint8_t name, kv_turn_end end)
{
    uint8_t uid[KV_TARGET_BYTES] = { name };

    kv_postbox_give_back(box, uid, &end);
}

static void the_longest_due_is_first_and_each_has_one_turn_at_a_time(void **state)
{
    (void)state;
    add(1, KV_CHANNEL_WEBHOOK, 200);
    add(2, KV_CHANNEL_WEBHOOK, 100);
    add(3, KV_CHANNEL_MAIL, 50);
    assert_int_equal(take(KV_CHANNEL_WEBHOOK, 99), 0);
    assert_int_equal(next_at, 100);
    assert_int_equal(take(KV_CHANNEL_WEBHOOK, 300), 2);
    assert_int_equal(take(KV_CHANNEL_WEBHOOK, 300), 1);
    add(2, KV_CHANNEL_WEBHOOK, 150);
    assert_int_equal(take(KV_CHANNEL_WEBHOOK, 300), 0);
    assert_int_equal(take(KV_CHANNEL_MAIL, 300), 3);
    give(2, (kv_turn_end){ .due_at = 250, .tried = true });
    assert_int_equal(take(KV_CHANNEL_WEBHOOK, 300), 2);
}

static void what_came_meanwhile_is_not_forgotten(void **state)
{
    (void)state;
    add(1, KV_CHANNEL_WEBHOOK, 100);
    assert_int_equal(take(KV_CHANNEL_WEBHOOK, 100), 1);
    add(1, KV_CHANNEL_WEBHOOK, 110);
    give(1, (kv_turn_end){ .tried = true });
    assert_int_equal(take(KV_CHANNEL_WEBHOOK, 120), 1);
    give(1, (kv_turn_end){ .tried = true });
    assert_int_equal(take(KV_CHANNEL_WEBHOOK, 1000), 0);
    assert_int_equal(next_at, 0);
}

static void a_rest_counts_whatever_is_added(void **state)
{
    (void)state;
    add(1, KV_CHANNEL_WEBHOOK, 100);
    assert_int_equal(take(KV_CHANNEL_WEBHOOK, 100), 1);
    give(1, (kv_turn_end){ .due_at = 100, .not_before = 500, .tried = true, .trouble = true });
    add(1, KV_CHANNEL_WEBHOOK, 50);
    assert_int_equal(take(KV_CHANNEL_WEBHOOK, 499), 0);
    assert_int_equal(next_at, 500);
    assert_int_equal(take(KV_CHANNEL_WEBHOOK, 500), 1);
}

static void those_in_trouble_take_half_of_the_threads(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= THREADS; i++) {
        add(i, KV_CHANNEL_WEBHOOK, 1);
        assert_int_equal(take(KV_CHANNEL_WEBHOOK, 1), i);
        give(i, (kv_turn_end){ .due_at = 2, .tried = true, .trouble = true });
    }
    assert_int_not_equal(take(KV_CHANNEL_WEBHOOK, 2), 0);
    assert_int_not_equal(take(KV_CHANNEL_WEBHOOK, 2), 0);
    assert_int_equal(take(KV_CHANNEL_WEBHOOK, 2), 0);
    add(9, KV_CHANNEL_WEBHOOK, 2);
    assert_int_equal(take(KV_CHANNEL_WEBHOOK, 2), 9);
    give(9, (kv_turn_end){ .due_at = 2, .tried = true });
    assert_int_equal(take(KV_CHANNEL_WEBHOOK, 2), 9);
}

static void troubles_are_counted_until_one_goes_well(void **state)
{
    uint8_t uid[KV_TARGET_BYTES] = { 1 };

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        add(1, KV_CHANNEL_WEBHOOK, 1);
        assert_int_equal(take(KV_CHANNEL_WEBHOOK, 1), 1);
        assert_int_equal(kv_postbox_troubles(box, uid), i);
        give(1, (kv_turn_end){ .due_at = 1, .tried = true, .trouble = true });
    }
    assert_int_equal(take(KV_CHANNEL_WEBHOOK, 1), 1);
    give(1, (kv_turn_end){ .due_at = 1 }); /* only looked */
    assert_int_equal(kv_postbox_troubles(box, uid), 3);
    assert_int_equal(take(KV_CHANNEL_WEBHOOK, 1), 1);
    give(1, (kv_turn_end){ .due_at = 1, .tried = true });
    assert_int_equal(kv_postbox_troubles(box, uid), 0);
}

static void a_stop_ends_every_sleep(void **state)
{
    (void)state;
    kv_postbox_stop(box);
    assert_false(kv_postbox_wait(box, 0, 0));
}

#define POSTBOX_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        POSTBOX_TEST(the_longest_due_is_first_and_each_has_one_turn_at_a_time),
        POSTBOX_TEST(what_came_meanwhile_is_not_forgotten),
        POSTBOX_TEST(a_rest_counts_whatever_is_added),
        POSTBOX_TEST(those_in_trouble_take_half_of_the_threads),
        POSTBOX_TEST(troubles_are_counted_until_one_goes_well),
        POSTBOX_TEST(a_stop_ends_every_sleep),
    };

    return cmocka_run_group_tests_name("notify_postbox", tests, NULL, NULL);
}
