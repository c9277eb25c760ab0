/* messages_key_import.h - keys that were made elsewhere, in clear or wrapped. */
#pragma once

#include "server/vault/messages/messages_common.h"

/* Big-endian; what the type does not have is empty. */
typedef struct kv_private_jwk {
    kv_key_type kty;
    kv_curve crv;
    kv_slice n, e, d, p, q, dp, dq, qi; /* RSA; d of EC and OKP too */
    kv_slice x, y;
    kv_slice k; /* symmetric */
} kv_private_jwk;

/* Wrapped for a key-exchange key of the same vault. */
typedef struct kv_wrapped_key {
    kv_target exchange;
    kv_slice ciphertext;
    kv_slice spki;
} kv_wrapped_key;

typedef struct kv_key_import_in {
    kv_target target;
    bool is_pkcs8;
    bool is_wrapped;
    kv_slice pkcs8; /* DER, not encrypted */
    kv_wrapped_key wrapped;
    kv_private_jwk jwk; /* unless one of the two */
    kv_key_ops key_ops; /* 0: the default */
    kv_attributes_in attributes;
    kv_tags tags;
} kv_key_import_in;
