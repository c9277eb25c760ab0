/* search.h - reading the audit log while it grows.
 *
 * Readers see durable records only: they stop at what the audit thread has synced, and never wait
 * for it.
 *
 * Threads: any worker.
 */
#pragma once

#include "server/audit/audit.h"
#include "server/audit/record.h"

/* Empty and absent parts match everything. */
typedef struct kv_audit_filter {
    int64_t from_ms; /* records with from_ms <= time < to_ms; both required */
    int64_t to_ms;
    uint64_t after; /* only later sequence numbers: where the last page ended */
    bool has_principal;
    uint8_t principal_id[16];
    kv_slice operation; /* exact */
    kv_slice vault;     /* without case */
    kv_slice collection;
    kv_slice name; /* without case */
    bool has_succeeded;
    bool succeeded;
    bool has_status;
    kv_status status;
    kv_deadline deadline; /* zero: none */
} kv_audit_filter;

/* The record and its texts live until the function returns. False ends the search. */
typedef bool kv_audit_found(void *context, const kv_audit_record *record);

/* Calls `found` for each match in the order of the chain. KV_BAD_REQUEST without a time range
 * ("from_ms", "to_ms"); KV_TIMEOUT; KV_UNAVAILABLE when a segment cannot be read;
 * KV_INTERNAL with KV_REASON_INTEGRITY when one is damaged. */
kv_status kv_audit_search(kv_audit *audit, const kv_audit_filter *filter, kv_audit_found *found,
                          void *context, kv_error *err) KV_MUST_USE;

/* A place in the raw log. Zero: the beginning. With `segment` alone: that segment's beginning. */
typedef struct kv_audit_cursor {
    uint64_t segment; /* its first sequence number */
    uint64_t offset;
} kv_audit_cursor;

/* Sets the cursor to the beginning of the segment that holds a record (0: the oldest segment).
 * KV_NOT_FOUND when that record is not there (any more, or yet). */
kv_status kv_audit_locate(kv_audit *audit, uint64_t sequence, kv_audit_cursor *out,
                          kv_error *err) KV_MUST_USE;

typedef struct kv_audit_chunk {
    uint64_t segment;
    uint64_t offset; /* of `bytes` in the segment's file */
    kv_slice bytes;  /* in the arena; empty: nothing more is durable now */
    char name[32];   /* of the segment's file */
} kv_audit_chunk;

/* The next at most `max_bytes` bytes of the segment files, and moves the cursor past them. Written
 * to files of the given names they are what kv_audit_verify checks. KV_NOT_FOUND when the segment
 * of the cursor is not there (any more). */
kv_status kv_audit_export(kv_audit *audit, kv_audit_cursor *cursor, size_t max_bytes,
                          kv_arena *arena, kv_audit_chunk *out, kv_error *err) KV_MUST_USE;
