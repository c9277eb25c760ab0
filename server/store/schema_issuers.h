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
    int64_t credential_since;      /* when somebody said that it ends then */
    int64_t credential_told;       /* the moment that was announced last; 0: none */
    int64_t strict_lint;           /* what breaks an error of the lint is not accepted */
} kv_issuer_row;

/* The account of an issuer at an authority that knows it by a key of the `system` token. */
typedef struct kv_enrolment_row {
    kv_row_head head;
    kv_slice vault_uid; /* key */
    kv_slice issuer;    /* key: its name, lower case */
    kv_slice realm;     /* key: the authority, as the provider spells it (an ACME directory) */
    kv_slice key_id;
    kv_slice spki;
    kv_slice next_key_id; /* that is to take over; empty: none */
    kv_slice next_spki;
    kv_slice url; /* of the account; empty: the authority has not confirmed it yet */
    int64_t created;
    int64_t updated;
} kv_enrolment_row;

extern const kv_table kv_table_enrolments;
