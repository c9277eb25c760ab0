/* verified.h - which rows are known to be those of the store's digest.
 *
 * A good seal does not tell that a row is of yesterday, nor that another is missing; the digest
 * does, range by range (range.h). A thread of its own compares all of them: first the set of
 * ranges, then the tables named as first ones, then the others. Whoever reads a row of a range
 * before the thread has come to it waits for that range alone.
 *
 * Threads: any, unless said otherwise. Loops never.
 */
#pragma once

#include <stdatomic.h>

#include "server/store/store.h"

typedef struct kv_verified kv_verified;

/* Begins. `store` is borrowed; `first` is a NULL-terminated list that outlives it. NULL when there
 * can be no thread. */
kv_verified *kv_verified_begin(kv_store *store, const kv_table *const *first) KV_MUST_USE;
/* Waits until the set of ranges and the first tables are compared, and up to `rest_ms` milliseconds
 * more for the others. KV_INTERNAL with KV_REASON_INTEGRITY when something differs by then, or
 * what kept it from comparing. */
kv_status kv_verified_wait(kv_verified *verified, int64_t rest_ms, kv_error *err) KV_MUST_USE;
/* Waits for the end. Errors as kv_verified_wait(); KV_CANCELLED after kv_verified_stop(). */
kv_status kv_verified_finish(kv_verified *verified, kv_error *err) KV_MUST_USE;
/* It ends after the range at hand; rows that it has not come to are compared as they are read. */
void kv_verified_stop(kv_verified *verified);
/* When nobody else uses it. NULL is fine. */
void kv_verified_free(kv_verified *verified);

/* Is the range of this key as it was counted? A load when all ranges have been compared. `verified`
 * may be NULL: then nothing is asked. Errors as kv_store_ops.range(). */
kv_status kv_verified_row(kv_verified *verified, const kv_table *table, const void *row,
                          kv_error *err) KV_MUST_USE;
/* All ranges of what a scan by primary key looked at. */
kv_status kv_verified_scan(kv_verified *verified, const kv_scan *scan, const kv_rows *rows,
                           kv_error *err) KV_MUST_USE;

/* Is every row of the table compared? For who must not miss one that an index should have led to.
 * KV_UNAVAILABLE: not yet. */
kv_status kv_verified_table(kv_verified *verified, const kv_table *table,
                            kv_error *err) KV_MUST_USE;

/* Compares everything, whoever did before, the tables past their indexes too. `stop` may be NULL:
 * KV_CANCELLED once it is set. */
kv_status kv_store_compare(kv_store *store, const atomic_bool *stop, kv_error *err) KV_MUST_USE;
