/* test_vault_notices.c - somebody is told before a key expires, when its policy says so. */
#include <stdio.h>

#include "tests/contract/vault/turning.h"

static unsigned told(house *h, const char *cause)
{
    char sql[200];

    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM events WHERE cause = '%s' AND type LIKE '%%KeyNearExpiry'",
                   cause);
    return house_count(h, sql);
}

static void set_expiry(house *h, int64_t days)
{
    kv_key_update_in in = { .target = act_target(KV_COLLECTION_KEYS, "k"),
                            .attributes = { .has_expires = true,
                                            .expires = HOUSE_NOW_MS + days * DAY } };
    kv_key_bundle out;
    kv_error err = { 0 };

    assert_kv_ok(HOUSE_DO(h, kv_key_update, &in, &out));
}

static void told_when_the_policy_says(void **state)
{
    static const kv_rotation_action notify = {
        .type = KV_ROTATION_ACTION_NOTIFY, .time_before_expiry = { (const uint8_t *)"P45D", 4 }
    };
    kv_rotation_policy_update_in in = { .target = act_target(KV_COLLECTION_KEYS, "k"),
                                        .actions = &notify,
                                        .action_count = 1 };
    house *h = turning_start();
    kv_rotation_policy_bundle out;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    assert_kv_ok(HOUSE_DO(h, kv_rotation_policy_update, &in, &out));
    set_expiry(h, 100);
    turning_live(h, 54);
    assert_int_equal(told(h, "policy"), 0);
    turning_live(h, 56);
    assert_int_equal(told(h, "policy"), 1);
    /* Once for each end. */
    assert_kv_ok(house_restart(h, &err));
    turning_live(h, 60);
    assert_int_equal(told(h, "policy"), 1);
    set_expiry(h, 200);
    turning_live(h, 154);
    assert_int_equal(told(h, "policy"), 1);
    turning_live(h, 156);
    assert_int_equal(told(h, "policy"), 2);
    turning_live(h, 300);
    assert_int_equal(told(h, "policy"), 2);
    assert_int_equal(turning_due_rows(h), 0);
    assert_int_equal(turning_versions(h), 1);
    house_free(h);
}

/* Whose next version cannot be made is told of all the same. */
static void the_notice_does_not_wait_for_what_fails(void **state)
{
    static const kv_rotation_action both[] = {
        { .type = KV_ROTATION_ACTION_ROTATE, .time_before_expiry = { (const uint8_t *)"P60D", 4 } },
        { .type = KV_ROTATION_ACTION_NOTIFY, .time_before_expiry = { (const uint8_t *)"P20D", 4 } },
    };
    kv_rotation_policy_update_in in = { .target = act_target(KV_COLLECTION_KEYS, "k"),
                                        .actions = both,
                                        .action_count = 2,
                                        .expiry_time = KV_SLICE("P1Y") };
    house *h = turning_start();
    kv_rotation_policy_bundle out;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    assert_kv_ok(HOUSE_DO(h, kv_rotation_policy_update, &in, &out));
    assert_kv_ok(turning_rotate(h, NULL, &err));
    kv_fake_without(CKM_EC_KEY_PAIR_GEN);
    turning_live(h, 350);
    assert_int_equal(turning_versions(h), 2);
    assert_int_equal(told(h, "policy"), 1);
    kv_fake_without(KV_FAKE_ALL);
    turning_live(h, 351);
    assert_int_equal(turning_versions(h), 3);
    house_assert_tidy(h);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_when_the_policy_says),
        cmocka_unit_test(the_notice_does_not_wait_for_what_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
