/* messages_authorities.h - certificate authorities. target.name is the authority's. */
#pragma once

#include "server/vault/messages/messages_common.h"
#include "server/x509/constraints.h"
#include "server/x509/policy.h"

typedef enum kv_authority_kind {
    KV_AUTHORITY_NONE = 0,
    KV_AUTHORITY_ROOT,
    KV_AUTHORITY_SUBORDINATE
} kv_authority_kind;

typedef struct kv_revocation_config {
    bool given;
    kv_slice crl_url; /* empty: none */
    kv_slice ocsp_url;
    kv_slice issuer_url;
    uint32_t crl_hours; /* 0: the default */
} kv_revocation_config;

typedef struct kv_authority_create_in {
    kv_target target;
    kv_authority_kind kind;
    kv_slice subject;
    kv_slice kty; /* as in a policy */
    uint32_t key_size;
    kv_slice crv;
    uint32_t validity_months; /* 0: the default */
    bool path_limited;
    uint32_t path_length;
    kv_x509_constraints constraints;
    kv_slice parent;
    kv_revocation_config revocation;
    uint32_t max_months; /* 0: the default */
    kv_x509_list allow_vaults;
} kv_authority_create_in;

typedef kv_target_in kv_authority_get_in;
typedef kv_list_in kv_authority_list_in;
typedef kv_target_in kv_authority_delete_in;

typedef struct kv_authority_crl_in {
    kv_target target;
    uint32_t key; /* 0: the current one */
} kv_authority_crl_in;

typedef struct kv_authority_renew_in {
    kv_target target;
    bool new_key;
    kv_slice kty; /* empty: as before */
    uint32_t key_size;
    kv_slice crv;
    uint32_t validity_months; /* 0: the default */
    kv_slice parent;
    kv_revocation_config revocation;
} kv_authority_renew_in;

typedef struct kv_authority_import_in {
    kv_target target;
    kv_x509_list x5c;
} kv_authority_import_in;

typedef struct kv_authority_update_in {
    kv_target target;
    bool has_enabled;
    bool enabled;
    kv_revocation_config revocation;
    uint32_t max_months; /* 0: as it is */
    kv_x509_list allow_vaults;
    kv_x509_list disallow_vaults;
} kv_authority_update_in;

typedef struct kv_authority_revoke_in {
    kv_target target;
    kv_slice serial; /* hexadecimal */
    int reason;      /* CRLReason */
    int64_t invalid_since;
} kv_authority_revoke_in;

/* A key that an authority had before. */
typedef struct kv_authority_former {
    uint32_t number;
    kv_slice certificate;
    int64_t not_after;
    kv_slice crl_url;
    bool destroyed; /* nothing that it signed is valid any more */
} kv_authority_former;

typedef struct kv_authority_bundle {
    kv_slice vault;
    kv_slice name;
    kv_authority_kind kind;
    kv_slice state;
    bool enabled;
    kv_slice subject;
    kv_slice issuer;
    kv_slice serial;
    int64_t not_before;
    int64_t not_after;
    kv_slice certificate;
    kv_x509_list chain;
    kv_slice csr;
    kv_slice key_kind;
    kv_revocation_config revocation;
    uint32_t max_months;
    kv_x509_list allowed_vaults; /* names */
    uint32_t number;             /* of its key, from 1 */
    const kv_authority_former *formers;
    size_t former_count;
    int64_t created;
    int64_t updated;
} kv_authority_bundle;

typedef struct kv_authority_list {
    const kv_authority_bundle *items;
    size_t count;
    kv_slice next_page_token;
} kv_authority_list;

typedef struct kv_revoked_bundle {
    kv_slice serial;
    int64_t revoked;
    int reason;
    uint64_t crl_number;
    bool on_crl;
} kv_revoked_bundle;

typedef struct kv_crl_bundle {
    kv_slice crl;
    uint64_t number;
    int64_t this_update;
    int64_t next_update;
} kv_crl_bundle;
