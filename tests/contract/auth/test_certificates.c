/* test_certificates.c - certificates of any shape, made in memory. */
#include "tests/contract/auth/test_certificates.h"

#include <stdlib.h>

#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

static void must(bool done)
{
    if (!done)
        abort();
}

static void add_extension(X509 *certificate, X509V3_CTX *context, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, value);

    must(extension && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static void add_extensions(X509 *certificate, const certificate_shape *shape)
{
    X509V3_CTX context;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, shape->issuer ? shape->issuer->x509 : certificate, certificate, NULL,
                   NULL, 0);
    add_extension(certificate, &context, NID_basic_constraints,
                  shape->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (shape->ca)
        add_extension(certificate, &context, NID_key_usage, "critical,keyCertSign,cRLSign");
    if (shape->alternative)
        add_extension(certificate, &context, NID_subject_alt_name, shape->alternative);
    if (shape->usage)
        add_extension(certificate, &context, NID_ext_key_usage, shape->usage);
}

static void set_name(X509 *certificate, const char *name)
{
    X509_NAME *subject = X509_get_subject_name(certificate);

    must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const uint8_t *)name, -1, -1,
                                    0) == 1);
}

static void set_serial(X509 *certificate)
{
    uint8_t bytes[16];
    BIGNUM *number;

    must(RAND_bytes(bytes, sizeof(bytes)) == 1);
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 1);
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    must(number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)));
    BN_free(number);
}

made_certificate *make_certificate(const certificate_shape *shape)
{
    made_certificate *made = calloc(1, sizeof(*made));
    int len;

    must(made);
    made->key = EVP_EC_gen("P-256");
    made->x509 = X509_new();
    must(made->key && made->x509 && X509_set_version(made->x509, X509_VERSION_3) == 1);
    set_serial(made->x509);
    set_name(made->x509, shape->name);
    must(X509_set_issuer_name(made->x509, X509_get_subject_name(shape->issuer ? shape->issuer->x509
                                                                              : made->x509)) == 1);
    must(ASN1_TIME_set(X509_getm_notBefore(made->x509), shape->from_s) != NULL);
    must(ASN1_TIME_set(X509_getm_notAfter(made->x509), shape->until_s) != NULL);
    must(X509_set_pubkey(made->x509, made->key) == 1);
    add_extensions(made->x509, shape);
    must(X509_sign(made->x509, shape->issuer ? shape->issuer->key : made->key, EVP_sha256()) > 0);
    len = i2d_X509(made->x509, &made->der);
    must(len > 0);
    made->len = (size_t)len;
    SHA256(made->der, made->len, made->sha256);
    return made;
}

void free_certificate(made_certificate *certificate)
{
    if (!certificate)
        return;
    EVP_PKEY_free(certificate->key);
    X509_free(certificate->x509);
    OPENSSL_free(certificate->der);
    free(certificate);
}
