/* audit.h - no audit, no answer: the chain every call passes before its answer leaves.
 *
 * Only the audit thread appends. It takes all waiting entries, chains them, writes them to the
 * active segment and calls fdatasync once for the group; then each entry's `done` is called, which
 * posts the call home. A change's record stands in the store already (audit_pending), written in
 * the transaction of the change; the audit thread deletes those rows after the sync, and start-up
 * appends the ones a crash left behind.
 *
 * Threads:  post from any thread. `done` runs on the audit thread and must not block.
 * Lifetime: everything posted before kv_audit_stop() is written and done before it returns.
 */
#pragma once

#include "server/audit/checkpoint.h"
#include "server/audit/record.h"
#include "server/base/arena.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/store/store.h"

typedef struct kv_audit kv_audit;

/* Signs a SHA-256 digest with the audit signer on the `system` token: r || s, 64 bytes. */
typedef struct kv_audit_signer {
    kv_status (*sign)(void *context, const uint8_t digest[32], uint8_t signature[64],
                      kv_error *err);
    void *context; /* borrowed */
    kv_slice kid;  /* 32 hex digits */
    kv_slice spki; /* DER */
} kv_audit_signer;

/* The anchor: a small private data object on the `system` token that holds the last checkpoint. */
typedef struct kv_audit_anchor {
    /* An empty slice when there is none yet. */
    kv_status (*read)(void *context, kv_arena *arena, kv_slice *out, kv_error *err);
    kv_status (*write)(void *context, kv_slice value, kv_error *err);
    void *context;
} kv_audit_anchor;

typedef struct kv_audit_config {
    const char *folder;          /* of the segments */
    uint64_t segment_bytes;      /* preallocated; default 256 MiB */
    uint64_t checkpoint_records; /* a checkpoint after so many records */
    int64_t checkpoint_ms;       /* or so much time, whichever comes first */
    uint64_t low_water_bytes;    /* less free space than this: kv_audit_low_space() is true */
    kv_slice node;               /* 16 bytes */
    /* A chain that is not there is begun. Only for initialisation: otherwise a folder without a
     * chain is an error as soon as the store holds anything or the anchor exists. */
    bool create;
    kv_store *store; /* borrowed: pending rows, closed segments */
    kv_audit_signer signer;
    kv_audit_anchor anchor;
    /* Pending records must carry it, or nothing starts; without make they are taken as they are. */
    kv_pending_mac pending_mac;
    const kv_clock *clock;
    kv_log *log;
} kv_audit_config;

/* Opens the chain: cuts a torn tail, verifies from the last checkpoint on, compares with the anchor
 * and with the store's state, appends pending records, makes a checkpoint.
 *
 * The store must be in the state of the newest change in the chain (pending records count), so
 * every change after the initialisation carries a pending record, under a request id of its own.
 *
 * KV_INTERNAL with KV_REASON_INTEGRITY when chain, anchor and store do not agree (something was put
 * back or edited); KV_EXISTS for `create` when there is a chain that holds a record, or its
 * anchor; KV_PRECONDITION when another process has the folder; KV_UNAVAILABLE for folder, store,
 * signer or anchor out of reach. Strings, slices, store, clock and log of `config` must outlive the
 * chain. */
kv_status kv_audit_start(const kv_audit_config *config, kv_audit **out, kv_error *err) KV_MUST_USE;
/* Writes what is waiting, makes a last checkpoint, joins its threads. */
void kv_audit_stop(kv_audit *audit);

/* Embedded in whatever waits for its record. */
typedef struct kv_audit_ticket {
    struct kv_audit_ticket *next;
    const kv_audit_entry *entry; /* borrowed until `done` */
    bool pending;                /* the store holds its pending row */
    /* `status` is KV_OK when the record is durable, KV_UNAVAILABLE when it is not: then the result
     * must not be told. The record of a change (`pending`) is owed and appended later. */
    void (*done)(struct kv_audit_ticket *ticket, kv_status status);
    /* Optional, instead of `done`: tickets with the same function that stand together in a group
     * are told at once, as a list linked by `next`, oldest first. */
    void (*done_together)(struct kv_audit_ticket *tickets, kv_status status);
} kv_audit_ticket;

/* One ticket, or a list of them linked by `next`, oldest first. */
void kv_audit_post(kv_audit *audit, kv_audit_ticket *tickets);

/* A refusal before identification, or "busy": counted per second, peer (without port), principal
 * where one is known, status and reason, one record for all, with the operation of the first.
 * Copies what it needs. Never blocks; past 1024 different ones in a second the rest share one
 * record with the peer "*". */
void kv_audit_refused(kv_audit *audit, const kv_audit_entry *entry);

/* The bytes that go into audit_pending (kv_pending.record). */
kv_status kv_audit_encode(const kv_audit_entry *entry, kv_arena *arena, kv_slice *out,
                          kv_error *err) KV_MUST_USE;

typedef struct kv_audit_status {
    uint64_t records;            /* sequence number of the last durable record; the first is 1 */
    uint8_t head[32];            /* its hash */
    uint64_t checkpoint_records; /* up to here the log is proved by a signature */
    int64_t checkpoint_ms;       /* when */
    bool anchored;
    bool failed;              /* the last write failed: nothing is answered until one works */
    int64_t store_version;    /* of the newest change in the chain */
    uint64_t first;           /* the oldest record kept; 1 while nothing was deleted */
    bool late;                /* a checkpoint is overdue by three times checkpoint_ms, or failed */
    kv_checkpoint checkpoint; /* the last one in the chain */
    uint64_t active;          /* the first sequence number of the active segment */
    uint64_t durable;         /* bytes of the active segment that are synced */
} kv_audit_status;

void kv_audit_get_status(kv_audit *audit, kv_audit_status *out);
/* Less than the low water mark is free: new changes should be refused. */
bool kv_audit_low_space(kv_audit *audit);
/* Makes a checkpoint now (tests, shutdown, `kvctl audit checkpoint`). Waits for it. */
kv_status kv_audit_checkpoint(kv_audit *audit, kv_error *err) KV_MUST_USE;
