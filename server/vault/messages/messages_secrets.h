/* messages_secrets.h - secrets. target.collection is KV_COLLECTION_SECRETS. */
#pragma once

#include "server/vault/messages/messages_common.h"

/* The form of a certificate's secret. */
typedef enum kv_secret_format {
    KV_SECRET_FORMAT_NONE = 0, /* as the policy says */
    KV_SECRET_FORMAT_PFX,
    KV_SECRET_FORMAT_PEM
} kv_secret_format;

typedef struct kv_secret_set_in {
    kv_target target;
    kv_slice value;
    kv_slice content_type;
    kv_attributes_in attributes;
    kv_tags tags;
} kv_secret_set_in;

typedef struct kv_secret_get_in {
    kv_target target;
    kv_secret_format format;
    bool has_pfx_password;
    kv_slice pfx_password; /* UTF-8 */
    bool pfx_for_old_clients;
} kv_secret_get_in;

typedef struct kv_secret_update_in {
    kv_target target;
    bool has_content_type;
    kv_slice content_type;
    kv_attributes_in attributes;
    kv_tags tags;
} kv_secret_update_in;

typedef kv_target_in kv_secret_delete_in;
typedef kv_target_in kv_secret_get_deleted_in;
typedef kv_target_in kv_secret_recover_in;
typedef kv_target_in kv_secret_purge_in;
typedef kv_list_in kv_secret_list_in;
typedef kv_list_in kv_secret_list_versions_in;
typedef kv_list_in kv_secret_list_deleted_in;

/* Out of SecretSet, SecretGet, SecretUpdate, SecretDelete, SecretGetDeleted, SecretRecover. */
typedef struct kv_secret_bundle {
    kv_object_id id;
    kv_slice value; /* SecretGet only */
    kv_slice content_type;
    kv_attributes attributes;
    kv_tags tags;
    bool managed;
    kv_object_id kid; /* of a managed one: its key */
    kv_deletion deletion;
} kv_secret_bundle;
