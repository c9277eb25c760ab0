/* messages_vaults.h - vaults, and the state of the server. In all of them target.vault is the
 * vault's name. */
#pragma once

#include "server/vault/messages/messages_common.h"
#include "server/x509/policy.h"

/* VaultPut and VaultPatch. */
typedef struct kv_vault_settings_in {
    kv_target target;
    bool has_retention_days;
    bool has_purge_protection;
    bool has_default_exportable;
    bool has_allow_unauthenticated;
    uint32_t retention_days;
    bool purge_protection;
    bool default_exportable;
    bool allow_unauthenticated; /* encryption: CBC, RSA1_5 */
    kv_tags tags;
    bool has_blackouts;
    kv_x509_list blackouts; /* texts of lifecycle/blackout.h */
} kv_vault_settings_in;

typedef kv_vault_settings_in kv_vault_put_in;
typedef kv_vault_settings_in kv_vault_patch_in;
typedef kv_target_in kv_vault_get_in;
typedef kv_target_in kv_vault_delete_in;
typedef kv_target_in kv_vault_recover_in;
typedef kv_target_in kv_vault_purge_in;
typedef kv_list_in kv_vault_list_in;
typedef kv_list_in kv_vault_list_deleted_in;

typedef struct kv_vault_bundle {
    kv_slice name;
    uint32_t retention_days;
    bool purge_protection;
    bool default_exportable;
    bool allow_unauthenticated;
    int64_t created;
    int64_t updated;
    kv_tags tags;
    kv_deletion deletion;
    kv_x509_list blackouts;
} kv_vault_bundle;

typedef struct kv_vault_list {
    const kv_vault_bundle *items;
    size_t count;
    kv_slice next_page_token;
} kv_vault_list;

typedef kv_target_in kv_server_status_get_in;
typedef kv_target_in kv_server_check_in;

typedef struct kv_token_line {
    kv_slice duty;  /* "keys", "ca", "system", "tls" */
    kv_slice state; /* "up", "suspect", "reopening", "reinitialising", "down" */
    kv_slice label;
    kv_slice serial;
    kv_slice manufacturer;
    kv_slice model;
    int64_t since;
    kv_slice last_error; /* CKR_ name or empty */
} kv_token_line;

typedef struct kv_server_status {
    kv_slice version;
    kv_slice node; /* text */
    int64_t started;
    uint64_t uptime_seconds;
    const kv_token_line *tokens;
    size_t token_count;
    kv_slice store_backend;
    kv_slice store_state; /* "up", "down" */
    uint32_t schema_version;
    kv_slice audit_state; /* "up", "low-space", "down" */
    uint64_t audit_head_sequence;
    int64_t last_checkpoint;
    bool checkpoint_late;
} kv_server_status;
