/* jws.h - JSON Web Signatures as ACME wants them (RFC 8555 section 6.2): flattened, ES256.
 *
 * The key lives where its owner has it, and signs through a function.
 *
 * Threads: any, as far as the signing function allows.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/secret_buf.h"
#include "server/base/slice.h"

enum { KV_ACME_DIGEST_BYTES = 32, KV_ACME_SIGNATURE_BYTES = 64 };

/* An account key: P-256. */
typedef struct kv_acme_key {
    kv_slice spki; /* SubjectPublicKeyInfo, DER */
    /* r||s over a SHA-256 digest. */
    kv_status (*sign)(void *context, const uint8_t digest[KV_ACME_DIGEST_BYTES],
                      uint8_t signature[KV_ACME_SIGNATURE_BYTES], kv_error *err);
    void *context; /* borrowed */
} kv_acme_key;

/* The public key as a JSON Web Key, in the one form of RFC 7638: {"crv":...,"kty":...,"x":...,
 * "y":...}. KV_INTERNAL when it is not a P-256 key with an uncompressed point. */
kv_status kv_acme_jwk(kv_arena *arena, kv_slice spki, kv_slice *out, kv_error *err) KV_MUST_USE;
/* SHA-256 of that, in base64url: what a key authorization ends in. */
kv_status kv_acme_thumbprint(kv_arena *arena, kv_slice spki, kv_slice *out,
                             kv_error *err) KV_MUST_USE;

typedef struct kv_acme_signed {
    const kv_acme_key *key;
    kv_slice kid;     /* the account's URL; empty: the key itself goes with it */
    kv_slice nonce;   /* empty: none */
    kv_slice url;     /* where it is sent to */
    kv_slice payload; /* JSON; empty: POST-as-GET */
} kv_acme_signed;

/* {"protected":...,"payload":...,"signature":...} */
kv_status kv_acme_sign(kv_arena *arena, const kv_acme_signed *in, kv_slice *out,
                       kv_error *err) KV_MUST_USE;

/* What an authority gives to those who are known to it otherwise (section 7.3.4). */
typedef struct kv_acme_binding {
    kv_slice kid;                 /* empty: no binding */
    const kv_secret_buf *mac_key; /* decoded; borrowed */
} kv_acme_binding;

/* The externalAccountBinding object for a key, to be sent to `url`. */
kv_status kv_acme_bind(kv_arena *arena, const kv_acme_binding *binding, kv_slice url, kv_slice spki,
                       kv_slice *out, kv_error *err) KV_MUST_USE;
/* A MAC key as authorities print it: base64url or base64, padded or not. KV_BAD_REQUEST with field
 * "credentials.pwd" for anything else, and for less than 16 bytes. */
kv_status kv_acme_mac_key(kv_slice text, kv_secret_buf *out, kv_error *err) KV_MUST_USE;
