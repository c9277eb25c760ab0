/* test_store.c - what every backend must do with rows, changes and scans. */
#include <stdio.h>
#include <stdlib.h>

#include "server/store/row.h"
#include "tests/contract/store/store_fixture.h"

enum { ROWS = 25, GROUPS = 3, PAGE = 4 };

static void assert_rows_equal(const kv_table *table, const void *expected, const void *got)
{
    const kv_row_head *a = expected, *b = got;

    for (unsigned i = 0; i < table->column_count; i++)
        if (!kv_row_column_equal(&table->columns[i], expected, got))
            fail_msg("%s.%s differs", table->name, table->columns[i].name);
    assert_int_equal(a->generation, b->generation);
    assert_slice_equal(a->seal, b->seal);
    assert_slice_equal(a->seal_key, b->seal_key);
}

static void gives_back_every_column_of_every_table(void **state)
{
    store_fixture *fixture = *state;
    kv_error err = { 0 };

    for (size_t i = 0; i < kv_tables_count; i++) {
        const kv_table *table = kv_tables[i];
        void *row = fixture_row(table, &fixture->arena, 1, 0);
        void *found = fixture_row(table, &fixture->arena, 1, 7);

        assert_kv_ok(fixture_insert(fixture, table, row, &err));
        /* Only the key counts: give it the same. */
        for (unsigned k = 0; k < table->key_count; k++)
            if (table->columns[k].kind == KV_COLUMN_INTEGER)
                kv_row_set_integer(&table->columns[k], found,
                                   kv_row_integer(&table->columns[k], row));
            else
                kv_row_set_slice(&table->columns[k], found, kv_row_slice(&table->columns[k], row));
        assert_kv_ok(fixture->ops->get(fixture->store, table, found, &fixture->arena, &err));
        assert_rows_equal(table, row, found);
    }
}

static void keeps_empty_values_and_zero_bytes(void **state)
{
    store_fixture *fixture = *state;
    kv_vault_row row = { .name = KV_SLICE("v"), .tags = KV_SLICE("a\0b"), .uid = KV_SLICE("\0") };
    kv_vault_row found = { .name = KV_SLICE("v") };
    kv_error err = { 0 };

    assert_kv_ok(fixture_insert(fixture, &kv_table_vaults, &row, &err));
    assert_kv_ok(kv_records_get(fixture->records, &kv_table_vaults, &found, &fixture->arena, &err));
    assert_rows_equal(&kv_table_vaults, &row, &found);
}

static void does_not_find_what_is_not_there(void **state)
{
    store_fixture *fixture = *state;
    kv_vault_row row = { .name = KV_SLICE("absent"), .created = 5 };
    kv_error err = { 0 };

    assert_kv_fails(KV_NOT_FOUND, fixture->ops->get(fixture->store, &kv_table_vaults, &row,
                                                    &fixture->arena, &err));
    assert_int_equal(row.created, 5);
}

static void refuses_a_second_row_with_one_key(void **state)
{
    store_fixture *fixture = *state;
    kv_error err = { 0 };

    for (size_t i = 0; i < kv_tables_count; i++) {
        void *row = fixture_row(kv_tables[i], &fixture->arena, 1, 0);
        void *other = fixture_row(kv_tables[i], &fixture->arena, 1, 0);

        assert_kv_ok(fixture_insert(fixture, kv_tables[i], row, &err));
        assert_kv_fails(KV_EXISTS, fixture_insert(fixture, kv_tables[i], other, &err));
    }
}

static void refuses_a_second_value_in_a_unique_index(void **state)
{
    store_fixture *fixture = *state;
    kv_principal_row *first = fixture_row(&kv_table_principals, &fixture->arena, 1, 0);
    kv_principal_row *second = fixture_row(&kv_table_principals, &fixture->arena, 2, 0);
    kv_error err = { 0 };

    assert_kv_ok(fixture_insert(fixture, &kv_table_principals, first, &err));
    assert_kv_ok(fixture_insert(fixture, &kv_table_principals, second, &err));
    second->name_lower = first->name_lower;
    assert_kv_fails(KV_EXISTS, fixture_update(fixture, &kv_table_principals, second, &err));
}

static void updates_and_deletes_only_what_was_read(void **state)
{
    store_fixture *fixture = *state;
    const kv_table *table = &kv_table_vaults;
    kv_vault_row *mine = fixture_row(table, &fixture->arena, 1, 0);
    kv_vault_row theirs, found = { 0 };
    kv_error err = { 0 };

    assert_kv_ok(fixture_insert(fixture, table, mine, &err));
    theirs = *mine;
    mine->retention_days = 11;
    assert_kv_ok(fixture_update(fixture, table, mine, &err));

    theirs.retention_days = 22;
    assert_kv_fails(KV_CONFLICT, fixture_update(fixture, table, &theirs, &err));
    theirs.head.generation = 1;
    assert_kv_fails(KV_CONFLICT, fixture_delete(fixture, table, &theirs, &err));
    found.name = mine->name;
    assert_kv_ok(kv_records_get(fixture->records, table, &found, &fixture->arena, &err));
    assert_int_equal(found.retention_days, 11);

    assert_kv_ok(fixture_delete(fixture, table, &found, &err));
    assert_kv_fails(KV_NOT_FOUND,
                    kv_records_get(fixture->records, table, &found, &fixture->arena, &err));
    assert_kv_fails(KV_CONFLICT, fixture_update(fixture, table, &found, &err));
}

static void applies_all_of_a_change_or_nothing(void **state)
{
    store_fixture *fixture = *state;
    const kv_table *table = &kv_table_objects;
    kv_store_state before, after;
    kv_change change = { .pending = { KV_SLICE("node"), KV_SLICE("request"), KV_SLICE("r") } };
    kv_pending_row *pending;
    unsigned count;
    kv_error err = { 0 };

    assert_kv_ok(fixture_insert(fixture, table,
                                fixture_row(table, &fixture->arena, KV_CHANGE_OPS, 0), &err));
    assert_kv_ok(fixture->ops->state(fixture->store, &before, &err));
    for (unsigned i = 1; i <= KV_CHANGE_OPS; i++)
        assert_kv_ok(
            kv_change_insert(&change, table, fixture_row(table, &fixture->arena, i, 0), &err));
    assert_kv_fails(
        KV_INTERNAL,
        kv_change_insert(&change, table, fixture_row(table, &fixture->arena, 99, 0), &err));
    assert_kv_ok(kv_records_seal(fixture->records, &change, &fixture->arena, &err));

    /* The last of them is there already. */
    assert_kv_fails(KV_EXISTS, kv_records_apply(fixture->records, &change, &after, &err));
    assert_kv_ok(fixture->ops->state(fixture->store, &after, &err));
    assert_memory_equal(&before, &after, sizeof(before));
    assert_kv_ok(fixture->ops->pending(fixture->store, KV_SLICE("node"), &fixture->arena, &pending,
                                       &count, &err));
    assert_int_equal(count, 0);
    for (unsigned i = 1; i < KV_CHANGE_OPS; i++)
        assert_kv_fails(KV_NOT_FOUND, fixture->ops->get(fixture->store, table,
                                                        fixture_row(table, &fixture->arena, i, 0),
                                                        &fixture->arena, &err));

    change.count = KV_CHANGE_OPS - 1;
    assert_kv_ok(kv_records_apply(fixture->records, &change, &after, &err));
    assert_int_equal(after.version, before.version + 1);
    for (unsigned i = 1; i < KV_CHANGE_OPS; i++)
        assert_kv_ok(fixture->ops->get(fixture->store, table,
                                       fixture_row(table, &fixture->arena, i, 0), &fixture->arena,
                                       &err));
}

static void keeps_pending_records_until_they_are_done(void **state)
{
    static const char *const ids[] = { "zz", "aa", "mm" };
    store_fixture *fixture = *state;
    kv_slice node = KV_SLICE("node-one");
    kv_store_state states[3];
    kv_pending_row *rows;
    unsigned count;
    kv_error err = { 0 };

    for (size_t i = 0; i < KV_COUNT(ids); i++) {
        kv_change change = { .pending = { node, kv_slice_text(ids[i]), KV_SLICE("record") } };

        assert_kv_ok(kv_records_apply(fixture->records, &change, &states[i], &err));
        assert_kv_fails(KV_INTERNAL, kv_records_apply(fixture->records, &change, NULL, &err));
    }
    fixture_reopen(fixture);
    assert_kv_ok(fixture->ops->pending(fixture->store, node, &fixture->arena, &rows, &count, &err));
    assert_int_equal(count, 3);
    for (unsigned i = 0; i < count; i++) {
        assert_slice_equal(kv_slice_text(ids[i]), rows[i].request_id);
        assert_slice_equal(KV_SLICE("record"), rows[i].record);
        assert_slice_equal(node, rows[i].node);
        assert_memory_equal(&states[i], &rows[i].state, sizeof(states[i]));
    }

    assert_kv_ok(fixture->ops->pending_done(
        fixture->store, node, (kv_slice[]){ KV_SLICE("zz"), KV_SLICE("mm"), KV_SLICE("?") }, 3,
        &err));
    fixture_reopen(fixture);
    assert_kv_ok(fixture->ops->pending(fixture->store, node, &fixture->arena, &rows, &count, &err));
    assert_int_equal(count, 1);
    assert_slice_equal(KV_SLICE("aa"), rows[0].request_id);
    assert_kv_ok(fixture->ops->pending(fixture->store, KV_SLICE("other"), &fixture->arena, &rows,
                                       &count, &err));
    assert_int_equal(count, 0);
}

/* More than the queue between pending_done and the next transaction holds. */
static void forgets_thousands_of_pending_records(void **state)
{
    enum { MANY = 1500 };
    store_fixture *fixture = *state;
    kv_slice *ids = kv_arena_array(&fixture->arena, MANY, sizeof(*ids));
    kv_slice node = KV_SLICE("node");
    kv_pending_row *rows;
    unsigned count;
    kv_error err = { 0 };

    for (unsigned i = 0; i < MANY; i++) {
        assert_kv_ok(kv_arena_print(&fixture->arena, &ids[i], &err, "request %u", i));
        if (i % 100 == 0) {
            kv_change change = { .pending = { node, ids[i], KV_SLICE("r") } };

            assert_kv_ok(kv_records_apply(fixture->records, &change, NULL, &err));
        }
    }
    assert_kv_ok(fixture->ops->pending_done(fixture->store, node, ids, MANY, &err));
    assert_kv_ok(fixture->ops->pending(fixture->store, node, &fixture->arena, &rows, &count, &err));
    assert_int_equal(count, 0);
}

static void remembers_its_state(void **state)
{
    store_fixture *fixture = *state;
    kv_store_state empty, full, after;
    void *row = fixture_row(&kv_table_vaults, &fixture->arena, 1, 0);
    kv_error err = { 0 };

    assert_kv_ok(fixture->ops->state(fixture->store, &empty, &err));
    assert_int_equal(empty.version, 0);
    assert_kv_ok(fixture_insert(fixture, &kv_table_vaults, row, &err));
    fixture_reopen(fixture);
    assert_kv_ok(fixture->ops->state(fixture->store, &full, &err));
    assert_int_equal(full.version, 1);
    assert_memory_not_equal(empty.digest, full.digest, sizeof(full.digest));
    assert_kv_ok(fixture_delete(fixture, &kv_table_vaults, row, &err));
    assert_kv_ok(fixture->ops->state(fixture->store, &after, &err));
    assert_int_equal(after.version, 2);
    assert_memory_equal(empty.digest, after.digest, sizeof(after.digest));
}

static int compare_column(const kv_column *column, const void *a, const void *b)
{
    if (column->kind == KV_COLUMN_INTEGER) {
        int64_t x = kv_row_integer(column, a), y = kv_row_integer(column, b);

        return (x > y) - (x < y);
    }
    kv_slice x = kv_row_slice(column, a), y = kv_row_slice(column, b);
    int order = memcmp(x.data, y.data, x.len < y.len ? x.len : y.len);

    return order ? order : (x.len > y.len) - (x.len < y.len);
}

static int compare_rows(const kv_table *table, unsigned index, const void *a, const void *b)
{
    unsigned columns[KV_TABLE_COLUMNS];
    unsigned count = kv_table_order(table, index, columns);
    int order = 0;

    for (unsigned i = 0; i < count && !order; i++)
        order = compare_column(&table->columns[columns[i]], a, b);
    return order;
}

/* The rows a scan must give, in its order, found the slow way. */
static unsigned expected_rows(const kv_scan *scan, void *const *rows, void **out)
{
    unsigned columns[KV_TABLE_COLUMNS];
    unsigned found = 0;

    (void)kv_table_order(scan->table, scan->index, columns);
    for (unsigned i = 0; i < ROWS; i++) {
        bool in = true;
        unsigned at = found;

        for (unsigned p = 0; p < scan->prefix; p++)
            in = in && kv_row_column_equal(&scan->table->columns[columns[p]], scan->from, rows[i]);
        if (!in)
            continue;
        for (; at > 0 && compare_rows(scan->table, scan->index, out[at - 1], rows[i]) > 0; at--)
            out[at] = out[at - 1];
        out[at] = rows[i];
        found++;
    }
    return found;
}

static void check_scan(store_fixture *fixture, kv_scan scan, void *const *rows)
{
    void *expected[ROWS];
    unsigned count = expected_rows(&scan, rows, expected);
    unsigned seen = 0;
    kv_rows page = { .more = true };
    kv_error err = { 0 };

    assert_true(count > 0);
    while (page.more) {
        assert_kv_ok(kv_records_scan(fixture->records, &scan, &fixture->arena, &page, &err));
        assert_true(page.count <= PAGE);
        for (unsigned i = 0; i < page.count; i++, seen++) {
            assert_true(seen < count);
            assert_rows_equal(scan.table, expected[seen],
                              (char *)page.rows + i * scan.table->row_size);
        }
        if (page.more)
            assert_int_equal(page.count, PAGE);
        scan.from = (char *)page.rows + (page.count - 1) * scan.table->row_size;
        scan.after = true;
    }
    assert_int_equal(seen, count);
    assert_kv_ok(kv_records_scan(fixture->records, &scan, &fixture->arena, &page, &err));
    assert_int_equal(page.count, 0);
    assert_false(page.more);
}

static void scans_every_index_with_every_prefix(void **state)
{
    store_fixture *fixture = *state;
    kv_error err = { 0 };

    for (size_t t = 0; t < kv_tables_count; t++) {
        const kv_table *table = kv_tables[t];
        unsigned columns[KV_TABLE_COLUMNS];
        void *rows[ROWS];

        for (unsigned i = 0; i < ROWS; i++) {
            rows[i] = fixture_row(table, &fixture->arena, i + 1, i % GROUPS);
            assert_kv_ok(fixture_insert(fixture, table, rows[i], &err));
        }
        for (unsigned index = 0; index <= table->index_count; index++)
            for (unsigned p = 0; p <= kv_table_order(table, index, columns); p++)
                check_scan(fixture, (kv_scan){ table, index, p, rows[5], false, PAGE }, rows);
    }
}

static void refuses_malformed_scans(void **state)
{
    store_fixture *fixture = *state;
    const kv_table *table = &kv_table_vaults;
    kv_vault_row row = { 0 };
    const kv_scan bad[] = {
        { table, 0, 0, NULL, false, 0 },  { table, 0, 0, NULL, false, KV_SCAN_LIMIT + 1 },
        { table, 1, 0, NULL, false, 10 }, { table, 0, 2, &row, false, 10 },
        { table, 0, 1, NULL, false, 10 }, { table, 0, 0, NULL, true, 10 },
    };
    kv_rows rows;
    kv_error err = { 0 };

    for (size_t i = 0; i < KV_COUNT(bad); i++)
        assert_kv_fails(KV_INTERNAL,
                        fixture->ops->scan(fixture->store, &bad[i], &fixture->arena, &rows, &err));
}

static void says_when_a_scan_needs_more_memory_than_there_is(void **state)
{
    store_fixture *fixture = *state;
    KV_AUTO(kv_arena) small = KV_ARENA(256);
    kv_scan scan = { .table = &kv_table_vaults, .limit = 10 };
    kv_rows rows;
    kv_error err = { 0 };

    for (unsigned i = 1; i <= 10; i++)
        assert_kv_ok(fixture_insert(fixture, &kv_table_vaults,
                                    fixture_row(&kv_table_vaults, &fixture->arena, i, 0), &err));
    assert_kv_fails(KV_BUSY, kv_records_scan(fixture->records, &scan, &small, &rows, &err));
    assert_kv_ok(kv_records_scan(fixture->records, &scan, &fixture->arena, &rows, &err));
}

#define STORE_TEST(name) \
    cmocka_unit_test_prestate_setup_teardown(name, fixture_open, fixture_close, (void *)ops)

static int run_for(const kv_store_ops *ops)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(gives_back_every_column_of_every_table),
        STORE_TEST(keeps_empty_values_and_zero_bytes),
        STORE_TEST(does_not_find_what_is_not_there),
        STORE_TEST(refuses_a_second_row_with_one_key),
        STORE_TEST(refuses_a_second_value_in_a_unique_index),
        STORE_TEST(updates_and_deletes_only_what_was_read),
        STORE_TEST(applies_all_of_a_change_or_nothing),
        STORE_TEST(keeps_pending_records_until_they_are_done),
        STORE_TEST(forgets_thousands_of_pending_records),
        STORE_TEST(remembers_its_state),
        STORE_TEST(scans_every_index_with_every_prefix),
        STORE_TEST(refuses_malformed_scans),
        STORE_TEST(says_when_a_scan_needs_more_memory_than_there_is),
    };

    return cmocka_run_group_tests_name(ops->scheme, tests, NULL, NULL);
}

int main(void)
{
    int failed = 0;

    for (size_t i = 0; i < kv_stores_count; i++)
        failed += run_for(kv_stores[i]);
    return failed;
}
