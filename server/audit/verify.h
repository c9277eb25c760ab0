/* verify.h - is this audit log whole? Asked by anybody who has the segments and the public keys.
 *
 * Needs no server, no store and no token: the library kv_auditverify holds this, record.h, frame.h,
 * checkpoint.h and reader.h, and `kvctl audit verify` links it alone.
 *
 * What it proves: every record up to `proved` is there, in order and unchanged, because a signed
 * checkpoint says what the chain was. Records after it follow on one another, but whoever can write
 * the files could have replaced them all or cut them off; pass the newest checkpoint known from
 * elsewhere as `expected` to see a log that was cut before it.
 *
 * Threads: any.
 */
#pragma once

#include <stdint.h>

#include "server/base/error.h"
#include "server/base/slice.h"

typedef struct kv_audit_key {
    kv_slice kid;  /* 32 hex digits */
    kv_slice spki; /* DER */
} kv_audit_key;

typedef enum kv_audit_break {
    KV_AUDIT_SOUND = 0,
    KV_AUDIT_BAD_HEADER,     /* of a segment: edited, or not a segment at all */
    KV_AUDIT_EDITED,         /* a record: its bytes are not what was chained */
    KV_AUDIT_DROPPED,        /* records that should be there are not */
    KV_AUDIT_SWAPPED,        /* two records in each other's place */
    KV_AUDIT_REPEATED,       /* a record for the second time */
    KV_AUDIT_CUT,            /* the file ends inside a record, or before the checkpoint expected */
    KV_AUDIT_MISSING,        /* a whole segment */
    KV_AUDIT_BAD_CHECKPOINT, /* it says something else than the chain */
    KV_AUDIT_BAD_SIGNATURE,  /* of a checkpoint */
    KV_AUDIT_UNKNOWN_KEY,    /* a checkpoint's key is not among those given */
    KV_AUDIT_BREAK_COUNT
} kv_audit_break;

/* Where the first break is, and how far the log is proved. */
typedef struct kv_audit_report {
    kv_audit_break broken;
    char segment[64];  /* file name of the break */
    uint64_t offset;   /* byte in that file where the broken frame (or header) starts */
    uint64_t sequence; /* of the record that should be there */
    char what[160];    /* a sentence */

    uint64_t segments;    /* looked at */
    uint64_t checkpoints; /* verified */
    uint64_t first;       /* record of the first segment; not 1 after retention deleted some */
    uint64_t last;        /* record that is in its place; first - 1 for none */
    uint8_t head[32];     /* its hash */
    uint64_t proved;      /* the last record that a good checkpoint covers */
    int64_t proved_ms;    /* when that checkpoint was made; 0: there is none */
    char proved_kid[33];
    uint8_t node[16];
} kv_audit_report;

typedef struct kv_audit_verify_in {
    const char *const *files; /* in any order */
    size_t file_count;
    const kv_audit_key *keys;
    size_t key_count;
    kv_slice expected; /* an encoded checkpoint that must be in the chain; empty: none */
} kv_audit_verify_in;

/* KV_OK also for a broken log: the report says so. KV_NOT_FOUND when there is no file,
 * KV_UNAVAILABLE when one cannot be read, KV_BAD_REQUEST for an `expected` that is no checkpoint.
 */
kv_status kv_audit_verify(const kv_audit_verify_in *in, kv_audit_report *out,
                          kv_error *err) KV_MUST_USE;
/* All segments in a folder; `in->files` is not looked at. */
kv_status kv_audit_verify_folder(const char *folder, const kv_audit_verify_in *in,
                                 kv_audit_report *out, kv_error *err) KV_MUST_USE;

/* "sound", "edited", "dropped", ... */
const char *kv_audit_break_name(kv_audit_break broken);
