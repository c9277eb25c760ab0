/* test_range.c - keys as bytes sort as the columns do, and come back. */
#include "server/store/range.h"

#include <limits.h>

#include "tests/unit/store/sample_rows.h"

enum { NAMES = 14, PARTS = 7, KEYS = NAMES * PARTS };

/* In the order of their bytes, as databases have it. */
static const kv_slice names[NAMES] = {
    KV_SLICE(""),
    { (const uint8_t *)"\0", 1 },
    { (const uint8_t *)"\0\0", 2 },
    { (const uint8_t *)"\0\1", 2 },
    { (const uint8_t *)"\0\377", 2 },
    { (const uint8_t *)"\1", 1 },
    KV_SLICE("a"),
    { (const uint8_t *)"a\0", 2 },
    { (const uint8_t *)"a\0b", 3 },
    { (const uint8_t *)"a\1", 2 },
    KV_SLICE("ab"),
    KV_SLICE("b"),
    KV_SLICE("\303\274"),
    { (const uint8_t *)"\377\377", 2 },
};

static const int64_t parts[PARTS] = { INT64_MIN, INT64_MIN + 1, -256, -1, 0, 1, INT64_MAX };

static void sort(size_t number, unsigned columns, kv_sorted_key *out)
{
    sample_row row = { .name = names[number / PARTS], .part = parts[number % PARTS] };

    assert_true(kv_sort_key(&sample_table, columns, &row, out));
}

static int sign(int number)
{
    return (number > 0) - (number < 0);
}

static void sorts_as_the_columns_do(void **state)
{
    kv_sorted_key left, right;

    (void)state;
    for (size_t i = 0; i < KEYS; i++)
        for (size_t k = 0; k < KEYS; k++) {
            sort(i, 2, &left);
            sort(k, 2, &right);
            assert_int_equal(sign(kv_sorted_key_compare(&left, &right)), (i > k) - (i < k));
        }
    left.len = 0;
    assert_true(kv_sorted_key_compare(&left, &right) < 0);
    assert_int_equal(kv_sorted_key_compare(&left, &left), 0);
}

/* Behind a prefix comes nothing that begins with it. */
static void knows_what_begins_with_a_prefix(void **state)
{
    kv_sorted_key key, prefix;

    (void)state;
    for (size_t i = 0; i < KEYS; i++)
        for (size_t k = 0; k < NAMES; k++) {
            sort(i, 2, &key);
            sort(k * PARTS, 1, &prefix);
            assert_int_equal(kv_sorted_key_until(&key, &prefix), i / PARTS <= k);
            sort(k * PARTS, 2, &prefix);
            assert_int_equal(kv_sorted_key_until(&key, &prefix), i <= k * PARTS);
        }
    prefix.len = 0;
    assert_true(kv_sorted_key_until(&key, &prefix));
}

static void comes_back(void **state)
{
    uint8_t room[KV_RANGE_KEY_BYTES];
    kv_sorted_key key;

    (void)state;
    for (size_t i = 0; i < KEYS; i++) {
        sample_row row = { 0 };

        sort(i, 2, &key);
        assert_true(kv_unsort_key(&sample_table, &key, room, &row));
        assert_int_equal(row.part, parts[i % PARTS]);
        assert_int_equal(row.name.len, names[i / PARTS].len);
        assert_memory_equal(row.name.data, names[i / PARTS].data, row.name.len);
    }
}

/* Somebody else may have written it. */
static void refuses_what_is_no_key(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        { "", 0 },
        { "a", 1 },
        { "a\0", 2 },
        { "a\0\0", 3 },
        { "a\0\1\0\0\0\0\0\0\0\0\0\0", 13 },
        { "a\0\0\200\0\0\0\0\0\0", 10 },
        { "a\0\0\200\0\0\0\0\0\0\1\0", 12 },
    };
    uint8_t room[KV_RANGE_KEY_BYTES];

    (void)state;
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        kv_sorted_key key = { .len = bad[i].len };
        sample_row row = { 0 };

        memcpy(key.bytes, bad[i].bytes, bad[i].len);
        assert_false(kv_unsort_key(&sample_table, &key, room, &row));
    }
}

static void keys_have_a_longest_length(void **state)
{
    static uint8_t zeros[KV_RANGE_KEY_BYTES], letters[KV_RANGE_KEY_BYTES];
    uint8_t room[KV_RANGE_KEY_BYTES];
    kv_sorted_key key;
    sample_row row = { .name = kv_slice_of(letters, KV_RANGE_KEY_BYTES - 10), .part = 7 };

    (void)state;
    memset(letters, 'l', sizeof(letters));
    assert_true(kv_sort_key(&sample_table, 2, &row, &key));
    assert_int_equal(key.len, KV_RANGE_KEY_BYTES);
    row = (sample_row){ 0 };
    assert_true(kv_unsort_key(&sample_table, &key, room, &row));
    assert_int_equal(row.name.len, KV_RANGE_KEY_BYTES - 10);
    for (size_t more = 1; more <= 10; more++) {
        row.name = kv_slice_of(letters, KV_RANGE_KEY_BYTES - 10 + more);
        assert_false(kv_sort_key(&sample_table, 2, &row, &key));
    }
    row.name = kv_slice_of(zeros, KV_RANGE_KEY_BYTES / 2 - 4);
    assert_false(kv_sort_key(&sample_table, 2, &row, &key));
    row.name.len--;
    assert_true(kv_sort_key(&sample_table, 2, &row, &key));
}

/* Everything that is in a range counts: its table, where it begins, how many rows, and which. */
static void every_part_of_a_range_counts(void **state)
{
    kv_range range = { .first = { .len = 1, .bytes = "k" }, .rows = 3, .set = { "lanes" } };
    kv_range others[] = { range, range, range, range };
    kv_table other = sample_table;
    kv_multiset sum = { 0 }, empty = { 0 };

    (void)state;
    others[0].first.bytes[0] = 'l';
    others[1].first.len = 2;
    others[2].rows = 4;
    others[3].set.lanes[KV_MULTISET_BYTES - 1] ^= 1;
    other.name = "others";
    for (size_t i = 0; i < KV_COUNT(others); i++) {
        sum = empty;
        assert_true(kv_ranges_add(&sum, &sample_table, &range));
        assert_true(kv_ranges_remove(&sum, &sample_table, &others[i]));
        assert_memory_not_equal(&sum, &empty, sizeof(sum));
    }
    sum = empty;
    assert_true(kv_ranges_add(&sum, &sample_table, &range));
    assert_true(kv_ranges_remove(&sum, &other, &range));
    assert_memory_not_equal(&sum, &empty, sizeof(sum));
    sum = empty;
    assert_true(kv_ranges_add(&sum, &sample_table, &range));
    assert_true(kv_ranges_remove(&sum, &sample_table, &range));
    assert_memory_equal(&sum, &empty, sizeof(sum));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorts_as_the_columns_do),
        cmocka_unit_test(knows_what_begins_with_a_prefix),
        cmocka_unit_test(comes_back),
        cmocka_unit_test(refuses_what_is_no_key),
        cmocka_unit_test(keys_have_a_longest_length),
        cmocka_unit_test(every_part_of_a_range_counts),
    };

    return cmocka_run_group_tests_name("range", tests, NULL, NULL);
}
