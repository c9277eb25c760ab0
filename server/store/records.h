/* records.h - rows that can be trusted: read with their seal checked, written with a new one.
 *
 * The database is not trusted. Every row of a sealed table carries an ECDSA P-256 signature by the
 * seal key on the `system` token over (table, primary key, generation, every column, injectively
 * encoded). A row whose seal does not verify is refused with KV_INTERNAL, KV_REASON_INTEGRITY and
 * an alarm in the log. Verified rows are remembered by SHA-256 of (encoding, seal).
 *
 * A commit seals outside the transaction, because no transaction spans a call to a token, and
 * applies inside: a row that changed meanwhile gives KV_CONFLICT and nothing happens.
 *
 * Threads: any worker.
 */
#pragma once

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/store/verified.h"

typedef struct kv_records kv_records;

enum { KV_SEAL_BYTES = 64, KV_SEAL_KEY_ID_BYTES = 16, KV_SEAL_KEYS = 8, KV_WATCHERS = 8 };

/* The seal key, lent by the composition (the store knows no token). */
typedef struct kv_sealer {
    /* Signs a SHA-256 digest: r || s, 64 bytes. KV_UNAVAILABLE when the token is out of reach. */
    kv_status (*sign)(void *context, const uint8_t digest[32], uint8_t seal[KV_SEAL_BYTES],
                      kv_error *err);
    void *context;                        /* borrowed */
    uint8_t key_id[KV_SEAL_KEY_ID_BYTES]; /* CKA_ID of the seal key */
    kv_slice spki;                        /* DER of its public key; borrowed */
} kv_sealer;

typedef struct kv_records_config {
    kv_store *store; /* borrowed */
    kv_sealer sealer;
    const kv_clock *clock; /* borrowed; NULL: the system's */
    kv_log *log;           /* borrowed; NULL: silent */
    kv_slice instance;     /* 16 bytes; part of every seal, so rows do not move between servers */
} kv_records_config;

kv_status kv_records_open(const kv_records_config *config, kv_records **out,
                          kv_error *err) KV_MUST_USE;
void kv_records_close(kv_records *records);

/* Accepts seals of an older seal key too (the sealer's own is accepted already). `spki`: DER,
 * P-256. At most 8 keys, KV_BUSY beyond; KV_BAD_REQUEST for anything but P-256; the same key again
 * is fine. */
kv_status kv_records_add_seal_key(kv_records *records, const uint8_t key_id[KV_SEAL_KEY_ID_BYTES],
                                  kv_slice spki, kv_error *err) KV_MUST_USE;

/* From now on every row that is read is one of the store's digest, too: see verified.h. `verified`
 * is borrowed. Before threads start. */
void kv_records_trust(kv_records *records, kv_verified *verified);

/* Fill the key columns of `row` first. KV_NOT_FOUND; KV_INTERNAL with KV_REASON_INTEGRITY. */
kv_status kv_records_get(kv_records *records, const kv_table *table, void *row, kv_arena *arena,
                         kv_error *err) KV_MUST_USE;
kv_status kv_records_scan(kv_records *records, const kv_scan *scan, kv_arena *arena, kv_rows *out,
                          kv_error *err) KV_MUST_USE;
/* Before a scan by an index that must not miss a row. KV_UNAVAILABLE: for some time after a start
 * it is not known yet that none was taken away. */
kv_status kv_records_whole(kv_records *records, const kv_table *table, kv_error *err) KV_MUST_USE;
/* For work that is to go on for everybody else: rows that cannot be trusted are passed over, with
 * an alarm in the log (at most one in ten seconds), and as many more are read. `more` as in the
 * scan; of at most `limit` rows all are sound. Not for questions of who may do what. */
kv_status kv_records_scan_sound(kv_records *records, const kv_scan *scan, kv_arena *arena,
                                kv_rows *out, kv_error *err) KV_MUST_USE;

/* Before the first row of a change that may have more than KV_CHANGE_OPS of them. KV_BUSY when the
 * arena is full. */
kv_status kv_change_room(kv_change *change, kv_arena *arena, unsigned rows,
                         kv_error *err) KV_MUST_USE;
/* Gather a change. The row struct must live until the commit; its head is filled in by these
 * (generation, seal: kv_records_seal). An update or deletion takes the row as it was read, changed;
 * its head still holds the generation that was read. KV_INTERNAL when the change is full. */
kv_status kv_change_insert(kv_change *change, const kv_table *table, void *row,
                           kv_error *err) KV_MUST_USE;
kv_status kv_change_update(kv_change *change, const kv_table *table, void *row,
                           kv_error *err) KV_MUST_USE;
kv_status kv_change_delete(kv_change *change, const kv_table *table, void *row,
                           kv_error *err) KV_MUST_USE;

/* Gives each row its new generation (one more than before, and at least the time in microseconds,
 * so a key that is used again never meets an old generation) and its seal. Uses the token. */
kv_status kv_records_seal(kv_records *records, kv_change *change, kv_arena *arena,
                          kv_error *err) KV_MUST_USE;

/* From now on the pending records of changes are authenticated. Before threads start. */
void kv_records_authenticate(kv_records *records, kv_pending_mac mac);

/* Applies a sealed change (all or nothing) and tells the watchers. Errors as kv_store_ops.apply. */
kv_status kv_records_apply(kv_records *records, const kv_change *change, kv_store_state *state,
                           kv_error *err) KV_MUST_USE;

/* Called after each applied change, in no lock, by the thread that applied it: caches drop what
 * changed. At most 8 watchers; add them before threads start. */
typedef void kv_records_watcher(void *context, const kv_change *change);
kv_status kv_records_watch(kv_records *records, kv_records_watcher *watcher, void *context,
                           kv_error *err) KV_MUST_USE;

/* Reads every row of every sealed table, checks each seal and the set of rows against the store's
 * state. Goes on after a bad row: the log has an alarm for each, 100 at most. KV_INTERNAL with
 * KV_REASON_INTEGRITY naming table and key of the first one. `tables`: NULL for all, or a
 * NULL-terminated list (then the set is not compared). */
kv_status kv_records_sweep(kv_records *records, const kv_table *const *tables,
                           kv_error *err) KV_MUST_USE;

/* A sweep or comparison under way ends with KV_CANCELLED after the page at hand. Any thread. */
void kv_records_stop(kv_records *records);

/* Only the set of rows: is it, with their generations, the one that the store's state says? A row
 * that was taken away, or an older one put back with its good seal, is seen by this and nothing
 * else. Microseconds a row; no token. KV_INTERNAL with KV_REASON_INTEGRITY, KV_CANCELLED after
 * kv_records_stop(). */
kv_status kv_records_compare(kv_records *records, kv_error *err) KV_MUST_USE;

kv_store *kv_records_store(kv_records *records);
