/* sqlite_row.c - values between rows and statements. */
#include "server/store/row.h"
#include "server/store/sqlite_db.h"

kv_status kv_sqlite_not_bound(kv_error *err)
{
    return kv_fail(err, KV_INTERNAL, "a value cannot be given to the store");
}

bool kv_sqlite_bind_integer(kv_sqlite_use use, int number, int64_t value)
{
    return sqlite3_bind_int64(use.statement, number, value) == SQLITE_OK;
}

/* A NULL pointer would be bound as NULL, which no column allows. */
static const void *bytes_of(kv_slice value)
{
    return value.len ? (const void *)value.data : "";
}

bool kv_sqlite_bind_text(kv_sqlite_use use, int number, kv_slice value)
{
    return sqlite3_bind_text64(use.statement, number, bytes_of(value), value.len, SQLITE_STATIC,
                               SQLITE_UTF8) == SQLITE_OK;
}

bool kv_sqlite_bind_blob(kv_sqlite_use use, int number, kv_slice value)
{
    return sqlite3_bind_blob64(use.statement, number, bytes_of(value), value.len, SQLITE_STATIC) ==
           SQLITE_OK;
}

bool kv_sqlite_bind_column(kv_sqlite_use use, int number, const kv_column *column, const void *row)
{
    switch (column->kind) {
    case KV_COLUMN_INTEGER:
        return kv_sqlite_bind_integer(use, number, kv_row_integer(column, row));
    case KV_COLUMN_TEXT:
        return kv_sqlite_bind_text(use, number, kv_row_slice(column, row));
    case KV_COLUMN_BLOB:
        return kv_sqlite_bind_blob(use, number, kv_row_slice(column, row));
    }
    return false;
}

static int type_of(kv_column_kind kind)
{
    switch (kind) {
    case KV_COLUMN_INTEGER:
        return SQLITE_INTEGER;
    case KV_COLUMN_TEXT:
        return SQLITE_TEXT;
    case KV_COLUMN_BLOB:
        return SQLITE_BLOB;
    }
    return SQLITE_NULL;
}

kv_status kv_sqlite_read_blob(kv_sqlite_use use, int number, kv_arena *arena, kv_slice *out,
                              kv_error *err)
{
    /* The pointer first, then the length: SQLite may convert in between. */
    const void *data = sqlite3_column_blob(use.statement, number);
    int len = sqlite3_column_bytes(use.statement, number);

    return kv_arena_copy(arena, kv_slice_of(data, (size_t)len), out, err);
}

kv_status kv_sqlite_read_column(kv_sqlite_use use, int number, const kv_table *table,
                                const kv_column *column, kv_arena *arena, void *row, kv_error *err)
{
    kv_slice value;

    if (sqlite3_column_type(use.statement, number) != type_of(column->kind))
        return kv_sqlite_malformed(table->name, column->name, err);
    if (column->kind == KV_COLUMN_INTEGER) {
        kv_row_set_integer(column, row, sqlite3_column_int64(use.statement, number));
        return KV_OK;
    }
    KV_TRY(kv_sqlite_read_blob(use, number, arena, &value, err));
    kv_row_set_slice(column, row, value);
    return KV_OK;
}

kv_status kv_sqlite_read_row(kv_sqlite_use use, const kv_table *table, kv_arena *arena, void *row,
                             kv_error *err)
{
    static const kv_column head[] = {
        { "generation", KV_COLUMN_INTEGER, offsetof(kv_row_head, generation) },
        { "seal", KV_COLUMN_BLOB, offsetof(kv_row_head, seal) },
        { "seal_key", KV_COLUMN_BLOB, offsetof(kv_row_head, seal_key) },
    };
    int number = 0;

    for (unsigned i = 0; i < table->column_count; i++)
        KV_TRY(kv_sqlite_read_column(use, number++, table, &table->columns[i], arena, row, err));
    for (unsigned i = 0; i < KV_COUNT(head); i++)
        KV_TRY(kv_sqlite_read_column(use, number++, table, &head[i], arena, row, err));
    return KV_OK;
}
