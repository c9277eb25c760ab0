/* jwks.h - the public keys of an identity provider, read from a JWK set (RFC 7517).
 *
 * A set is what somebody else serves: keys that cannot verify a signature (for encryption,
 * symmetric, private, too weak, of unknown kind, without a kid) are left out, and only a set that
 * is malformed as a whole, or of which nothing is left, is refused.
 *
 * Threads:  any, once it is made.
 */
#pragma once

#include <stdbool.h>

#include <openssl/evp.h>

#include "server/auth/jws.h"
#include "server/base/error.h"

typedef struct kv_jwks kv_jwks;

enum {
    KV_JWKS_BYTES = 256 * 1024,
    KV_JWKS_KEYS = 64, /* more are ignored */
    KV_KID_BYTES = 256
};

/* KV_UNAVAILABLE with the reason in the message, since the fault is the provider's. */
kv_status kv_jwks_parse(kv_slice json, kv_jwks **out, kv_error *err) KV_MUST_USE;
void kv_jwks_free(kv_jwks *jwks);
unsigned kv_jwks_count(const kv_jwks *jwks);

/* The key of that kid that fits the algorithm, borrowed; NULL when there is none. */
EVP_PKEY *kv_jwks_find(const kv_jwks *jwks, kv_slice kid, const kv_jws_algorithm *algorithm);
