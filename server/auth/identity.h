/* identity.h - what a client certificate says, as far as it can make its holder known.
 *
 * Threads:  any, once it is made.
 * Lifetime: what is read from a certificate lives in the arena.
 */
#pragma once

#include <stdbool.h>

#include "server/auth/access_types.h"
#include "server/base/arena.h"
#include "server/base/error.h"

enum {
    KV_CLIENT_CAS_MAX = 16,
    KV_CERTIFICATE_NAMES_MAX = 32 /* a certificate with more maps to nobody */
};

typedef struct kv_client_cas kv_client_cas;

/* Copies. KV_PRECONDITION for a certificate that is no CA, is repeated, or for too many. */
kv_status kv_client_cas_new(const kv_slice *certificates, unsigned count, kv_client_cas **out,
                            kv_error *err) KV_MUST_USE;
void kv_client_cas_free(kv_client_cas *cas);
unsigned kv_client_cas_count(const kv_client_cas *cas);
/* SHA-256 of the DER of CA number `index`. */
const uint8_t *kv_client_cas_hash(const kv_client_cas *cas, unsigned index);

/* Is that SHA-256 of one of them? */
bool kv_client_cas_has(const kv_client_cas *cas, const uint8_t sha256[32]);

/* Is there one with the key of this certificate? Certificates are made anew, keys stay. */
bool kv_client_cas_have(const kv_client_cas *cas, kv_slice der);

typedef struct kv_certificate {
    uint8_t sha256[32];
    int64_t not_before_ms;
    int64_t not_after_ms;
    /* When the certificate and the CA it was issued by are both valid. */
    int64_t mapped_from_ms;
    int64_t mapped_until_ms;
    bool too_many_names;
    uint8_t ca_sha256[32]; /* of the client CA that issued it; zeros: none did */
    unsigned generation;   /* of the client CAs it was read with; set by kv_auth */
    /* What a mapping would have to be called: "ca:<hex>:uri:<value>". Only for a certificate that
     * verifies under a client CA, for client authentication, dates aside. */
    unsigned match_count;
    kv_slice matches[KV_CERTIFICATE_NAMES_MAX];
} kv_certificate;

/* KV_BAD_REQUEST for what is not exactly one X.509 certificate; `cas` may be NULL. */
kv_status kv_certificate_read(const kv_client_cas *cas, kv_slice der, kv_arena *arena,
                              kv_certificate *out, kv_error *err) KV_MUST_USE;

/* "sha256:<hex>", as a C string; the second form copies it to the arena. */
enum { KV_PIN_TEXT_BYTES = 72 };
void kv_match_pin_text(const uint8_t sha256[32], char out[KV_PIN_TEXT_BYTES]);
kv_status kv_match_pin(const uint8_t sha256[32], kv_arena *arena, kv_slice *out,
                       kv_error *err) KV_MUST_USE;
/* "ca:<hex>:dns:<value>"; a DNS name is written in lower case. KV_BAD_REQUEST for a value that
 * cannot stand in a certificate. */
kv_status kv_match_mapping(const uint8_t ca_sha256[32], kv_name_type type, kv_slice value,
                           kv_arena *arena, kv_slice *out, kv_error *err) KV_MUST_USE;
