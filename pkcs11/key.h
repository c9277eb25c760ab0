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
    KV_KEY_P256K, /* secp256k1 */
    KV_KEY_ED25519,
    KV_KEY_AES_128,
    KV_KEY_AES_192,
    KV_KEY_AES_256,
    KV_KEY_HMAC_256, /* generic secrets of 32, 48 and 64 bytes */
    KV_KEY_HMAC_384,
    KV_KEY_HMAC_512,
    KV_KEY_KIND_COUNT
} kv_key_kind;

typedef enum kv_key_family {
    KV_FAMILY_NONE = 0,
    KV_FAMILY_RSA,
    KV_FAMILY_EC,
    KV_FAMILY_OKP,   /* Ed25519 */
    KV_FAMILY_SECRET /* symmetric */
} kv_key_family;

/* Fixed at birth. An RSA key signs, or it decrypts and unwraps the bytes of callers, or it is a
 * key-exchange key for imports: one of the three. An AES key encrypts, or it wraps: never both. */
typedef enum kv_key_class {
    KV_CLASS_NONE = 0,
    KV_CLASS_SIGN,     /* RSA, EC or Ed25519: application, CA and TLS keys */
    KV_CLASS_DECRYPT,  /* RSA: OAEP and raw decryption (raw inside only: token_rsa.h) */
    KV_CLASS_SECRET,   /* AES-256: GCM, nothing else; the server's own */
    KV_CLASS_SEAL,     /* P-256: rows, role tokens, audit checkpoints */
    KV_CLASS_MAC,      /* HMAC with the hash of the key's own size */
    KV_CLASS_CIPHER,   /* AES of applications: GCM, CBC */
    KV_CLASS_WRAP,     /* AES of applications: KW and KWP of callers' bytes, never of token keys */
    KV_CLASS_EXCHANGE, /* RSA: takes in keys that are brought wrapped, and nothing else */
    KV_CLASS_COUNT
} kv_key_class;

/* One row per kind, in key.c. */
typedef struct kv_key_kind_row {
    const char *name; /* "RSA-2048", "P-256", "Ed25519", "AES-256", "HMAC-256" */
    kv_key_family family;
    unsigned bits; /* modulus, field or key */
    int curve;     /* OpenSSL NID, 0 unless EC */
    /* CKA_EC_PARAMS: DER of the named curve's OID or name, empty unless EC or Ed25519 */
    uint8_t ec_params[16];
    uint8_t ec_params_len;
} kv_key_kind_row;

/* Never NULL; the row of KV_KEY_NONE for anything out of range. */
const kv_key_kind_row *kv_key_kind_of(kv_key_kind kind);
/* KV_KEY_NONE when there is no such kind. */
kv_key_kind kv_key_kind_rsa(unsigned bits);
kv_key_kind kv_key_kind_curve(int nid); /* Weierstrass curves only */
kv_key_kind kv_key_kind_aes(unsigned bits);
kv_key_kind kv_key_kind_hmac(unsigned bits);

/* Which key an operation uses, as the sealed row of the server says. */
typedef struct kv_key_ref {
    uint8_t id[KV_KEY_ID_BYTES];
    kv_key_class class;
    /* SubjectPublicKeyInfo, DER, that the key must have. Needed for KV_CLASS_SIGN, DECRYPT,
     * SEAL and EXCHANGE: the token's key is used only after it has proved to be this one. Empty for
     * secret keys. */
    kv_slice spki;
} kv_key_ref;
