/* messages_audit.h - reading the audit log. */
#pragma once

#include "server/audit/search.h"
#include "server/vault/messages/messages_common.h"

/* target.vault, .collection and .name are filters, so that an auditor of one vault may search it.
 * One message of the answer is a kv_audit_record. */
typedef struct kv_audit_search_in {
    kv_target target;
    int64_t from_ms; /* both given, from_ms < to_ms */
    int64_t to_ms;   /* exclusive */
    bool has_principal;
    uint8_t principal_id[16];
    kv_slice operation; /* empty: all */
    bool has_succeeded;
    bool succeeded;
    uint32_t limit; /* most records; 0: the default */
} kv_audit_search_in;

/* One message of the answer is a kv_audit_chunk. */
typedef struct kv_audit_export_in {
    kv_target target;
    uint64_t first_sequence; /* 0: from the first one kept */
    uint64_t last_sequence;  /* 0: to the head */
} kv_audit_export_in;

typedef kv_target_in kv_audit_status_get_in;

typedef struct kv_audit_state {
    kv_slice node; /* 16 bytes */
    uint64_t head_sequence;
    uint8_t head_hash[32];
    uint64_t checkpoint_sequence; /* up to here the log is proved by a signature */
    int64_t checkpoint_ms;        /* 0: no checkpoint yet */
    kv_slice public_key;          /* SubjectPublicKeyInfo, DER */
    kv_slice kid;                 /* 32 hex digits */
    bool anchored;
    bool failed; /* the last write failed: calls are refused until one works */
} kv_audit_state;
