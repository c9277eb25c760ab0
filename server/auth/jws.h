/* jws.h - JSON Web Signatures (RFC 7515, compact serialization), as role tokens and the tokens of
 * identity providers have them.
 *
 * Threads:  any.
 */
#pragma once

#include <stdbool.h>

#include <openssl/evp.h>

#include "server/base/slice.h"

/* Signature algorithms of RFC 7518 and RFC 8037 that a provider may be trusted with. */
typedef struct kv_jws_algorithm {
    const char *name;   /* "RS256" */
    const char *family; /* kty: "RSA", "EC", "OKP" */
    const char *curve;  /* of the key; NULL for RSA */
    const char *digest; /* NULL: the scheme's own */
    bool pss;
    unsigned coordinate; /* bytes of r and of s; 0 for others than ECDSA */
} kv_jws_algorithm;

/* NULL for what is not one of the table: "none", HS256 and the like are no rows. */
const kv_jws_algorithm *kv_jws_algorithm_find(kv_slice name);

/* The first that a key of that kty and crv fits: it says family and curve. NULL: none. */
const kv_jws_algorithm *kv_jws_algorithm_of_key(kv_slice family, kv_slice curve);

/* The three parts between exactly two dots, not decoded; slices of the text. Any may be empty. */
bool kv_jws_split(kv_slice text, kv_slice parts[3]);

/* The signature of a JWS: raw bytes as in its third part. */
bool kv_jws_verify(EVP_PKEY *key, const kv_jws_algorithm *algorithm, kv_slice signed_part,
                   kv_slice signature);
