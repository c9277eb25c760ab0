/* public_key.h - what can be done with a key's public half, in software.
 *
 * Public keys are SubjectPublicKeyInfo in DER. Signatures are as in JWA: RSA as long as the
 * modulus, ECDSA as r||s.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "pkcs11/encryption.h"
#include "pkcs11/key.h"
#include "pkcs11/mechanism.h"
#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

/* `out` has room for alg->digest_len bytes. KV_BAD_REQUEST with field "alg" for EdDSA, which has no
 * digest. */
kv_status kv_public_key_digest(const kv_mechanism *alg, kv_slice message, uint8_t *out,
                               kv_error *err) KV_MUST_USE;

/* Writes whether `signature` over `digest` (EdDSA: over the message) is valid. A signature of the
 * wrong length, or with r or s out of range, is not valid and not an error. Errors: KV_BAD_REQUEST
 * when the digest's length or the key does not fit `alg`, or the SPKI is not one of our kinds. */
kv_status kv_public_key_verify(kv_slice spki, const kv_mechanism *alg, kv_slice digest,
                               kv_slice signature, bool *valid, kv_error *err) KV_MUST_USE;

/* The kind of a public key; KV_BAD_REQUEST when it is none of ours (RSA 2048, 3072, 4096; P-256,
 * P-384, P-521, secp256k1; Ed25519). */
kv_status kv_public_key_kind(kv_slice spki, kv_key_kind *out, kv_error *err) KV_MUST_USE;

/* The members of a JSON Web Key, as big-endian bytes without base64. RSA: n and e without leading
 * zeros. EC: x and y as long as the field. Ed25519: x, 32 bytes. */
typedef struct kv_jwk {
    kv_key_kind kind;
    const char *kty; /* "RSA", "EC" or "OKP" */
    const char *crv; /* "P-256", "P-256K", "Ed25519" ...; "" for RSA */
    kv_slice n, e;
    kv_slice x, y;
} kv_jwk;

/* Slices live in `arena`. */
kv_status kv_public_key_jwk(kv_slice spki, kv_arena *arena, kv_jwk *out, kv_error *err) KV_MUST_USE;

/* RFC 7638 thumbprint: SHA-256, 32 bytes. */
kv_status kv_public_key_thumbprint(kv_slice spki, kv_arena *arena, uint8_t out[32],
                                   kv_error *err) KV_MUST_USE;

/* SPKI from what a token says: big-endian modulus and exponent, or an uncompressed point
 * (0x04 || x || y; Ed25519: 32 bytes) on the curve of `kind`, as it is or in a DER OCTET STRING.
 * KV_BAD_REQUEST when the point is not on the curve. */
kv_status kv_public_key_from_rsa(kv_slice modulus, kv_slice exponent, kv_arena *arena,
                                 kv_slice *spki, kv_error *err) KV_MUST_USE;
kv_status kv_public_key_from_point(kv_key_kind kind, kv_slice point, kv_arena *arena,
                                   kv_slice *spki, kv_error *err) KV_MUST_USE;

/* Encrypts with an RSA key, in software. KV_BAD_REQUEST: field "alg" (not an algorithm of RSA keys,
 * or weak without `allow_weak`), field "plaintext" (too long for the key), or not an RSA key.
 * `out` is as long as the modulus. */
kv_status kv_public_key_encrypt(kv_slice spki, const kv_encryption *alg, bool allow_weak,
                                kv_slice plaintext, kv_arena *arena, kv_slice *out,
                                kv_error *err) KV_MUST_USE;
