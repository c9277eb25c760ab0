/* multiset.h - one number for a set of rows, kept up in constant time.
 *
 * LtHash16: each (table, primary key, generation) is expanded by SHAKE256 to 1024 numbers of 16
 * bits, and the hash of the set is their sum, lane by lane, modulo 2^16. Adding and taking away
 * commute, so the order of changes does not matter. Who cannot find collisions in SHAKE256 or solve
 * a lattice problem of this size cannot make another set with the same sum. It is not keyed: it
 * means something only beside a copy that is out of the database's reach (the audit chain).
 */
#pragma once

#include <stdbool.h>

#include "server/store/table.h"

enum { KV_MULTISET_LANES = 1024, KV_MULTISET_BYTES = 2 * KV_MULTISET_LANES };
enum { KV_MULTISET_DIGEST_BYTES = 32 };

/* As stored: each lane big-endian. All zero is the empty set. */
typedef struct kv_multiset {
    uint8_t lanes[KV_MULTISET_BYTES];
} kv_multiset;

/* Of `row` only the key columns count. False when the digest fails; the set is as it was then. */
bool kv_multiset_add(kv_multiset *set, const kv_table *table, const void *row, int64_t generation);
bool kv_multiset_remove(kv_multiset *set, const kv_table *table, const void *row,
                        int64_t generation);
/* Union with another set, and taking one away. */
void kv_multiset_plus(kv_multiset *set, const kv_multiset *other);
void kv_multiset_minus(kv_multiset *set, const kv_multiset *other);
/* SHA-256 of the lanes. */
bool kv_multiset_digest(const kv_multiset *set, uint8_t out[KV_MULTISET_DIGEST_BYTES]);
