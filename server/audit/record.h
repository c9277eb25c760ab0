/* record.h - what one call leaves in the audit chain.
 *
 * Texts are borrowed from the call. Encoded as the protobuf message keyvault.v1.AuditRecord; texts
 * longer than KV_AUDIT_TEXT_BYTES are cut, and bytes that are not printable UTF-8 become '?', so
 * that nothing a caller sends can make a record unreadable.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <stdint.h>

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

enum { KV_AUDIT_CHANGES = 8, KV_AUDIT_TEXT_BYTES = 1024, KV_AUDIT_RECORD_BYTES = 16384 };

/* One sealed row that the call changed, and the generation it has now (0: deleted). */
typedef struct kv_audit_change {
    char table[24];
    char key[72]; /* the primary key, spelled by the store */
    int64_t generation;
} kv_audit_change;

typedef struct kv_audit_entry {
    int64_t time_ms; /* Unix epoch */
    int64_t duration_us;
    uint8_t request_id[16];
    bool has_principal;
    uint8_t principal_id[16];
    kv_slice principal_name;
    uint8_t certificate[32]; /* SHA-256 of the client certificate; zero if none */
    kv_slice roles;          /* comma-separated names */
    kv_slice peer;           /* address */
    const char *operation;   /* static: the row's name */
    kv_slice vault;
    kv_slice collection; /* "certificates", "keys", "secrets" or empty */
    kv_slice name;
    kv_slice version;
    kv_status status;
    kv_reason reason;
    kv_slice field;     /* the offending field, if any */
    kv_slice note;      /* what else an auditor wants: "sans=…", "role=…"; never secret */
    uint8_t key_id[16]; /* CKA_ID of the key used; zero if none */
    bool has_key;
    uint32_t count; /* with refusals before identification: how many in this second */
    kv_audit_change changes[KV_AUDIT_CHANGES];
    unsigned change_count;
    int64_t store_version;    /* after the change; 0 for none */
    uint8_t store_digest[32]; /* SHA-256 of the multiset hash over all (row, generation) */
} kv_audit_entry;

/* An entry that has its place in the chain. */
typedef struct kv_audit_record {
    uint64_t sequence; /* the first is 1; 0 while it has none */
    uint8_t node[16];
    kv_audit_entry entry;
} kv_audit_record;

/* Writes at most KV_AUDIT_RECORD_BYTES to `buffer` and gives how many. Never fails. */
size_t kv_audit_record_pack(const kv_audit_record *record, uint8_t buffer[KV_AUDIT_RECORD_BYTES]);
/* The other way; texts (the operation, too) are copied to the arena. KV_BAD_REQUEST for bytes that
 * are not a record; KV_BUSY when the arena is full. */
kv_status kv_audit_record_unpack(kv_slice bytes, kv_arena *arena, kv_audit_record *out,
                                 kv_error *err) KV_MUST_USE;
/* One number of an encoded record without unpacking it; 0 when it is absent. */
typedef enum kv_audit_number {
    KV_AUDIT_SEQUENCE = 1,
    KV_AUDIT_TIME_MS = 2,
    KV_AUDIT_STATUS = 15, /* google.rpc.Code */
    KV_AUDIT_STORE_VERSION = 23
} kv_audit_number;

uint64_t kv_audit_record_number(kv_slice bytes, kv_audit_number field);
