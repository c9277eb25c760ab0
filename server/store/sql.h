/* sql.h - the few statements a kv_table needs, spelled from its descriptor.
 *
 * The text stays in what SQLite, PostgreSQL and the engines that speak its protocol run alike:
 * quoted names, row values, parameters $1, $2, ... each used once and in this order. Columns come
 * in the order of the descriptor, then generation, seal, seal_key.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>

#include "server/store/table.h"

/* Large enough for any statement about any table (test_sql). */
enum { KV_SQL_BYTES = 4096 };

typedef enum kv_sql_verb {
    KV_SQL_GET,    /* parameters: the key */
    KV_SQL_SCAN,   /* the prefix, with `after` the rest of the order, the limit */
    KV_SQL_INSERT, /* every column, generation, seal, seal_key */
    KV_SQL_UPDATE, /* columns past the key, generation, seal, seal_key; the key, old generation */
    KV_SQL_DELETE, /* the key, old generation */
    KV_SQL_WALK,   /* with `after` the key to begin at (it included); gives the key columns and
                      generation of every row, in their order */
} kv_sql_verb;

/* Which statement; `index`, `prefix` are for KV_SQL_SCAN only, `after` (see kv_scan) also for
 * KV_SQL_WALK. */
typedef struct kv_sql_shape {
    const kv_table *table;
    kv_sql_verb verb;
    unsigned index;
    unsigned prefix;
    bool after;
} kv_sql_shape;

/* NUL-terminated. False when it does not fit. */
bool kv_sql_text(const kv_sql_shape *shape, char out[KV_SQL_BYTES]);

/* How a backend spells the types of the columns. */
typedef struct kv_sql_dialect {
    const char *integer;
    const char *text;
    const char *blob;
    const char *suffix; /* after the closing parenthesis of CREATE TABLE */
} kv_sql_dialect;

/* What migrations must amount to, see test_migrations. */
bool kv_sql_create_table(const kv_table *table, const kv_sql_dialect *dialect,
                         char out[KV_SQL_BYTES]);
bool kv_sql_create_index(const kv_table *table, unsigned index, char out[KV_SQL_BYTES]);
