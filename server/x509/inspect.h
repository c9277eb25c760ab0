/* inspect.h - what a certificate says.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"
#include "server/x509/details.h"
#include "server/x509/policy.h"

/* What a certificate does not say of itself, for the lint: filled in by who knows it. */
typedef struct kv_x509_beside {
    int64_t signed_after_ms;  /* the moments between which it was signed; both 0: nobody knows */
    int64_t signed_before_ms; /* not 0 when the other one is not */
    int64_t issuer_until_ms;  /* not-after of the certificate of its issuer; 0: nobody knows */
} kv_x509_beside;

/* All of it lives in the arena. Times are milliseconds since the Unix epoch. */
typedef struct kv_x509_facts {
    kv_slice subject; /* RFC 4514, UTF-8, "" for the empty name */
    kv_slice issuer;
    kv_slice common_name; /* of the subject, the last one; "" if none */
    kv_slice serial_hex; /* lower case, as encoded, without a sign byte; "-" in front if negative */
    int64_t not_before_ms;
    int64_t not_after_ms;
    uint8_t sha1[20]; /* of the whole DER: Azure's x5t */
    uint8_t sha256[32];
    kv_slice spki;        /* SubjectPublicKeyInfo, DER */
    kv_key_kind key_kind; /* KV_KEY_NONE: not one that this server makes */
    unsigned key_bits;
    bool is_rsa;
    bool is_ca;
    bool self_issued;   /* subject and issuer are the same name */
    bool has_key_usage; /* without the extension every use is allowed */
    uint32_t key_usage; /* kv_x509_key_usage bits; 0 without the extension */
    kv_x509_list ekus;  /* dotted object identifiers */
    kv_x509_sans sans;  /* names of other kinds, and malformed ones, are only counted */
    unsigned other_sans;
    bool san_critical;
    kv_slice signature_algorithm; /* OpenSSL's long name, such as "ecdsa-with-SHA256" */
    kv_slice subject_key_id;      /* bytes; "" if absent */
    kv_slice authority_key_id;    /* bytes; "" if absent */
    kv_x509_details details;      /* of a certificate */
    kv_x509_beside beside;
} kv_x509_facts;

/* Exactly one certificate in DER, nothing after it. KV_BAD_REQUEST when it is not one, or is bigger
 * than 64 KiB. The signature is not checked. */
kv_status kv_x509_inspect(kv_arena *arena, kv_slice der, kv_x509_facts *out,
                          kv_error *err) KV_MUST_USE;

/* The same of a certification request (PKCS#10): what it asks for, in the members that a request
 * can have; the others are empty or 0, the hashes are the request's. KV_BAD_REQUEST when it is not
 * exactly one, when it is bigger than 64 KiB, or when its own key did not sign it. */
kv_status kv_x509_inspect_request(kv_arena *arena, kv_slice der, kv_x509_facts *out,
                                  kv_error *err) KV_MUST_USE;

/* Whether a certificate is self-issued and signed by its own key; false for what is none. */
bool kv_x509_is_self_signed(kv_slice der);
