/* count.h - the digest over all rows, worked out in a thread of its own.
 *
 * A start opens its tokens meanwhile: both take seconds with many keys, and neither needs the
 * other.
 */
#pragma once

#include "server/store/store.h"

typedef struct kv_count kv_count;

/* Begins to count the rows of `store`, which is borrowed and in which nobody changes anything until
 * kv_count_take(). NULL when there can be no thread. */
kv_count *kv_count_begin(kv_store *store) KV_MUST_USE;
/* Waits for the end: what kv_store_ops.recount() said. */
kv_status kv_count_take(KV_TAKES kv_count *count, uint8_t counted[KV_STORE_DIGEST_BYTES],
                        kv_store_state *state, kv_error *err) KV_MUST_USE;
/* Waits for the end. */
void kv_count_free(kv_count *count);
