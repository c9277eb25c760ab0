/* signer.h - who signs a certificate or request: a callback, so that the key stays on its token.
 *
 * The bytes to be signed are built and hashed here; the callback signs the digest; the result is
 * verified in software before anybody sees it.
 *
 * Threads: those of the callback.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"
#include "server/x509/policy.h"

typedef struct kv_x509_signer {
    /* Signs `digest` (already hashed: 32, 48 or 64 bytes) with the private key that belongs to the
     * public key the certificate names as its issuer's. `algorithm` is "RS256", "ES256", "ES384"
     * or "ES512". The signature is raw: for RSA as long as the modulus, for ECDSA r followed by s,
     * each as long as the order of the curve. It lives in `arena`. */
    kv_status (*sign)(void *context, const char *algorithm, kv_slice digest, kv_arena *arena,
                      kv_slice *signature, kv_error *err);
    void *context; /* borrowed */
} kv_x509_signer;

/* The algorithm a key of this kind signs certificates with; NULL for KV_X509_KEY_OTHER. */
const char *kv_x509_signature_algorithm(kv_x509_key_kind kind);

/* The kind of a SubjectPublicKeyInfo in DER; KV_X509_KEY_OTHER also when it cannot be parsed. */
kv_x509_key_kind kv_x509_spki_kind(kv_slice spki);

/* Raw ECDSA signature (r followed by s) to the DER of X.509 and back. `part` is the length of one
 * half: 32, 48 or 66. KV_INTERNAL when the signature has another length or cannot be parsed. */
kv_status kv_x509_ecdsa_to_der(kv_arena *arena, kv_slice raw, size_t part, kv_slice *out,
                               kv_error *err) KV_MUST_USE;
kv_status kv_x509_ecdsa_from_der(kv_arena *arena, kv_slice der, size_t part, kv_slice *out,
                                 kv_error *err) KV_MUST_USE;
