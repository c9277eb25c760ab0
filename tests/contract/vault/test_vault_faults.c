/* test_vault_faults.c - every operation with every fault of the token, and with death after every
 * change of the store: nothing is left behind, nothing is stuck, and the same operation then works.
 */
#include "tests/contract/vault/families.h"

enum { CALLS_MAX = 400, CHANGES_MAX = 40 };

/* The n-th call of the module fails once. How many were tried. */
static unsigned fail_each_call(house *h, const family *of, CK_RV rv)
{
    unsigned n = 0;
    bool failed = true;

    while (failed) {
        kv_error err = { 0 };
        kv_status status;

        assert_true(++n < CALLS_MAX);
        family_prepare(h, of);
        kv_fake_fail_call(n, rv);
        status = of->run(h, &err);
        failed = kv_fake_failed();
        kv_fake_fail_call(0, CKR_OK);
        if (!failed)
            assert_kv_ok(status);
        /* Never the caller's fault, and never taken for a wrong key. */
        if (status == KV_BAD_REQUEST || status == KV_DENIED || status == KV_EXISTS ||
            status == KV_CONFLICT || status == KV_PRECONDITION ||
            (status == KV_INTERNAL && err.reason == KV_REASON_INTEGRITY))
            fail_msg("%s, call %u: %s: %s (%s)", of->name, n, kv_status_spelling(status)->name,
                     err.message, err.detail);
        house_wait_for_tokens(h);
        family_repeat(h, of, n);
    }
    return n;
}

static unsigned die_after_each_change(house *h, const family *of, house_death death)
{
    unsigned n = 0;
    bool died = true;

    while (died) {
        kv_error err = { 0 };
        kv_status status;

        assert_true(++n < CHANGES_MAX);
        family_prepare(h, of);
        house_die_after(h, n, death);
        status = of->run(h, &err);
        died = atomic_load(&h->dead);
        atomic_store(&h->dies_in, 0);
        if (!died)
            assert_kv_ok(status);
        family_repeat(h, of, n);
    }
    return n;
}

/* A house for each family: a start reads every row, and what was done leaves events and records. */
static void every_call_of_the_token_may_fail(void **state)
{
    unsigned calls = 0;

    (void)state;
    for (size_t i = 0; i < family_count; i++) {
        house *h = family_house();

        calls += fail_each_call(h, &families[i], CKR_DEVICE_ERROR);
        house_free(h);
    }
    /* The loops were loops. */
    assert_true(calls > 20 * family_count);
}

static void a_lost_session_is_no_ones_trouble_for_long(void **state)
{
    house *h = family_house();

    (void)state;
    for (size_t i = 0; i < 3; i++)
        (void)fail_each_call(h, &families[i], CKR_SESSION_HANDLE_INVALID);
    house_free(h);
}

static void death_after_every_change(void **state)
{
    unsigned changes = 0;

    (void)state;
    for (size_t i = 0; i < family_count; i++) {
        house *h = family_house();

        changes += die_after_each_change(h, &families[i], HOUSE_KEYS_STAY);
        changes += die_after_each_change(h, &families[i], HOUSE_NO_NEW_KEYS);
        house_free(h);
    }
    assert_true(changes > 2 * 2 * family_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_of_the_token_may_fail),
        cmocka_unit_test(a_lost_session_is_no_ones_trouble_for_long),
        cmocka_unit_test(death_after_every_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
