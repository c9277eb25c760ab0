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
        int64_t now = 0;

        for (;;) {
            kv_expiry_notice next = kv_expiry_next(0, end, now);

            if (!next.cause)
                break;
            assert_true(next.at > now);
            now = next.at;
            assert_string_equal(kv_expiry_latest(0, end, now).cause, next.cause);
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

    (void)state;
    assert_null(kv_expiry_latest(0, end, end - 37 * DAY).cause);
    assert_string_equal(kv_expiry_latest(0, end, end - 36 * DAY).cause, "90-percent");
    assert_string_equal(kv_expiry_latest(0, end, end - 20 * DAY).cause, "30-days");
    assert_string_equal(kv_expiry_latest(0, end, end - 16 * DAY).cause, "95-percent");
    assert_string_equal(kv_expiry_latest(0, end, end - 15 * DAY).cause, "15-days");
    assert_string_equal(kv_expiry_latest(0, end, end - DAY).cause, "7-days");
    assert_false(kv_expiry_latest(0, end, end - 1).over);
    assert_string_equal(kv_expiry_latest(0, end, end + 1000 * DAY).cause, "expired");
    assert_true(kv_expiry_latest(0, end, end).over);
    assert_null(kv_expiry_next(0, end, end).cause);
}

static void a_life_that_is_none_only_ends(void **state)
{
    (void)state;
    assert_null(kv_expiry_latest(10 * DAY, 5 * DAY, 4 * DAY).cause);
    assert_string_equal(kv_expiry_next(10 * DAY, 5 * DAY, 4 * DAY).cause, "expired");
    assert_int_equal(kv_expiry_next(5 * DAY, 5 * DAY, 0).at, 5 * DAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_life_has_its_moments),
        cmocka_unit_test(who_looks_late_says_the_latest),
        cmocka_unit_test(a_life_that_is_none_only_ends),
    };

    return cmocka_run_group_tests_name("expiry", tests, NULL, NULL);
}
