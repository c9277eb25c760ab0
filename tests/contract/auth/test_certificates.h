/* test_certificates.h - certificates of any shape, made in memory. Aborts when OpenSSL fails. */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "server/base/slice.h"

typedef struct made_certificate {
    EVP_PKEY *key;
    X509 *x509;
    uint8_t *der;
    size_t len;
    uint8_t sha256[32];
} made_certificate;

typedef struct certificate_shape {
    const char *name;        /* CN */
    const char *alternative; /* "URI:urn:a,DNS:b", as in OpenSSL's configuration; or NULL */
    const char *usage;       /* extendedKeyUsage, or NULL */
    bool ca;
    int64_t from_s; /* Unix time */
    int64_t until_s;
    const made_certificate *issuer; /* NULL: self-signed */
} certificate_shape;

made_certificate *make_certificate(const certificate_shape *shape);
void free_certificate(made_certificate *certificate);

static inline kv_slice der_of(const made_certificate *certificate)
{
    return kv_slice_of(certificate->der, certificate->len);
}
