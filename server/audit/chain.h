/* chain.h - the end of the chain, and the group that is about to become part of it.
 *
 * Records are added to a group; committing it writes and syncs it once. What a failed commit held
 * is gone, and the chain stands where it stood.
 *
 * Threads: the audit thread (and start-up and shutdown, when there is none).
 */
#pragma once

#include "server/audit/checkpoint.h"
#include "server/audit/record.h"
#include "server/audit/segment.h"
#include "server/store/store.h"

enum {
    KV_GROUP_BYTES = 1024 * 1024, /* most that one write holds */
    KV_SEGMENT_RESERVE = 1024,    /* kept free for the closing checkpoint */
    KV_SEGMENT_LEAST_BYTES = 65536
};

/* How far the chain goes. */
typedef struct kv_chain_end {
    uint64_t sequence;
    uint8_t head[32];     /* hash of that record */
    uint8_t link[32];     /* what the next one's hash follows on */
    kv_store_state store; /* of the newest change */
} kv_chain_end;

/* A segment that is full: it wants its closing checkpoint. */
typedef struct kv_closing {
    struct kv_closing *next;
    kv_segment segment;
    uint64_t full; /* bytes before the closing checkpoint */
    kv_chain_end end;
    bool written; /* the checkpoint is in the file */
    kv_checkpoint checkpoint;
} kv_closing;

typedef struct kv_chain {
    const char *folder; /* borrowed */
    uint64_t segment_bytes;
    uint8_t node[16];
    char kid[33];
    kv_segment active;
    kv_chain_end durable;
    kv_chain_end next; /* with the group */
    uint8_t *group;    /* KV_GROUP_BYTES */
    size_t used;
} kv_chain;

typedef enum kv_chain_room {
    KV_CHAIN_ADDED,
    KV_CHAIN_GROUP_FULL,  /* commit, then add it again */
    KV_CHAIN_SEGMENT_FULL /* commit, rotate, then add it again */
} kv_chain_room;

/* `chain->active`, `durable`, folder and so on are set by the caller. KV_UNAVAILABLE. */
kv_status kv_chain_open(kv_chain *chain, kv_error *err) KV_MUST_USE;
void kv_chain_cleanup(kv_chain *chain);

/* Gives the record its sequence number and node. */
kv_chain_room kv_chain_add(kv_chain *chain, kv_audit_record *record);
kv_chain_room kv_chain_add_checkpoint(kv_chain *chain, const kv_checkpoint *checkpoint);
/* KV_UNAVAILABLE: nothing of the group is in the chain. */
kv_status kv_chain_commit(kv_chain *chain, kv_error *err) KV_MUST_USE;
/* Begins the next segment; with an empty group only. The full one is handed over in `out`. */
kv_status kv_chain_rotate(kv_chain *chain, int64_t now_ms, kv_closing **out,
                          kv_error *err) KV_MUST_USE;
/* The first segment of a chain, or the next one after `chain->durable`. */
kv_status kv_chain_begin_segment(kv_chain *chain, int64_t now_ms, kv_segment *out,
                                 kv_error *err) KV_MUST_USE;
