/* role_token.h - the JWT a caller carries: which of its roles it uses now, where, until when.
 *
 * ES256 only, one `kid` of ours, bound to a client certificate (cnf.x5t#S256, RFC 8705). Parsed
 * strictly: the header holds exactly alg, kid and typ; the payload exactly the claims below (one
 * optional); duplicates, other types, other algorithms and anything over KV_ROLE_TOKEN_MAX bytes
 * are refused. Whether the principal, its epoch, its grants and the revocations still allow the
 * token is decided by auth.h at every use.
 *
 * Threads: any.
 */
#pragma once

#include "server/auth/caller.h"
#include "server/auth/scope.h"
#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

enum {
    KV_ROLE_TOKEN_MAX = 4096, /* bytes of the compact serialisation */
    /* The short form: a sign that no role token contains, and the base64url of its SHA-256 digest.
     * Good for the certificate that has shown the whole one lately. */
    KV_ROLE_TOKEN_SHORT_SIGN = '~',
    KV_ROLE_TOKEN_SHORT_LEN = 44,
    KV_ROLE_TOKEN_KID_DIGITS = 32,
    KV_ROLE_TOKEN_TTL_MIN_MS = 60 * 1000,
    KV_ROLE_TOKEN_TTL_DEFAULT_MS = 15 * 60 * 1000,
    KV_ROLE_TOKEN_TTL_MAX_MS = 8 * 60 * 60 * 1000
};

/* A key that verifies role tokens. */
typedef struct kv_role_token_key {
    kv_slice kid;            /* 32 hex digits */
    kv_slice spki;           /* DER, P-256 */
    int64_t verify_until_ms; /* 0: no end */
} kv_role_token_key;

/* The key that signs them, on the `system` token. */
typedef struct kv_role_token_signer {
    /* SHA-256 digest to r || s. KV_UNAVAILABLE when the token is out of reach. May block. */
    kv_status (*sign)(void *context, const uint8_t digest[32], uint8_t signature[64],
                      kv_error *err);
    void *context; /* borrowed */
    kv_slice kid;  /* 32 hex digits; must be among the verifying keys */
} kv_role_token_signer;

/* The claims. No pointers: may be copied and cached. Times have a resolution of one second. */
typedef struct kv_role_token {
    uint8_t subject[KV_PRINCIPAL_ID_BYTES];
    uint8_t thumbprint[32]; /* SHA-256 of the client certificate's DER */
    uint8_t jti[16];
    bool federated;         /* got by an ID token, through this credential: */
    uint8_t credential[16]; /* claim `cid`, absent otherwise */
    int64_t issued_ms;
    int64_t not_before_ms;
    int64_t expires_ms;
    int64_t verify_until_ms; /* of the key that verified it; 0: no end. Not a claim. */
    int64_t epoch;
    kv_role roles[KV_ROLES_PER_TOKEN];
    unsigned role_count;
    unsigned scope_len;
    char scope[KV_SCOPE_TEXT_MAX]; /* normalised */
} kv_role_token;

typedef struct kv_role_token_verifier kv_role_token_verifier;

/* Copies what it is given. `issuer` is the expected iss and aud. KV_PRECONDITION for a key that is
 * not P-256, a malformed or repeated kid, or more than 8 keys. */
kv_status kv_role_token_verifier_new(const kv_role_token_key *keys, unsigned count, kv_slice issuer,
                                     kv_role_token_verifier **out, kv_error *err) KV_MUST_USE;
void kv_role_token_verifier_free(kv_role_token_verifier *verifier);

/* The compact serialisation, in the arena. Errors: those of the signer; KV_BUSY. */
kv_status kv_role_token_make(const kv_role_token_signer *signer, kv_slice issuer,
                             const kv_role_token *claims, kv_arena *arena, kv_slice *out,
                             kv_error *err) KV_MUST_USE;

/* Form, signature and claims' types; times and binding are checked by kv_role_token_usable().
 * Every refusal is KV_UNAUTHENTICATED with KV_REASON_TOKEN_INVALID; its detail says what. */
kv_status kv_role_token_verify(const kv_role_token_verifier *verifier, kv_slice text,
                               kv_role_token *out, kv_error *err) KV_MUST_USE;

/* At every use: bound to this certificate, begun, not expired, its key not retired.
 * KV_UNAUTHENTICATED with KV_REASON_TOKEN_INVALID or KV_REASON_TOKEN_EXPIRED. */
kv_status kv_role_token_usable(const kv_role_token *token, const uint8_t thumbprint[32],
                               int64_t now_ms, kv_error *err) KV_MUST_USE;
