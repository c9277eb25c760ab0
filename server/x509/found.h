/* found.h - the certificates and the private key that readers find in what a caller brought.
 *
 * Internal to this folder. One for each reading: it also bounds the work that the caller's
 * encryption may cost, and opens OpenSSL's legacy algorithms, apart from everything else, when
 * something needs them.
 *
 * Threads: one owner. Lifetime: kv_x509_found_cleanup wipes and frees.
 */
#pragma once

#include <openssl/provider.h>

#include "server/x509/import.h"
#include "server/x509/openssl.h"

typedef struct kv_x509_found {
    kv_arena *arena;   /* certificates live here */
    kv_arena *scratch; /* decoded bytes, wiped at the end */
    const char *field; /* that errors about the bytes name */
    kv_slice password; /* followed by a NUL byte */
    bool refuse_legacy;
    bool accept_unprotected; /* a PFX without a MAC */
    bool needs_key;          /* a private key is not out of place */

    kv_slice certificates[KV_X509_FOUND_MAX]; /* DER, each once, in order of appearance */
    size_t count;
    unsigned duplicates;
    EVP_PKEY *key;
    unsigned keys; /* how often one was there: each costs time to decode */
    uint64_t work; /* iterations so far */
    OSSL_LIB_CTX *library;
    OSSL_PROVIDER *providers[2];
} kv_x509_found;

void kv_x509_found_cleanup(kv_x509_found *found);

/* KV_BAD_REQUEST when there are too many, or when it is too large. The same one twice counts as a
 * duplicate. */
kv_status kv_x509_found_certificate(kv_x509_found *found, const X509 *certificate,
                                    kv_error *err) KV_MUST_USE;
/* The same key again is passed over, a few times; another one is refused. */
kv_status kv_x509_found_key(kv_x509_found *found, KV_TAKES EVP_PKEY *key,
                            kv_error *err) KV_MUST_USE;
kv_status kv_x509_found_pkcs8(kv_x509_found *found, const PKCS8_PRIV_KEY_INFO *info,
                              kv_error *err) KV_MUST_USE;

/* Before a key is derived from the password: adds what it costs, and gives the library that has
 * the algorithms (NULL: the default). KV_BAD_REQUEST for too much work or what is not supported. */
kv_status kv_x509_found_algorithm(kv_x509_found *found, const X509_ALGOR *algorithm,
                                  OSSL_LIB_CTX **library, kv_error *err) KV_MUST_USE;
kv_status kv_x509_found_work(kv_x509_found *found, const ASN1_INTEGER *iterations, unsigned weight,
                             kv_error *err) KV_MUST_USE;

/* The readers. Each adds what it finds. */
kv_status kv_x509_pfx_read(kv_x509_found *found, kv_slice der, kv_error *err) KV_MUST_USE;
kv_status kv_x509_pem_read(kv_x509_found *found, kv_slice text, kv_error *err) KV_MUST_USE;
/* `*is` tells whether it is PKCS#7 at all. */
kv_status kv_x509_pkcs7_read(kv_x509_found *found, kv_slice der, bool *is,
                             kv_error *err) KV_MUST_USE;
/* A certificate, or PKCS#7. */
kv_status kv_x509_certificates_read(kv_x509_found *found, kv_slice der, bool *is,
                                    kv_error *err) KV_MUST_USE;
