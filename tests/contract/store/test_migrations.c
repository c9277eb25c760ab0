/* test_migrations.c - the schema that the migrations make is the one of the descriptors. */
#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "server/store/migrations.h"
#include "server/store/row.h"
#include "server/store/schema.h"
#include "server/store/sql.h"
#include "tests/support/kv_cmocka.h"

static const kv_sql_dialect dialect = { "INTEGER", "TEXT", "BLOB", " STRICT" };

static void run(sqlite3 *handle, const char *sql)
{
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
}

static sqlite3 *migrated(void)
{
    sqlite3 *handle = NULL;

    assert_int_equal(sqlite3_open(":memory:", &handle), SQLITE_OK);
    for (size_t i = 0; i < kv_sqlite_migrations_count; i++)
        run(handle, kv_sqlite_migrations[i].sql);
    return handle;
}

static sqlite3 *described(void)
{
    sqlite3 *handle = NULL;
    char sql[KV_SQL_BYTES];

    assert_int_equal(sqlite3_open(":memory:", &handle), SQLITE_OK);
    for (size_t i = 0; i < kv_tables_count; i++) {
        assert_true(kv_sql_create_table(kv_tables[i], &dialect, sql));
        run(handle, sql);
        for (unsigned n = 1; n <= kv_tables[i]->index_count; n++) {
            assert_true(kv_sql_create_index(kv_tables[i], n, sql));
            run(handle, sql);
        }
    }
    return handle;
}

/* All that a query gives, as one text. */
static void dump(sqlite3 *handle, const char *query, const char *table, char *out, size_t size)
{
    sqlite3_stmt *statement = NULL;
    size_t len = 0;

    assert_int_equal(sqlite3_prepare_v2(handle, query, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC), SQLITE_OK);
    out[0] = '\0';
    while (sqlite3_step(statement) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *value = (const char *)sqlite3_column_text(statement, i);

            len += (size_t)snprintf(out + len, size - len, "%s%s", value ? value : "NULL",
                                    i + 1 < sqlite3_column_count(statement) ? " " : "\n");
            assert_true(len < size);
        }
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
}

static const char *const views[] = {
    "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo($1)",
    ("SELECT l.name, l.\"unique\", l.partial, x.seqno, x.name, x.\"desc\", x.coll "
     "FROM pragma_index_list($1) l, pragma_index_xinfo(l.name) x ORDER BY l.name, x.seqno"),
    "SELECT type, strict, wr FROM pragma_table_list($1)",
};

static void migrations_make_what_descriptors_say(void **state)
{
    sqlite3 *is = migrated(), *ought = described();

    (void)state;
    for (size_t t = 0; t < kv_tables_count; t++)
        for (size_t v = 0; v < KV_COUNT(views); v++) {
            char got[8192], expected[8192];

            dump(is, views[v], kv_tables[t]->name, got, sizeof(got));
            dump(ought, views[v], kv_tables[t]->name, expected, sizeof(expected));
            if (strcmp(got, expected) != 0)
                fail_msg("table %s: migrations make\n%s, descriptors say\n%s", kv_tables[t]->name,
                         got, expected);
            assert_true(v == 1 || strlen(got) > 0);
        }
    assert_int_equal(sqlite3_close(is), SQLITE_OK);
    assert_int_equal(sqlite3_close(ought), SQLITE_OK);
}

/* What SQLite would do for a statement. */
static void explain(sqlite3 *handle, const kv_sql_shape *shape, char *out, size_t size)
{
    char sql[KV_SQL_BYTES], query[KV_SQL_BYTES + 32];
    sqlite3_stmt *statement = NULL;
    size_t len = 0;

    assert_true(kv_sql_text(shape, sql));
    (void)snprintf(query, sizeof(query), "EXPLAIN QUERY PLAN %s", sql);
    assert_int_equal(sqlite3_prepare_v2(handle, query, -1, &statement, NULL), SQLITE_OK);
    out[0] = '\0';
    while (sqlite3_step(statement) == SQLITE_ROW) {
        len += (size_t)snprintf(out + len, size - len, "%s\n", sqlite3_column_text(statement, 3));
        assert_true(len < size);
    }
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
}

/* Rows come in the order of an index, and a scan starts where it should: nothing is sorted, and
 * nothing is read to be thrown away. */
static void every_scan_follows_an_index(void **state)
{
    sqlite3 *handle = migrated();
    char plan[1024];

    (void)state;
    for (size_t t = 0; t < kv_tables_count; t++)
        for (unsigned index = 0; index <= kv_tables[t]->index_count; index++) {
            unsigned order[KV_TABLE_COLUMNS];
            unsigned count = kv_table_order(kv_tables[t], index, order);

            for (unsigned p = 0; p <= count; p++)
                for (int after = 0; after <= (p < count); after++) {
                    kv_sql_shape shape = { kv_tables[t], KV_SQL_SCAN, index, p, after };

                    explain(handle, &shape, plan, sizeof(plan));
                    if (strstr(plan, "TEMP B-TREE") || ((p || after) && strstr(plan, "SCAN")))
                        fail_msg("%s, index %u, prefix %u, after %d: %s", kv_tables[t]->name, index,
                                 p, after, plan);
                }
        }
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

static void no_table_is_without_a_descriptor(void **state)
{
    sqlite3 *handle = migrated();
    sqlite3_stmt *statement = NULL;

    (void)state;
    assert_int_equal(
        sqlite3_prepare_v2(handle,
                           "SELECT count(*) FROM sqlite_schema WHERE type = 'table' "
                           "AND name NOT LIKE 'sqlite_%' AND name NOT IN "
                           "('schema_version', 'store_state', 'store_ranges', 'audit_pending')",
                           -1, &statement, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(statement, 0), kv_tables_count);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(migrations_make_what_descriptors_say),
        cmocka_unit_test(every_scan_follows_an_index),
        cmocka_unit_test(no_table_is_without_a_descriptor),
    };

    return cmocka_run_group_tests_name("migrations", tests, NULL, NULL);
}
