/* test_ranges.c - the ranges that rows are counted by. */
#include <stdlib.h>

#include "tests/contract/store/many_rows.h"

enum { MOST_RANGES = 64 };

static const kv_table *const table = &kv_table_principals;
static const kv_table *const first_tables[] = { &kv_table_signers, NULL };

static unsigned ranges_of(store_fixture *fixture, kv_span *spans)
{
    kv_sorted_key from = { 0 };
    kv_error err = { 0 };
    unsigned count = 0;

    do {
        assert_true(count < MOST_RANGES);
        assert_kv_ok(
            fixture->store->ops->range(fixture->store, table, &from, true, &spans[count], &err));
        from = spans[count].next;
    } while (!spans[count++].last);
    return count;
}

static void ranges_are_cut_and_dropped(void **state)
{
    kv_span *spans = calloc(MOST_RANGES, sizeof(*spans));
    store_fixture *fixture = *state;
    kv_store_state empty, full, after;
    kv_error err = { 0 };

    assert_non_null(spans);
    assert_kv_ok(fixture->store->ops->state(fixture->store, &empty, &err));
    assert_int_equal(ranges_of(fixture, spans), 1);
    many_insert(fixture, ROWS);
    assert_in_range(ranges_of(fixture, spans), ROWS / KV_RANGE_ROWS + 1,
                    2 * ROWS / KV_RANGE_ROWS + 1);
    assert_kv_ok(kv_records_compare(fixture->records, &err));
    assert_kv_ok(fixture->store->ops->state(fixture->store, &full, &err));
    assert_memory_not_equal(full.digest, empty.digest, sizeof(full.digest));
    assert_kv_ok(many_change(fixture, kv_change_update, 1, BATCH, &err));
    assert_kv_ok(kv_records_compare(fixture->records, &err));
    for (unsigned i = 1; i <= ROWS; i += BATCH) {
        assert_kv_ok(many_change(fixture, kv_change_delete, i, i + BATCH - 1, &err));
        assert_kv_ok(kv_records_compare(fixture->records, &err));
    }
    assert_int_equal(ranges_of(fixture, spans), 1);
    assert_kv_ok(fixture->store->ops->state(fixture->store, &after, &err));
    assert_memory_equal(after.digest, empty.digest, sizeof(after.digest));
    free(spans);
}

/* Nor does a range go whose keys somebody else uses. */
static void a_range_is_dropped_only_when_empty(void **state)
{
    store_fixture *fixture = *state;
    kv_principal_row *row = many_row(fixture, 1);
    kv_principal_row *other = many_row(fixture, 2);
    kv_error err = { 0 };

    assert_kv_ok(fixture_insert(fixture, table, row, &err));
    (void)fixture_attack(fixture, "CREATE TABLE aside AS SELECT * FROM principals");
    assert_kv_ok(fixture_delete(fixture, table, row, &err));
    assert_kv_ok(fixture_insert(fixture, table, other, &err));
    (void)fixture_attack(fixture, "INSERT INTO principals SELECT * FROM aside");
    many_assert_broken(fixture_delete(fixture, table, other, &err), &err);
    many_assert_broken(kv_records_compare(fixture->records, &err), &err);
}

/* --- the ranges themselves --- */

static void refuses_edited_ranges(void **state)
{
    static const char *const edits[] = {
        "UPDATE store_ranges SET first = x'01' WHERE length(first) = 0",
        "UPDATE store_ranges SET rows = rows + 1 WHERE id = 1",
        "UPDATE store_ranges SET multiset = zeroblob(2048) WHERE id = 1",
        "UPDATE store_ranges SET multiset = x'00' WHERE id = 1",
        "UPDATE store_ranges SET of_table = 'signers' WHERE id = 1",
        "UPDATE store_ranges SET of_table = 'nothing' WHERE id = 1",
        "DELETE FROM store_ranges WHERE id = 1",
        "DELETE FROM store_ranges",
        "INSERT INTO store_ranges (of_table, first, rows, multiset) "
        "VALUES ('signers', x'', 0, zeroblob(2048))",
        "INSERT INTO store_ranges (of_table, first, rows, multiset) "
        "VALUES ('signers', zeroblob(2000), 0, zeroblob(2048))",
    };
    store_fixture *fixture = *state;

    many_insert(fixture, KV_RANGE_ROWS + 10);
    (void)fixture_attack(fixture, "CREATE TABLE keep AS SELECT * FROM store_ranges");
    for (size_t i = 0; i < KV_COUNT(edits); i++) {
        kv_verified *verified;
        kv_error err = { 0 };

        assert_true(fixture_attack(fixture, edits[i]) > 0);
        fixture_reopen(fixture);
        verified = kv_verified_begin(fixture->store, first_tables);
        assert_non_null(verified);
        many_assert_broken(kv_verified_wait(verified, 0, &err), &err);
        kv_verified_free(verified);
        many_assert_broken(kv_records_compare(fixture->records, &err), &err);
        (void)fixture_attack(fixture, "DELETE FROM store_ranges;"
                                      "INSERT INTO store_ranges SELECT * FROM keep");
        assert_kv_ok(kv_records_compare(fixture->records, &err));
    }
}

/* A row that no key of the primary index leads to: the table is counted past its indexes. */
static void finds_a_row_beside_the_index(void **state)
{
    static const char without_index[] =
        "PRAGMA writable_schema = ON;"
        "CREATE TABLE aside AS SELECT * FROM principals;"
        "CREATE TABLE schema_kept AS SELECT * FROM sqlite_schema WHERE tbl_name = 'principals';"
        "DELETE FROM sqlite_schema WHERE tbl_name = 'principals' AND type = 'index';"
        "UPDATE sqlite_schema SET sql = replace(sql, 'PRIMARY KEY (\"id\")', 'CHECK (1)') "
        "WHERE name = 'principals'";
    static const char put_back[] = "INSERT INTO principals SELECT * FROM aside;"
                                   "PRAGMA writable_schema = ON;"
                                   "DELETE FROM sqlite_schema WHERE tbl_name = 'principals';"
                                   "INSERT INTO sqlite_schema SELECT * FROM schema_kept";
    store_fixture *fixture = *state;
    kv_principal_row *row = many_row(fixture, 1);
    kv_error err = { 0 };

    assert_kv_ok(fixture_insert(fixture, table, row, &err));
    fixture_shut(fixture);
    (void)fixture_attack(fixture, without_index);
    (void)fixture_attack(fixture, put_back);
    assert_kv_ok(fixture_start(fixture, false, &err));
    assert_kv_ok(kv_records_get(fixture->records, table, row, &fixture->arena, &err));
    many_assert_broken(kv_records_compare(fixture->records, &err), &err);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(ranges_are_cut_and_dropped),
        STORE_TEST(a_range_is_dropped_only_when_empty),
        STORE_TEST(refuses_edited_ranges),
        STORE_TEST(finds_a_row_beside_the_index),
    };

    return cmocka_run_group_tests_name("ranges", tests, NULL, NULL);
}
