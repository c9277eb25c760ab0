/* sqlite_migrate.c - brings the schema to the version this program was built for. */
#include <stdio.h>

#include "server/store/migrations.h"
#include "server/store/sqlite.h"

static kv_status current_version(kv_sqlite_db *db, int64_t *out, kv_error *err)
{
    int64_t tables, ours;

    KV_TRY(kv_sqlite_db_number(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'", 0,
                               &tables, err));
    *out = 0;
    if (tables == 0)
        return KV_OK;
    KV_TRY(kv_sqlite_db_number(db,
                               "SELECT count(*) FROM sqlite_schema "
                               "WHERE type = 'table' AND name = 'schema_version'",
                               0, &ours, err));
    if (!ours)
        return kv_fail(err, KV_PRECONDITION, "the database is not a store of this server");
    return kv_sqlite_db_number(db,
                               "SELECT \"version\" FROM \"schema_version\" "
                               "ORDER BY \"version\" DESC LIMIT 1",
                               0, out, err);
}

static kv_status note_version(kv_sqlite_db *db, int64_t version, kv_error *err)
{
    char text[128];

    (void)snprintf(text, sizeof(text),
                   "INSERT INTO \"schema_version\" (\"version\", \"applied\") VALUES (%lld, %lld)",
                   (long long)version, (long long)kv_clock_now_ms(NULL));
    return kv_sqlite_db_run(db, text, err);
}

static kv_status migrate_once(kv_sqlite_db *db, int64_t version, kv_error *err)
{
    kv_status status;

    KV_TRY(kv_sqlite_db_run(db, "BEGIN IMMEDIATE", err));
    status = kv_sqlite_db_run(db, kv_sqlite_migrations[version - 1].sql, err);
    if (status == KV_OK)
        status = note_version(db, version, err);
    if (status == KV_OK)
        status = kv_sqlite_db_run(db, "COMMIT", err);
    if (status != KV_OK && !sqlite3_get_autocommit(db->handle))
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

kv_status kv_sqlite_migrate(kv_sqlite_db *db, kv_error *err)
{
    int64_t newest = (int64_t)kv_sqlite_migrations_count;
    int64_t version;

    KV_TRY(current_version(db, &version, err));
    if (version < 0 || version > newest)
        return kv_fail(err, KV_PRECONDITION,
                       "the store has schema version %lld, this server knows up to %lld",
                       (long long)version, (long long)newest);
    while (version < newest)
        KV_TRY(migrate_once(db, ++version, err));
    return KV_OK;
}
