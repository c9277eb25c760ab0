/* sqlite_read.c - rows out of the file; never waits for a writer. */
#include <stdlib.h>

#include "server/store/row.h"
#include "server/store/schema.h"
#include "server/store/sqlite.h"

/* Grows while a statement runs; how many rows there will be is not known before. */
typedef struct row_list {
    char *rows;
    size_t size; /* of one */
    unsigned count;
    unsigned room;
} row_list;

static void row_list_cleanup(row_list *list)
{
    free(list->rows);
    list->rows = NULL;
}

static void *add_row(row_list *list)
{
    if (list->count == list->room) {
        unsigned room = list->room ? 2 * list->room : 16;
        char *rows = realloc(list->rows, room * list->size);

        if (!rows)
            return NULL;
        list->rows = rows;
        list->room = room;
    }
    return memset(list->rows + list->count++ * list->size, 0, list->size);
}

static kv_status keep_rows(const row_list *list, kv_arena *arena, void **out, kv_error *err)
{
    void *rows = kv_arena_array(arena, list->count, list->size);

    if (!rows)
        return kv_arena_full(err);
    if (list->count)
        memcpy(rows, list->rows, list->count * list->size);
    *out = rows;
    return KV_OK;
}

kv_status kv_sqlite_get(kv_store *base, const kv_table *table, void *row, kv_arena *arena,
                        kv_error *err)
{
    KV_AUTO(kv_sqlite_lease) lease = KV_SQLITE_NO_LEASE;
    KV_AUTO(kv_sqlite_use) use = KV_SQLITE_NO_USE;
    kv_sql_shape shape = { .table = table, .verb = KV_SQL_GET };
    void *found = kv_arena_alloc(arena, table->row_size);
    bool there = false;

    if (!found)
        return kv_arena_full(err);
    KV_TRY(kv_sqlite_reader((kv_sqlite *)base, &lease, err));
    KV_TRY(kv_sqlite_db_use(lease.db, &shape, &use, err));
    for (unsigned i = 0; i < table->key_count; i++)
        if (!kv_sqlite_bind_column(use, (int)i + 1, &table->columns[i], row))
            return kv_sqlite_not_bound(err);
    KV_TRY(kv_sqlite_step(lease.db, use, &there, err));
    if (!there)
        return kv_fail(err, KV_NOT_FOUND, "not found");
    KV_TRY(kv_sqlite_read_row(use, table, arena, found, err));
    memcpy(row, found, table->row_size);
    return KV_OK;
}

/* The prefix, the rest of the order where the scan goes on, and one row more than asked for. */
static bool bind_scan(kv_sqlite_use use, const kv_scan *scan)
{
    unsigned order[KV_TABLE_COLUMNS];
    unsigned count = kv_table_order(scan->table, scan->index, order);
    unsigned bound = scan->after ? count : scan->prefix;

    for (unsigned i = 0; i < bound; i++)
        if (!kv_sqlite_bind_column(use, (int)i + 1, &scan->table->columns[order[i]], scan->from))
            return false;
    return kv_sqlite_bind_integer(use, (int)bound + 1, (int64_t)scan->limit + 1);
}

static kv_status check_scan(const kv_scan *scan, kv_error *err)
{
    unsigned order[KV_TABLE_COLUMNS];

    if (scan->limit < 1 || scan->limit > KV_SCAN_LIMIT || scan->index > scan->table->index_count ||
        scan->prefix > kv_table_order(scan->table, scan->index, order) ||
        (!scan->from && (scan->prefix || scan->after)))
        return kv_fail(err, KV_INTERNAL, "a scan of %s is malformed", scan->table->name);
    return KV_OK;
}

static kv_status collect(kv_sqlite_lease *lease, kv_sqlite_use use, const kv_scan *scan,
                         kv_arena *arena, row_list *list, bool *more, kv_error *err)
{
    bool there = false;

    KV_TRY(kv_sqlite_step(lease->db, use, &there, err));
    while (there && list->count < scan->limit) {
        void *row = add_row(list);

        if (!row)
            return kv_arena_full(err);
        KV_TRY(kv_sqlite_read_row(use, scan->table, arena, row, err));
        KV_TRY(kv_sqlite_step(lease->db, use, &there, err));
    }
    *more = there;
    return KV_OK;
}

kv_status kv_sqlite_scan(kv_store *base, const kv_scan *scan, kv_arena *arena, kv_rows *out,
                         kv_error *err)
{
    KV_AUTO(kv_sqlite_lease) lease = KV_SQLITE_NO_LEASE;
    KV_AUTO(kv_sqlite_use) use = KV_SQLITE_NO_USE;
    KV_AUTO(row_list) list = { .size = scan->table->row_size };
    kv_sql_shape shape = { scan->table, KV_SQL_SCAN, scan->index, scan->prefix, scan->after };
    kv_rows rows = { 0 };

    KV_TRY(check_scan(scan, err));
    KV_TRY(kv_sqlite_reader((kv_sqlite *)base, &lease, err));
    KV_TRY(kv_sqlite_db_use(lease.db, &shape, &use, err));
    if (!bind_scan(use, scan))
        return kv_sqlite_not_bound(err);
    KV_TRY(collect(&lease, use, scan, arena, &list, &rows.more, err));
    KV_TRY(keep_rows(&list, arena, &rows.rows, err));
    rows.count = list.count;
    *out = rows;
    return KV_OK;
}

kv_status kv_sqlite_load_state(kv_sqlite_db *db, kv_store_state *state, kv_multiset *set,
                               kv_error *err)
{
    KV_AUTO(kv_sqlite_use) use = KV_SQLITE_NO_USE;
    kv_multiset loaded;
    bool there = false;

    KV_TRY(kv_sqlite_db_use_fixed(db, KV_SQLITE_STATE,
                                  "SELECT \"version\", \"multiset\" FROM \"store_state\" "
                                  "WHERE \"id\" = 1",
                                  &use, err));
    KV_TRY(kv_sqlite_step(db, use, &there, err));
    if (!there || sqlite3_column_type(use.statement, 0) != SQLITE_INTEGER ||
        sqlite3_column_type(use.statement, 1) != SQLITE_BLOB ||
        sqlite3_column_bytes(use.statement, 1) != sizeof(loaded.lanes))
        return kv_sqlite_malformed("store_state", "multiset", err);

    memcpy(loaded.lanes, sqlite3_column_blob(use.statement, 1), sizeof(loaded.lanes));
    state->version = sqlite3_column_int64(use.statement, 0);
    if (!kv_multiset_digest(&loaded, state->digest))
        return kv_fail(err, KV_INTERNAL, "the store's state could not be hashed");
    if (set)
        *set = loaded;
    return KV_OK;
}

kv_status kv_sqlite_state(kv_store *base, kv_store_state *state, kv_error *err)
{
    KV_AUTO(kv_sqlite_lease) lease = KV_SQLITE_NO_LEASE;
    kv_store_state loaded;

    KV_TRY(kv_sqlite_reader((kv_sqlite *)base, &lease, err));
    KV_TRY(kv_sqlite_load_state(lease.db, &loaded, NULL, err));
    *state = loaded;
    return KV_OK;
}

static kv_status read_pending(kv_sqlite_use use, kv_slice node, kv_arena *arena,
                              kv_pending_row *row, kv_error *err)
{
    if (sqlite3_column_bytes(use.statement, 3) != KV_STORE_DIGEST_BYTES)
        return kv_sqlite_malformed("audit_pending", "digest", err);
    KV_TRY(kv_arena_copy(arena, node, &row->node, err));
    KV_TRY(kv_sqlite_read_blob(use, 0, arena, &row->request_id, err));
    KV_TRY(kv_sqlite_read_blob(use, 1, arena, &row->record, err));
    KV_TRY(kv_sqlite_read_blob(use, 4, arena, &row->mac, err));
    row->state.version = sqlite3_column_int64(use.statement, 2);
    memcpy(row->state.digest, sqlite3_column_blob(use.statement, 3), KV_STORE_DIGEST_BYTES);
    return KV_OK;
}

static kv_status collect_pending(kv_sqlite_db *db, kv_slice node, kv_arena *arena, row_list *list,
                                 kv_error *err)
{
    KV_AUTO(kv_sqlite_use) use = KV_SQLITE_NO_USE;
    bool there = false;

    KV_TRY(kv_sqlite_db_use_fixed(db, KV_SQLITE_PENDING,
                                  "SELECT \"request_id\", \"record\", \"version\", \"digest\", "
                                  "\"mac\" FROM \"audit_pending\" WHERE \"node\" = $1 "
                                  "ORDER BY \"version\"",
                                  &use, err));
    if (!kv_sqlite_bind_blob(use, 1, node))
        return kv_sqlite_not_bound(err);
    KV_TRY(kv_sqlite_step(db, use, &there, err));
    while (there) {
        kv_pending_row *row = add_row(list);

        if (!row)
            return kv_arena_full(err);
        KV_TRY(read_pending(use, node, arena, row, err));
        KV_TRY(kv_sqlite_step(db, use, &there, err));
    }
    return KV_OK;
}

kv_status kv_sqlite_pending(kv_store *base, kv_slice node, kv_arena *arena, kv_pending_row **out,
                            unsigned *count, kv_error *err)
{
    KV_AUTO(kv_sqlite_lease) lease = KV_SQLITE_NO_LEASE;
    KV_AUTO(row_list) list = { .size = sizeof(kv_pending_row) };
    void *rows = NULL;

    KV_TRY(kv_sqlite_flush_done((kv_sqlite *)base, err));
    KV_TRY(kv_sqlite_reader((kv_sqlite *)base, &lease, err));
    KV_TRY(collect_pending(lease.db, node, arena, &list, err));
    KV_TRY(keep_rows(&list, arena, &rows, err));
    *out = rows;
    *count = list.count;
    return KV_OK;
}
