/* store_fixture.c - stores to test, in folders that go away again. */
#include "tests/contract/store/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

#include "server/store/row.h"

const uint8_t fixture_instance[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

static void make_folder(store_fixture *fixture)
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(fixture->folder, sizeof(fixture->folder), "%s/kv-store-XXXXXX",
                   base && strlen(base) < 64 ? base : "/tmp");
    assert_non_null(mkdtemp(fixture->folder));
    (void)snprintf(fixture->url, sizeof(fixture->url), "%s:%s/store.db", fixture->ops->scheme,
                   fixture->folder);
    fixture->path = strchr(fixture->url, ':') + 1;
}

kv_status fixture_start(store_fixture *fixture, bool create, kv_error *err)
{
    kv_records_config config = {
        .sealer = kv_software_sealer_lend(fixture->sealer),
        .instance = kv_slice_of(fixture_instance, sizeof(fixture_instance)),
    };

    KV_TRY(kv_store_open(fixture->url, create, &fixture->store, err));
    config.store = fixture->store;
    return kv_records_open(&config, &fixture->records, err);
}

void fixture_shut(store_fixture *fixture)
{
    kv_records_close(fixture->records);
    kv_store_close(fixture->store);
    fixture->records = NULL;
    fixture->store = NULL;
}

void fixture_reopen(store_fixture *fixture)
{
    kv_error err = { 0 };

    fixture_shut(fixture);
    assert_kv_ok(fixture_start(fixture, false, &err));
}

int fixture_open(void **state)
{
    store_fixture *fixture = calloc(1, sizeof(*fixture));
    kv_error err = { 0 };

    assert_non_null(fixture);
    fixture->ops = *state ? *state : kv_stores[0];
    fixture->arena = KV_ARENA(64 << 20);
    fixture->sealer = kv_software_sealer_new();
    make_folder(fixture);
    assert_kv_ok(fixture_start(fixture, true, &err));
    *state = fixture;
    return 0;
}

int fixture_close(void **state)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", ".lock", "-journal", ".old" };
    store_fixture *fixture = *state;

    fixture_shut(fixture);
    kv_software_sealer_free(fixture->sealer);
    kv_arena_cleanup(&fixture->arena);
    for (size_t i = 0; i < KV_COUNT(suffixes); i++) {
        char name[256];

        (void)snprintf(name, sizeof(name), "%s%s", fixture->path, suffixes[i]);
        (void)unlink(name);
    }
    assert_int_equal(rmdir(fixture->folder), 0);
    free(fixture);
    return 0;
}

/* True when rows of one group must differ here. */
static bool tells_rows_apart(const kv_table *table, unsigned column)
{
    if (column + 1 == table->key_count)
        return true;
    for (unsigned i = 0; i < table->index_count; i++)
        for (unsigned j = 0; j < table->indexes[i].column_count; j++)
            if (table->indexes[i].unique && table->indexes[i].columns[j] == column)
                return true;
    return false;
}

static kv_slice bytes_of(kv_arena *arena, unsigned column, unsigned number)
{
    uint8_t *bytes = kv_arena_alloc(arena, 16);

    assert_non_null(bytes);
    for (unsigned i = 0; i < 16; i++)
        bytes[i] = (uint8_t)(number * 37 + column * 11 + i * 5 + 1);
    bytes[0] = (uint8_t)(number * 101);
    bytes[1] = (uint8_t)number;
    bytes[2] = (uint8_t)(number >> 8);
    return kv_slice_of(bytes, 16);
}

void *fixture_row(const kv_table *table, kv_arena *arena, unsigned seed, unsigned group)
{
    void *row = kv_arena_alloc(arena, table->row_size);
    kv_error err = { 0 };

    assert_non_null(row);
    for (unsigned i = 0; i < table->column_count; i++) {
        const kv_column *column = &table->columns[i];
        unsigned number = tells_rows_apart(table, i) ? seed : group + 1000;
        kv_slice text;

        switch (column->kind) {
        case KV_COLUMN_INTEGER:
            kv_row_set_integer(column, row, (int64_t)number * 7 + i);
            break;
        case KV_COLUMN_TEXT:
            assert_kv_ok(kv_arena_print(arena, &text, &err, "%s %u é", column->name, number));
            kv_row_set_slice(column, row, text);
            break;
        case KV_COLUMN_BLOB:
            kv_row_set_slice(column, row, bytes_of(arena, i, number));
            break;
        }
    }
    return row;
}

static kv_status seal_and_apply(store_fixture *fixture, kv_change *change, kv_error *err)
{
    KV_TRY(kv_records_seal(fixture->records, change, &fixture->arena, err));
    return kv_records_apply(fixture->records, change, NULL, err);
}

kv_status fixture_insert(store_fixture *fixture, const kv_table *table, void *row, kv_error *err)
{
    kv_change change = { 0 };

    KV_TRY(kv_change_insert(&change, table, row, err));
    return seal_and_apply(fixture, &change, err);
}

kv_status fixture_update(store_fixture *fixture, const kv_table *table, void *row, kv_error *err)
{
    kv_change change = { 0 };

    KV_TRY(kv_change_update(&change, table, row, err));
    return seal_and_apply(fixture, &change, err);
}

kv_status fixture_delete(store_fixture *fixture, const kv_table *table, void *row, kv_error *err)
{
    kv_change change = { 0 };

    KV_TRY(kv_change_delete(&change, table, row, err));
    return seal_and_apply(fixture, &change, err);
}

int fixture_attack(const store_fixture *fixture, const char *sql)
{
    sqlite3 *handle = NULL;
    int changed;

    assert_int_equal(sqlite3_open_v2(fixture->path, &handle, SQLITE_OPEN_READWRITE, NULL),
                     SQLITE_OK);
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
    changed = sqlite3_total_changes(handle);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
    return changed;
}
