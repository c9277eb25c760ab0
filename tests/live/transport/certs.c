/* certs.c - the certificates of one test run. */
#include "tests/live/transport/certs.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

typedef struct pair {
    EVP_PKEY *key;
    X509 *certificate;
} pair;

static void must(int good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "certs: %s failed\n", what);
    abort();
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509_EXTENSION *extension;
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    must(extension != NULL, value);
    must(X509_add_ext(certificate, extension, -1), value);
    X509_EXTENSION_free(extension);
}

static pair make(const char *name, EVP_PKEY *key, const pair *issuer, const char *usage)
{
    pair made = { .key = key, .certificate = X509_new() };
    X509 *x = made.certificate;
    X509_NAME *subject = X509_get_subject_name(x);
    const pair *signer = issuer ? issuer : &made;

    must(key != NULL, "key");
    must(X509_set_version(x, X509_VERSION_3), "version");
    must(ASN1_INTEGER_set(X509_get_serialNumber(x), rand() + 1), "serial");
    must(X509_gmtime_adj(X509_getm_notBefore(x), -3600) != NULL, "not before");
    must(X509_gmtime_adj(X509_getm_notAfter(x), 86400) != NULL, "not after");
    must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                    -1, 0),
         "name");
    must(X509_set_issuer_name(x, X509_get_subject_name(signer->certificate)), "issuer");
    must(X509_set_pubkey(x, key), "public key");
    if (!issuer) {
        add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE");
    } else {
        add_extension(x, issuer->certificate, NID_subject_alt_name,
                      "DNS:localhost,IP:127.0.0.1,IP:::1");
        add_extension(x, issuer->certificate, NID_ext_key_usage, usage);
    }
    must(X509_sign(x, signer->key, EVP_sha256()) > 0, "signature");
    return made;
}

static void write_pair(const kv_test_certs *certs, const char *name, pair *one, char *path,
                       char *key_path)
{
    FILE *file;

    (void)snprintf(path, 160, "%s/%s.pem", certs->folder, name);
    (void)snprintf(key_path, 160, "%s/%s.key", certs->folder, name);
    file = fopen(path, "we");
    must(file && PEM_write_X509(file, one->certificate) && !fclose(file), path);
    file = fopen(key_path, "we");
    must(file && PEM_write_PrivateKey(file, one->key, NULL, NULL, 0, NULL, NULL) && !fclose(file),
         key_path);
    EVP_PKEY_free(one->key);
    X509_free(one->certificate);
}

void kv_test_certs_make(kv_test_certs *certs)
{
    const char *temporary = getenv("TMPDIR");
    char ca_key[160];
    pair ca, other;

    (void)snprintf(certs->folder, sizeof(certs->folder), "%s/kv-transport-XXXXXX",
                   temporary ? temporary : "/tmp");
    must(mkdtemp(certs->folder) != NULL, "mkdtemp");
    ca = make("test CA", EVP_EC_gen("P-256"), NULL, NULL);
    other = make("server", EVP_EC_gen("P-256"), &ca, "serverAuth");
    write_pair(certs, "server", &other, certs->server, certs->server_key);
    other = make("client", EVP_EC_gen("P-256"), &ca, "clientAuth");
    write_pair(certs, "client", &other, certs->client, certs->client_key);
    other = make("weak", EVP_RSA_gen(1024), &ca, "clientAuth");
    write_pair(certs, "weak", &other, certs->weak, certs->weak_key);
    other = make("usage", EVP_EC_gen("P-256"), &ca, "serverAuth");
    write_pair(certs, "usage", &other, certs->usage, certs->usage_key);
    other = make("foreign", EVP_EC_gen("P-256"), NULL, NULL);
    write_pair(certs, "foreign", &other, certs->foreign, certs->foreign_key);
    write_pair(certs, "ca", &ca, certs->ca, ca_key);
}

void kv_test_certs_remove(const kv_test_certs *certs)
{
    static const char *const names[] = { "ca", "server", "client", "weak", "usage", "foreign" };
    char path[160];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s.pem", certs->folder, names[i]);
        (void)unlink(path);
        (void)snprintf(path, sizeof(path), "%s/%s.key", certs->folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(certs->folder);
}
