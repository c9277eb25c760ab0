/* idempotency.h - a change that is asked for twice with one key is made once.
 *
 * The key's row is stored in the transaction of the change, bound to the principal, the operation
 * and an HMAC of the request. A repetition is answered from what the change made, as it is now;
 * nothing of the first answer is kept, so no secret is.
 *
 * Threads: workers.
 */
#pragma once

#include "server/store/schema.h"
#include "server/vault/vault.h"

enum { KV_IDEMPOTENCY_KEY_MAX = 64, KV_IDEMPOTENCY_MS = 24 * 60 * 60 * 1000 };

/* Of one call; in its arena. */
typedef struct kv_idempotency {
    kv_idempotency_row row; /* what is to be stored, or was found */
    bool stored;
    bool outrun; /* another call with the key came first: its answer is this one's */
} kv_idempotency;

/* Before a call that changes something is run. `*again`: it was made before, and `out` holds its
 * answer. KV_BAD_REQUEST about idempotency-key: not 1 to 64 visible ASCII characters, or used with
 * another request; KV_NOT_FOUND: it was made before, and what it made is no more. */
kv_status kv_idempotency_find(kv_vault *vault, kv_work *work, const char *operation, kv_slice key,
                              kv_slice request, void *out, bool *again, kv_error *err) KV_MUST_USE;

/* Can a repetition of this operation be answered? (answer_again.c; a test asks for every row) */
bool kv_answers_again(const char *operation);
/* Forgets what is older than a day, a few hundred rows at a time. `*more`: call it again. */
kv_status kv_idempotency_sweep(kv_vault *vault, bool *more, kv_error *err) KV_MUST_USE;

/* --- inner to vault --- */

/* Adds the row to a change, unless there is no key or it is stored: `*added`. */
kv_status kv_idempotency_add(kv_work *work, kv_change *change, bool *added,
                             kv_error *err) KV_MUST_USE;
/* After that change: KV_CONFLICT when another call with the key came first. */
kv_status kv_idempotency_added(kv_vault *vault, kv_work *work, kv_status status,
                               kv_error *err) KV_MUST_USE;
/* Fills the out of an operation from the row of the call that did it. */
kv_status kv_answer_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row, void *out,
                          kv_error *err) KV_MUST_USE;
