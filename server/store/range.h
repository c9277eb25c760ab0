/* range.h - the keys of a table, cut into ranges that are counted one by one.
 *
 * One digest over all rows can only be compared by reading all rows. So the rows of a table are
 * counted by ranges of their primary keys, each with a multiset of its own, and the store's digest
 * is that of the set of ranges: reading the ranges, of which there is one for some hundred rows,
 * tells whether they are the ones that the audit log vouches for; reading the rows of one range
 * tells whether these are. A key that is not there is in some range, too: so is a row that was
 * taken away.
 *
 * Keys are compared as bytes that sort as SQLite and PostgreSQL (collation "C") sort the columns.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/store/multiset.h"

enum {
    /* Longest key as sorted bytes. One that is longer cannot be stored. */
    KV_RANGE_KEY_BYTES = 1024,
    /* A range with more rows is cut in two. */
    KV_RANGE_ROWS = 1024
};

typedef struct kv_sorted_key {
    size_t len; /* 0: before every key */
    uint8_t bytes[KV_RANGE_KEY_BYTES];
} kv_sorted_key;

typedef struct kv_range {
    kv_sorted_key first; /* it reaches from here to where the next one begins */
    int64_t rows;
    kv_multiset set; /* of its rows */
} kv_range;

/* Where a range begins, and the next one. */
typedef struct kv_span {
    kv_sorted_key first;
    kv_sorted_key next;
    bool last; /* there is no next one; it reaches to the end */
} kv_span;

/* The first `columns` columns, in the order of the primary key. False when they do not fit. */
bool kv_sort_key(const kv_table *table, unsigned columns, const void *row, kv_sorted_key *out);
/* Into the key columns of `row`, whose slices point into `room` then. False when it is no key of
 * this table. */
bool kv_unsort_key(const kv_table *table, const kv_sorted_key *key,
                   uint8_t room[KV_RANGE_KEY_BYTES], void *row);
/* As memcmp. */
int kv_sorted_key_compare(const kv_sorted_key *left, const kv_sorted_key *right);
/* Is `key` one of those that begin with `prefix`, or before them? */
bool kv_sorted_key_until(const kv_sorted_key *key, const kv_sorted_key *prefix);

/* Changes of the set of ranges: table, first key, number of rows and digest of each. False when
 * the digest fails; the set is as it was then. */
bool kv_ranges_add(kv_multiset *ranges, const kv_table *table, const kv_range *range);
bool kv_ranges_remove(kv_multiset *ranges, const kv_table *table, const kv_range *range);
