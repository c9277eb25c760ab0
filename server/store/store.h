/* store.h - where rows live: one table of functions per database.
 *
 * A change is data, not code: a list of insertions, updates and deletions, each with the generation
 * it expects to replace, applied wholly or not at all. So nothing but SQL ever happens inside a
 * transaction, and a backend may run one again after a serialisation failure.
 *
 * Rows are moved between database and structs by their kv_table. Sealing and checking seals is not
 * done here but in records.h, which is what the rest of the server uses.
 *
 * Threads: any worker; connections are pooled inside. Loops never.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/store/range.h"

typedef struct kv_store kv_store;

enum { KV_CHANGE_OPS = 24, KV_STORE_DIGEST_BYTES = 32, KV_SCAN_LIMIT = 1000 };
enum { KV_PENDING_MAC_BYTES = 32 };

typedef enum kv_change_kind { KV_CHANGE_INSERT, KV_CHANGE_UPDATE, KV_CHANGE_DELETE } kv_change_kind;

typedef struct kv_change_op {
    kv_change_kind kind;
    const kv_table *table;
    /* The row to write, with its new generation and seal. For a deletion only the key counts. */
    const void *row;
    int64_t expected; /* generation that must be there now; 0 with an insertion */
} kv_change_op;

/* What the store says it is after a change. */
typedef struct kv_store_state {
    int64_t version;                       /* counts changes */
    uint8_t digest[KV_STORE_DIGEST_BYTES]; /* SHA-256 of the multiset of ranges, see range.h */
} kv_store_state;

/* The audit record of a change, stored with it and appended to the chain later. */
typedef struct kv_pending {
    kv_slice node;
    kv_slice request_id; /* empty: no record goes with this change (initialisation) */
    kv_slice record;     /* encoded, without store version and digest */
} kv_pending;

/* Tells at start-up a pending record of ours from one that somebody wrote into the database to
 * make it, and the state it claims, pass for the newest. Called inside the transaction: uses no
 * token and cannot block. False when it fails. */
typedef struct kv_pending_mac {
    bool (*make)(const void *context, const kv_pending *pending, const kv_store_state *state,
                 uint8_t out[KV_PENDING_MAC_BYTES]);
    const void *context;
} kv_pending_mac;

typedef struct kv_change {
    kv_change_op few[KV_CHANGE_OPS];
    kv_change_op *many; /* instead of `few`, where kv_change_room() was asked; borrowed */
    unsigned room;      /* of `many` */
    unsigned count;
    kv_pending pending;
    kv_pending_mac pending_mac; /* kv_records_apply fills it in; make may be NULL */
} kv_change;

static inline const kv_change_op *kv_change_ops(const kv_change *change)
{
    return change->many ? change->many : change->few;
}

/* A pending record as found at start-up. */
typedef struct kv_pending_row {
    kv_slice node;
    kv_slice request_id;
    kv_slice record;
    kv_store_state state; /* after its change */
    kv_slice mac;         /* empty: none was made */
} kv_pending_row;

typedef struct kv_scan {
    const kv_table *table;
    unsigned index;   /* 0: by primary key, n: by indexes[n - 1] */
    unsigned prefix;  /* how many leading columns of that index must equal those of `from` */
    const void *from; /* a row struct that gives the prefix and, with `after`, where to go on */
    bool after;       /* only rows past `from` in (index columns, primary key) */
    unsigned limit;   /* 1 to KV_SCAN_LIMIT */
} kv_scan;

typedef struct kv_rows {
    void *rows; /* array of `count` row structs, in the arena */
    unsigned count;
    bool more; /* another scan with `after` would find some */
} kv_rows;

typedef struct kv_store_ops {
    const char *scheme; /* "sqlite" */
    /* Creates the database (mode 0600) when `create` and it is not there, migrates an older schema.
     * KV_PRECONDITION: a newer schema, a database that is not ours, or one that another server has
     * open. KV_UNAVAILABLE when the database cannot be reached. */
    kv_status (*open)(const char *url, bool create, kv_store **out, kv_error *err);
    void (*close)(kv_store *store);
    /* `row` holds the key columns and is filled whole. KV_NOT_FOUND. */
    kv_status (*get)(kv_store *store, const kv_table *table, void *row, kv_arena *arena,
                     kv_error *err);
    kv_status (*scan)(kv_store *store, const kv_scan *scan, kv_arena *arena, kv_rows *out,
                      kv_error *err);
    /* One transaction; counts one version, also for a change without rows.
     * KV_EXISTS: an inserted key or a unique index value is there already.
     * KV_CONFLICT: an expected generation is not what is stored (or the row is gone).
     * KV_UNAVAILABLE: the database is out of reach or full; nothing was changed.
     * KV_BUSY: the writer's turn did not come in time. KV_INTERNAL: the pending record's request id
     * is there already, or a row does not fit its table. */
    kv_status (*apply)(kv_store *store, const kv_change *change, kv_store_state *state,
                       kv_error *err);
    kv_status (*state)(kv_store *store, kv_store_state *state, kv_error *err);
    /* Of the tables, as the migrations number them. */
    unsigned (*schema)(kv_store *store);
    /* Are the ranges (range.h) those of the digest that state() gives? Microseconds for each.
     * KV_INTERNAL with KV_REASON_INTEGRITY. */
    kv_status (*compare_ranges)(kv_store *store, kv_error *err);
    /* Finds the range of `key`, which need not be there; with `count`, hashes its rows anew, in the
     * snapshot it was read in: KV_INTERNAL with KV_REASON_INTEGRITY when somebody else changed
     * them. Milliseconds then. */
    kv_status (*range)(kv_store *store, const kv_table *table, const kv_sorted_key *key, bool count,
                       kv_span *out, kv_error *err);
    /* Has the table, past its indexes, as many rows as its ranges count? Reads the whole of it.
     * KV_INTERNAL with KV_REASON_INTEGRITY. */
    kv_status (*compare_count)(kv_store *store, const kv_table *table, kv_error *err);
    /* Records that a change stored and pending_done has not been told of, oldest first. */
    kv_status (*pending)(kv_store *store, kv_slice node, kv_arena *arena, kv_pending_row **out,
                         unsigned *count, kv_error *err);
    /* Forgets pending records that are in the chain and synced. Cheap (they go with a later
     * transaction); may be called with many. Unknown ids are ignored. After a crash some may come
     * back, so the caller matches them by request id. */
    kv_status (*pending_done)(kv_store *store, kv_slice node, const kv_slice *request_ids,
                              unsigned count, kv_error *err);
} kv_store_ops;

/* First member of every backend's kv_store. */
struct kv_store {
    const kv_store_ops *ops;
};

/* `url`: "sqlite:/path/to/file". KV_UNSUPPORTED for a scheme without a row in stores.c. */
kv_status kv_store_open(const char *url, bool create, kv_store **out, kv_error *err) KV_MUST_USE;
void kv_store_close(kv_store *store);
unsigned kv_store_schema_version(kv_store *store);
