/* key.h - what kinds and classes of keys live on a token, and how one is named.
 *
 * A key's name on the token is its CKA_ID: 16 random bytes chosen by the server before the key is
 * born. Its class says what it may do; each class has exactly one template (template.c).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/base/slice.h"

enum { KV_KEY_ID_BYTES = 16, KV_KEY_LABEL_MAX = 255 };

typedef enum kv_key_kind {
    KV_KEY_NONE = 0,
    KV_KEY_RSA_2048,
    KV_KEY_RSA_3072,
    KV_KEY_RSA_4096,
    KV_KEY_P256,
    KV_KEY_P384,
    KV_KEY_P521,
    KV_KEY_AES_256,
    KV_KEY_HMAC_256, /* generic secret of 32 bytes */
    KV_KEY_KIND_COUNT
} kv_key_kind;

typedef enum kv_key_family {
    KV_FAMILY_NONE = 0,
    KV_FAMILY_RSA,
    KV_FAMILY_EC,
    KV_FAMILY_SECRET /* symmetric */
} kv_key_family;

typedef enum kv_key_class {
    KV_CLASS_NONE = 0,
    KV_CLASS_SIGN,    /* RSA or EC: application, CA and TLS keys */
    KV_CLASS_DECRYPT, /* RSA: OAEP and raw decryption */
    KV_CLASS_SECRET,  /* AES-256: GCM, nothing else */
    KV_CLASS_SEAL,    /* P-256: rows, role tokens, audit checkpoints */
    KV_CLASS_MAC,     /* HMAC-SHA256 */
    KV_CLASS_COUNT
} kv_key_class;

/* One row per kind, in key.c. */
typedef struct kv_key_kind_row {
    const char *name; /* "RSA-2048", "P-256", "AES-256", "HMAC-256" */
    kv_key_family family;
    unsigned bits; /* modulus, field or key */
    int curve;     /* OpenSSL NID, 0 unless EC */
    /* DER of the named curve's OID, empty unless EC */
    uint8_t ec_params[12];
    uint8_t ec_params_len;
} kv_key_kind_row;

/* Never NULL; the row of KV_KEY_NONE for anything out of range. */
const kv_key_kind_row *kv_key_kind_of(kv_key_kind kind);
/* KV_KEY_NONE when there is no such kind. */
kv_key_kind kv_key_kind_rsa(unsigned bits);
kv_key_kind kv_key_kind_curve(int nid);

/* Which key an operation uses, as the sealed row of the server says. */
typedef struct kv_key_ref {
    uint8_t id[KV_KEY_ID_BYTES];
    kv_key_class class;
    /* SubjectPublicKeyInfo, DER, that the key must have. Needed for KV_CLASS_SIGN, DECRYPT and
     * SEAL: the token's key is used only after it has proved to be this one. Empty for secret
     * keys. */
    kv_slice spki;
} kv_key_ref;
