/* pending.h - records of changes that a crash kept out of the chain. Only for this folder.
 *
 * Threads: the one that starts the log.
 */
#pragma once

#include "server/audit/state.h"

typedef struct kv_unchained {
    kv_pending_row *rows; /* of this node */
    unsigned count;
    bool *chained;       /* one for each row */
    int64_t earliest_ms; /* time of the oldest of them; INT64_MAX when there is none */
    int64_t least;       /* smallest store version among them */
} kv_unchained;

/* Everything in the arena. KV_UNAVAILABLE; KV_INTERNAL with KV_REASON_INTEGRITY for a row that is
 * not a record. */
kv_status kv_unchained_read(kv_audit *audit, kv_arena *arena, kv_unchained *out,
                            kv_error *err) KV_MUST_USE;
/* Marks the row that this record of the chain stands for. */
void kv_unchained_meet(kv_unchained *unchained, kv_slice message);
/* Appends those that were not met, in the order of their changes, and has all rows forgotten. */
kv_status kv_unchained_append(kv_audit *audit, kv_unchained *unchained, kv_error *err) KV_MUST_USE;
