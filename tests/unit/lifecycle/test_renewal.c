/* test_renewal.c - when a certificate is renewed: triggers, floor, spread, and second attempts. */
#include "server/lifecycle/renewal.h"

#include <stdio.h>

#include "tests/support/kv_cmocka.h"

#define FROM INT64_C(1795176000000)
#define HOUR INT64_C(3600000)
#define DAY  (24 * HOUR)

static int64_t due(int64_t life, uint32_t percentage, uint32_t days, uint64_t seed)
{
    kv_renewal_facts facts = { .not_before = FROM,
                               .not_after = FROM + life,
                               .trigger = { .action = KV_X509_AUTO_RENEW,
                                            .lifetime_percentage = percentage,
                                            .days_before_expiry = days },
                               .seed = seed };

    return kv_renewal_due(&facts) - FROM;
}

static void the_trigger_says_when(void **state)
{
    (void)state;
    assert_int_equal(due(100 * DAY, 80, 0, 0), 80 * DAY);
    assert_int_equal(due(100 * DAY, 0, 0, 0), 80 * DAY);
    assert_int_equal(due(100 * DAY, 50, 0, 0), 50 * DAY);
    assert_int_equal(due(90 * DAY, 0, 30, 0), 60 * DAY);
    /* Thirty days before the end of six: not at once, and not again and again. */
    assert_int_equal(due(6 * DAY, 0, 30, 0), 3 * DAY);
}

static void nothing_postpones_past_the_floor(void **state)
{
    (void)state;
    assert_int_equal(due(100 * DAY, 99, 0, 9999), 90 * DAY);
    assert_int_equal(due(100 * DAY, 0, 1, 0), 90 * DAY);
    assert_int_equal(due(12 * HOUR, 99, 0, 0), 10 * HOUR);
    assert_int_equal(due(3 * HOUR, 99, 0, 0), 2 * HOUR);
    assert_int_equal(due(0, 80, 0, 5), 0);
    assert_int_equal(due(-DAY, 80, 0, 5), -DAY);
}

static void what_comes_late_is_not_renewed_at_once(void **state)
{
    kv_renewal_facts facts = { .not_before = FROM - 90 * DAY, .not_after = FROM + 9 * DAY };
    unsigned renewed = 0;

    (void)state;
    facts.got = FROM;
    assert_int_equal(kv_renewal_due(&facts), FROM + 3 * DAY);
    /* The issuer sends the same dates for ever. */
    while (facts.got < facts.not_after && ++renewed < 1000)
        facts.got = kv_renewal_due(&facts);
    assert_in_range(renewed, 5, 30);
    facts.got = facts.not_after + DAY;
    assert_int_equal(kv_renewal_due(&facts), facts.got + HOUR);
}

static void what_was_issued_together_is_spread(void **state)
{
    enum { COUNT = 1000, SLOTS = 10 };
    unsigned slots[SLOTS] = { 0 };

    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        char name[16];
        int64_t late;

        (void)snprintf(name, sizeof(name), "%u", i);
        late = due(100 * DAY, 80, 0, kv_seed_of(kv_slice_text(name))) - 80 * DAY;
        assert_in_range(late, 0, 5 * DAY);
        slots[late * SLOTS / (5 * DAY)]++;
    }
    for (unsigned i = 0; i < SLOTS; i++)
        assert_in_range(slots[i], COUNT / SLOTS / 2, COUNT / SLOTS * 2);
}

static void attempts_come_closer_to_the_end(void **state)
{
    int64_t end = FROM + 10 * DAY;
    int64_t now = FROM;
    unsigned attempts = 0;

    (void)state;
    while (now < end) {
        int64_t next = kv_renewal_again(now, attempts + 1, end, 7);

        attempts++;
        assert_true(next > now);
        assert_true(next - now <= 6 * HOUR);
        /* Never a wait that eats what is left. */
        if (end - now > 8 * 60000)
            assert_true(next - now <= (end - now) / 8 || next - now <= 60000);
        now = next;
    }
    assert_in_range(attempts, 40, 200);
    assert_true(kv_renewal_again(end + DAY, 5, end, 0) > end + DAY);
}

static void only_a_policy_that_says_so(void **state)
{
    kv_x509_lifetime_action actions[] = { { KV_X509_EMAIL_CONTACTS, 90, 0 },
                                          { KV_X509_AUTO_RENEW, 0, 20 } };
    kv_x509_policy policy = { .lifetime_actions = actions, .lifetime_action_count = 1 };
    kv_x509_lifetime_action trigger = { 0 };

    (void)state;
    assert_false(kv_renewal_asked(&policy, &trigger));
    policy.lifetime_action_count = 2;
    assert_true(kv_renewal_asked(&policy, &trigger));
    assert_int_equal(trigger.days_before_expiry, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_trigger_says_when),
        cmocka_unit_test(nothing_postpones_past_the_floor),
        cmocka_unit_test(what_comes_late_is_not_renewed_at_once),
        cmocka_unit_test(what_was_issued_together_is_spread),
        cmocka_unit_test(attempts_come_closer_to_the_end),
        cmocka_unit_test(only_a_policy_that_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
