/* schema.h - the rows of every table, as C structs.
 *
 * Times are int64_t milliseconds since the Unix epoch, 0 for none. Ids are 16 random bytes. Flags
 * are 0 or 1. Names in key columns are lower case. Slices are borrowed from the arena they were
 * read to. The descriptors are in tables.c; a column here is a column there and in schema/
 * (test_tables).
 */
#pragma once

#include "server/store/table.h"

/* This server's identity. One row. */
typedef struct kv_instance_row {
    kv_row_head head;
    int64_t id; /* key: 1 */
    kv_slice instance;
    int64_t created;
} kv_instance_row;

typedef struct kv_vault_row {
    kv_row_head head;
    kv_slice name; /* key: lower case */
    kv_slice uid;
    kv_slice display_name;
    int64_t retention_days;
    int64_t purge_protection;
    int64_t default_exportable;
    int64_t created;
    int64_t updated;
    int64_t deleted;
    int64_t purge_at;
    int64_t purging;        /* being destroyed: nothing but that may happen to it any more */
    kv_slice secret_key_id; /* of the key that encrypts new secrets of this vault */
    kv_slice tags;          /* JSON object */
} kv_vault_row;

/* A name in a collection; its versions are in the three tables below. */
typedef struct kv_object_row {
    kv_row_head head;
    kv_slice vault_uid; /* key */
    int64_t collection; /* key: kv_collection */
    kv_slice name;      /* key: lower case */
    kv_slice display_name;
    kv_slice uid;
    kv_slice current; /* version: 32 hex digits; empty before the first is there */
    int64_t managed;  /* belongs to the certificate of the same name */
    int64_t created;
    int64_t deleted;
    int64_t purge_at;
    int64_t purging;     /* being destroyed: nothing but that may happen to it any more */
    kv_slice deleted_by; /* principal id */
} kv_object_row;

typedef struct kv_key_version_row {
    kv_row_head head;
    kv_slice object_uid; /* key */
    kv_slice version;    /* key */
    kv_slice vault_uid;
    int64_t created;
    int64_t updated;
    int64_t enabled;
    int64_t not_before;
    int64_t expires;
    kv_slice kind;   /* "RSA-2048", "P-256", ...: pkcs11's spelling */
    int64_t key_ops; /* bit mask of kv_key_ops */
    kv_slice key_id; /* CKA_ID */
    kv_slice spki;   /* DER SubjectPublicKeyInfo */
    int64_t managed;
    int64_t exportable; /* was made so; the token key is non-extractable all the same by now */
    int64_t imported;   /* known outside */
    int64_t attested;   /* bit mask of what was read back from the token at birth */
    kv_slice token;     /* token family: label of the token */
    kv_slice tags;
} kv_key_version_row;

typedef struct kv_secret_version_row {
    kv_row_head head;
    kv_slice object_uid; /* key */
    kv_slice version;    /* key */
    kv_slice vault_uid;
    int64_t created;
    int64_t updated;
    int64_t enabled;
    int64_t not_before;
    int64_t expires;
    kv_slice content_type;
    int64_t managed;
    kv_slice key_id;     /* of the AES key on the `system` token */
    kv_slice ciphertext; /* as kv_token_encrypt gives it: IV, ciphertext, tag */
    kv_slice tags;
} kv_secret_version_row;

typedef struct kv_certificate_version_row {
    kv_row_head head;
    kv_slice object_uid; /* key */
    kv_slice version;    /* key */
    kv_slice vault_uid;
    int64_t created;
    int64_t updated;
    int64_t enabled;
    int64_t not_before;
    int64_t expires;
    kv_slice der;
    kv_slice chain; /* DER certificates one after the other, leaf not among them */
    kv_slice sha1;
    kv_slice sha256;
    kv_slice serial; /* lower-case hex */
    kv_slice subject;
    kv_slice issuer; /* of the policy: "Self", ... */
    kv_slice tags;
} kv_certificate_version_row;

typedef struct kv_policy_row {
    kv_row_head head;
    kv_slice object_uid; /* key */
    kv_slice policy;     /* JSON with Azure's member names */
    int64_t created;
    int64_t updated;
} kv_policy_row;

/* At most one operation per certificate. */
typedef struct kv_operation_row {
    kv_row_head head;
    kv_slice object_uid; /* key */
    kv_slice vault_uid;
    kv_slice request_id; /* 32 hex digits */
    kv_slice state;      /* inner state, see lifecycle/operation.h */
    kv_slice issuer;
    kv_slice version; /* that the certificate will have */
    kv_slice key_id;
    kv_slice spki;
    kv_slice policy;     /* JSON snapshot the operation works from */
    kv_slice attributes; /* JSON: enabled, tags for the new version */
    kv_slice csr;
    kv_slice status_details;
    kv_slice error_code;
    kv_slice error_message;
    kv_slice warnings;     /* JSON array of texts */
    kv_slice requested_by; /* principal id */
    int64_t cancellation_requested;
    int64_t created;
    int64_t updated;
} kv_operation_row;

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

typedef struct kv_principal_row {
    kv_row_head head;
    kv_slice id; /* key */
    kv_slice name;
    kv_slice name_lower;
    int64_t kind;           /* kv_principal_kind */
    int64_t epoch;          /* grows with every change of grants or credentials */
    kv_slice grants_digest; /* SHA-256 over all its assignments, so this row's seal covers them */
    int64_t granted_ever;
    int64_t disabled;
    kv_slice home_vault; /* of a management principal; lower case */
    int64_t created;
    int64_t updated;
} kv_principal_row;

typedef struct kv_credential_row {
    kv_row_head head;
    kv_slice id; /* key */
    kv_slice principal_id;
    /* What a certificate must be to be this credential: "sha256:<hex of the DER>" or
     * "ca:<sha256 hex of the CA's DER>:<uri|dns|subject>:<exact value>". */
    kv_slice match;
    int64_t kind;
    kv_slice certificate; /* DER of a management certificate */
    kv_slice vault;
    int64_t not_after;
    kv_slice registered_by;
    int64_t created;
} kv_credential_row;

/* A numbered place in a counted limit: taken while the row is there. */
typedef struct kv_slot_row {
    kv_row_head head;
    kv_slice owner; /* key: "vault:<name>" or "administrator:<id hex>" */
    int64_t slot;   /* key: 0 to 99 */
    kv_slice credential_id;
} kv_slot_row;

/* Covered by the seal of its principal (grants_digest), so it has none of its own. */
typedef struct kv_assignment_row {
    kv_row_head head;
    kv_slice principal_id; /* key */
    kv_slice id;           /* key */
    kv_slice role;
    kv_slice scope;
    int64_t ends_at;
    int64_t created;
    kv_slice created_by;
} kv_assignment_row;

typedef struct kv_revocation_row {
    kv_row_head head;
    kv_slice jti;  /* key */
    int64_t until; /* when the role token would have expired */
    int64_t created;
    kv_slice revoked_by;
} kv_revocation_row;

/* A signing key of the server itself. */
typedef struct kv_signer_row {
    kv_row_head head;
    kv_slice kid;     /* key: 32 hex digits */
    kv_slice purpose; /* "role-token", "audit" */
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
extern const kv_table kv_table_certificate_versions; /* 1: vault_uid, sha1; 2: vault_uid, sha256 */
extern const kv_table kv_table_policies;
extern const kv_table kv_table_operations;    /* index 1: state, object_uid */
extern const kv_table kv_table_token_objects; /* index 1: state, key_id; 2: owner_uid */
extern const kv_table kv_table_key_uses;
extern const kv_table kv_table_principals;  /* index 1, unique: name_lower */
extern const kv_table kv_table_credentials; /* 1, unique: match; 2: principal_id; 3: vault */
extern const kv_table kv_table_slots;       /* index 1: credential_id */
extern const kv_table kv_table_assignments; /* index 1: scope */
extern const kv_table kv_table_revocations; /* index 1: until */
extern const kv_table kv_table_signers;
extern const kv_table kv_table_segments;
