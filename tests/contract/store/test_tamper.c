/* test_tamper.c - whoever edits the database gets a refusal: every column of every sealed table. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/store/row.h"
#include "tests/contract/store/store_fixture.h"

/* Which of the three head columns; then the table's own. */
static const char *const head_columns[] = { "generation", "seal", "seal_key" };

/* The new value; % is the column. */
static const char *edit_of(const kv_table *table, unsigned number)
{
    kv_column_kind kind;

    if (number < KV_COUNT(head_columns))
        kind = number == 0 ? KV_COLUMN_INTEGER : KV_COLUMN_BLOB;
    else
        kind = table->columns[number - KV_COUNT(head_columns)].kind;
    switch (kind) {
    case KV_COLUMN_INTEGER:
        return "% + 1";
    case KV_COLUMN_TEXT:
        return "% || 'x'";
    case KV_COLUMN_BLOB: /* the first byte becomes another, the length stays */
        return "CAST(CASE substr(%, 1, 1) WHEN x'ee' THEN x'11' ELSE x'ee' END || "
               "substr(%, 2) AS BLOB)";
    }
    return "";
}

static const char *name_of(const kv_table *table, unsigned number)
{
    if (number < KV_COUNT(head_columns))
        return head_columns[number];
    return table->columns[number - KV_COUNT(head_columns)].name;
}

static void edit(const store_fixture *fixture, const kv_table *table, unsigned number)
{
    const char *name = name_of(table, number);
    size_t len = 0;
    char sql[512];

    len += (size_t)snprintf(sql, sizeof(sql), "UPDATE \"%s\" SET \"%s\" = ", table->name, name);
    for (const char *at = edit_of(table, number); *at; at++)
        if (at[0] == '%')
            len += (size_t)snprintf(sql + len, sizeof(sql) - len, "\"%s\"", name);
        else
            len += (size_t)snprintf(sql + len, sizeof(sql) - len, "%c", *at);
    assert_true(len < sizeof(sql));
    assert_int_equal(fixture_attack(fixture, sql), 1);
}

static void assert_refused(kv_status status, const kv_error *err, const char *table)
{
    assert_int_equal(status, KV_INTERNAL);
    assert_int_equal(err->reason, KV_REASON_INTEGRITY);
    assert_string_equal(err->message, "stored data failed its integrity check");
    assert_non_null(strstr(err->detail, table));
}

/* Reads by key where that was not edited, and by scan in any case. */
static void assert_reads_are_refused(store_fixture *fixture, const kv_table *table, void *row,
                                     bool key_edited)
{
    kv_scan scan = { .table = table, .limit = 10 };
    kv_rows rows;
    kv_error err = { 0 };
    kv_status status = kv_records_get(fixture->records, table, row, &fixture->arena, &err);

    if (key_edited)
        assert_int_equal(status, KV_NOT_FOUND);
    else
        assert_refused(status, &err, table->name);
    assert_refused(kv_records_scan(fixture->records, &scan, &fixture->arena, &rows, &err), &err,
                   table->name);
}

static void assert_sweep_names(store_fixture *fixture, const kv_table *table, const void *row,
                               bool key_edited)
{
    const kv_table *const only[] = { table, NULL };
    char key[KV_ROW_KEY_BYTES];
    kv_error err = { 0 };

    assert_refused(kv_records_sweep(fixture->records, NULL, &err), &err, table->name);
    assert_refused(kv_records_sweep(fixture->records, only, &err), &err, table->name);
    kv_row_key_text(table, row, key);
    if (!key_edited && !strstr(err.detail, key))
        fail_msg("'%s' does not name '%s'", err.detail, key);
}

static void refuses_an_edit_of_any_column(void **state)
{
    store_fixture *fixture = *state;
    unsigned edits = 0;
    kv_error err = { 0 };

    for (size_t t = 0; t < kv_tables_count; t++) {
        const kv_table *table = kv_tables[t];

        if (!table->sealed)
            continue;
        for (unsigned i = 0; i < KV_COUNT(head_columns) + table->column_count; i++, edits++) {
            void *row = fixture_row(table, &fixture->arena, i + 1, i);
            bool key_edited =
                i >= KV_COUNT(head_columns) && i < KV_COUNT(head_columns) + table->key_count;
            char sql[128];

            assert_kv_ok(fixture_insert(fixture, table, row, &err));
            /* Verified and remembered: memory must not hide the edit. */
            assert_kv_ok(kv_records_get(fixture->records, table, row, &fixture->arena, &err));
            edit(fixture, table, i);
            assert_reads_are_refused(fixture, table, row, key_edited);
            assert_sweep_names(fixture, table, row, key_edited);
            (void)snprintf(sql, sizeof(sql), "DELETE FROM \"%s\"", table->name);
            assert_int_equal(fixture_attack(fixture, sql), 1);
        }
    }
    assert_true(edits > 150);
}

/* Two rows of each table: each gets everything of the other but the key. */
static void refuses_rows_that_changed_places(void **state)
{
    store_fixture *fixture = *state;
    kv_error err = { 0 };

    for (size_t t = 0; t < kv_tables_count; t++) {
        const kv_table *table = kv_tables[t];
        unsigned last = table->key_count - 1;
        const char *key = table->columns[last].name;
        void *one = fixture_row(table, &fixture->arena, 1, 0);
        void *two = fixture_row(table, &fixture->arena, 2, 0);
        bool integer = table->columns[last].kind == KV_COLUMN_INTEGER;
        bool text = table->columns[last].kind == KV_COLUMN_TEXT;
        const char *parked = integer ? "-1" : text ? "'parked'" : "x'00'";
        char sql[512];

        if (!table->sealed)
            continue;
        assert_kv_ok(fixture_insert(fixture, table, one, &err));
        assert_kv_ok(fixture_insert(fixture, table, two, &err));
        (void)snprintf(sql, sizeof(sql),
                       "CREATE TEMP TABLE k AS SELECT \"%s\" AS v FROM \"%s\";"
                       "UPDATE \"%s\" SET \"%s\" = %s "
                       "WHERE \"%s\" = (SELECT v FROM k WHERE rowid = 1);"
                       "UPDATE \"%s\" SET \"%s\" = (SELECT v FROM k WHERE rowid = 1) "
                       "WHERE \"%s\" = (SELECT v FROM k WHERE rowid = 2);"
                       "UPDATE \"%s\" SET \"%s\" = (SELECT v FROM k WHERE rowid = 2) "
                       "WHERE \"%s\" = %s",
                       key, table->name, table->name, key, parked, key, table->name, key, key,
                       table->name, key, key, parked);
        (void)fixture_attack(fixture, sql);
        assert_reads_are_refused(fixture, table, one, false);
        assert_reads_are_refused(fixture, table, two, false);
    }
}

/* Sealed by the same key for another server. */
static void refuses_rows_of_another_instance(void **state)
{
    static const uint8_t other[16] = { 9 };
    store_fixture *fixture = *state;
    kv_records_config config = { .store = fixture->store,
                                 .sealer = kv_software_sealer_lend(fixture->sealer),
                                 .instance = kv_slice_of(other, sizeof(other)) };
    const kv_table *table = &kv_table_signers;
    void *row = fixture_row(table, &fixture->arena, 1, 0);
    kv_records *mine = fixture->records;
    kv_error err = { 0 };

    assert_kv_ok(kv_records_open(&config, &fixture->records, &err));
    assert_kv_ok(fixture_insert(fixture, table, row, &err));
    assert_kv_ok(kv_records_get(fixture->records, table, row, &fixture->arena, &err));
    kv_records_close(fixture->records);
    fixture->records = mine;
    assert_reads_are_refused(fixture, table, row, false);
}

/* As a start does. */
static kv_status count_and_compare(store_fixture *fixture, kv_error *err)
{
    static const kv_table *const first[] = { &kv_table_signers, NULL };
    kv_verified *verified = kv_verified_begin(fixture->store, first);
    kv_status status;

    assert_non_null(verified);
    *err = (kv_error){ 0 };
    status = kv_verified_finish(verified, err);
    kv_verified_free(verified);
    return status;
}

static void assert_only_the_set_is_wrong(store_fixture *fixture)
{
    const kv_table *const only[] = { &kv_table_principals, NULL };
    kv_error err = { 0 };

    fixture_reopen(fixture);
    assert_kv_ok(kv_records_sweep(fixture->records, only, &err));
    assert_refused(kv_records_sweep(fixture->records, NULL, &err), &err, "set of rows");
    assert_refused(kv_records_compare(fixture->records, &err), &err, "set of rows");
    assert_refused(count_and_compare(fixture, &err), &err, "set of rows");
}

/* Its seal is valid; only the set of rows tells. */
static void finds_an_older_row_put_back(void **state)
{
    store_fixture *fixture = *state;
    const kv_table *table = &kv_table_principals;
    kv_principal_row *row = fixture_row(table, &fixture->arena, 1, 0);
    kv_error err = { 0 };

    assert_kv_ok(fixture_insert(fixture, table, row, &err));
    (void)fixture_attack(fixture, "CREATE TABLE aside AS SELECT * FROM principals");
    row->disabled = 1;
    assert_kv_ok(fixture_update(fixture, table, row, &err));
    assert_kv_ok(kv_records_sweep(fixture->records, NULL, &err));
    assert_kv_ok(count_and_compare(fixture, &err));
    (void)fixture_attack(fixture, "DELETE FROM principals;"
                                  "INSERT INTO principals SELECT * FROM aside");
    assert_kv_ok(kv_records_get(fixture->records, table, row, &fixture->arena, &err));
    assert_int_not_equal(row->disabled, 1);
    assert_only_the_set_is_wrong(fixture);
}

static void finds_a_row_taken_away(void **state)
{
    store_fixture *fixture = *state;
    const kv_table *table = &kv_table_principals;
    kv_error err = { 0 };

    for (unsigned i = 1; i < 4; i++)
        assert_kv_ok(
            fixture_insert(fixture, table, fixture_row(table, &fixture->arena, i, 0), &err));
    assert_int_equal(fixture_attack(fixture, "DELETE FROM principals WHERE rowid = 2"), 1);
    assert_only_the_set_is_wrong(fixture);
}

static void finds_a_deleted_row_put_back(void **state)
{
    store_fixture *fixture = *state;
    const kv_table *table = &kv_table_principals;
    void *row = fixture_row(table, &fixture->arena, 1, 0);
    kv_error err = { 0 };

    assert_kv_ok(fixture_insert(fixture, table, row, &err));
    (void)fixture_attack(fixture, "CREATE TABLE aside AS SELECT * FROM principals");
    assert_kv_ok(fixture_delete(fixture, table, row, &err));
    (void)fixture_attack(fixture, "INSERT INTO principals SELECT * FROM aside");
    assert_only_the_set_is_wrong(fixture);
}

enum { MANY = 150, ALARMS = 100, LINES_BYTES = 64 << 10 };

/* How often `what` is in what a sweep tells the operator, who gets `lines`. */
static unsigned alarms_of_sweep(store_fixture *fixture, char *lines, const char *what)
{
    kv_records_config config = { .store = fixture->store,
                                 .sealer = kv_software_sealer_lend(fixture->sealer),
                                 .instance =
                                     kv_slice_of(fixture_instance, sizeof(fixture_instance)) };
    unsigned count = 0;
    int ends[2];
    ssize_t len;
    kv_error err = { 0 };

    assert_int_equal(pipe(ends), 0);
    config.log = kv_log_new(ends[1], KV_LOG_ERROR);
    kv_records_close(fixture->records);
    assert_kv_ok(kv_records_open(&config, &fixture->records, &err));
    assert_refused(kv_records_sweep(fixture->records, NULL, &err), &err, "table principals");
    len = read(ends[0], lines, LINES_BYTES - 1);
    assert_true(len > 0);
    lines[len] = '\0';
    for (const char *at = lines; (at = strstr(at, what)); at += strlen(what))
        count++;
    kv_records_close(fixture->records);
    kv_log_free(config.log);
    config.log = NULL;
    assert_kv_ok(kv_records_open(&config, &fixture->records, &err));
    (void)close(ends[0]);
    (void)close(ends[1]);
    return count;
}

/* At once: each commit waits for the disk. */
static void insert_many(store_fixture *fixture, const kv_table *table)
{
    kv_change change = { 0 };
    kv_error err = { 0 };

    change.pending = (kv_pending){ KV_SLICE("node"), KV_SLICE("request"), KV_SLICE("record") };
    assert_kv_ok(kv_change_room(&change, &fixture->arena, MANY, &err));
    for (unsigned i = 1; i <= MANY; i++)
        assert_kv_ok(
            kv_change_insert(&change, table, fixture_row(table, &fixture->arena, i, 0), &err));
    assert_kv_ok(kv_records_seal(fixture->records, &change, &fixture->arena, &err));
    assert_kv_ok(kv_records_apply(fixture->records, &change, NULL, &err));
}

/* Whoever edits many rows does not hide the others behind the first one. */
static void tells_of_every_bad_row(void **state)
{
    store_fixture *fixture = *state;
    char *lines = malloc(LINES_BYTES);
    kv_error err = { 0 };

    insert_many(fixture, &kv_table_principals);
    assert_kv_ok(fixture_insert(fixture, &kv_table_signers,
                                fixture_row(&kv_table_signers, &fixture->arena, 1, 0), &err));
    assert_int_equal(
        fixture_attack(fixture, "UPDATE principals SET epoch = epoch + 1 WHERE rowid IN (2, 140)"),
        2);
    assert_int_equal(fixture_attack(fixture, "UPDATE signers SET created = created + 1"), 1);
    assert_int_equal(alarms_of_sweep(fixture, lines, "store.integrity"), 3);
    assert_int_equal(alarms_of_sweep(fixture, lines, "table principals"), 2);
    assert_int_equal(alarms_of_sweep(fixture, lines, "table signers"), 1);
    assert_int_equal(fixture_attack(fixture, "UPDATE principals SET epoch = epoch + 1"), MANY);
    assert_int_equal(alarms_of_sweep(fixture, lines, "store.integrity"), ALARMS);
    free(lines);
}

static void a_comparison_may_be_given_up(void **state)
{
    static const kv_table *const first[] = { NULL };
    store_fixture *fixture = *state;

    kv_verified_free(kv_verified_begin(fixture->store, first));
    kv_verified_free(NULL);
}

/* The state itself: without it no change is possible and no sweep passes. */
static void refuses_a_spoiled_state(void **state)
{
    store_fixture *fixture = *state;
    const kv_table *table = &kv_table_principals;
    kv_error err = { 0 };

    (void)fixture_attack(fixture, "UPDATE store_state SET multiset = x'00'");
    assert_refused(fixture_insert(fixture, table, fixture_row(table, &fixture->arena, 1, 0), &err),
                   &err, "store_state");
    (void)fixture_attack(fixture, "DELETE FROM store_state");
    assert_refused(kv_records_sweep(fixture->records, NULL, &err), &err, "store_state");
    assert_refused(count_and_compare(fixture, &err), &err, "store_state");
}

/* A trigger is code in the database; ours does not run it. */
static void runs_no_triggers(void **state)
{
    store_fixture *fixture = *state;
    const kv_table *table = &kv_table_principals;
    kv_assignment_row *grant = fixture_row(&kv_table_assignments, &fixture->arena, 1, 0);
    kv_error err = { 0 };

    assert_kv_ok(fixture_insert(fixture, &kv_table_assignments, grant, &err));
    (void)fixture_attack(fixture, "CREATE TRIGGER t AFTER INSERT ON principals "
                                  "BEGIN DELETE FROM assignments; END");
    assert_kv_ok(fixture_insert(fixture, table, fixture_row(table, &fixture->arena, 1, 0), &err));
    assert_kv_ok(
        kv_records_get(fixture->records, &kv_table_assignments, grant, &fixture->arena, &err));
}

#define TAMPER_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TAMPER_TEST(refuses_an_edit_of_any_column),
        TAMPER_TEST(refuses_rows_that_changed_places),
        TAMPER_TEST(refuses_rows_of_another_instance),
        TAMPER_TEST(finds_an_older_row_put_back),
        TAMPER_TEST(finds_a_row_taken_away),
        TAMPER_TEST(finds_a_deleted_row_put_back),
        TAMPER_TEST(tells_of_every_bad_row),
        TAMPER_TEST(a_comparison_may_be_given_up),
        TAMPER_TEST(refuses_a_spoiled_state),
        TAMPER_TEST(runs_no_triggers),
    };

    return cmocka_run_group_tests_name("tamper", tests, NULL, NULL);
}
