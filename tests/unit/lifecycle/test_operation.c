/* test_operation.c - every state with every answer, and how long to wait. */
#include "server/lifecycle/operation.h"

#include "tests/support/kv_cmocka.h"

#define NOW   INT64_C(1795176000000)
#define MIN   INT64_C(60000)
#define HOURS (60 * MIN)

static void a_state_says_what_to_do(void **state)
{
    (void)state;
    assert_int_equal(kv_operation_act_of(KV_STATE_ORDERING, false), KV_OPERATION_SUBMIT);
    assert_int_equal(kv_operation_act_of(KV_STATE_ORDERING, true), KV_OPERATION_CANCEL);
    assert_int_equal(kv_operation_act_of(KV_STATE_PENDING, false), KV_OPERATION_POLL);
    assert_int_equal(kv_operation_act_of(KV_STATE_PENDING, true), KV_OPERATION_CANCEL);
    assert_int_equal(kv_operation_act_of(KV_STATE_ISSUED, false), KV_OPERATION_ACCEPT);
    assert_int_equal(kv_operation_act_of(KV_STATE_ISSUED, true), KV_OPERATION_ACCEPT);
    assert_int_equal(kv_operation_act_of(KV_STATE_WORKING, false), KV_OPERATION_NOTHING);
    assert_int_equal(kv_operation_act_of(KV_STATE_COMPLETED, true), KV_OPERATION_NOTHING);
    assert_int_equal(kv_operation_act_of(KV_STATE_FAILED, false), KV_OPERATION_NOTHING);
    assert_int_equal(kv_operation_act_of(KV_STATE_CANCELLED, false), KV_OPERATION_NOTHING);
    assert_true(kv_state_in_progress(KV_STATE_ISSUED));
    assert_false(kv_state_in_progress(KV_STATE_CANCELLED));
}

static void each_answer_leads_to_one_state(void **state)
{
    static const struct {
        kv_operation_act act;
        kv_issuer_state answer;
        unsigned retry_ms;
        const char *state;
        int64_t wait; /* -1: next_at is 0 */
        int64_t attempts;
    } rows[] = {
        { KV_OPERATION_SUBMIT, KV_ISSUER_PENDING, 5000, "pending", 5000, 2 },
        { KV_OPERATION_SUBMIT, KV_ISSUER_PENDING, 1, "pending", 1000, 2 },
        { KV_OPERATION_POLL, KV_ISSUER_PENDING, 4000000000, "pending", 24 * HOURS, 2 },
        { KV_OPERATION_POLL, KV_ISSUER_PENDING, 0, "pending", -1, 2 },
        { KV_OPERATION_POLL, KV_ISSUER_READY, 0, "pending", 0, 2 },
        { KV_OPERATION_SUBMIT, KV_ISSUER_ISSUED, 0, "issued", 0, 2 },
        { KV_OPERATION_POLL, KV_ISSUER_REFUSED, 0, "failed", -1, 2 },
        { KV_OPERATION_POLL, KV_ISSUER_CANCELLED, 0, "cancelled", -1, 2 },
        { KV_OPERATION_CANCEL, KV_ISSUER_PENDING, 9, "cancelled", -1, 2 },
        { KV_OPERATION_CANCEL, KV_ISSUER_REFUSED, 0, "cancelled", -1, 2 },
        { KV_OPERATION_POLL, KV_ISSUER_RETRYABLE, 3600000, "ordering", HOURS, 3 },
        { KV_OPERATION_ACCEPT, KV_ISSUER_REFUSED, 0, "failed", -1, 2 },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_operation_heard heard = { .act = rows[i].act,
                                     .answered = true,
                                     .answer = rows[i].answer,
                                     .retry_ms = rows[i].retry_ms,
                                     .attempts = 2,
                                     .failures = 4,
                                     .now_ms = NOW };
        kv_operation_turn turn = kv_operation_turn_of(&heard);

        assert_slice_equal(kv_slice_text(rows[i].state), turn.state);
        assert_int_equal(turn.next_at, rows[i].wait < 0 ? 0 : NOW + rows[i].wait);
        assert_int_equal(turn.attempts, rows[i].attempts);
        assert_int_equal(turn.failures, 0);
    }
}

static void silence_changes_nothing_but_the_time(void **state)
{
    kv_operation_heard heard = { .act = KV_OPERATION_SUBMIT, .attempts = 2, .now_ms = NOW };
    kv_operation_turn turn = kv_operation_turn_of(&heard);

    (void)state;
    assert_slice_equal(KV_STATE_ORDERING, turn.state);
    assert_int_equal(turn.attempts, 2);
    assert_int_equal(turn.failures, 1);
    assert_int_equal(turn.next_at, NOW + MIN);
    heard.act = KV_OPERATION_POLL;
    heard.failures = 1000000;
    turn = kv_operation_turn_of(&heard);
    assert_slice_equal(KV_STATE_PENDING, turn.state);
    assert_in_range(turn.next_at, NOW + 4 * HOURS, NOW + 6 * HOURS);
    heard.act = KV_OPERATION_ACCEPT;
    assert_slice_equal(KV_STATE_ISSUED, kv_operation_turn_of(&heard).state);
    heard.act = KV_OPERATION_CANCEL;
    assert_slice_equal(KV_STATE_CANCELLED, kv_operation_turn_of(&heard).state);
}

static void orders_are_not_repeated_for_ever(void **state)
{
    kv_operation_heard heard = {
        .act = KV_OPERATION_POLL, .answered = true, .answer = KV_ISSUER_RETRYABLE, .now_ms = NOW
    };
    unsigned orders = 1;

    (void)state;
    for (;;) {
        kv_operation_turn turn = kv_operation_turn_of(&heard);

        if (kv_slice_equal(turn.state, KV_STATE_FAILED))
            break;
        assert_true(turn.next_at >= heard.now_ms + MIN);
        heard.attempts = turn.attempts;
        heard.now_ms = turn.next_at;
        assert_true(++orders <= KV_OPERATION_ORDERS);
    }
    assert_int_equal(orders, KV_OPERATION_ORDERS);
}

static void waits_double_shrink_and_spread(void **state)
{
    (void)state;
    assert_int_equal(kv_backoff_ms(0, 0, 0), MIN);
    assert_int_equal(kv_backoff_ms(1, 0, 0), MIN);
    assert_in_range(kv_backoff_ms(3, 0, 0), 3 * MIN, 4 * MIN);
    assert_in_range(kv_backoff_ms(INT64_MAX - 1, 0, UINT64_MAX), 4 * HOURS, 6 * HOURS);
    /* Nine hours are left: not six of them. */
    assert_true(kv_backoff_ms(20, 9 * HOURS, 1) <= 9 * HOURS / 8);
    assert_int_equal(kv_backoff_ms(20, 1, 7), MIN);
    assert_true(kv_backoff_ms(9, 0, kv_seed_of(KV_SLICE("a"))) !=
                kv_backoff_ms(9, 0, kv_seed_of(KV_SLICE("b"))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_says_what_to_do),
        cmocka_unit_test(each_answer_leads_to_one_state),
        cmocka_unit_test(silence_changes_nothing_but_the_time),
        cmocka_unit_test(orders_are_not_repeated_for_ever),
        cmocka_unit_test(waits_double_shrink_and_spread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
