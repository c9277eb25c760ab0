/* refusals.h - many refusals of strangers, counted into few records.
 *
 * Threads: the caller's lock.
 */
#pragma once

#include "server/audit/record.h"

enum { KV_REFUSALS = 1024, KV_REFUSAL_SLOTS = 2048, KV_REFUSAL_PEER_BYTES = 64 };

typedef struct kv_refusal {
    char peer[KV_REFUSAL_PEER_BYTES]; /* without port */
    const char *operation;            /* static */
    bool has_principal;
    uint8_t principal_id[16]; /* zero without */
    kv_status status;
    kv_reason reason;
    int64_t time_ms; /* of the first */
    uint8_t request_id[16];
    uint32_t count;
} kv_refusal;

/* One more than KV_REFUSALS: the last is for all that found no place. */
typedef struct kv_refusals {
    unsigned count;
    bool overflowed;
    uint16_t slots[KV_REFUSAL_SLOTS]; /* number in `list` plus one; 0: free */
    kv_refusal list[KV_REFUSALS + 1];
} kv_refusals;

/* Counts `entry->count` refusals, at least one. */
void kv_refusals_add(kv_refusals *refusals, const kv_audit_entry *entry);
