/* test_expiry.c - the moments at which an end is announced. */
#include "server/lifecycle/expiry.h"

#include "server/base/compiler.h"
#include "tests/support/kv_cmocka.h"

#define DAY INT64_C(86400000)

typedef struct life {
    int64_t days;
    const char *said; /* in order */
} life;

/* Walks from moment to moment, as the server does. */
static void each_life_has_its_moments(void **state)
{
    static const life lives[] = {
        { 365, "90-percent 30-days 95-percent 15-days 7-days expired " },
        { 90, "30-days 15-days 90-percent 7-days 95-percent expired " },
        { 47, "15-days 7-days 90-percent 95-percent expired " },
        { 14, "7-days 90-percent 95-percent expired " },
        { 6, "90-percent 95-percent expired " },
        { 1, "90-percent 95-percent expired " },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(lives); i++) {
        char said[128] = "";
        int64_t end = lives[i].days * DAY;
        kv_expiry_life whole = { .expires = end };
        int64_t now = 0;

        for (;;) {
            kv_expiry_notice next = kv_expiry_next(&whole, now);

            if (!next.cause)
                break;
            assert_true(next.at > now);
            now = next.at;
            assert_string_equal(kv_expiry_latest(&whole, now).cause, next.cause);
            strncat(said, next.cause, sizeof(said) - strlen(said) - 1);
            strncat(said, " ", sizeof(said) - strlen(said) - 1);
        }
        assert_string_equal(said, lives[i].said);
        assert_int_equal(now, end);
    }
}

static void who_looks_late_says_the_latest(void **state)
{
    int64_t end = 365 * DAY;
    kv_expiry_life whole = { .expires = end };

    (void)state;
    assert_null(kv_expiry_latest(&whole, end - 37 * DAY).cause);
    assert_string_equal(kv_expiry_latest(&whole, end - 36 * DAY).cause, "90-percent");
    assert_string_equal(kv_expiry_latest(&whole, end - 20 * DAY).cause, "30-days");
    assert_string_equal(kv_expiry_latest(&whole, end - 16 * DAY).cause, "95-percent");
    assert_string_equal(kv_expiry_latest(&whole, end - 15 * DAY).cause, "15-days");
    assert_string_equal(kv_expiry_latest(&whole, end - DAY).cause, "7-days");
    assert_false(kv_expiry_latest(&whole, end - 1).over);
    assert_string_equal(kv_expiry_latest(&whole, end + 1000 * DAY).cause, "expired");
    assert_true(kv_expiry_latest(&whole, end).over);
    assert_null(kv_expiry_next(&whole, end).cause);
}

static void a_life_that_is_none_only_ends(void **state)
{
    kv_expiry_life back = { .begins = 10 * DAY, .expires = 5 * DAY, .asked = 7 * DAY };
    kv_expiry_life none = { .begins = 5 * DAY, .expires = 5 * DAY, .asked = 5 * DAY };

    (void)state;
    assert_null(kv_expiry_latest(&back, 4 * DAY).cause);
    assert_string_equal(kv_expiry_next(&back, 4 * DAY).cause, "expired");
    assert_int_equal(kv_expiry_next(&none, 0).at, 5 * DAY);
    assert_string_equal(kv_expiry_next(&none, 0).cause, "expired");
}

static void a_policy_has_a_moment_of_its_own(void **state)
{
    kv_x509_lifetime_action actions[] = { { KV_X509_AUTO_RENEW, 80, 0 },
                                          { KV_X509_EMAIL_CONTACTS, 0, 60 } };
    kv_x509_policy policy = { .lifetime_actions = actions, .lifetime_action_count = 2 };
    kv_expiry_life whole = { .begins = DAY, .expires = 91 * DAY };

    (void)state;
    whole.asked = kv_expiry_asked(&policy, whole.begins, whole.expires);
    assert_int_equal(whole.asked, 31 * DAY);
    assert_string_equal(kv_expiry_next(&whole, 0).cause, "policy");
    assert_null(kv_expiry_latest(&whole, 31 * DAY - 1).cause);
    assert_string_equal(kv_expiry_latest(&whole, 31 * DAY).cause, "policy");
    assert_string_equal(kv_expiry_next(&whole, 31 * DAY).cause, "30-days");
    actions[1] = (kv_x509_lifetime_action){ KV_X509_EMAIL_CONTACTS, 50, 0 };
    assert_int_equal(kv_expiry_asked(&policy, whole.begins, whole.expires), 46 * DAY);
    /* More days than it has. */
    actions[1] = (kv_x509_lifetime_action){ KV_X509_EMAIL_CONTACTS, 0, 100 };
    whole.asked = kv_expiry_asked(&policy, whole.begins, whole.expires);
    assert_string_equal(kv_expiry_next(&whole, 0).cause, "30-days");
    policy.lifetime_action_count = 1;
    assert_int_equal(kv_expiry_asked(&policy, whole.begins, whole.expires), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_life_has_its_moments),
        cmocka_unit_test(who_looks_late_says_the_latest),
        cmocka_unit_test(a_life_that_is_none_only_ends),
        cmocka_unit_test(a_policy_has_a_moment_of_its_own),
    };

    return cmocka_run_group_tests_name("expiry", tests, NULL, NULL);
}
