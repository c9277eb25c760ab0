/* messages_keys.h - keys. target.collection is KV_COLLECTION_KEYS. */
#pragma once

#include "server/vault/messages/messages_key_import.h"
#include "server/vault/messages/messages_rotation.h"

typedef struct kv_key_create_in {
    kv_target target;
    kv_key_type kty;   /* never KV_KEY_TYPE_NONE */
    uint32_t key_size; /* bits; 0: the default of kty or the size of the curve */
    kv_curve crv;
    kv_key_ops key_ops; /* 0: the default */
    kv_attributes_in attributes;
    kv_tags tags;
} kv_key_create_in;

typedef struct kv_random_bytes_get_in {
    kv_target target;
    uint32_t count;
} kv_random_bytes_get_in;

typedef struct kv_random_bytes {
    kv_slice value;
} kv_random_bytes;

typedef struct kv_key_update_in {
    kv_target target;
    kv_key_ops key_ops; /* 0: unchanged */
    kv_attributes_in attributes;
    kv_tags tags;
} kv_key_update_in;

typedef struct kv_key_sign_in {
    kv_target target;
    const char *algorithm; /* "RS256" ... "HS512", static; never NULL */
    bool is_digest;        /* `data` is the digest; else the message itself */
    kv_slice data;
    bool der; /* ECDSA: the signature as DER, else r and s */
} kv_key_sign_in;

typedef struct kv_key_verify_in {
    kv_target target;
    const char *algorithm;
    bool is_digest;
    kv_slice data;
    kv_slice signature;
    bool der; /* ECDSA: it is DER, else r and s */
} kv_key_verify_in;

/* KeyEncrypt, KeyDecrypt, KeyWrap, KeyUnwrap. What an algorithm does not use is empty. */
typedef struct kv_key_cipher_in {
    kv_target target;
    const char *algorithm; /* "RSA-OAEP" ... "CKM_AES_KEY_WRAP_PAD", static; never NULL */
    kv_slice data;         /* plaintext, or ciphertext */
    kv_slice iv;
    kv_slice tag;
    kv_slice aad;
} kv_key_cipher_in;

typedef kv_key_cipher_in kv_key_encrypt_in;
typedef kv_key_cipher_in kv_key_decrypt_in;
typedef kv_key_cipher_in kv_key_wrap_in;
typedef kv_key_cipher_in kv_key_unwrap_in;

typedef kv_target_in kv_key_get_in;
typedef kv_target_in kv_key_delete_in;
typedef kv_target_in kv_key_get_deleted_in;
typedef kv_target_in kv_key_recover_in;
typedef kv_target_in kv_key_purge_in;
typedef kv_list_in kv_key_list_in;
typedef kv_list_in kv_key_list_versions_in;
typedef kv_list_in kv_key_list_deleted_in;

/* Public members, big-endian; those of other types are empty. */
typedef struct kv_json_web_key {
    kv_key_type kty;
    kv_curve crv;
    kv_slice n;
    kv_slice e;
    kv_slice x;
    kv_slice y;
} kv_json_web_key;

/* What the token said at birth. */
typedef struct kv_key_attestation {
    bool local;
    bool always_sensitive;
    bool never_extractable;
    bool sensitive;
    bool extractable;
    kv_slice origin; /* "generated", "imported" */
    kv_slice key_id; /* CKA_ID */
} kv_key_attestation;

/* Of a version that has been followed by another. */
typedef struct kv_key_retirement {
    int64_t replaced;
    int64_t disabled; /* by its rotation policy */
    bool kept;        /* enabled again by hand: the policy leaves it alone */
    int64_t destroying;
    int64_t destroyed;
} kv_key_retirement;

/* Out of KeyCreate, KeyImport, KeyGet, KeyUpdate, KeyRotate, KeyDelete, KeyGetDeleted, KeyRecover.
 */
typedef struct kv_key_bundle {
    kv_object_id id;
    kv_json_web_key key;
    kv_slice spki; /* DER; empty for symmetric keys */
    uint32_t key_size;
    kv_key_ops key_ops;
    kv_attributes attributes;
    kv_tags tags;
    bool managed;
    bool exportable;
    kv_key_attestation attestation;
    kv_deletion deletion;
    kv_key_retirement retirement;
} kv_key_bundle;

typedef struct kv_signature {
    kv_object_id id;       /* the version that signed */
    const char *algorithm; /* as asked, static */
    kv_slice signature;    /* ECDSA: r and s */
} kv_signature;

typedef struct kv_verification {
    kv_object_id id;
    bool valid;
} kv_verification;

/* Out of the same four; a plaintext is in the arena of the call, which is on the locked heap. */
typedef struct kv_key_ciphered {
    kv_object_id id;
    const char *algorithm; /* as asked, static */
    kv_slice data;
    kv_slice iv;
    kv_slice tag;
    kv_slice aad; /* as asked */
} kv_key_ciphered;
