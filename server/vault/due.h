/* due.h - rows that say when something is to be looked at, and a step of the server's own for the
 * first of them. Inner to vault.
 *
 * The row is read through an index by time: nothing scans tables. What cannot be trusted, or cannot
 * be done now, is moved, so that those behind it do not wait for it.
 */
#pragma once

#include "server/vault/own_step.h"

/* A table of such rows, and what records call the changes of its times. */
typedef struct kv_due {
    const kv_table *table; /* its index 1 begins with the time */
    size_t due_at;         /* offset in the row, an int64_t in ms */
    const char *later;
    const char *never;
} kv_due;

/* The first row of all that can be trusted, due or not. */
kv_status kv_due_first(kv_vault *vault, kv_work *work, const kv_due *due, void *row, bool *found,
                       kv_error *err) KV_MUST_USE;
/* It is looked at again at `at_ms`. KV_CONFLICT: it is not as it was read. */
kv_status kv_due_move(kv_vault *vault, kv_work *work, const kv_due *due, void *row, int64_t at_ms,
                      kv_error *err) KV_MUST_USE;
/* There is nothing to be done any more; what `err` says is forgotten too. */
kv_status kv_due_forget(kv_vault *vault, kv_work *work, const kv_due *due, void *row,
                        kv_error *err) KV_MUST_USE;
/* kv_due_move(), of the row as it is by now: somebody may have touched it, or taken it away. What
 * `err` says has been told, and is forgotten. */
kv_status kv_due_shelve(kv_vault *vault, kv_work *work, const kv_due *due, void *row, int64_t at_ms,
                        kv_error *err) KV_MUST_USE;

/* What is to be done with the first row; `*next_at`: when there will be something, 0: never. */
typedef kv_status kv_due_turn(kv_vault *vault, kv_work *work, int64_t *next_at, kv_error *err);

/* A turn with memory, time and a record of its own, that is called `operation`. That another server
 * or a call was quicker is no failure. */
kv_status kv_due_step(kv_vault *vault, const char *operation, kv_due_turn *turn, int64_t *next_at,
                      kv_error *err) KV_MUST_USE;
