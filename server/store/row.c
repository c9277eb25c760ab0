/* row.c - typed access by offset, and keys as text. */
#include "server/store/row.h"

#include <inttypes.h>
#include <stdio.h>

#include "server/base/text.h"
#include "server/store/encode.h"

enum { KEY_TAIL_BYTES = 17, LARGEST_HEX = 32 };

int64_t kv_row_integer(const kv_column *column, const void *row)
{
    int64_t value;

    memcpy(&value, (const char *)row + column->offset, sizeof(value));
    return value;
}

kv_slice kv_row_slice(const kv_column *column, const void *row)
{
    kv_slice value;

    memcpy(&value, (const char *)row + column->offset, sizeof(value));
    return value;
}

void kv_row_set_integer(const kv_column *column, void *row, int64_t value)
{
    memcpy((char *)row + column->offset, &value, sizeof(value));
}

void kv_row_set_slice(const kv_column *column, void *row, kv_slice value)
{
    memcpy((char *)row + column->offset, &value, sizeof(value));
}

bool kv_row_column_equal(const kv_column *column, const void *a, const void *b)
{
    if (column->kind == KV_COLUMN_INTEGER)
        return kv_row_integer(column, a) == kv_row_integer(column, b);
    return kv_slice_equal(kv_row_slice(column, a), kv_row_slice(column, b));
}

typedef struct key_text {
    char text[KV_ROW_KEY_BYTES];
    size_t len;
    bool full;
} key_text;

static void put(key_text *key, const void *data, size_t len)
{
    size_t room = sizeof(key->text) - 1 - key->len;

    if (len > room) {
        key->full = true;
        len = room;
    }
    if (len)
        memcpy(key->text + key->len, data, len);
    key->len += len;
    key->text[key->len] = '\0';
}

static void put_hex(key_text *key, kv_slice bytes)
{
    char hex[2 * LARGEST_HEX + 1];

    if (bytes.len > LARGEST_HEX) {
        bytes.len = LARGEST_HEX;
        key->full = true;
    }
    kv_hex(bytes, hex);
    put(key, hex, strlen(hex));
}

static void put_column(key_text *key, const kv_column *column, const void *row)
{
    if (column->kind == KV_COLUMN_INTEGER) {
        char number[24];

        (void)snprintf(number, sizeof(number), "%" PRId64, kv_row_integer(column, row));
        put(key, number, strlen(number));
        return;
    }

    kv_slice value = kv_row_slice(column, row);

    if (column->kind == KV_COLUMN_TEXT && kv_text_printable(value))
        put(key, value.data, value.len);
    else
        put_hex(key, value);
}

/* Replaces the end by a hash of the whole key, so that two long keys never look the same. */
static void put_hash(key_text *key, const kv_table *table, const void *row)
{
    uint8_t hash[KV_ENCODE_HASH_BYTES];
    char tail[KEY_TAIL_BYTES + 1] = "~";

    if (!kv_encode_key_hash(table, row, hash))
        return;
    kv_hex(kv_slice_of(hash, (KEY_TAIL_BYTES - 1) / 2), tail + 1);
    memcpy(key->text + sizeof(key->text) - 1 - KEY_TAIL_BYTES, tail, sizeof(tail));
}

void kv_row_key_text(const kv_table *table, const void *row, char out[KV_ROW_KEY_BYTES])
{
    key_text key = { 0 };

    for (unsigned i = 0; i < table->key_count; i++) {
        if (i)
            put(&key, "/", 1);
        put_column(&key, &table->columns[i], row);
    }
    if (key.full) {
        memset(key.text + key.len, '.', sizeof(key.text) - 1 - key.len);
        put_hash(&key, table, row);
    }
    memcpy(out, key.text, sizeof(key.text));
}

static bool among(unsigned column, const unsigned *columns, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (columns[i] == column)
            return true;
    return false;
}

unsigned kv_table_order(const kv_table *table, unsigned index, unsigned *out)
{
    unsigned count = 0;

    if (index > 0) {
        const kv_index *chosen = &table->indexes[index - 1];

        for (; count < chosen->column_count; count++)
            out[count] = chosen->columns[count];
        if (chosen->unique)
            return count;
    }
    for (unsigned i = 0; i < table->key_count; i++)
        if (!among(i, out, count))
            out[count++] = i;
    return count;
}
