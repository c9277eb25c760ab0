/* table.h - a table as data: its columns, and where each sits in the C struct of a row.
 *
 * Everything generic about rows (SQL, seals, the tamper tests, the contract suite) walks these
 * descriptors; nothing else knows how a row is spelled in a database.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/slice.h"

typedef enum kv_column_kind {
    KV_COLUMN_INTEGER, /* int64_t */
    KV_COLUMN_TEXT,    /* kv_slice, UTF-8; never NULL in the database */
    KV_COLUMN_BLOB     /* kv_slice; never NULL in the database */
} kv_column_kind;

enum { KV_TABLE_COLUMNS = 32, KV_TABLE_INDEXES = 4, KV_INDEX_COLUMNS = 4 };

typedef struct kv_column {
    const char *name;
    kv_column_kind kind;
    size_t offset; /* in the row's struct */
} kv_column;

/* An order to scan in: leading columns by number. The primary key is always index 0. */
typedef struct kv_index {
    const char *name;
    bool unique;
    unsigned column_count;
    unsigned columns[KV_INDEX_COLUMNS];
} kv_index;

typedef struct kv_table {
    const char *name;
    size_t row_size;
    bool sealed;        /* carries a signature by the seal key, see seal.h */
    unsigned key_count; /* the first columns are the primary key */
    unsigned column_count;
    kv_column columns[KV_TABLE_COLUMNS];
    unsigned index_count; /* beside the primary key */
    kv_index indexes[KV_TABLE_INDEXES];
} kv_table;

/* Every row struct starts with this. */
typedef struct kv_row_head {
    int64_t generation; /* 0: not stored yet. Grows with each change, never repeats for a key. */
    kv_slice seal;      /* signature; empty in tables without seals */
    kv_slice seal_key;  /* id of the key that signed; empty in tables without seals */
} kv_row_head;

/* All tables of the schema, in the order they are created. */
extern const kv_table *const kv_tables[];
extern const size_t kv_tables_count;
