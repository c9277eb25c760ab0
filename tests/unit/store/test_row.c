/* test_row.c - columns by offset, keys as text, orders of indexes. */
#include "server/store/row.h"

#include "tests/unit/store/sample_rows.h"

static void columns_are_read_and_written_by_descriptor(void **state)
{
    sample_row row = { 0 }, other = { 0 };
    const kv_column *one = &sample_table.columns[2], *number = &sample_table.columns[5];

    (void)state;
    kv_row_set_slice(one, &row, KV_SLICE("x"));
    kv_row_set_integer(number, &row, -5);
    assert_slice_equal(KV_SLICE("x"), row.one);
    assert_int_equal(row.number, -5);
    assert_slice_equal(KV_SLICE("x"), kv_row_slice(one, &row));
    assert_int_equal(kv_row_integer(number, &row), -5);
    assert_false(kv_row_column_equal(one, &row, &other));
    assert_false(kv_row_column_equal(number, &row, &other));
    other.one = row.one;
    other.number = -5;
    assert_true(kv_row_column_equal(one, &row, &other));
    assert_true(kv_row_column_equal(number, &row, &other));
}

static void assert_key(kv_slice name, int64_t part, const char *expected)
{
    sample_row row = { .name = name, .part = part };
    char text[KV_ROW_KEY_BYTES];

    kv_row_key_text(&sample_table, &row, text);
    assert_string_equal(text, expected);
}

static void keys_are_spelled_for_people(void **state)
{
    (void)state;
    assert_key(KV_SLICE("web"), 3, "web/3");
    assert_key(KV_SLICE(""), -9, "/-9");
    assert_key(KV_SLICE("caf\xc3\xa9"), 0, "caf\xc3\xa9/0");
    assert_key(KV_SLICE("a\nb"), 1, "610a62/1");
    assert_key(KV_SLICE("\xff\x00"), 1, "ff00/1");
}

static void long_keys_stay_apart(void **state)
{
    char name[127] = "";
    sample_row row = { .name = kv_slice_of(name, sizeof(name)) };
    char a[KV_ROW_KEY_BYTES], b[KV_ROW_KEY_BYTES];

    (void)state;
    memset(name, 'n', sizeof(name));
    kv_row_key_text(&sample_table, &row, a);
    assert_int_equal(strlen(a), KV_ROW_KEY_BYTES - 1);
    assert_int_equal(a[0], 'n');
    assert_non_null(strchr(a, '~'));
    name[126] = 'm';
    kv_row_key_text(&sample_table, &row, b);
    assert_string_not_equal(a, b);
    row.part = 1;
    kv_row_key_text(&sample_table, &row, a);
    assert_string_not_equal(a, b);
}

static void an_index_orders_by_itself_then_by_key(void **state)
{
    unsigned order[KV_TABLE_COLUMNS];

    (void)state;
    assert_int_equal(kv_table_order(&sample_table, 0, order), 2);
    assert_int_equal(order[0], 0);
    assert_int_equal(order[1], 1);
    assert_int_equal(kv_table_order(&sample_table, 1, order), 3);
    assert_int_equal(order[0], 2);
    assert_int_equal(order[1], 1); /* of the index; not again for the key */
    assert_int_equal(order[2], 0);
    assert_int_equal(kv_table_order(&sample_table, 2, order), 1);
    assert_int_equal(order[0], 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_read_and_written_by_descriptor),
        cmocka_unit_test(keys_are_spelled_for_people),
        cmocka_unit_test(long_keys_stay_apart),
        cmocka_unit_test(an_index_orders_by_itself_then_by_key),
    };

    return cmocka_run_group_tests_name("row", tests, NULL, NULL);
}
