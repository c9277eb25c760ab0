/* schema_events.h - what happened, who was told, and what is going to end. Through schema.h. */
#pragma once

#include "server/store/table.h"

/* One event; written by the change it tells of and never changed. A field that its type does not
 * have is empty or 0. */
typedef struct kv_event_row {
    kv_row_head head;
    int64_t sequence; /* key: grows with every event, leaves gaps */
    int64_t time;
    kv_slice type; /* "Microsoft.KeyVault.CertificateNewVersionCreated", ... */
    kv_slice vault_uid;
    kv_slice vault;     /* the vault's name as it was written */
    int64_t collection; /* kv_collection; 0: of no object */
    kv_slice object_uid;
    kv_slice name; /* as it was written */
    kv_slice version;
    int64_t not_before;
    int64_t expires;
    kv_slice sha256; /* of the certificate's DER */
    kv_slice issuer; /* its name in the policy */
    kv_slice cause;  /* one word: why, or how near */
    kv_slice error_code;
    kv_slice error_message;
    kv_slice principal; /* display name */
    kv_slice operation; /* name of the operation, as in the audit log */
} kv_event_row;

/* How far somebody has read. */
typedef struct kv_event_consumer_row {
    kv_row_head head;
    kv_slice name;  /* key */
    int64_t cursor; /* the last event that is done with */
    int64_t updated;
} kv_event_consumer_row;

/* When the end of an object's current version is announced next. */
typedef struct kv_expiry_row {
    kv_row_head head;
    kv_slice object_uid; /* key */
    kv_slice vault_uid;
    kv_slice version;
    int64_t created;
    int64_t not_before;
    int64_t expires;
    int64_t due_at;
    int64_t asked; /* when the policy of a certificate wants it announced; 0: not at all */
} kv_expiry_row;

extern const kv_table kv_table_events;
extern const kv_table kv_table_event_consumers;
extern const kv_table kv_table_expiries;
