/* sqlite.h - the embedded store: one file, one writer at a time, readers beside it.
 *
 * Private to the SQLite backend; the rest of the server sees kv_sqlite_ops through stores.c.
 *
 * Threads: any worker. A reader holds a connection of a small pool for one call; the writer's
 * connection belongs to who holds the writer's turn.
 */
#pragma once

#include <pthread.h>

#include "server/store/range.h"
#include "server/store/sqlite_db.h"
#include "server/store/store.h"
#include "server/store/turn.h"

enum {
    KV_SQLITE_READERS = 8,
    KV_SQLITE_WAIT_MS = 10000, /* longest wait for a connection or the writer's turn */
    KV_SQLITE_DONE = 1024,     /* finished pending records that wait for a transaction */
    KV_SQLITE_DONE_BATCH = 64, /* how many of them go with a change */
    KV_PENDING_ID_BYTES = 32   /* longest node and request id */
};

/* Numbers of the fixed statements. */
enum {
    KV_SQLITE_STATE = 1,
    KV_SQLITE_SET_STATE,
    KV_SQLITE_PENDING,
    KV_SQLITE_ADD_PENDING,
    KV_SQLITE_END_PENDING,
    KV_SQLITE_RANGES,
    KV_SQLITE_RANGE,
    KV_SQLITE_NEXT_RANGE,
    KV_SQLITE_ADD_RANGE,
    KV_SQLITE_SET_RANGE,
    KV_SQLITE_DROP_RANGE
};

typedef struct kv_sqlite_done {
    uint8_t node[KV_PENDING_ID_BYTES];
    uint8_t request_id[KV_PENDING_ID_BYTES];
    uint8_t node_len;
    uint8_t request_id_len;
} kv_sqlite_done;

typedef struct kv_sqlite {
    kv_store base;
    int lock; /* holds a flock */

    kv_turn writer_turn;
    kv_sqlite_db writer; /* of who has the turn */

    kv_turn reader_turn;
    pthread_mutex_t idle_mutex; /* guards the two below */
    unsigned idle_count;
    kv_sqlite_db *idle[KV_SQLITE_READERS];
    kv_sqlite_db readers[KV_SQLITE_READERS];

    pthread_mutex_t done_mutex; /* guards what follows; only who has the writer's turn takes away */
    unsigned done_first;
    unsigned done_count;
    kv_sqlite_done done[KV_SQLITE_DONE]; /* a ring */
} kv_sqlite;

/* A borrowed connection: declare it KV_AUTO so that it goes home. */
typedef struct kv_sqlite_lease {
    kv_sqlite *store; /* NULL: nothing borrowed */
    kv_sqlite_db *db;
} kv_sqlite_lease;

#define KV_SQLITE_NO_LEASE ((kv_sqlite_lease){ 0 })

/* Both: KV_BUSY when it takes longer than KV_SQLITE_WAIT_MS. */
kv_status kv_sqlite_reader(kv_sqlite *store, kv_sqlite_lease *out, kv_error *err) KV_MUST_USE;
kv_status kv_sqlite_writer(kv_sqlite *store, kv_sqlite_lease *out, kv_error *err) KV_MUST_USE;
void kv_sqlite_lease_cleanup(kv_sqlite_lease *lease);

/* Brings the schema up to date. KV_PRECONDITION when it is newer or not ours. */
kv_status kv_sqlite_migrate(kv_sqlite_db *db, kv_error *err) KV_MUST_USE;

/* Version and multiset as stored. `set` may be NULL. */
kv_status kv_sqlite_load_state(kv_sqlite_db *db, kv_store_state *state, kv_multiset *set,
                               kv_error *err) KV_MUST_USE;

/* Counts a row that was just written or deleted in its range, and changes the set of ranges by it.
 * KV_INTERNAL with KV_REASON_INTEGRITY when a range is to be cut that is not as it was counted. */
kv_status kv_sqlite_count_op(kv_sqlite_db *db, const kv_change_op *op, kv_multiset *ranges,
                             kv_error *err) KV_MUST_USE;

/* Deletes what pending_done left, all of it, in a transaction of its own. */
kv_status kv_sqlite_flush_done(kv_sqlite *store, kv_error *err) KV_MUST_USE;

/* The rows of the table of functions. */
kv_status kv_sqlite_get(kv_store *store, const kv_table *table, void *row, kv_arena *arena,
                        kv_error *err);
kv_status kv_sqlite_scan(kv_store *store, const kv_scan *scan, kv_arena *arena, kv_rows *out,
                         kv_error *err);
kv_status kv_sqlite_state(kv_store *store, kv_store_state *state, kv_error *err);
kv_status kv_sqlite_compare_ranges(kv_store *store, kv_error *err);
kv_status kv_sqlite_compare_count(kv_store *store, const kv_table *table, kv_error *err);
kv_status kv_sqlite_range(kv_store *store, const kv_table *table, const kv_sorted_key *key,
                          bool count, kv_span *out, kv_error *err);
kv_status kv_sqlite_apply(kv_store *store, const kv_change *change, kv_store_state *state,
                          kv_error *err);
kv_status kv_sqlite_pending(kv_store *store, kv_slice node, kv_arena *arena, kv_pending_row **out,
                            unsigned *count, kv_error *err);
kv_status kv_sqlite_pending_done(kv_store *store, kv_slice node, const kv_slice *request_ids,
                                 unsigned count, kv_error *err);

extern const kv_store_ops kv_sqlite_ops;
