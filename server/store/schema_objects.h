/* schema_objects.h - rows of vaults, what is in them, operations; conventions as in schema.h. */
#pragma once

#include "server/store/table.h"

typedef struct kv_vault_row {
    kv_row_head head;
    kv_slice name; /* key: lower case */
    kv_slice uid;
    kv_slice display_name;
    int64_t retention_days;
    int64_t purge_protection;
    int64_t default_exportable;
    int64_t allow_unauthenticated; /* encryption with its keys: CBC, RSA1_5 */
    int64_t created, updated;
    int64_t deleted;
    int64_t purge_at;
    int64_t purging;        /* being destroyed: nothing but that may happen to it any more */
    kv_slice secret_key_id; /* of the key that encrypts new secrets of this vault */
    kv_slice tags;          /* JSON object */
    kv_slice blackouts;     /* JSON array of texts: when nothing is renewed */
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
    int64_t replaced;   /* when it was followed by the next version */
    int64_t retired;    /* when its rotation policy disabled it */
    int64_t kept;       /* somebody enabled it after that: the policy leaves it alone */
    int64_t destroying; /* since when its key is to go: nobody uses it any more */
    int64_t destroyed;  /* since when the token has said that its key is gone */
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
    kv_slice serial;  /* lower-case hex */
    kv_slice subject; /* RFC 4514 */
    kv_slice issuer;  /* the certificate's, RFC 4514 */
    kv_slice tags;
    kv_slice given;   /* a byte each: place in the chain of the certificates as they were brought,
                         where that order is to be kept; else empty */
    int64_t imported; /* its key is known outside */
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
    int64_t created, updated;
    int64_t attested;       /* of a new key: see kv_key_version_row */
    kv_slice secret_key_id; /* while it waits, the private key of an exportable certificate: as */
    kv_slice secret_ciphertext; /* in the secret version that it becomes */
    kv_slice external_id;       /* the issuer's name of the order; empty: not known yet */
    int64_t next_at;            /* when a worker is to take the next step; 0: none is due */
    int64_t attempts;           /* orders that the issuer did not carry out */
    int64_t failures;           /* steps in a row that got no answer */
    kv_slice worker;            /* the node that has claimed it until next_at; empty: none */
    kv_slice chain;             /* what the issuer sent, until it is a version: DER, leaf first */
    kv_slice issuer_lower;      /* `issuer` in lower case: to find what waits for it */
    int64_t waiting;            /* kv_waiting: why nobody is asked yet */
    kv_slice names; /* how far each name is: JSON, see operation_names.c; empty: nobody said */
    int64_t transparency; /* kv_transparency of the certificate that came */
} kv_operation_row;
