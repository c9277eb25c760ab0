/* test_vault_doubts.c - every operation with every change of the store in doubt: it is said to have
 * failed and stands all the same, at once or after a kill. No row names a key that is gone, no key
 * is left without a row, and the same operation then works.
 */
#include "tests/contract/vault/families.h"
#include "tests/contract/vault/house_disk.h"

enum { CHANGES_MAX = 40 };

/* The store says of the n-th change that it failed. Whether it stands is for the next start. */
static unsigned doubt_each_change(house *h, const family *of, house_doubt doubt)
{
    unsigned n = 0;
    bool doubted = true;

    while (doubted) {
        kv_error err = { 0 };
        kv_status status;

        assert_true(++n < CHANGES_MAX);
        family_prepare(h, of);
        house_doubt_after(h, n, doubt);
        status = of->run(h, &err);
        doubted = house_doubted(h);
        if (!doubted)
            assert_kv_ok(status);
        if (!atomic_load(&h->dead))
            house_doubt_after(h, 0, HOUSE_NO_DOUBT);
        family_repeat(h, of, n);
    }
    return n;
}

static void doubt_all(house_doubt doubt)
{
    unsigned changes = 0;

    for (size_t i = 0; i < family_count; i++) {
        house *h = family_house();

        changes += doubt_each_change(h, &families[i], doubt);
        house_free(h);
    }
    /* The loops were loops. */
    assert_true(changes > 2 * family_count);
}

static void a_change_stands_whose_answer_was_lost(void **state)
{
    (void)state;
    doubt_all(HOUSE_UNTOLD);
}

static void a_change_that_could_not_be_synced_is_void_after_the_next(void **state)
{
    (void)state;
    doubt_all(HOUSE_UNSYNCED);
}

static void a_change_that_could_not_be_synced_stands_after_a_kill(void **state)
{
    (void)state;
    doubt_all(HOUSE_UNSYNCED_KILLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_stands_whose_answer_was_lost),
        cmocka_unit_test(a_change_that_could_not_be_synced_is_void_after_the_next),
        cmocka_unit_test(a_change_that_could_not_be_synced_stands_after_a_kill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
