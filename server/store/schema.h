/* schema.h - the rows of every table, as C structs.
 *
 * Times are int64_t milliseconds since the Unix epoch, 0 for none. Ids are 16 random bytes. Flags
 * are 0 or 1. Names in key columns are lower case. Slices are borrowed from the arena they were
 * read to. The descriptors are in tables.c; a column here is a column there and in schema/
 * (test_tables).
 */
#pragma once

#include "server/store/schema_access.h"
#include "server/store/schema_authorities.h"
#include "server/store/schema_events.h"
#include "server/store/schema_issuers.h"
#include "server/store/schema_notify.h"
#include "server/store/schema_objects.h"
#include "server/store/schema_proofs.h"
#include "server/store/schema_renewals.h"
#include "server/store/schema_rotations.h"
#include "server/store/table.h"

/* This server's identity. One row. */
typedef struct kv_instance_row {
    kv_row_head head;
    int64_t id; /* key: 1 */
    kv_slice instance;
    int64_t created;
} kv_instance_row;

/* A private or secret key on a token, from before it is made until after it is gone. */
typedef struct kv_token_object_row {
    kv_row_head head;
    kv_slice key_id; /* key: CKA_ID */
    kv_slice state;  /* "creating", "ready", "destroying" */
    int64_t duty;    /* kv_duty */
    kv_slice token;
    kv_slice class; /* pkcs11's spelling */
    kv_slice kind;
    kv_slice spki;
    kv_slice node; /* which server is making it */
    int64_t lease_until;
    kv_slice owner_uid; /* object or vault it is for; empty for the server's own */
    int64_t created;
} kv_token_object_row;

/* How many encryptions of an AES-GCM key have been reserved. */
typedef struct kv_key_use_row {
    kv_row_head head;
    kv_slice key_id; /* key */
    int64_t reserved;
} kv_key_use_row;

/* A key of the server itself. */
typedef struct kv_signer_row {
    kv_row_head head;
    kv_slice kid;     /* key: 32 hex digits */
    kv_slice purpose; /* "seal", "role-token", "audit", "pending", "backup" */
    kv_slice key_id;
    kv_slice spki;
    int64_t created;
    int64_t sign_until;
    int64_t verify_until;
} kv_signer_row;

/* A closed segment of the audit chain; proves itself by its signature. */
typedef struct kv_segment_row {
    kv_row_head head;
    int64_t id; /* key */
    int64_t first;
    int64_t last;
    kv_slice hash; /* of its last record */
    kv_slice signer;
    kv_slice signature;
    int64_t closed;
} kv_segment_row;

extern const kv_table kv_table_instance;
extern const kv_table kv_table_vaults;
extern const kv_table kv_table_objects;      /* index 1: uid */
extern const kv_table kv_table_key_versions; /* index 1: key_id */
extern const kv_table kv_table_secret_versions;
extern const kv_table
    kv_table_certificate_versions; /* 1: vault_uid, sha1; 2: vault_uid, sha256; 3: serial */
extern const kv_table kv_table_policies;
extern const kv_table kv_table_issuers;       /* index 1: credential_expires */
extern const kv_table kv_table_operations;    /* index 1: state, object_uid */
extern const kv_table kv_table_token_objects; /* index 1: state, key_id; 2: owner_uid; 3: spki */
extern const kv_table kv_table_key_uses;
extern const kv_table kv_table_principals;  /* index 1, unique: name_lower */
extern const kv_table kv_table_credentials; /* 1, unique: match; 2: principal_id; 3: vault */
extern const kv_table kv_table_slots;       /* index 1: credential_id */
extern const kv_table kv_table_assignments; /* index 1: scope */
extern const kv_table kv_table_revocations; /* index 1: until */
extern const kv_table kv_table_idempotency; /* index 1: created */
extern const kv_table kv_table_signers;
extern const kv_table kv_table_segments;
extern const kv_table kv_table_authorities;
extern const kv_table kv_table_crls;
extern const kv_table kv_table_responders;
/* 1, unique: operation; 2: authority_uid, state, serial; 3: authority_uid, not_after, serial */
extern const kv_table kv_table_issued;
