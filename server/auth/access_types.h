/* access_types.h - what access.h takes and gives; slices that are given live in the work's arena.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/auth/caller.h"
#include "server/base/slice.h"

enum {
    KV_ACCESS_NAME_MAX = 128,   /* bytes of a display name */
    KV_MAPPING_VALUE_MAX = 512, /* bytes */
    KV_PIN_CERTIFICATE_MAX = 16 * 1024,
    KV_MANAGEMENT_CERTIFICATES_MAX = 100, /* per vault, and per administrator */
    KV_CREDENTIALS_PER_PRINCIPAL = 128,
    KV_ASSIGNMENTS_PER_PRINCIPAL = 64,
    KV_ACCESS_PAGE_DEFAULT = 100,
    KV_ACCESS_PAGE_MAX = 500
};

/* As stored; the numbers do not change. */
typedef enum kv_principal_kind {
    KV_PRINCIPAL_SERVICE = 1,
    KV_PRINCIPAL_MANAGEMENT = 2,
    KV_PRINCIPAL_USER = 3
} kv_principal_kind;

typedef enum kv_credential_kind {
    KV_CREDENTIAL_MAPPING = 1,    /* a name in certificates of a client CA */
    KV_CREDENTIAL_MANAGEMENT = 2, /* a pinned certificate that counts in one vault */
    KV_CREDENTIAL_PINNED = 3,     /* a pinned certificate, server-wide */
    KV_CREDENTIAL_OIDC = 4        /* a claim in tokens of an identity provider */
} kv_credential_kind;

/* Where in a certificate a mapped name stands. */
typedef enum kv_name_type {
    KV_NAME_URI = 1, /* SAN URI, compared exactly */
    KV_NAME_DNS,     /* SAN DNS name, compared without case */
    KV_NAME_SUBJECT  /* distinguished name, RFC 4514, as OpenSSL's -nameopt RFC2253 prints it */
} kv_name_type;

typedef struct kv_principal {
    kv_slice id;
    kv_slice name;
    kv_principal_kind kind;
    bool enabled;
    kv_slice home_vault; /* of a management principal, from its first certificate on */
    int64_t epoch;
    int64_t created_ms;
    int64_t updated_ms;
} kv_principal;

typedef struct kv_principal_list {
    kv_principal *items;
    unsigned count;
    kv_slice next; /* empty: the last page */
} kv_principal_list;

typedef struct kv_principal_new {
    kv_slice name; /* 1 to KV_ACCESS_NAME_MAX bytes, printable */
    kv_principal_kind kind;
} kv_principal_new;

typedef struct kv_principal_update {
    kv_slice id;
    bool has_name;
    kv_slice name;
    bool has_enabled;
    bool enabled;
} kv_principal_update;

typedef struct kv_credential {
    kv_slice id;
    kv_slice principal_id;
    kv_credential_kind kind;
    kv_slice ca_sha256; /* 32 bytes; of a mapping */
    kv_name_type name_type;
    kv_slice value;              /* of a mapping, or of a claim */
    kv_slice provider, claim;    /* of an identity provider's tokens */
    kv_slice certificate_sha256; /* 32 bytes; of a pinned certificate */
    kv_slice certificate;        /* DER */
    kv_slice vault;
    int64_t not_after_ms;
    kv_slice registered_by; /* id; empty: initialisation */
    int64_t created_ms;
} kv_credential;

typedef struct kv_credential_list {
    kv_credential *items;
    unsigned count;
    kv_slice next;
} kv_credential_list;

typedef struct kv_mapping_new {
    kv_slice principal_id;
    kv_slice ca_sha256; /* 32 bytes; empty: the configured client CA, if there is exactly one */
    kv_name_type name_type;
    kv_slice value;
} kv_mapping_new;

typedef struct kv_federation_new {
    kv_slice principal_id;
    kv_slice provider; /* NAME of [oidc.NAME] */
    kv_slice claim;    /* empty: the provider's first */
    kv_slice value;
} kv_federation_new;

typedef struct kv_certificate_new {
    kv_slice principal_id;
    kv_slice vault;       /* empty: server-wide */
    kv_slice certificate; /* DER */
} kv_certificate_new;

typedef struct kv_assignment {
    kv_slice id;
    kv_slice principal_id;
    kv_role role;
    kv_slice scope;  /* normalised */
    int64_t ends_ms; /* 0: no end */
    int64_t created_ms;
    kv_slice created_by; /* id; empty: initialisation */
} kv_assignment;

typedef struct kv_assignment_list {
    kv_assignment *items;
    unsigned count;
    kv_slice next;
} kv_assignment_list;

typedef struct kv_assignment_new {
    kv_slice principal_id;
    kv_role role;
    kv_slice scope;  /* any case */
    int64_t ends_ms; /* 0: no end; else in the future */
} kv_assignment_new;

typedef struct kv_token_request {
    const kv_role *roles; /* different ones */
    unsigned role_count;  /* 1 to KV_ROLES_PER_TOKEN */
    kv_slice scope;
    int64_t ttl_ms; /* 0: KV_ROLE_TOKEN_TTL_DEFAULT_MS; KV_ROLE_TOKEN_TTL_MIN_MS to …_MAX_MS */
} kv_token_request;

typedef struct kv_token_issued {
    kv_slice token;
    kv_slice jti; /* 16 bytes */
    int64_t expires_ms;
    kv_slice scope; /* normalised */
} kv_token_issued;
