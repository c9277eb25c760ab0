/* row.h - the columns of a row struct, reached through its kv_table.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>

#include "server/store/table.h"

/* As in kv_audit_change.key, with its NUL. */
enum { KV_ROW_KEY_BYTES = 72 };

static inline kv_row_head *kv_row_head_of(void *row)
{
    return row;
}

static inline const kv_row_head *kv_row_head_const(const void *row)
{
    return row;
}

int64_t kv_row_integer(const kv_column *column, const void *row);
kv_slice kv_row_slice(const kv_column *column, const void *row);
void kv_row_set_integer(const kv_column *column, void *row, int64_t value);
void kv_row_set_slice(const kv_column *column, void *row, kv_slice value);

bool kv_row_column_equal(const kv_column *column, const void *a, const void *b);

/* The primary key for people: integers in decimal, printable text as it is, other bytes in hex,
 * joined by '/'. One that does not fit ends with '~' and 16 hex digits of its SHA-256. For a
 * kv_audit_change as well. */
void kv_row_key_text(const kv_table *table, const void *row, char out[KV_ROW_KEY_BYTES]);

/* Which columns give the order of an index: its own, then (unless it is unique) what is missing of
 * the primary key. Index 0 is the primary key. Returns how many; `out` holds KV_TABLE_COLUMNS. */
unsigned kv_table_order(const kv_table *table, unsigned index, unsigned *out);
