/* schema_issuers.h - rows of the issuers of a vault.
 *
 * Conventions as in schema.h.
 */
#pragma once

#include "server/store/table.h"

/* An issuer of a vault: an account with a certificate authority, and who may use it for what. */
typedef struct kv_issuer_row {
    kv_row_head head;
    kv_slice vault_uid; /* key */
    kv_slice name;      /* key: lower case */
    kv_slice display_name;
    kv_slice uid; /* what the credential is bound to: a new one with each credential */
    kv_slice provider;
    kv_slice account_id;
    kv_slice credential_key_id; /* of the AES key on the `system` token; empty: no credential */
    kv_slice credential;        /* as in a secret version */
    int64_t credential_expires; /* 0: never, or nobody said */
    kv_slice settings;          /* the provider's own: JSON object, or empty */
    int64_t trust;              /* kv_x509_lint_scope: PRIVATE or PUBLIC */
    kv_slice organization_id;
    kv_slice admins;     /* JSON array of four texts each: first name, last name, e-mail, phone */
    kv_slice domains;    /* JSON array of rules: issuer/domains.h, or "*" */
    kv_slice requesters; /* JSON array: principal id in hex, a space, its name; none: everybody */
    int64_t enabled;
    int64_t created;
    int64_t updated;
    int64_t orders_per_hour;       /* 0: the default of its provider */
    int64_t certificates_per_week; /* of exactly the same names; 0: the same */
    kv_slice blackouts;            /* JSON array of windows: lifecycle/blackout.h */
} kv_issuer_row;
