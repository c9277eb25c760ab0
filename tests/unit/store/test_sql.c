/* test_sql.c - the text of the statements. */
#include "server/store/sql.h"

#include "server/store/schema.h"
#include "tests/unit/store/sample_rows.h"

#define COLUMNS                                                     \
    "\"name\", \"part\", \"one\", \"two\", \"bytes\", \"number\", " \
    "\"count\", \"generation\", \"seal\", \"seal_key\""

static const struct {
    kv_sql_shape shape;
    const char *text;
} rows[] = {
    { { &sample_table, KV_SQL_GET, 0, 0, false },
      "SELECT " COLUMNS " FROM \"samples\" WHERE \"name\" = $1 AND \"part\" = $2" },
    { { &sample_table, KV_SQL_SCAN, 0, 0, false },
      "SELECT " COLUMNS " FROM \"samples\" ORDER BY \"name\", \"part\" LIMIT $1" },
    { { &sample_table, KV_SQL_SCAN, 0, 0, true },
      "SELECT " COLUMNS " FROM \"samples\" WHERE (\"name\", \"part\") > ($1, $2) "
      "ORDER BY \"name\", \"part\" LIMIT $3" },
    { { &sample_table, KV_SQL_SCAN, 1, 1, true },
      "SELECT " COLUMNS " FROM \"samples\" WHERE \"one\" = $1 AND (\"part\", \"name\") > ($2, $3) "
      "ORDER BY \"one\", \"part\", \"name\" LIMIT $4" },
    { { &sample_table, KV_SQL_SCAN, 2, 1, true },
      "SELECT " COLUMNS " FROM \"samples\" WHERE \"two\" = $1 AND 1 = 0 "
      "ORDER BY \"two\" LIMIT $2" },
    { { &sample_table, KV_SQL_INSERT, 0, 0, false },
      "INSERT INTO \"samples\" (" COLUMNS ") "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)" },
    { { &sample_table, KV_SQL_UPDATE, 0, 0, false },
      "UPDATE \"samples\" SET \"one\" = $1, \"two\" = $2, \"bytes\" = $3, \"number\" = $4, "
      "\"count\" = $5, \"generation\" = $6, \"seal\" = $7, \"seal_key\" = $8 "
      "WHERE \"name\" = $9 AND \"part\" = $10 AND \"generation\" = $11" },
    { { &sample_table, KV_SQL_DELETE, 0, 0, false },
      "DELETE FROM \"samples\" WHERE \"name\" = $1 AND \"part\" = $2 AND \"generation\" = $3" },
    { { &sample_table, KV_SQL_WALK, 0, 0, false },
      "SELECT \"name\", \"part\", \"generation\" FROM \"samples\" ORDER BY \"name\", \"part\"" },
    { { &sample_table, KV_SQL_WALK, 0, 0, true },
      "SELECT \"name\", \"part\", \"generation\" FROM \"samples\" "
      "WHERE (\"name\", \"part\") >= ($1, $2) ORDER BY \"name\", \"part\"" },
};

static void spells_every_statement(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        char text[KV_SQL_BYTES];

        assert_true(kv_sql_text(&rows[i].shape, text));
        assert_string_equal(text, rows[i].text);
    }
}

static void spells_the_schema(void **state)
{
    const kv_sql_dialect dialect = { "BIGINT", "TEXT", "BYTEA", "" };
    char text[KV_SQL_BYTES];

    (void)state;
    assert_true(kv_sql_create_table(&sample_table, &dialect, text));
    assert_string_equal(text, "CREATE TABLE \"samples\" (\n"
                              "    \"name\" TEXT NOT NULL,\n"
                              "    \"part\" BIGINT NOT NULL,\n"
                              "    \"one\" TEXT NOT NULL,\n"
                              "    \"two\" TEXT NOT NULL,\n"
                              "    \"bytes\" BYTEA NOT NULL,\n"
                              "    \"number\" BIGINT NOT NULL,\n"
                              "    \"count\" BIGINT NOT NULL,\n"
                              "    \"generation\" BIGINT NOT NULL,\n"
                              "    \"seal\" BYTEA NOT NULL,\n"
                              "    \"seal_key\" BYTEA NOT NULL,\n"
                              "    PRIMARY KEY (\"name\", \"part\")\n)");
    assert_true(kv_sql_create_index(&sample_table, 1, text));
    assert_string_equal(text, "CREATE INDEX \"samples_by_one\" ON \"samples\" "
                              "(\"one\", \"part\", \"name\")");
    assert_true(kv_sql_create_index(&sample_table, 2, text));
    assert_string_equal(text, "CREATE UNIQUE INDEX \"samples_by_two\" ON \"samples\" (\"two\")");
}

static void every_statement_fits(void **state)
{
    (void)state;
    for (size_t i = 0; i < kv_tables_count; i++)
        for (int verb = KV_SQL_GET; verb <= KV_SQL_WALK; verb++)
            for (unsigned index = 0; index <= kv_tables[i]->index_count; index++) {
                kv_sql_shape shape = { kv_tables[i], (kv_sql_verb)verb, index, 0, true };
                char text[KV_SQL_BYTES];

                assert_true(kv_sql_text(&shape, text));
            }
}

static void says_when_a_statement_does_not_fit(void **state)
{
    static char name[KV_SQL_BYTES];
    kv_table table = sample_table;
    kv_sql_shape shape = { .table = &table, .verb = KV_SQL_GET };
    char text[KV_SQL_BYTES];

    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    table.name = name;
    assert_false(kv_sql_text(&shape, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spells_every_statement),
        cmocka_unit_test(spells_the_schema),
        cmocka_unit_test(every_statement_fits),
        cmocka_unit_test(says_when_a_statement_does_not_fit),
    };

    return cmocka_run_group_tests_name("sql", tests, NULL, NULL);
}
