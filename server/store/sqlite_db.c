/* sqlite_db.c - opening, preparing, stepping, and what SQLite's codes mean. */
#include "server/store/sqlite_db.h"

#include <string.h>

enum { LARGEST_VALUE = 16 << 20, CACHE_PROBES = 8, RETRY_MS = 200 };

/* Whether the system's errno, which SQLite keeps from the last time, belongs to this code. */
static bool is_about_files(int code)
{
    int kind = code & 0xff;

    return kind == SQLITE_IOERR || kind == SQLITE_FULL || kind == SQLITE_CANTOPEN;
}

kv_status kv_sqlite_fail(sqlite3 *handle, int code, kv_error *err)
{
    int system = handle && is_about_files(code) ? sqlite3_system_errno(handle) : 0;
    const char *message = handle ? sqlite3_errmsg(handle) : sqlite3_errstr(code);

    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
        if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY)
            kv_fail(err, KV_EXISTS, "it exists already");
        else
            kv_fail(err, KV_INTERNAL, "a row does not fit its table");
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        kv_fail(err, KV_UNAVAILABLE, "the store is locked by another program");
        err->retry_ms = RETRY_MS;
        break;
    case SQLITE_FULL:
        kv_fail(err, KV_UNAVAILABLE, "the store is full");
        break;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL:
    case SQLITE_NOLFS:
        kv_fail(err, KV_UNAVAILABLE, "the store is out of reach");
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
        kv_fail(err, KV_INTERNAL, "stored data failed its integrity check");
        kv_because(err, KV_REASON_INTEGRITY);
        break;
    default:
        kv_fail(err, KV_INTERNAL, "the store refused a statement");
        break;
    }
    return kv_note(err, "sqlite %s (%d): %s%s%s", sqlite3_errstr(code), code, message,
                   system ? ": " : "", system ? strerrordesc_np(system) : "");
}

kv_status kv_sqlite_malformed(const char *table, const char *column, kv_error *err)
{
    kv_fail(err, KV_INTERNAL, "stored data failed its integrity check");
    kv_because(err, KV_REASON_INTEGRITY);
    return kv_note(err, "table %s, column %s: a value is missing or of another type", table,
                   column);
}

/* What another program wrote into the file must not run code in ours. */
static bool defend(sqlite3 *handle)
{
    static const struct {
        int option;
        int value;
    } options[] = {
        { SQLITE_DBCONFIG_DEFENSIVE, 1 },   { SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 },
        { SQLITE_DBCONFIG_ENABLE_VIEW, 0 }, { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
        { SQLITE_DBCONFIG_DQS_DML, 0 },     { SQLITE_DBCONFIG_DQS_DDL, 0 },
    };

    for (size_t i = 0; i < KV_COUNT(options); i++)
        if (sqlite3_db_config(handle, options[i].option, options[i].value, NULL) != SQLITE_OK)
            return false;
    (void)sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, LARGEST_VALUE);
    (void)sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
    return true;
}

/* On a file system without shared memory SQLite stays in another mode and says so. */
static kv_status write_ahead(kv_sqlite_db *db, kv_error *err)
{
    KV_AUTO(kv_sqlite_use) use = KV_SQLITE_NO_USE;
    kv_slice mode = KV_SLICE_NONE;
    bool row = false;

    KV_TRY(kv_sqlite_db_use_fixed(db, 0, "PRAGMA journal_mode = WAL", &use, err));
    KV_TRY(kv_sqlite_step(db, use, &row, err));
    if (row)
        mode = kv_slice_text((const char *)sqlite3_column_text(use.statement, 0));
    if (!kv_slice_equal(mode, KV_SLICE("wal")))
        return kv_fail(err, KV_UNAVAILABLE, "the store's file system cannot do write-ahead logs");
    return KV_OK;
}

static kv_status configure(kv_sqlite_db *db, kv_error *err)
{
    if (!defend(db->handle))
        return kv_fail(err, KV_INTERNAL, "SQLite cannot be configured safely");
    KV_TRY(write_ahead(db, err));
    KV_TRY(kv_sqlite_db_run(db, "PRAGMA cell_size_check = ON", err));
    KV_TRY(kv_sqlite_db_run(db, "PRAGMA synchronous = FULL", err));
    KV_TRY(kv_sqlite_db_run(db, "PRAGMA secure_delete = ON", err));
    return kv_sqlite_db_run(db, "PRAGMA journal_size_limit = 67108864", err);
}

kv_status kv_sqlite_db_open(const char *path, kv_sqlite_db *out, kv_error *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                SQLITE_OPEN_EXRESCODE;
    kv_sqlite_db db = { 0 };
    kv_status status;
    int code;

    if (!sqlite3_threadsafe())
        return kv_fail(err, KV_INTERNAL, "this SQLite was built without threads");
    code = sqlite3_open_v2(path, &db.handle, flags, NULL);
    status = code == SQLITE_OK ? configure(&db, err) : kv_sqlite_fail(db.handle, code, err);
    if (status != KV_OK)
        kv_sqlite_db_cleanup(&db);
    else
        *out = db;
    return status;
}

void kv_sqlite_db_cleanup(kv_sqlite_db *db)
{
    for (unsigned i = 0; i < KV_SQLITE_CACHE; i++)
        (void)sqlite3_finalize(db->cache[i].statement);
    for (unsigned i = 0; i < KV_SQLITE_FIXED; i++)
        (void)sqlite3_finalize(db->fixed[i]);
    (void)sqlite3_close(db->handle);
    *db = (kv_sqlite_db){ 0 };
}

static kv_status prepare(kv_sqlite_db *db, const char *text, sqlite3_stmt **out, kv_error *err)
{
    int code = sqlite3_prepare_v3(db->handle, text, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);

    return code == SQLITE_OK ? KV_OK : kv_sqlite_fail(db->handle, code, err);
}

static bool same_shape(const kv_sql_shape *a, const kv_sql_shape *b)
{
    return a->table == b->table && a->verb == b->verb && a->index == b->index &&
           a->prefix == b->prefix && a->after == b->after;
}

/* Where the shape is, or where it may be put: in a free place, else in that of another. */
static kv_sqlite_cached *place_of(kv_sqlite_db *db, const kv_sql_shape *shape)
{
    kv_sqlite_cached *chosen = NULL;
    uint32_t hash = (uint32_t)((uintptr_t)shape->table / sizeof(void *));

    hash = hash * 31 + (uint32_t)shape->verb;
    hash = hash * 31 + shape->index;
    hash = hash * 31 + shape->prefix;
    hash = hash * 31 + shape->after;
    hash = hash * 2654435761U >> 24;
    for (unsigned i = 0; i < CACHE_PROBES; i++) {
        kv_sqlite_cached *place = &db->cache[(hash + i) % KV_SQLITE_CACHE];

        if (place->statement && same_shape(&place->shape, shape))
            return place;
        if (!chosen || (chosen->statement && !place->statement))
            chosen = place;
    }
    return chosen;
}

kv_status kv_sqlite_db_use(kv_sqlite_db *db, const kv_sql_shape *shape, kv_sqlite_use *out,
                           kv_error *err)
{
    kv_sqlite_cached *place = place_of(db, shape);
    char text[KV_SQL_BYTES];
    sqlite3_stmt *statement = NULL;

    if (!place->statement || !same_shape(&place->shape, shape)) {
        if (!kv_sql_text(shape, text))
            return kv_fail(err, KV_INTERNAL, "a statement about %s is too long",
                           shape->table->name);
        KV_TRY(prepare(db, text, &statement, err));
        (void)sqlite3_finalize(place->statement);
        *place = (kv_sqlite_cached){ *shape, statement };
    }
    out->statement = place->statement;
    return KV_OK;
}

kv_status kv_sqlite_db_use_fixed(kv_sqlite_db *db, unsigned number, const char *text,
                                 kv_sqlite_use *out, kv_error *err)
{
    if (!db->fixed[number])
        KV_TRY(prepare(db, text, &db->fixed[number], err));
    out->statement = db->fixed[number];
    return KV_OK;
}

void kv_sqlite_use_cleanup(kv_sqlite_use *use)
{
    if (use->statement) {
        (void)sqlite3_reset(use->statement);
        (void)sqlite3_clear_bindings(use->statement);
    }
    use->statement = NULL;
}

kv_status kv_sqlite_db_run(kv_sqlite_db *db, const char *text, kv_error *err)
{
    int code = sqlite3_exec(db->handle, text, NULL, NULL, NULL);

    return code == SQLITE_OK ? KV_OK : kv_sqlite_fail(db->handle, code, err);
}

kv_status kv_sqlite_db_number(kv_sqlite_db *db, const char *text, int64_t missing, int64_t *out,
                              kv_error *err)
{
    sqlite3_stmt *statement = NULL;
    kv_status status = KV_OK;
    int code;

    KV_TRY(prepare(db, text, &statement, err));
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    else if (code == SQLITE_DONE)
        *out = missing;
    else
        status = kv_sqlite_fail(db->handle, code, err);
    (void)sqlite3_finalize(statement);
    return status;
}

kv_status kv_sqlite_step(kv_sqlite_db *db, kv_sqlite_use use, bool *row, kv_error *err)
{
    int code = sqlite3_step(use.statement);

    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return kv_sqlite_fail(db->handle, code, err);
    *row = code == SQLITE_ROW;
    return KV_OK;
}

kv_status kv_sqlite_finish(kv_sqlite_db *db, kv_sqlite_use use, kv_error *err)
{
    bool row = false;

    return kv_sqlite_step(db, use, &row, err);
}
