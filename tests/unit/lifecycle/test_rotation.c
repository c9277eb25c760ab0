/* test_rotation.c - bounds of rotation policies, and when what is due. */
#include "server/lifecycle/rotation.h"

#include <stdio.h>

#include "tests/support/kv_cmocka.h"

#define FROM INT64_C(1795176000000)
#define DAY  INT64_C(86400000)

enum { RETENTION = 90 };

typedef struct texts {
    const char *after, *before, *notify, *expiry, *disable, *destroy;
} texts;

static kv_duration duration(const char *text)
{
    kv_duration d;
    kv_error err = { 0 };

    assert_kv_ok(kv_duration_parse(kv_slice_text(text ? text : ""), "f", &d, &err));
    return d;
}

static kv_rotation_policy policy(texts t)
{
    return (kv_rotation_policy){ .rotate_after = duration(t.after),
                                 .rotate_before = duration(t.before),
                                 .notify_before = duration(t.notify),
                                 .expiry = duration(t.expiry),
                                 .disable_after = duration(t.disable),
                                 .destroy_after = duration(t.destroy) };
}

static const struct {
    texts policy;
    const char *field; /* NULL: fine */
} bounds[] = {
    { { 0 }, NULL },
    { { .after = "P7D" }, NULL },
    { { .after = "P6DT23H59M59S" }, "policy.lifetime_actions.trigger.time_after_create" },
    { { .after = "P21D", .expiry = "P28D" }, NULL },
    { { .after = "P22D", .expiry = "P28D" }, "policy.lifetime_actions.trigger.time_after_create" },
    { { .after = "P1M", .expiry = "P37D" }, "policy.lifetime_actions.trigger.time_after_create" },
    { { .after = "P1M", .expiry = "P38D" }, NULL },
    { { .after = "P18M", .expiry = "P2Y" }, NULL },
    { { .expiry = "P27D" }, "policy.attributes.expiry_time" },
    { { .expiry = "P1M" }, NULL },
    { { .before = "P30D" }, "policy.attributes.expiry_time" },
    { { .before = "P30D", .expiry = "P1Y" }, NULL },
    { { .before = "P6D", .expiry = "P1Y" }, "policy.lifetime_actions.trigger.time_before_expiry" },
    { { .before = "P7D", .expiry = "P28D" }, NULL },
    { { .before = "P22D", .expiry = "P28D" },
      "policy.lifetime_actions.trigger.time_before_expiry" },
    { { .before = "P1Y", .expiry = "P1Y" }, "policy.lifetime_actions.trigger.time_before_expiry" },
    { { .notify = "P1D" }, NULL },
    { { .notify = "PT23H" }, "policy.lifetime_actions.trigger.time_before_expiry" },
    { { .disable = "P7D" }, NULL },
    { { .disable = "P6D" }, "policy.retirement.disable_after" },
    { { .destroy = "P1Y" }, "policy.retirement.disable_after" },
    { { .disable = "P30D", .destroy = "P120D" }, NULL },
    { { .disable = "P30D", .destroy = "P119D" }, "policy.retirement.destroy_after" },
    { { .disable = "P1M", .destroy = "P120D" }, "policy.retirement.destroy_after" },
    { { .disable = "P1M", .destroy = "P121D" }, NULL },
    { { .disable = "P30D", .destroy = "P30D" }, "policy.retirement.destroy_after" },
};

static void bounds_are_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(bounds); i++) {
        kv_rotation_policy p = policy(bounds[i].policy);
        kv_error err = { 0 };
        kv_status status = kv_rotation_check(&p, RETENTION, &err);

        if (status != (bounds[i].field ? KV_BAD_REQUEST : KV_OK))
            fail_msg("row %zu: %s about %s", i, err.message, err.field);
        if (bounds[i].field)
            assert_string_equal(err.field, bounds[i].field);
    }
}

static void the_retention_of_the_vault_counts(void **state)
{
    kv_rotation_policy p = policy((texts){ .disable = "P7D", .destroy = "P14D" });
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_rotation_check(&p, 7, &err));
    assert_kv_fails(KV_BAD_REQUEST, kv_rotation_check(&p, 8, &err));
}

static int64_t due(texts t, int64_t expires, bool enabled)
{
    kv_rotation_policy p = policy(t);
    kv_rotation_facts facts = { .created = FROM, .expires = expires, .enabled = enabled };
    int64_t at = kv_rotation_due(&p, &facts);

    return at ? at - FROM : 0;
}

static void when_a_version_is_followed(void **state)
{
    (void)state;
    assert_int_equal(due((texts){ 0 }, 0, true), 0);
    assert_int_equal(due((texts){ .after = "P90D" }, 0, true), 90 * DAY);
    assert_int_equal(due((texts){ .after = "P90D" }, FROM + 30 * DAY, true), 90 * DAY);
    assert_int_equal(due((texts){ .after = "P90D" }, 0, false), 0);
    assert_int_equal(due((texts){ .before = "P30D", .expiry = "P1Y" }, FROM + 365 * DAY, true),
                     335 * DAY);
    /* One that was made before the policy and does not expire has no end to be measured from. */
    assert_int_equal(due((texts){ .before = "P30D", .expiry = "P1Y" }, 0, true), 0);
    /* 2026-11-20 and a month, a year. */
    assert_int_equal(due((texts){ .after = "P1M" }, 0, true), 30 * DAY);
    assert_int_equal(due((texts){ .after = "P1Y" }, 0, true), 365 * DAY);
}

static int64_t notice(const char *notify, int64_t expires, bool told)
{
    kv_rotation_policy p = policy((texts){ .notify = notify });
    kv_rotation_facts facts = { .created = FROM, .expires = expires, .told = told };

    return kv_rotation_notice(&p, &facts);
}

static void when_somebody_is_told(void **state)
{
    int64_t end = FROM + 100 * DAY;

    (void)state;
    assert_int_equal(notice("P45D", 0, false), 0);
    assert_int_equal(notice(NULL, end, false), 0);
    assert_int_equal(notice("P45D", end, false), FROM + 55 * DAY);
    assert_int_equal(notice("P45D", end, true), 0);
}

/* P30D disables, P120D destroys; the row says what else is so. */
static kv_retirement_turn retire(kv_retirement_facts facts)
{
    kv_rotation_policy p = policy((texts){ .disable = "P30D", .destroy = "P120D" });

    facts.retention_days = facts.retention_days ? facts.retention_days : RETENTION;
    return kv_retirement_next(&p, &facts);
}

static void disabled_after_the_overlap(void **state)
{
    (void)state;
    assert_int_equal(retire((kv_retirement_facts){ .replaced = FROM }).act, KV_RETIREMENT_DISABLE);
    assert_int_equal(retire((kv_retirement_facts){ .replaced = FROM }).at, FROM + 30 * DAY);
    /* A schedule that is set later gives the whole overlap from then. */
    assert_int_equal(
        retire((kv_retirement_facts){ .replaced = FROM, .since = FROM + 400 * DAY }).at,
        FROM + 430 * DAY);
    assert_int_equal(retire((kv_retirement_facts){ .replaced = FROM + 10 * DAY, .since = FROM }).at,
                     FROM + 40 * DAY);
}

static void destroyed_only_when_all_is_as_it_should_be(void **state)
{
    int64_t in_time = FROM + 30 * DAY;
    kv_retirement_facts facts = { .replaced = FROM, .retired = in_time };
    kv_retirement_turn turn;

    (void)state;
    assert_int_equal(retire(facts).act, KV_RETIREMENT_REST);
    facts.permitted = FROM + DAY;
    turn = retire(facts);
    assert_int_equal(turn.act, KV_RETIREMENT_DESTROY);
    assert_int_equal(turn.at, FROM + 120 * DAY);
    /* Disabled late, for instance because the server was off: the whole gap all the same. */
    facts.retired = FROM + 300 * DAY;
    assert_int_equal(retire(facts).at, FROM + 390 * DAY);
    /* A longer retention meanwhile. */
    facts.retired = in_time;
    facts.retention_days = 95;
    assert_int_equal(retire(facts).at, FROM + 125 * DAY);
    facts.retention_days = 0;
    /* Permitted when all the rest was over: a day to change one's mind. */
    facts.permitted = FROM + 500 * DAY;
    assert_int_equal(retire(facts).at, FROM + 501 * DAY);
    facts.kept = true;
    assert_int_equal(retire(facts).act, KV_RETIREMENT_REST);
    /* What was begun is finished, whatever anybody says. */
    facts.destroying = FROM + 502 * DAY;
    assert_int_equal(retire(facts).act, KV_RETIREMENT_DESTROY);
    assert_int_equal(retire(facts).at, FROM + 502 * DAY);
    facts.destroyed = FROM + 502 * DAY;
    assert_int_equal(retire(facts).act, KV_RETIREMENT_REST);
}

static void without_a_schedule_nothing_is_retired(void **state)
{
    kv_rotation_policy none = policy((texts){ .after = "P90D" });
    kv_rotation_policy disables = policy((texts){ .disable = "P30D" });
    kv_retirement_facts facts = {
        .replaced = FROM, .retired = FROM, .permitted = FROM, .retention_days = RETENTION
    };

    (void)state;
    assert_int_equal(kv_retirement_next(&none, &facts).act, KV_RETIREMENT_REST);
    assert_int_equal(kv_retirement_next(&disables, &facts).act, KV_RETIREMENT_REST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_are_kept),
        cmocka_unit_test(the_retention_of_the_vault_counts),
        cmocka_unit_test(when_a_version_is_followed),
        cmocka_unit_test(when_somebody_is_told),
        cmocka_unit_test(disabled_after_the_overlap),
        cmocka_unit_test(destroyed_only_when_all_is_as_it_should_be),
        cmocka_unit_test(without_a_schedule_nothing_is_retired),
    };

    return cmocka_run_group_tests_name("rotation", tests, NULL, NULL);
}
