/* test_multiset.c - sets, whatever the order. */
#include "server/store/multiset.h"

#include "tests/unit/store/sample_rows.h"

static void add(kv_multiset *set, int64_t part, int64_t generation)
{
    sample_row row = { .name = KV_SLICE("k"), .part = part };

    assert_true(kv_multiset_add(set, &sample_table, &row, generation));
}

static void take(kv_multiset *set, int64_t part, int64_t generation)
{
    sample_row row = { .name = KV_SLICE("k"), .part = part };

    assert_true(kv_multiset_remove(set, &sample_table, &row, generation));
}

static void order_does_not_matter(void **state)
{
    kv_multiset up = { 0 }, down = { 0 };

    (void)state;
    for (int64_t i = 1; i <= 50; i++)
        add(&up, i, i * 10);
    for (int64_t i = 50; i >= 1; i--)
        add(&down, i, i * 10);
    assert_memory_equal(&up, &down, sizeof(up));
}

static void what_is_removed_was_never_there(void **state)
{
    kv_multiset set = { 0 }, empty = { 0 }, other = { 0 };

    (void)state;
    add(&set, 1, 1);
    add(&set, 2, 1);
    take(&set, 1, 1);
    add(&other, 2, 1);
    assert_memory_equal(&set, &other, sizeof(set));
    take(&set, 2, 1);
    assert_memory_equal(&set, &empty, sizeof(set));
    take(&set, 3, 1); /* even before it comes */
    add(&set, 3, 1);
    assert_memory_equal(&set, &empty, sizeof(set));
}

static void it_counts(void **state)
{
    kv_multiset once = { 0 }, twice = { 0 };

    (void)state;
    add(&once, 1, 1);
    add(&twice, 1, 1);
    add(&twice, 1, 1);
    assert_memory_not_equal(&once, &twice, sizeof(once));
}

static void generations_keys_and_tables_differ(void **state)
{
    kv_multiset sets[4] = { 0 };
    kv_table other = sample_table;
    sample_row row = { .name = KV_SLICE("k"), .part = 1 };

    (void)state;
    other.name = "others";
    add(&sets[0], 1, 1);
    add(&sets[1], 1, 2);
    add(&sets[2], 2, 1);
    assert_true(kv_multiset_add(&sets[3], &other, &row, 1));
    for (size_t i = 0; i < KV_COUNT(sets); i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(&sets[i], &sets[j], sizeof(sets[i]));
}

/* Every lane takes part, and a digest follows every lane. */
static void every_lane_is_used(void **state)
{
    kv_multiset set = { 0 };
    uint8_t before[KV_MULTISET_DIGEST_BYTES], after[KV_MULTISET_DIGEST_BYTES];
    unsigned zero = 0;

    (void)state;
    add(&set, 1, 1);
    for (size_t i = 0; i < sizeof(set.lanes); i += 2)
        zero += set.lanes[i] == 0 && set.lanes[i + 1] == 0;
    assert_true(zero < 4);
    assert_true(kv_multiset_digest(&set, before));
    set.lanes[sizeof(set.lanes) - 1] ^= 1;
    assert_true(kv_multiset_digest(&set, after));
    assert_memory_not_equal(before, after, sizeof(before));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_does_not_matter),
        cmocka_unit_test(what_is_removed_was_never_there),
        cmocka_unit_test(it_counts),
        cmocka_unit_test(generations_keys_and_tables_differ),
        cmocka_unit_test(every_lane_is_used),
    };

    return cmocka_run_group_tests_name("multiset", tests, NULL, NULL);
}
