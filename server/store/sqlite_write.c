/* sqlite_write.c - changes: one transaction each, behind the writer's turn. */
#include "server/store/row.h"
#include "server/store/sqlite.h"

static bool bind_head(kv_sqlite_use use, int *number, const kv_row_head *head)
{
    return kv_sqlite_bind_integer(use, (*number)++, head->generation) &&
           kv_sqlite_bind_blob(use, (*number)++, head->seal) &&
           kv_sqlite_bind_blob(use, (*number)++, head->seal_key);
}

static bool bind_columns(kv_sqlite_use use, int *number, const kv_table *table, unsigned from,
                         unsigned to, const void *row)
{
    for (unsigned i = from; i < to; i++)
        if (!kv_sqlite_bind_column(use, (*number)++, &table->columns[i], row))
            return false;
    return true;
}

/* In the order that sql.h says. */
static bool bind_op(kv_sqlite_use use, const kv_change_op *op)
{
    const kv_table *table = op->table;
    const kv_row_head *head = kv_row_head_const(op->row);
    unsigned keys = table->key_count, all = table->column_count;
    int n = 1;

    switch (op->kind) {
    case KV_CHANGE_INSERT:
        return bind_columns(use, &n, table, 0, all, op->row) && bind_head(use, &n, head);
    case KV_CHANGE_UPDATE:
        return bind_columns(use, &n, table, keys, all, op->row) && bind_head(use, &n, head) &&
               bind_columns(use, &n, table, 0, keys, op->row) &&
               kv_sqlite_bind_integer(use, n, op->expected);
    case KV_CHANGE_DELETE:
        return bind_columns(use, &n, table, 0, keys, op->row) &&
               kv_sqlite_bind_integer(use, n, op->expected);
    }
    return false;
}

static kv_sql_verb verb_of(kv_change_kind kind)
{
    switch (kind) {
    case KV_CHANGE_INSERT:
        return KV_SQL_INSERT;
    case KV_CHANGE_UPDATE:
        return KV_SQL_UPDATE;
    case KV_CHANGE_DELETE:
        return KV_SQL_DELETE;
    }
    return KV_SQL_GET;
}

static kv_status write_op(kv_sqlite_db *db, const kv_change_op *op, kv_error *err)
{
    KV_AUTO(kv_sqlite_use) use = KV_SQLITE_NO_USE;
    kv_sql_shape shape = { .table = op->table, .verb = verb_of(op->kind) };

    KV_TRY(kv_sqlite_db_use(db, &shape, &use, err));
    if (!bind_op(use, op))
        return kv_sqlite_not_bound(err);
    KV_TRY(kv_sqlite_finish(db, use, err));
    if (sqlite3_changes(db->handle) != 1) {
        char key[KV_ROW_KEY_BYTES];

        kv_row_key_text(op->table, op->row, key);
        kv_fail(err, KV_CONFLICT, "it was changed by somebody else meanwhile");
        return kv_note(err, "table %s, key %s", op->table->name, key);
    }
    return KV_OK;
}

static kv_status store_state(kv_sqlite_db *db, const kv_store_state *state, const kv_multiset *set,
                             kv_error *err)
{
    KV_AUTO(kv_sqlite_use) use = KV_SQLITE_NO_USE;

    KV_TRY(kv_sqlite_db_use_fixed(db, KV_SQLITE_SET_STATE,
                                  "UPDATE \"store_state\" SET \"version\" = $1, "
                                  "\"multiset\" = $2 WHERE \"id\" = 1",
                                  &use, err));
    if (!kv_sqlite_bind_integer(use, 1, state->version) ||
        !kv_sqlite_bind_blob(use, 2, kv_slice_of(set->lanes, sizeof(set->lanes))))
        return kv_sqlite_not_bound(err);
    return kv_sqlite_finish(db, use, err);
}

static kv_status store_pending(kv_sqlite_db *db, const kv_change *change,
                               const kv_store_state *state, kv_error *err)
{
    KV_AUTO(kv_sqlite_use) use = KV_SQLITE_NO_USE;
    const kv_pending *pending = &change->pending;
    const kv_pending_mac *maker = &change->pending_mac;
    uint8_t mac[KV_PENDING_MAC_BYTES];
    kv_error inner = { 0 };

    if (maker->make && !maker->make(maker->context, pending, state, mac))
        return kv_fail(err, KV_INTERNAL, "the pending record could not be authenticated");

    KV_TRY(kv_sqlite_db_use_fixed(db, KV_SQLITE_ADD_PENDING,
                                  "INSERT INTO \"audit_pending\" (\"node\", \"request_id\", "
                                  "\"record\", \"version\", \"digest\", \"mac\") "
                                  "VALUES ($1, $2, $3, $4, $5, $6)",
                                  &use, err));
    if (!kv_sqlite_bind_blob(use, 1, pending->node) ||
        !kv_sqlite_bind_blob(use, 2, pending->request_id) ||
        !kv_sqlite_bind_blob(use, 3, pending->record) ||
        !kv_sqlite_bind_integer(use, 4, state->version) ||
        !kv_sqlite_bind_blob(use, 5, kv_slice_of(state->digest, sizeof(state->digest))) ||
        !kv_sqlite_bind_blob(use, 6, kv_slice_of(mac, maker->make ? sizeof(mac) : 0)))
        return kv_sqlite_not_bound(err);
    if (kv_sqlite_finish(db, use, &inner) == KV_OK)
        return KV_OK;
    if (inner.status == KV_EXISTS) /* says nothing about the caller's object */
        return kv_fail(err, KV_INTERNAL, "two changes have one request id");
    *err = inner;
    return err->status;
}

/* Up to `most` of the finished records; how many, is for forget_done after the commit. */
static kv_status delete_done(kv_sqlite *store, unsigned most, unsigned *deleted, kv_error *err)
{
    unsigned first, count;

    pthread_mutex_lock(&store->done_mutex);
    first = store->done_first;
    count = store->done_count < most ? store->done_count : most;
    pthread_mutex_unlock(&store->done_mutex);

    /* Entries that are queued stay as they are until forget_done, so no lock is needed here. */
    for (unsigned i = 0; i < count; i++) {
        KV_AUTO(kv_sqlite_use) use = KV_SQLITE_NO_USE;
        const kv_sqlite_done *done = &store->done[(first + i) % KV_SQLITE_DONE];

        KV_TRY(kv_sqlite_db_use_fixed(&store->writer, KV_SQLITE_END_PENDING,
                                      "DELETE FROM \"audit_pending\" WHERE \"node\" = $1 "
                                      "AND \"request_id\" = $2",
                                      &use, err));
        if (!kv_sqlite_bind_blob(use, 1, kv_slice_of(done->node, done->node_len)) ||
            !kv_sqlite_bind_blob(use, 2, kv_slice_of(done->request_id, done->request_id_len)))
            return kv_sqlite_not_bound(err);
        KV_TRY(kv_sqlite_finish(&store->writer, use, err));
    }
    *deleted = count;
    return KV_OK;
}

static void forget_done(kv_sqlite *store, unsigned count)
{
    pthread_mutex_lock(&store->done_mutex);
    store->done_first = (store->done_first + count) % KV_SQLITE_DONE;
    store->done_count -= count;
    pthread_mutex_unlock(&store->done_mutex);
}

/* Everything between BEGIN and COMMIT. */
static kv_status change_all(kv_sqlite *store, const kv_change *change, kv_store_state *state,
                            unsigned *deleted, kv_error *err)
{
    kv_sqlite_db *db = &store->writer;
    kv_multiset ranges;

    KV_TRY(kv_sqlite_load_state(db, state, &ranges, err));
    for (unsigned i = 0; i < change->count; i++) {
        const kv_change_op *op = &kv_change_ops(change)[i];

        KV_TRY(write_op(db, op, err));
        KV_TRY(kv_sqlite_count_op(db, op, &ranges, err));
    }
    state->version++;
    if (!kv_multiset_digest(&ranges, state->digest))
        return kv_fail(err, KV_INTERNAL, "the store's state could not be hashed");
    KV_TRY(store_state(db, state, &ranges, err));
    if (change->pending.request_id.len)
        KV_TRY(store_pending(db, change, state, err));
    return delete_done(store, KV_SQLITE_DONE_BATCH, deleted, err);
}

/* Commits or takes everything back. Some errors have ended the transaction already. */
static kv_status end(kv_sqlite_db *db, kv_status status, kv_error *err)
{
    if (status == KV_OK)
        status = kv_sqlite_db_run(db, "COMMIT", err);
    if (status != KV_OK && !sqlite3_get_autocommit(db->handle))
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

static bool valid_pending(const kv_pending *pending)
{
    return pending->node.len <= KV_PENDING_ID_BYTES &&
           pending->request_id.len <= KV_PENDING_ID_BYTES;
}

kv_status kv_sqlite_apply(kv_store *base, const kv_change *change, kv_store_state *state,
                          kv_error *err)
{
    KV_AUTO(kv_sqlite_lease) lease = KV_SQLITE_NO_LEASE;
    kv_sqlite *store = (kv_sqlite *)base;
    kv_store_state after;
    unsigned deleted = 0;
    kv_status status;

    if (!valid_pending(&change->pending))
        return kv_fail(err, KV_INTERNAL, "an id of a pending record is too long");
    KV_TRY(kv_sqlite_writer(store, &lease, err));
    KV_TRY(kv_sqlite_db_run(lease.db, "BEGIN IMMEDIATE", err));
    status = change_all(store, change, &after, &deleted, err);
    KV_TRY(end(lease.db, status, err));
    forget_done(store, deleted);
    *state = after;
    return KV_OK;
}

kv_status kv_sqlite_flush_done(kv_sqlite *store, kv_error *err)
{
    KV_AUTO(kv_sqlite_lease) lease = KV_SQLITE_NO_LEASE;
    unsigned deleted = 0;
    kv_status status;

    KV_TRY(kv_sqlite_writer(store, &lease, err));
    KV_TRY(kv_sqlite_db_run(lease.db, "BEGIN IMMEDIATE", err));
    status = delete_done(store, KV_SQLITE_DONE, &deleted, err);
    KV_TRY(end(lease.db, status, err));
    forget_done(store, deleted);
    return KV_OK;
}

/* False when the ring is full. */
static bool queue_done(kv_sqlite *store, kv_slice node, kv_slice request_id)
{
    bool room;

    pthread_mutex_lock(&store->done_mutex);
    room = store->done_count < KV_SQLITE_DONE;
    if (room) {
        unsigned at = (store->done_first + store->done_count) % KV_SQLITE_DONE;
        kv_sqlite_done *done = &store->done[at];

        memcpy(done->node, node.data, node.len);
        memcpy(done->request_id, request_id.data, request_id.len);
        done->node_len = (uint8_t)node.len;
        done->request_id_len = (uint8_t)request_id.len;
        store->done_count++;
    }
    pthread_mutex_unlock(&store->done_mutex);
    return room;
}

kv_status kv_sqlite_pending_done(kv_store *base, kv_slice node, const kv_slice *request_ids,
                                 unsigned count, kv_error *err)
{
    kv_sqlite *store = (kv_sqlite *)base;

    for (unsigned i = 0; i < count; i++) {
        if (!valid_pending(&(kv_pending){ node, request_ids[i], KV_SLICE_NONE }) || !node.len ||
            !request_ids[i].len)
            continue; /* no such record can be there */
        while (!queue_done(store, node, request_ids[i]))
            KV_TRY(kv_sqlite_flush_done(store, err));
    }
    return KV_OK;
}
