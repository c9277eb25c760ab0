/* walk.h - goes along the chain, segment after segment, and stops at the first break.
 *
 * Threads: one per walk.
 */
#pragma once

#include "server/audit/checkpoint.h"
#include "server/audit/reader.h"
#include "server/audit/verify.h"

/* Called for each record that is in its place. */
typedef kv_status kv_walk_record(void *context, uint64_t sequence, kv_slice message, kv_error *err);

typedef struct kv_walk {
    const kv_audit_key *keys; /* borrowed */
    size_t key_count;
    bool skip_unknown_keys; /* their checkpoints prove nothing and break nothing */
    bool has_expected;
    kv_checkpoint expected;
    kv_walk_record *record; /* NULL: nobody asks */
    void *context;
    kv_audit_report *report; /* borrowed */

    bool begun;
    uint64_t next;         /* sequence number of the record that should come */
    uint8_t link[32];      /* what its hash follows on */
    int64_t store_version; /* newest seen in headers and checkpoints */
    uint8_t store_digest[32];
    kv_checkpoint checkpoint; /* last good one */
    uint64_t segment_first;
    bool closed; /* the last frame was a checkpoint over all before it */
    bool expected_seen;
    /* How the last segment ended, and where. */
    kv_frame_state ended;
    uint64_t end;
    /* Hashes of the records from `hashes_from` on: what a late checkpoint may speak of. */
    uint8_t (*hashes)[32];
    uint64_t hashes_from;
    size_t hash_count;
    size_t hash_room;
} kv_walk;

void kv_walk_begin(kv_walk *walk, kv_audit_report *report);
/* Goes through one segment; `name` is for the report, `last` when none follows. Sets
 * report->broken at a break. KV_UNAVAILABLE when it cannot be read. */
kv_status kv_walk_segment(kv_walk *walk, kv_segment_reader *reader, const char *name,
                          kv_error *err) KV_MUST_USE;
/* After the last segment: was the expected checkpoint there? */
void kv_walk_end(kv_walk *walk);
void kv_walk_cleanup(kv_walk *walk);
