/* schema_authorities.h - rows of certificate authorities and of what they issued.
 *
 * Conventions as in schema.h.
 */
#pragma once

#include "server/store/table.h"

/* A certificate authority of a vault. */
typedef struct kv_authority_row {
    kv_row_head head;
    kv_slice vault_uid; /* key */
    kv_slice name;      /* key: lower case */
    kv_slice display_name;
    kv_slice uid;
    int64_t kind; /* kv_authority_kind */
    int64_t enabled;
    kv_slice key_id; /* on the `ca` token */
    kv_slice key_kind;
    kv_slice spki;
    int64_t attested; /* see kv_key_version_row */
    kv_slice token;
    kv_slice csr;         /* of a subordinate one that waits for its certificate, else empty */
    kv_slice certificate; /* DER; empty: it waits */
    kv_slice chain;       /* the authorities above, DER one after the other */
    kv_slice crl_url;     /* what it writes into certificates; see server/x509/authority.h */
    kv_slice ocsp_url;
    kv_slice issuer_url;
    int64_t crl_hours; /* from one list to the end of its validity */
    int64_t max_months;
    kv_slice vaults; /* JSON array of "UID NAME": others that it serves */
    int64_t number;  /* of its key, from 1; a former key has a row with the name "NAME.NUMBER" */
    kv_slice cross;  /* a root's new key signed with the old one, then the old root; or empty */
    int64_t created;
    int64_t updated;
    /* Chains of the vault that end with the first are to end with the second; empty: they do. */
    kv_slice chains_from;
    kv_slice chains_to;
} kv_authority_row;

/* The newest revocation list of an authority. The number is stored before a list is signed. */
typedef struct kv_crl_row {
    kv_row_head head;
    kv_slice authority_uid; /* key */
    kv_slice vault_uid;
    kv_slice authority; /* its name, lower case */
    int64_t number;
    int64_t owed; /* a certificate was revoked since */
    int64_t this_update;
    int64_t next_update;
    kv_slice der; /* empty before the first */
} kv_crl_row;

/* Who signs the OCSP answers of an authority. */
typedef struct kv_responder_row {
    kv_row_head head;
    kv_slice authority_uid; /* key */
    kv_slice key_id;        /* on the `ca` token */
    kv_slice spki;
    kv_slice certificate; /* DER */
    int64_t not_after;
    int64_t created;
} kv_responder_row;

/* A serial number, from before the certificate is signed until it has expired. */
typedef struct kv_issued_row {
    kv_row_head head;
    kv_slice authority_uid; /* key */
    kv_slice serial;        /* key: 16 bytes */
    kv_slice operation;     /* that it is for: one certificate each */
    kv_slice state;         /* "reserved", "issued", "revoked" */
    kv_slice sha256;
    kv_slice object_uid; /* the certificate's, or the authority's below; empty while reserved */
    kv_slice version;
    kv_slice subject;
    int64_t not_before;
    int64_t not_after;
    int64_t revoked;
    int64_t reason; /* CRLReason */
    int64_t invalid_since;
    int64_t created;
} kv_issued_row;
