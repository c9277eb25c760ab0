/* schema_access.h - rows that say who is who and who may do what.
 *
 * Conventions as in schema.h.
 */
#pragma once

#include "server/store/table.h"

typedef struct kv_principal_row {
    kv_row_head head;
    kv_slice id; /* key */
    kv_slice name;
    kv_slice name_lower;
    int64_t kind;  /* kv_principal_kind */
    int64_t epoch; /* grows when all its role tokens end at once */
    kv_slice
        grants_digest; /* SHA-256 over its assignments and credentials: this seal covers them */
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
     * "ca:<sha256 hex of the CA's DER>:<uri|dns|subject>:<exact value>"; or an ID token:
     * "oidc:<provider>:<sha256 hex of its issuer>:<claim>:<exact value>". */
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

/* A change that was asked for with an idempotency key: for a day its repetition gives the same
 * answer instead of a second change. */
typedef struct kv_idempotency_row {
    kv_row_head head;
    kv_slice principal_id; /* key */
    kv_slice key;          /* key: as the caller chose it, 1 to 64 visible ASCII characters */
    kv_slice operation;    /* "KeyCreate" */
    kv_slice hash;         /* HMAC-SHA256 of operation and request, by a key of the token */
    kv_slice request_id;   /* of the call that did it */
    kv_slice vault;
    kv_slice name;
    kv_slice version;
    kv_slice subject; /* id of the principal, credential or assignment that was made or changed */
    int64_t created;
} kv_idempotency_row;
