/* encryption.h - the encryption and wrapping algorithms, one row each: names and what they need.
 *
 * The names are those of Azure's key operations. RSA rows are for keys of KV_CLASS_DECRYPT
 * (public_key.h encrypts, token_rsa.h decrypts), GCM and CBC rows for KV_CLASS_CIPHER
 * (token_aes.h), KW and KWP rows for KV_CLASS_WRAP (token_wrap.h).
 *
 * Weak rows (RSA1_5 and CBC) are refused unless the caller says `allow_weak`, which is for a
 * vault's setting to decide: the answer to a changed ciphertext is an oracle.
 *
 * Threads: any; the tables are constant.
 */
#pragma once

#include "pkcs11/key.h"
#include "server/base/error.h"

typedef enum kv_encryption_mode {
    KV_MODE_OAEP_SHA1,   /* "RSA-OAEP": MGF1 with SHA-1 too, no label */
    KV_MODE_OAEP_SHA256, /* "RSA-OAEP-256": MGF1 with SHA-256 too, no label */
    KV_MODE_RSA1_5,
    KV_MODE_GCM,
    KV_MODE_CBC,     /* whole blocks only */
    KV_MODE_CBC_PAD, /* PKCS#7 padding */
    KV_MODE_KW,      /* RFC 3394 */
    KV_MODE_KWP      /* RFC 5649 */
} kv_encryption_mode;

typedef struct kv_encryption {
    const char *name; /* "RSA-OAEP-256", "A256GCM", "A128CBCPAD", "A192KW" ... */
    kv_encryption_mode mode;
    kv_key_class class; /* of the keys it is for */
    kv_key_kind kind;   /* the one kind; KV_KEY_NONE: any of the class */
    bool weak;
    unsigned long ckm;
} kv_encryption;

/* By its exact name; NULL when there is none. */
const kv_encryption *kv_encryption_find(kv_slice name);
/* Row `index`, NULL past the end. */
const kv_encryption *kv_encryption_at(size_t index);
/* True when a key of `kind` can be used with `alg`. */
bool kv_encryption_fits(const kv_encryption *alg, kv_key_kind kind);
/* KV_BAD_REQUEST with field "alg": not of `class`, does not fit `kind` (KV_KEY_NONE: not asked), or
 * weak without `allow_weak`. */
kv_status kv_encryption_check(const kv_encryption *alg, kv_key_class class, kv_key_kind kind,
                              bool allow_weak, kv_error *err) KV_MUST_USE;

/* One row for each keyed hash. */
typedef struct kv_mac_algorithm {
    const char *name; /* "HS256", "HS384", "HS512" */
    kv_key_kind kind;
    size_t len; /* bytes of a MAC */
    unsigned long ckm;
} kv_mac_algorithm;

const kv_mac_algorithm *kv_mac_find(kv_slice name);
const kv_mac_algorithm *kv_mac_at(size_t index);
