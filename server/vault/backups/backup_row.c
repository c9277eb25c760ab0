/* backup_row.c - a row of any table that is in backups, as bytes with names, and back. */
#include "server/store/row.h"
#include "server/vault/backups/backup.h"

enum { LENGTH_BYTES = 4, INTEGER_BYTES = 8 };

static const kv_table *const tables[] = {
    &kv_table_vaults,
    &kv_table_objects,
    &kv_table_policies,
    &kv_table_key_versions,
    &kv_table_secret_versions,
    &kv_table_certificate_versions,
    &kv_table_rotation_policies,
};

kv_status kv_backup_bad(kv_error *err)
{
    return kv_fail_field(err, "value",
                         "does not open: it is no backup, was changed, or is another server's");
}

/* Counts, and writes where there is something to write to. */
typedef struct output {
    uint8_t *at;
    size_t len;
} output;

static void put(output *to, const void *bytes, size_t len)
{
    if (to->at && len)
        memcpy(to->at + to->len, bytes, len);
    to->len += len;
}

static void put_number(output *to, uint64_t number, unsigned bytes)
{
    uint8_t text[INTEGER_BYTES];

    for (unsigned i = 0; i < bytes; i++)
        text[i] = (uint8_t)(number >> (8 * (bytes - 1 - i)));
    put(to, text, bytes);
}

static void put_name(output *to, const char *name)
{
    size_t len = strlen(name);

    put_number(to, len, 1);
    put(to, name, len);
}

static void put_columns(output *to, const kv_table *table, const void *row)
{
    put_name(to, table->name);
    for (unsigned i = 0; i < table->column_count; i++) {
        const kv_column *column = &table->columns[i];
        kv_slice slice = KV_SLICE_NONE;
        int64_t number = 0;

        if (column->kind == KV_COLUMN_INTEGER)
            number = kv_row_integer(column, row);
        else
            slice = kv_row_slice(column, row);
        if (!number && !slice.len)
            continue;
        put_name(to, column->name);
        put_number(to, number ? INTEGER_BYTES : slice.len, LENGTH_BYTES);
        if (number)
            put_number(to, (uint64_t)number, INTEGER_BYTES);
        else
            put(to, slice.data, slice.len);
    }
}

kv_status kv_backup_row_encode(const kv_table *table, const void *row, const kv_secret_buf *value,
                               kv_secret_buf *out, kv_error *err)
{
    kv_secret_version_row opened;
    output to = { 0 };

    if (table == &kv_table_secret_versions) {
        memcpy(&opened, row, sizeof(opened));
        opened.key_id = KV_SLICE_NONE;
        opened.ciphertext = value ? kv_secret_buf_slice(value) : KV_SLICE_NONE;
        row = &opened;
    }
    put_columns(&to, table, row);
    KV_TRY(kv_secret_buf_new(to.len, out, err));
    to = (output){ .at = out->data };
    put_columns(&to, table, row);
    return KV_OK;
}

/* --- reading --- */

static bool take(kv_slice *from, size_t len, kv_slice *out)
{
    if (len > from->len)
        return false;
    *out = kv_slice_of(from->data, len);
    *from = kv_slice_of(from->data + len, from->len - len);
    return true;
}

static bool take_number(kv_slice *from, unsigned bytes, uint64_t *out)
{
    kv_slice text;

    *out = 0;
    if (!take(from, bytes, &text))
        return false;
    for (unsigned i = 0; i < bytes; i++)
        *out = *out << 8 | text.data[i];
    return true;
}

static bool take_name(kv_slice *from, kv_slice *out)
{
    uint64_t len;

    return take_number(from, 1, &len) && take(from, (size_t)len, out);
}

static const kv_column *column_named(const kv_table *table, kv_slice name)
{
    for (unsigned i = 0; i < table->column_count; i++)
        if (kv_slice_equal(name, kv_slice_text(table->columns[i].name)))
            return &table->columns[i];
    return NULL;
}

static kv_status take_column(kv_slice *from, const kv_table *table, void *row, kv_arena *arena,
                             kv_secret_buf *value, kv_error *err)
{
    const kv_column *column;
    kv_slice name;
    kv_slice bytes;
    uint64_t number;

    if (!take_name(from, &name) || !take_number(from, LENGTH_BYTES, &number) ||
        !take(from, (size_t)number, &bytes))
        return kv_backup_bad(err);
    column = column_named(table, name);
    if (!column)
        return kv_fail_field(err, "value", "was made by a newer version of the server");
    if (column->kind == KV_COLUMN_INTEGER) {
        if (bytes.len != INTEGER_BYTES || !take_number(&bytes, INTEGER_BYTES, &number))
            return kv_backup_bad(err);
        kv_row_set_integer(column, row, (int64_t)number);
        return KV_OK;
    }
    if (table == &kv_table_secret_versions &&
        column->offset == offsetof(kv_secret_version_row, ciphertext)) {
        kv_secret_buf_cleanup(value);
        return kv_secret_buf_copy(bytes, value, err);
    }
    KV_TRY(kv_arena_copy(arena, bytes, &bytes, err));
    kv_row_set_slice(column, row, bytes);
    return KV_OK;
}

kv_status kv_backup_row_decode(kv_slice bytes, kv_arena *arena, const kv_table **table, void **row,
                               kv_secret_buf *value, kv_error *err)
{
    kv_slice name;

    *table = NULL;
    if (!take_name(&bytes, &name))
        return kv_backup_bad(err);
    for (size_t i = 0; i < KV_COUNT(tables); i++)
        if (kv_slice_equal(name, kv_slice_text(tables[i]->name)))
            *table = tables[i];
    if (!*table)
        return kv_fail_field(err, "value", "was made by a newer version of the server");
    *row = kv_arena_alloc(arena, (*table)->row_size);
    if (!*row)
        return kv_arena_full(err);
    while (bytes.len)
        KV_TRY(take_column(&bytes, *table, *row, arena, value, err));
    return KV_OK;
}
