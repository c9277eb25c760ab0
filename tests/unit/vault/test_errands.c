/* test_errands.c - who may go, when many want to. */
#include "server/vault/errands.h"
#include "tests/support/kv_cmocka.h"

enum { NOW_MS = 1000, LONG_MS = 100000 };

static int go(kv_errands *errands, const char *object, const char *vault, const char *issuer)
{
    kv_errand errand = { .object_uid = kv_slice_text(object),
                         .vault_uid = kv_slice_text(vault),
                         .issuer = kv_slice_text(issuer),
                         .until_ms = LONG_MS };

    return kv_errand_begin(errands, &errand, NOW_MS);
}

static void no_two_go_for_one_certificate(void **state)
{
    kv_errands *errands = kv_errands_new(4, 4);
    int number = go(errands, "a", "v", "x");

    (void)state;
    assert_true(number >= 0);
    assert_int_equal(go(errands, "a", "v", "x"), -1);
    assert_int_equal(go(errands, "a", "v", ""), -1);
    assert_true(kv_errand_end(errands, number));
    number = go(errands, "a", "v", "");
    assert_true(number >= 0);
    assert_false(kv_errand_end(errands, number));
    kv_errands_free(errands);
}

static void one_that_has_hung_for_too_long_is_not_waited_for(void **state)
{
    kv_errands *errands = kv_errands_new(4, 4);
    kv_errand errand = { .object_uid = KV_SLICE("a"), .until_ms = NOW_MS };

    (void)state;
    assert_true(kv_errand_begin(errands, &errand, 0) >= 0);
    assert_int_equal(kv_errand_begin(errands, &errand, 0), -1);
    assert_true(kv_errand_begin(errands, &errand, NOW_MS) >= 0);
    kv_errands_free(errands);
}

static void an_issuer_holds_so_many_and_a_vault_so_many(void **state)
{
    kv_errands *errands = kv_errands_new(2, 3);
    int first = go(errands, "a", "v", "x");

    (void)state;
    assert_true(first >= 0);
    assert_true(go(errands, "b", "v", "x") >= 0);
    assert_int_equal(go(errands, "c", "v", "x"), -1);
    assert_true(go(errands, "c", "v", "y") >= 0);
    /* Another issuer of that vault has to wait; one of the same name elsewhere does not, nor who
     * asks nobody. */
    assert_int_equal(go(errands, "d", "v", "z"), -1);
    assert_true(go(errands, "d", "v", "") >= 0);
    assert_true(go(errands, "e", "w", "x") >= 0);
    assert_true(kv_errand_end(errands, first));
    assert_true(go(errands, "f", "v", "z") >= 0);
    kv_errands_free(errands);
}

static void there_are_so_many_places_and_no_more(void **state)
{
    kv_errands *errands = kv_errands_new(KV_ERRANDS_MAX + 1, KV_ERRANDS_MAX + 1);
    char name[2] = "";

    (void)state;
    for (int i = 0; i < KV_ERRANDS_MAX; i++) {
        name[0] = (char)('0' + i);
        assert_true(go(errands, name, "v", "x") >= 0);
    }
    assert_int_equal(go(errands, "~", "v", "x"), -1);
    kv_errands_free(errands);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_two_go_for_one_certificate),
        cmocka_unit_test(one_that_has_hung_for_too_long_is_not_waited_for),
        cmocka_unit_test(an_issuer_holds_so_many_and_a_vault_so_many),
        cmocka_unit_test(there_are_so_many_places_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
