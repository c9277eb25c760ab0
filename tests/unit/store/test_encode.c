/* test_encode.c - different rows never hash alike because bytes moved. */
#include "server/store/encode.h"

#include "tests/unit/store/sample_rows.h"

typedef struct hash {
    uint8_t bytes[KV_ENCODE_HASH_BYTES];
} hash;

static hash hash_of(const sample_row *row)
{
    kv_encoder encoder = kv_encode_begin(EVP_sha256());
    hash out;

    kv_encode_columns(&encoder, &sample_table, row);
    assert_true(kv_encode_finish(&encoder, out.bytes, sizeof(out.bytes)));
    return out;
}

static void bytes_that_move_between_columns_change_the_hash(void **state)
{
    const sample_row rows[] = {
        { .name = KV_SLICE("k") },
        { .name = KV_SLICE("k"), .one = KV_SLICE("ab"), .two = KV_SLICE("c") },
        { .name = KV_SLICE("k"), .one = KV_SLICE("a"), .two = KV_SLICE("bc") },
        { .name = KV_SLICE("k"), .one = KV_SLICE("abc") },
        { .name = KV_SLICE("k"), .two = KV_SLICE("abc") },
        { .name = KV_SLICE("k"), .bytes = KV_SLICE("abc") },
        { .name = KV_SLICE("kabc") },
        { .name = KV_SLICE("k"), .one = KV_SLICE("abc\0") },
        { .name = KV_SLICE("k"), .one = KV_SLICE("\0abc") },
        { .name = KV_SLICE("k"), .number = 1 },
        { .name = KV_SLICE("k"), .count = 1 },
        { .name = KV_SLICE("k"), .part = 1 },
        { .name = KV_SLICE("k"), .number = 256 },
        { .name = KV_SLICE("k"), .number = -1 },
        { .name = KV_SLICE("k"), .bytes = KV_SLICE("\0\0\0\0\0\0\0\1") },
        { .part = 0 },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++)
        for (size_t j = 0; j < i; j++) {
            hash a = hash_of(&rows[i]), b = hash_of(&rows[j]);

            if (memcmp(&a, &b, sizeof(a)) == 0)
                fail_msg("rows %zu and %zu hash alike", i, j);
        }
}

/* A value that spells what the encoding of two columns would be. */
static void a_value_cannot_play_another_column(void **state)
{
    static const char forged[] = "x"
                                 "\0\0\0\0\0\0\0\3two\1"
                                 "\0\0\0\0\0\0\0\1y";
    sample_row two = { .name = KV_SLICE("k"), .one = KV_SLICE("x"), .two = KV_SLICE("y") };
    sample_row one = { .name = KV_SLICE("k"), .one = KV_SLICE(forged) };
    hash a = hash_of(&two), b = hash_of(&one);

    (void)state;
    assert_memory_not_equal(&a, &b, sizeof(a));
}

static void a_column_added_later_leaves_older_hashes(void **state)
{
    kv_table older = sample_table;
    sample_row row = { .name = KV_SLICE("k"), .one = KV_SLICE("x") };
    kv_encoder encoder = kv_encode_begin(EVP_sha256());
    hash now = hash_of(&row), before;

    (void)state;
    older.column_count--;
    kv_encode_columns(&encoder, &older, &row);
    assert_true(kv_encode_finish(&encoder, before.bytes, sizeof(before.bytes)));
    assert_memory_equal(&now, &before, sizeof(now));
}

static void a_key_hash_covers_table_and_key_only(void **state)
{
    kv_table other = sample_table;
    sample_row row = { .name = KV_SLICE("k"), .part = 3, .one = KV_SLICE("x") };
    sample_row changed = row;
    hash a, b;

    (void)state;
    changed.one = KV_SLICE("y");
    changed.head.generation = 4;
    assert_true(kv_encode_key_hash(&sample_table, &row, a.bytes));
    assert_true(kv_encode_key_hash(&sample_table, &changed, b.bytes));
    assert_memory_equal(&a, &b, sizeof(a));
    changed.part = 4;
    assert_true(kv_encode_key_hash(&sample_table, &changed, b.bytes));
    assert_memory_not_equal(&a, &b, sizeof(a));
    other.name = "others";
    assert_true(kv_encode_key_hash(&other, &row, b.bytes));
    assert_memory_not_equal(&a, &b, sizeof(a));
}

static void finishing_needs_the_right_length(void **state)
{
    kv_encoder encoder = kv_encode_begin(EVP_sha256());
    uint8_t out[64];

    (void)state;
    assert_false(kv_encode_finish(&encoder, out, 31));
    assert_false(kv_encode_finish(&encoder, out, 32)); /* it is over */
    encoder = kv_encode_begin(EVP_shake256());
    assert_true(kv_encode_finish(&encoder, out, 61));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_that_move_between_columns_change_the_hash),
        cmocka_unit_test(a_value_cannot_play_another_column),
        cmocka_unit_test(a_column_added_later_leaves_older_hashes),
        cmocka_unit_test(a_key_hash_covers_table_and_key_only),
        cmocka_unit_test(finishing_needs_the_right_length),
    };

    return cmocka_run_group_tests_name("encode", tests, NULL, NULL);
}
