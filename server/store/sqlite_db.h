/* sqlite_db.h - one connection to a SQLite file, with the statements it has prepared.
 *
 * Private to the SQLite backend.
 *
 * Threads: one owner at a time.
 */
#pragma once

#include <sqlite3.h>

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/store/sql.h"

enum { KV_SQLITE_CACHE = 256, KV_SQLITE_FIXED = 16 };

typedef struct kv_sqlite_cached {
    kv_sql_shape shape;
    sqlite3_stmt *statement; /* NULL: free */
} kv_sqlite_cached;

typedef struct kv_sqlite_db {
    sqlite3 *handle;
    kv_sqlite_cached
        cache[KV_SQLITE_CACHE]; /* by a hash of the shape; bounded, newcomers displace */
    sqlite3_stmt *fixed[KV_SQLITE_FIXED];
} kv_sqlite_db;

/* A statement in use. Declare it KV_AUTO: a statement that is not reset keeps its snapshot. */
typedef struct kv_sqlite_use {
    sqlite3_stmt *statement;
} kv_sqlite_use;

#define KV_SQLITE_NO_USE ((kv_sqlite_use){ 0 })

/* The file is there. KV_UNAVAILABLE when it cannot be opened. On failure nothing is left open. */
kv_status kv_sqlite_db_open(const char *path, kv_sqlite_db *out, kv_error *err) KV_MUST_USE;
void kv_sqlite_db_cleanup(kv_sqlite_db *db);

/* The prepared statement of a shape. */
kv_status kv_sqlite_db_use(kv_sqlite_db *db, const kv_sql_shape *shape, kv_sqlite_use *out,
                           kv_error *err) KV_MUST_USE;
/* One of the backend's own; `number` is from 1 to below KV_SQLITE_FIXED and
 * always goes with one text. */
kv_status kv_sqlite_db_use_fixed(kv_sqlite_db *db, unsigned number, const char *text,
                                 kv_sqlite_use *out, kv_error *err) KV_MUST_USE;
void kv_sqlite_use_cleanup(kv_sqlite_use *use);

/* Statements without parameters and results. */
kv_status kv_sqlite_db_run(kv_sqlite_db *db, const char *text, kv_error *err) KV_MUST_USE;
/* The first column of the first row; `missing` when there is none. */
kv_status kv_sqlite_db_number(kv_sqlite_db *db, const char *text, int64_t missing, int64_t *out,
                              kv_error *err) KV_MUST_USE;

/* One step. *row says whether there is one; KV_OK at the end too. */
kv_status kv_sqlite_step(kv_sqlite_db *db, kv_sqlite_use use, bool *row, kv_error *err) KV_MUST_USE;
/* A step that gives no rows. */
kv_status kv_sqlite_finish(kv_sqlite_db *db, kv_sqlite_use use, kv_error *err) KV_MUST_USE;

/* What a result code means:
 * KV_EXISTS (unique), KV_UNAVAILABLE (busy, full, I/O), KV_INTERNAL (the rest; with
 * KV_REASON_INTEGRITY when the file is damaged). */
kv_status kv_sqlite_fail(sqlite3 *handle, int code, kv_error *err);
/* A stored value is not of its column's type: only somebody else can have written it. */
kv_status kv_sqlite_malformed(const char *table, const char *column, kv_error *err);

/* A kv_sqlite_bind_... was false. */
kv_status kv_sqlite_not_bound(kv_error *err);

/* Parameters count from 1, results from 0. The bytes stay borrowed until the statement is reset. */
bool kv_sqlite_bind_integer(kv_sqlite_use use, int number, int64_t value);
bool kv_sqlite_bind_text(kv_sqlite_use use, int number, kv_slice value);
bool kv_sqlite_bind_blob(kv_sqlite_use use, int number, kv_slice value);
bool kv_sqlite_bind_column(kv_sqlite_use use, int number, const kv_column *column, const void *row);
/* A copy in the arena. */
kv_status kv_sqlite_read_blob(kv_sqlite_use use, int number, kv_arena *arena, kv_slice *out,
                              kv_error *err) KV_MUST_USE;
kv_status kv_sqlite_read_column(kv_sqlite_use use, int number, const kv_table *table,
                                const kv_column *column, kv_arena *arena, void *row,
                                kv_error *err) KV_MUST_USE;
/* Every column, generation, seal and seal key, as KV_SQL_GET and KV_SQL_SCAN order them. */
kv_status kv_sqlite_read_row(kv_sqlite_use use, const kv_table *table, kv_arena *arena, void *row,
                             kv_error *err) KV_MUST_USE;
