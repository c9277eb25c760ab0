/* messages_issuers.h - issuers of a vault. target.collection is KV_COLLECTION_CERTIFICATES,
 * target.issuer the issuer's name, target.name is empty. */
#pragma once

#include "server/vault/messages/messages_common.h"
#include "server/x509/lint.h"
#include "server/x509/policy.h"

enum {
    KV_ISSUER_ADMINS_MAX = 8,
    KV_ISSUER_RULES_MAX = 100,
    KV_ISSUER_REQUESTERS_MAX = 64,
    KV_ISSUER_CREDENTIAL_MAX = 4096 /* bytes */
};

typedef struct kv_issuer_admin {
    kv_slice first_name;
    kv_slice last_name;
    kv_slice email;
    kv_slice phone;
} kv_issuer_admin;

/* CertificateIssuerSet and CertificateIssuerUpdate. */
typedef struct kv_issuer_settings_in {
    kv_target target;
    kv_slice provider;
    kv_slice account_id;
    kv_slice credential;
    bool has_credential_expires;
    int64_t credential_expires;
    bool has_organization;
    kv_slice organization_id;
    const kv_issuer_admin *admins;
    size_t admin_count;
    kv_slice settings;
    kv_x509_lint_scope trust; /* 0: not said */
    bool has_strict_lint;
    bool strict_lint;
    bool has_domains;
    kv_x509_list domains;
    bool has_requesters;
    kv_x509_list requesters; /* names or ids in hexadecimal */
    bool has_enabled;
    bool enabled;
    bool has_order_rules;
    int64_t orders_per_hour;
    int64_t certificates_per_week;
    kv_x509_list blackouts;
} kv_issuer_settings_in;

typedef kv_issuer_settings_in kv_issuer_set_in;
typedef kv_issuer_settings_in kv_issuer_update_in;
typedef kv_target_in kv_issuer_get_in;
typedef struct kv_issuer_delete_in {
    kv_target target;
    bool deactivate_account; /* has the authority close its accounts first */
} kv_issuer_delete_in;
typedef kv_target_in kv_issuer_check_in;
typedef kv_list_in kv_issuer_list_in;

typedef struct kv_issuer_requester {
    kv_slice id; /* hexadecimal */
    kv_slice name;
} kv_issuer_requester;

typedef struct kv_issuer_bundle {
    kv_slice vault;
    kv_slice name;
    kv_slice provider;
    kv_slice account_id;
    bool has_credential;
    int64_t credential_expires;
    kv_slice organization_id;
    const kv_issuer_admin *admins;
    size_t admin_count;
    kv_slice settings;
    kv_x509_lint_scope trust;
    bool strict_lint;
    kv_x509_list domains;
    const kv_issuer_requester *requesters;
    size_t requester_count;
    bool enabled;
    int64_t created;
    int64_t updated;
    int64_t orders_per_hour;
    int64_t certificates_per_week;
    kv_x509_list blackouts;
    bool healthy;
    int64_t unhealthy_since;
    kv_slice unhealthy_reason;
    int64_t paused_until;
} kv_issuer_bundle;

typedef struct kv_issuer_list {
    const kv_issuer_bundle *items;
    size_t count;
    kv_slice next_page_token;
} kv_issuer_list;

typedef struct kv_issuer_checked {
    bool accepted;
    kv_slice details;
    int64_t credential_expires;
    kv_slice account;           /* URL; empty: there is none that is known by a key */
    kv_slice validation_record; /* dns-persist-01: value of the TXT record; may be empty */
} kv_issuer_checked;

typedef kv_target_in kv_issuer_roll_key_in;

typedef struct kv_issuer_account_bundle {
    kv_slice url;
    kv_slice spki;
} kv_issuer_account_bundle;

/* target.name and target.version are the certificate's. */
typedef struct kv_issuer_revoke_in {
    kv_target target;
    int reason; /* CRLReason */
} kv_issuer_revoke_in;
