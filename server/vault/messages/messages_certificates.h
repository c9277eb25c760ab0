/* messages_certificates.h - certificates, their policies and operations. target.collection is
 * KV_COLLECTION_CERTIFICATES. */
#pragma once

#include "server/issuer/world.h"
#include "server/vault/messages/messages_common.h"
#include "server/x509/policy.h"

/* In an `in`, whatever was not said is absent: a creation takes the default, an update of the
 * policy keeps what is stored. In an out everything is filled in and the ..._given flags are true.
 */
typedef kv_x509_policy kv_certificate_policy;

typedef struct kv_certificate_create_in {
    kv_target target;
    bool has_policy;
    kv_certificate_policy policy;
    kv_attributes_in attributes;
    kv_tags tags;
} kv_certificate_create_in;

enum { KV_X5C_MAX = 20 }; /* elements of a merge */

typedef struct kv_certificate_merge_in {
    kv_target target;
    kv_x509_list x5c; /* as brought: DER, PEM, PKCS#7, base64 of them */
    kv_attributes_in attributes;
    kv_tags tags;
    bool preserve_cert_order;
    bool require_complete_chain;
} kv_certificate_merge_in;

typedef struct kv_certificate_import_in {
    kv_target target;
    kv_slice value;    /* PFX or PEM, or base64 of them */
    kv_slice password; /* UTF-8; may be empty */
    bool has_policy;
    kv_certificate_policy policy;
    kv_attributes_in attributes;
    kv_tags tags;
    bool preserve_cert_order;
    bool require_complete_chain;
} kv_certificate_import_in;

/* By thumbprint (then target.name is empty), or by name and version. */
typedef struct kv_certificate_get_in {
    kv_target target;
    kv_slice x5t;      /* KV_THUMBPRINT_SHA1 bytes, or empty */
    kv_slice x5t_s256; /* KV_THUMBPRINT_SHA256 bytes, or empty */
} kv_certificate_get_in;

typedef enum kv_chain_format {
    KV_CHAIN_NONE = 0, /* DER */
    KV_CHAIN_DER,
    KV_CHAIN_PEM,
    KV_CHAIN_PKCS7
} kv_chain_format;

typedef struct kv_certificate_chain_get_in {
    kv_target target;
    kv_chain_format format;
} kv_certificate_chain_get_in;

typedef struct kv_certificate_update_in {
    kv_target target;
    kv_attributes_in attributes;
    kv_tags tags;
} kv_certificate_update_in;

typedef struct kv_certificate_policy_update_in {
    kv_target target;
    kv_certificate_policy policy;
} kv_certificate_policy_update_in;

typedef kv_target_in kv_certificate_pending_get_in;
typedef kv_target_in kv_certificate_pending_delete_in;
typedef kv_target_in kv_certificate_pending_update_in; /* asks for cancellation */
typedef kv_target_in kv_certificate_policy_get_in;
typedef kv_target_in kv_certificate_delete_in;
typedef kv_target_in kv_certificate_get_deleted_in;
typedef kv_target_in kv_certificate_recover_in;
typedef kv_target_in kv_certificate_purge_in;
typedef kv_list_in kv_certificate_list_in;
typedef kv_list_in kv_certificate_list_versions_in;
typedef kv_list_in kv_certificate_list_deleted_in;

/* Out of CertificateCreate and CertificatePending{Get,Delete,Update}. */
typedef struct kv_certificate_operation {
    kv_object_id id; /* the version that is being made */
    kv_slice issuer_name;
    kv_slice issuer_cty;
    kv_slice csr; /* DER */
    bool cancellation_requested;
    kv_slice status; /* "inProgress", "completed", "cancelled", "failed" */
    kv_slice status_details;
    kv_slice error_code; /* empty unless failed */
    kv_slice error_message;
    kv_object_id target; /* only when completed: the certificate */
    kv_slice request_id; /* 32 hex digits */
    int64_t created;
    int64_t updated;
    kv_x509_list warnings;
    const kv_issuer_name *names; /* how far each is, where an issuer has them proved */
    size_t name_count;
    int64_t transparency; /* kv_transparency */
} kv_certificate_operation;

/* Out of CertificateImport, CertificatePendingMerge, CertificateGet, CertificateUpdate,
 * CertificateDelete, CertificateGetDeleted, CertificateRecover. */
typedef struct kv_certificate_bundle {
    kv_object_id id;
    kv_object_id kid;
    kv_object_id sid;
    kv_slice x5t;      /* KV_THUMBPRINT_SHA1 bytes */
    kv_slice x5t_s256; /* KV_THUMBPRINT_SHA256 bytes */
    kv_slice cer;      /* DER; empty while the first version is pending */
    bool has_policy;
    kv_certificate_policy policy;
    kv_slice content_type;
    kv_attributes attributes;
    kv_tags tags;
    bool pending; /* it has an operation */
    kv_deletion deletion;
    kv_slice subject; /* RFC 4514 */
    kv_slice issuer;
    kv_slice serial_number; /* big-endian bytes */
    bool key_known_outside;
    bool preserve_cert_order;
    kv_x509_list warnings; /* only of CertificateImport and CertificatePendingMerge */
} kv_certificate_bundle;

/* Out of CertificatePolicyGet and CertificatePolicyUpdate. */
typedef struct kv_certificate_policy_bundle {
    kv_certificate_policy policy;
    bool enabled;
    int64_t created;
    int64_t updated;
} kv_certificate_policy_bundle;

/* Out of CertificateChainGet. */
typedef struct kv_certificate_chain {
    kv_object_id id;
    kv_chain_format format;    /* never KV_CHAIN_NONE */
    kv_x509_list certificates; /* DER each, leaf first; with KV_CHAIN_DER */
    kv_slice encoded;          /* with the other formats */
} kv_certificate_chain;
