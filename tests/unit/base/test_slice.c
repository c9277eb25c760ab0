/* test_slice.c - slices compare by content, the empty one included. */
#include "server/base/slice.h"

#include "server/base/compiler.h"
#include "tests/support/kv_cmocka.h"

static void views_have_the_length_of_their_text(void **state)
{
    (void)state;
    assert_int_equal(KV_SLICE("abc").len, 3);
    assert_int_equal(KV_SLICE("").len, 0);
    assert_int_equal(kv_slice_text("abc").len, 3);
    assert_int_equal(kv_slice_text(NULL).len, 0);
    assert_int_equal(kv_slice_of("a\0b", 3).len, 3);
}

static void equal_means_same_bytes_and_length(void **state)
{
    (void)state;
    assert_true(kv_slice_equal(KV_SLICE("abc"), kv_slice_text("abc")));
    assert_true(kv_slice_equal(KV_SLICE_NONE, KV_SLICE("")));
    assert_false(kv_slice_equal(KV_SLICE("abc"), KV_SLICE("ab")));
    assert_false(kv_slice_equal(KV_SLICE("abc"), KV_SLICE("abd")));
    assert_false(kv_slice_equal(KV_SLICE("a\0b"), KV_SLICE("a\0c")));
}

static void order_is_that_of_bytes(void **state)
{
    static const char *const sorted[] = { "", "A", "a", "ab", "b", "\xff" };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(sorted); i++)
        for (size_t j = 0; j < KV_COUNT(sorted); j++) {
            int order = kv_slice_compare(kv_slice_text(sorted[i]), kv_slice_text(sorted[j]));

            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    assert_int_equal(kv_slice_compare(KV_SLICE_NONE, KV_SLICE("")), 0);
}

static void a_prefix_is_no_longer_than_the_text(void **state)
{
    (void)state;
    assert_true(kv_slice_starts_with(KV_SLICE("abc"), KV_SLICE("ab")));
    assert_true(kv_slice_starts_with(KV_SLICE("abc"), KV_SLICE("abc")));
    assert_true(kv_slice_starts_with(KV_SLICE("abc"), KV_SLICE_NONE));
    assert_true(kv_slice_starts_with(KV_SLICE_NONE, KV_SLICE_NONE));
    assert_false(kv_slice_starts_with(KV_SLICE("ab"), KV_SLICE("abc")));
    assert_false(kv_slice_starts_with(KV_SLICE("abc"), KV_SLICE("b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_have_the_length_of_their_text),
        cmocka_unit_test(equal_means_same_bytes_and_length),
        cmocka_unit_test(order_is_that_of_bytes),
        cmocka_unit_test(a_prefix_is_no_longer_than_the_text),
    };

    return cmocka_run_group_tests_name("slice", tests, NULL, NULL);
}
