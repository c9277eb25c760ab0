/* mechanism.h - the signature algorithms, one row each: names, sizes, what the token is asked.
 *
 * To add an algorithm, add a row to mechanism.c; a test signs and verifies with every row.
 * Threads: any; the table is constant.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkcs11/key.h"
#include "server/base/error.h"

/* Largest digest, and largest signature of any row (RSA-4096). */
enum { KV_DIGEST_MAX = 64, KV_SIGNATURE_MAX = 512, KV_EC_COORDINATE_MAX = 66 };

/* EdDSA signs messages, not digests: of at most this many bytes. */
enum { KV_EDDSA_MESSAGE_MAX = 64 * 1024 };

typedef enum kv_padding { KV_PADDING_NONE, KV_PADDING_PKCS1, KV_PADDING_PSS } kv_padding;

typedef struct kv_mechanism {
    const char *name; /* JWA: "RS256", "PS384", "ES512", "ES256K", "EdDSA" */
    kv_key_family family;
    kv_padding padding;
    kv_key_kind curve_kind;  /* the one kind that signs with this; KV_KEY_NONE for RSA rows */
    const char *digest_name; /* for EVP_MD_fetch: "SHA2-256"; NULL for EdDSA */
    size_t digest_len;       /* bytes; 0 for EdDSA, which takes the message itself */
    size_t coordinate_len;   /* bytes of each half of a signature; 0 for RSA rows */
    unsigned long ckm;       /* CKM_RSA_PKCS, CKM_RSA_PKCS_PSS, CKM_ECDSA or CKM_EDDSA */
    unsigned long ckm_hash;  /* PSS parameters; 0 otherwise */
    unsigned long mgf;       /* PSS parameters; 0 otherwise */
    uint8_t prefix[19];      /* RS*: DER of DigestInfo up to the digest */
    uint8_t prefix_len;
} kv_mechanism;

/* By its exact name; NULL when there is none. */
const kv_mechanism *kv_mechanism_find(kv_slice name);
/* Row `index`, NULL past the end: for (i = 0; (alg = kv_mechanism_at(i)); i++) */
const kv_mechanism *kv_mechanism_at(size_t index);
/* The row's place in the table. */
size_t kv_mechanism_index(const kv_mechanism *alg);
enum { KV_MECHANISM_COUNT = 11 };

/* True when `len` bytes are what `alg` signs: a digest, or a message for EdDSA. */
bool kv_mechanism_takes(const kv_mechanism *alg, size_t len);
/* True when a key of `kind` can sign with `alg`. */
bool kv_mechanism_fits(const kv_mechanism *alg, kv_key_kind kind);
/* Bytes of a signature by a key of `kind`: the modulus, or both halves. */
size_t kv_mechanism_signature_len(const kv_mechanism *alg, kv_key_kind kind);

/* ECDSA signatures between r||s (both of `coordinate_len` bytes) and DER. `*len` holds the room in
 * `out` before and the bytes written after. KV_BAD_REQUEST for anything that is not exactly one
 * well-formed signature of that size. */
enum { KV_EC_DER_MAX = 2 * KV_EC_COORDINATE_MAX + 11 };
kv_status kv_ecdsa_to_der(kv_slice raw, uint8_t *out, size_t *len, kv_error *err) KV_MUST_USE;
kv_status kv_ecdsa_from_der(kv_slice der, size_t coordinate_len, uint8_t *out, size_t *len,
                            kv_error *err) KV_MUST_USE;
