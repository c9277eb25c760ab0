/* id_token.h - a signed token of an identity provider (OpenID Connect Core, RFC 9068), and whether
 * it proves what it says (RFC 8725).
 *
 * Two steps, since the issuer that a token names decides whose keys and rules it is checked by:
 * open it, then check it. What has only been opened proves nothing.
 *
 * Threads:  any. A form lives in its arena and holds memory of its own: clean it up.
 */
#pragma once

#include <stdbool.h>

#include "server/auth/jwks.h"
#include "server/base/arena.h"

enum {
    KV_ID_TOKEN_BYTES = 16 * 1024,
    KV_ID_CLAIMS = 4,   /* names that may be mapped */
    KV_ID_VALUES = 256, /* of one claim that is a list */
    KV_ID_VALUE_BYTES = 512
};

struct json_t;

typedef struct kv_id_token_form {
    struct json_t *header, *payload;
    kv_slice signed_part;
    kv_slice signature; /* decoded */
    const kv_jws_algorithm *algorithm;
    kv_slice kid;
    kv_slice issuer;
} kv_id_token_form;

void kv_id_token_form_cleanup(kv_id_token_form *form);

/* The rules of one provider; all borrowed. */
typedef struct kv_id_token_rules {
    kv_slice issuer;
    kv_slice audience;
    const kv_jws_algorithm *algorithms[16];
    unsigned algorithm_count;
    kv_slice claims[KV_ID_CLAIMS]; /* in this order the holder is looked for */
    unsigned claim_count;
    int64_t leeway_ms;
} kv_id_token_rules;

/* What a claim says of the holder. */
typedef struct kv_id_value {
    unsigned claim; /* index in the rules */
    kv_slice text;
} kv_id_value;

typedef struct kv_id_token {
    kv_id_value *values; /* by claim, in the order of the rules */
    unsigned count;
} kv_id_token;

/* Form alone: at most 16 KiB, three parts of base64url, JSON objects without duplicates, an
 * asymmetric algorithm, a kid, a type that is none of another purpose, no critical extension and no
 * key inside. KV_UNAUTHENTICATED with KV_REASON_ID_TOKEN_INVALID, as all refusals here. */
kv_status kv_id_token_open(kv_slice text, kv_arena *arena, kv_id_token_form *out,
                           kv_error *err) KV_MUST_USE;

/* Algorithm of the provider, signature by a key of that kid, iss, aud (azp with several), exp, nbf,
 * iat, sub; a token bound to a certificate (cnf) must be bound to this one. `email` counts only
 * when it is verified. `*unknown_key` is set when no key has that kid. */
kv_status kv_id_token_check(const kv_id_token_form *form, const kv_id_token_rules *rules,
                            const kv_jwks *keys, const uint8_t thumbprint[32], int64_t now_ms,
                            kv_arena *arena, kv_id_token *out, bool *unknown_key,
                            kv_error *err) KV_MUST_USE;
