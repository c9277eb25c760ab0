/* signer.h - who signs a certificate or request: a callback, so that the key stays on its token.
 *
 * The bytes to be signed are built and hashed here; the callback signs the digest; the result is
 * verified in software before anybody sees it.
 *
 * Threads: those of the callback.
 */
#pragma once

#include "pkcs11/mechanism.h"
#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

typedef struct kv_x509_signer {
    /* Signs `digest` (already hashed, alg->digest_len bytes) with the private key of the issuer.
     * `alg` is RS256, ES256, ES384 or ES512. The signature is as in JWA: for RSA as long as the
     * modulus, for ECDSA r followed by s. It lives in `arena`. */
    kv_status (*sign)(void *context, const kv_mechanism *alg, kv_slice digest, kv_arena *arena,
                      kv_slice *signature, kv_error *err);
    void *context; /* borrowed */
} kv_x509_signer;

/* What a key of this kind signs certificates with: RS256, or the hash that fits the curve. NULL for
 * kinds that cannot. */
const kv_mechanism *kv_x509_signature_mechanism(kv_key_kind kind);

/* Hashes `message`, has it signed, and gives the signature in X.509's form (ECDSA as DER).
 * KV_INTERNAL when the signer gives an ECDSA signature of the wrong length. */
kv_status kv_x509_sign(kv_arena *arena, const kv_x509_signer *signer, const kv_mechanism *alg,
                       kv_slice message, kv_slice *out, kv_error *err) KV_MUST_USE;
