/* openssl.h - OpenSSL's objects as locals that clean up after themselves, and its errors as ours.
 *
 * Internal to this folder. Usage: KV_AUTO(kv_ossl_x509) certificate = X509_new();
 * Threads: any.
 */
#pragma once

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "pkcs11/mechanism.h"
#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

#define KV_OSSL_TYPE(name, type, release)                           \
    typedef type *kv_ossl_##name;                                   \
    static inline void kv_ossl_##name##_cleanup(kv_ossl_##name *it) \
    {                                                               \
        release(*it);                                               \
    }

static inline void kv_ossl_free_bytes(unsigned char *bytes)
{
    OPENSSL_free(bytes);
}

static inline void kv_ossl_free_extensions(STACK_OF(X509_EXTENSION) *all)
{
    sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
}

static inline void kv_ossl_free_chain(STACK_OF(X509) *all)
{
    sk_X509_pop_free(all, X509_free);
}

KV_OSSL_TYPE(x509, X509, X509_free)
KV_OSSL_TYPE(request, X509_REQ, X509_REQ_free)
KV_OSSL_TYPE(name, X509_NAME, X509_NAME_free)
KV_OSSL_TYPE(key, EVP_PKEY, EVP_PKEY_free)
KV_OSSL_TYPE(pkcs8, PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free)
KV_OSSL_TYPE(pkcs7, PKCS7, PKCS7_free)
KV_OSSL_TYPE(pkcs12, PKCS12, PKCS12_free)
KV_OSSL_TYPE(bio, BIO, BIO_free_all)
KV_OSSL_TYPE(bytes, unsigned char, kv_ossl_free_bytes)
KV_OSSL_TYPE(bits, ASN1_BIT_STRING, ASN1_BIT_STRING_free)
KV_OSSL_TYPE(octets, ASN1_OCTET_STRING, ASN1_OCTET_STRING_free)
KV_OSSL_TYPE(integer, ASN1_INTEGER, ASN1_INTEGER_free)
KV_OSSL_TYPE(constraints, BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free)
KV_OSSL_TYPE(key_id, AUTHORITY_KEYID, AUTHORITY_KEYID_free)
KV_OSSL_TYPE(general_name, GENERAL_NAME, GENERAL_NAME_free)
KV_OSSL_TYPE(general_names, GENERAL_NAMES, GENERAL_NAMES_free)
KV_OSSL_TYPE(usages, EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free)
KV_OSSL_TYPE(extensions, STACK_OF(X509_EXTENSION), kv_ossl_free_extensions)
KV_OSSL_TYPE(chain, STACK_OF(X509), kv_ossl_free_chain)

/* Fails with `status` and what OpenSSL's queue says as detail; empties the queue. */
kv_status kv_ossl_failed(kv_error *err, kv_status status, const char *message) KV_MUST_USE;

/* Was memory short since the queue was empty? Then what has failed says nothing about its input.
 * Empties the queue. */
bool kv_ossl_out_of_memory(void);
/* What to answer then. */
kv_status kv_ossl_no_memory(kv_error *err) KV_MUST_USE;

/* Exactly one certificate; NULL otherwise (the error queue is emptied). */
X509 *kv_ossl_parse_certificate(kv_slice der);
/* Exactly one unencrypted PKCS#8 private key; NULL otherwise. */
EVP_PKEY *kv_ossl_parse_private_key(kv_slice der);
EVP_PKEY *kv_ossl_parse_public_key(kv_slice spki);

/* Copies what an i2d function with a NULL target allocated. `len` < 0 is its failure. */
kv_status kv_ossl_keep(kv_arena *arena, const unsigned char *der, int len, kv_slice *out,
                       kv_error *err) KV_MUST_USE;

/* The signature algorithm's identifier. False when out of memory. */
bool kv_ossl_set_algorithm(X509_ALGOR *out, const kv_mechanism *alg);
/* A bit string of whole bytes. False when out of memory. */
bool kv_ossl_set_signature(ASN1_BIT_STRING *out, kv_slice signature);

/* Of a dotted object identifier; NULL when it is none. The caller frees it. */
ASN1_OBJECT *kv_ossl_object(kv_slice oid);
/* Makes `name` one of an IA5String kind (GEN_DNS, GEN_URI, ...). False when out of memory. */
bool kv_ossl_set_text(GENERAL_NAME *name, int kind, kv_slice text);
