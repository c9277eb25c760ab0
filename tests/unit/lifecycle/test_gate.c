/* test_gate.c - what a renewal and an order wait for, and that nothing waits past its time. */
#include "server/lifecycle/operation.h"
#include "server/lifecycle/renewal.h"
#include "tests/support/kv_cmocka.h"

#define FROM INT64_C(1795176000000)
#define HOUR INT64_C(3600000)
#define DAY  (24 * HOUR)

static const kv_health well;

static kv_renewal_facts facts_of(int64_t life)
{
    return (
        kv_renewal_facts){ .not_before = FROM, .not_after = FROM + life, .got = FROM, .seed = 500 };
}

static kv_renewal_turn at(int64_t now, kv_gate_facts gate)
{
    kv_renewal_facts facts = facts_of(100 * DAY);
    kv_renewal_plan plan = { .renew_at = FROM + 80 * DAY };

    gate.now_ms = now;
    if (!gate.health)
        gate.health = &well;
    return kv_renewal_turn_of(&plan, &facts, &gate);
}

static void it_rests_until_its_time_and_then_begins(void **state)
{
    kv_renewal_turn turn = at(FROM + 79 * DAY, (kv_gate_facts){ 0 });

    (void)state;
    assert_int_equal(turn.act, KV_RENEWAL_WAIT);
    assert_int_equal(turn.due_at, FROM + 80 * DAY);
    turn = at(FROM + 80 * DAY, (kv_gate_facts){ 0 });
    assert_int_equal(turn.act, KV_RENEWAL_BEGIN);
    assert_true(turn.due_at > FROM + 80 * DAY);
}

static void a_blackout_lasts_to_the_floor_at_most(void **state)
{
    kv_renewal_turn turn = at(FROM + 81 * DAY, (kv_gate_facts){ .blackout_end = FROM + 84 * DAY });

    (void)state;
    assert_int_equal(turn.act, KV_RENEWAL_WAIT);
    assert_int_equal(turn.waiting, KV_WAITING_BLACKOUT);
    assert_in_range(turn.due_at, FROM + 84 * DAY, FROM + 84 * DAY + 6 * HOUR);
    turn = at(FROM + 81 * DAY, (kv_gate_facts){ .blackout_end = FROM + 120 * DAY });
    assert_int_equal(turn.due_at, FROM + 90 * DAY);
    turn = at(FROM + 90 * DAY, (kv_gate_facts){ .blackout_end = FROM + 120 * DAY });
    assert_int_equal(turn.act, KV_RENEWAL_BEGIN);
}

/* Whoever tries it may be cancelled: of many one looks soon, and no one very often. */
static void of_many_who_wait_for_an_issuer_one_looks_soon(void **state)
{
    kv_health ill = { .failures = 7, .unwell_since = FROM - DAY, .probe_at = FROM + HOUR / 4 };
    kv_gate_facts facts = { .now_ms = FROM, .health = &ill };
    int64_t first = INT64_MAX;
    int64_t last = 0;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        uint8_t name = (uint8_t)i;
        kv_gate gate;

        facts.seed = kv_seed_of(kv_slice_of(&name, 1));
        gate = kv_gate_of(&facts);
        assert_int_equal(gate.waiting, KV_WAITING_HEALTH);
        assert_in_range(gate.until, FROM + HOUR / 2, FROM + 6 * HOUR);
        first = gate.until < first ? gate.until : first;
        last = gate.until > last ? gate.until : last;
    }
    assert_true(first < FROM + HOUR);
    assert_true(last > FROM + 4 * HOUR);
}

/* As long again at most: who is told to wait for seconds does not wait for hours. */
static void a_pause_is_waited_for_and_spread_over_as_long(void **state)
{
    static const int64_t pauses[] = { 1000, 60 * 1000, HOUR, 24 * HOUR };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(pauses); i++)
        for (uint64_t seed = 0; seed < 1000; seed += 37) {
            kv_health paused = { .paused_until = FROM + pauses[i] };
            kv_gate_facts facts = { .now_ms = FROM, .health = &paused, .seed = seed };
            kv_gate order = kv_gate_of(&facts);

            assert_int_equal(order.waiting, KV_WAITING_PAUSE);
            assert_in_range(order.until, FROM + pauses[i], FROM + 2 * pauses[i]);
            assert_true(order.until <= FROM + pauses[i] + HOUR / 6);
            facts.not_after = FROM + 30 * DAY;
            order = kv_gate_of(&facts);
            assert_in_range(order.until, FROM + pauses[i], FROM + 2 * pauses[i]);
            assert_true(order.until <= FROM + pauses[i] + KV_GATE_SPREAD_MAX_MS);
        }
}

static void an_issuer_that_is_unwell_is_left_to_its_prober(void **state)
{
    kv_health ill = { .failures = 7, .unwell_since = FROM, .probe_at = FROM + 95 * DAY + HOUR / 4 };
    kv_renewal_turn turn = at(FROM + 95 * DAY, (kv_gate_facts){ .health = &ill });

    (void)state;
    assert_int_equal(turn.act, KV_RENEWAL_WAIT);
    assert_int_equal(turn.waiting, KV_WAITING_HEALTH);
    assert_in_range(turn.due_at, FROM + 95 * DAY + HOUR / 2, FROM + 95 * DAY + 6 * HOUR);
    /* Nobody seems to be trying: then this one does. */
    turn = at(FROM + 96 * DAY, (kv_gate_facts){ .health = &ill });
    assert_int_equal(turn.act, KV_RENEWAL_BEGIN);
}

static void the_last_of_a_budget_is_for_who_is_about_to_end(void **state)
{
    kv_gate_facts gate = { .orders = kv_budget_of(100, HOUR),
                           .orders_full_at = FROM + 81 * DAY + HOUR - 10 * HOUR / 100 };
    kv_renewal_turn turn = at(FROM + 81 * DAY, gate);

    (void)state;
    assert_int_equal(turn.waiting, KV_WAITING_ORDERS);
    assert_true(turn.due_at > FROM + 81 * DAY);
    gate.orders_full_at += 10 * DAY;
    turn = at(FROM + 91 * DAY, gate);
    assert_int_equal(turn.act, KV_RENEWAL_BEGIN);
    /* And when that is gone, even those wait. */
    gate.orders_full_at = FROM + 91 * DAY + HOUR;
    turn = at(FROM + 91 * DAY, gate);
    assert_int_equal(turn.waiting, KV_WAITING_ORDERS);
}

static void names_that_came_too_often_wait_unless_they_end(void **state)
{
    kv_gate_facts gate = { .names = kv_budget_of(5, 7 * DAY),
                           .names_full_at = FROM + 81 * DAY + 7 * DAY };
    kv_renewal_turn turn = at(FROM + 81 * DAY, gate);

    (void)state;
    assert_int_equal(turn.waiting, KV_WAITING_NAMES);
    assert_in_range(turn.due_at, FROM + 82 * DAY, FROM + 83 * DAY);
    gate.names_full_at += 10 * DAY;
    assert_int_equal(at(FROM + 91 * DAY, gate).act, KV_RENEWAL_BEGIN);
}

/* Whatever is shut: it is looked at again before a certificate is lost, ever more often. */
static void nobody_sleeps_through_the_end(void **state)
{
    kv_health ill = { .failures = 9, .unwell_since = FROM };
    static const int64_t lives[] = { HOUR, 6 * DAY, 47 * DAY, 200 * DAY };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(lives); i++)
        for (int percent = 80; percent < 100; percent++) {
            kv_renewal_facts facts = facts_of(lives[i]);
            kv_renewal_plan plan = { .renew_at = FROM, .attempts = 3 };
            int64_t now = FROM + lives[i] / 100 * percent;
            kv_gate_facts gate = { .now_ms = now, .health = &ill };
            kv_renewal_turn turn;

            ill.probe_at = now + HOUR / 4;
            turn = kv_renewal_turn_of(&plan, &facts, &gate);
            assert_int_equal(turn.act, KV_RENEWAL_WAIT);
            assert_true(turn.due_at - now <= (facts.not_after - now) / 8 ||
                        turn.due_at - now <= 60000);
        }
}

static void a_hint_is_rolled_once_for_each_window(void **state)
{
    kv_renewal_hint none = { 0 };
    kv_renewal_hint first = kv_renewal_hint_of(&none, FROM, FROM + DAY, 12345);
    kv_renewal_hint again = kv_renewal_hint_of(&first, FROM, FROM + DAY, 99999);
    kv_renewal_hint moved = kv_renewal_hint_of(&first, FROM - 9 * DAY, FROM - 8 * DAY, 99999);
    kv_renewal_facts facts = facts_of(100 * DAY);

    (void)state;
    assert_in_range(first.at, FROM, FROM + DAY - 1);
    assert_int_equal(again.at, first.at);
    assert_in_range(moved.at, FROM - 9 * DAY, FROM - 8 * DAY - 1);
    /* No window: what was known stays. */
    assert_int_equal(kv_renewal_hint_of(&first, FROM, FROM, 1).at, first.at);
    assert_int_equal(kv_renewal_hint_of(&first, 0, 0, 1).at, first.at);
    /* It brings a renewal forward, and never puts one off. */
    assert_int_equal(kv_renewal_at(&facts, &moved), FROM + HOUR);
    moved.at = FROM + 30 * DAY;
    assert_int_equal(kv_renewal_at(&facts, &moved), moved.at);
    moved.at = FROM + 99 * DAY;
    assert_int_equal(kv_renewal_at(&facts, &moved), kv_renewal_due(&facts));
    assert_int_equal(kv_renewal_at(&facts, &none), kv_renewal_due(&facts));
}

/* One that lives for an hour is due before an issuer that says "now" may be obeyed. */
static void a_hint_puts_nothing_off(void **state)
{
    kv_renewal_hint now = kv_renewal_hint_of(&(kv_renewal_hint){ 0 }, FROM - DAY, FROM - HOUR, 7);

    (void)state;
    for (int64_t life = HOUR / 60; life <= 4 * HOUR; life += HOUR / 60) {
        kv_renewal_facts facts = facts_of(life);

        assert_true(kv_renewal_at(&facts, &now) <= kv_renewal_due(&facts));
        assert_true(kv_renewal_at(&facts, &now) < facts.not_after);
    }
}

static void the_issuer_says_when_to_ask_within_reason(void **state)
{
    (void)state;
    assert_int_equal(kv_renewal_ask_again(FROM, 0, 0), FROM + 6 * HOUR);
    assert_int_equal(kv_renewal_ask_again(FROM, 1, 0), FROM + 60000);
    assert_int_equal(kv_renewal_ask_again(FROM, 3 * HOUR, 0), FROM + 3 * HOUR);
    assert_int_equal(kv_renewal_ask_again(FROM, 90 * DAY, 0), FROM + DAY);
    assert_in_range(kv_renewal_ask_again(FROM, 0, 1), FROM + 60000, FROM + 2 * 60000);
    assert_in_range(kv_renewal_ask_again(FROM, 0, 50), FROM + 4 * HOUR, FROM + 6 * HOUR);
}

static void asking_does_not_move_the_plan(void **state)
{
    kv_renewal_facts facts = facts_of(100 * DAY);
    kv_renewal_plan plan = { .renew_at = FROM + 80 * DAY, .ask_at = FROM + DAY };
    kv_gate_facts gate = { .now_ms = FROM, .health = &well };

    (void)state;
    assert_int_equal(kv_renewal_turn_of(&plan, &facts, &gate).due_at, FROM + DAY);
    gate.now_ms = FROM + DAY;
    assert_int_equal(kv_renewal_turn_of(&plan, &facts, &gate).act, KV_RENEWAL_ASK);
    gate.now_ms = FROM + 80 * DAY;
    assert_int_equal(kv_renewal_turn_of(&plan, &facts, &gate).act, KV_RENEWAL_BEGIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_rests_until_its_time_and_then_begins),
        cmocka_unit_test(a_blackout_lasts_to_the_floor_at_most),
        cmocka_unit_test(of_many_who_wait_for_an_issuer_one_looks_soon),
        cmocka_unit_test(a_pause_is_waited_for_and_spread_over_as_long),
        cmocka_unit_test(an_issuer_that_is_unwell_is_left_to_its_prober),
        cmocka_unit_test(the_last_of_a_budget_is_for_who_is_about_to_end),
        cmocka_unit_test(names_that_came_too_often_wait_unless_they_end),
        cmocka_unit_test(nobody_sleeps_through_the_end),
        cmocka_unit_test(a_hint_is_rolled_once_for_each_window),
        cmocka_unit_test(a_hint_puts_nothing_off),
        cmocka_unit_test(the_issuer_says_when_to_ask_within_reason),
        cmocka_unit_test(asking_does_not_move_the_plan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
