/* pfx.c - writes PKCS#12 files and reads them back. */
#include "server/x509/pfx.h"

#include <openssl/err.h>

#include "server/base/text.h"
#include "server/x509/bundle.h"
#include "server/x509/openssl.h"

enum { NO_MAC = -1 };

/* The objects of one file. */
typedef struct parts {
    EVP_PKEY *key; /* NULL: certificates only */
    X509 *leaf;
    STACK_OF(X509) *rest;
} parts;

static kv_status failed(kv_error *err)
{
    return kv_ossl_failed(err, KV_INTERNAL, "a PFX could not be built");
}

static kv_status check_text(kv_slice text, size_t most, const char *field, kv_error *err)
{
    if (text.len > most)
        return kv_fail_field(err, field, "must be at most %zu bytes long", most);
    if (!kv_text_printable(text))
        return kv_fail_field(err, field, "must be UTF-8 without control characters");
    return KV_OK;
}

static void parts_cleanup(parts *of)
{
    EVP_PKEY_free(of->key);
    X509_free(of->leaf);
    kv_ossl_free_chain(of->rest);
}

static kv_status read_parts(const kv_x509_pfx *in, parts *out, kv_error *err)
{
    if (in->chain.count == 0 || in->chain.count > KV_X509_CHAIN_MAX)
        return kv_fail(err, KV_BAD_REQUEST, "a chain has 1 to %d certificates", KV_X509_CHAIN_MAX);
    out->leaf = kv_ossl_parse_certificate(in->chain.items[0]);
    out->rest = sk_X509_new_null();
    if (!out->leaf || !out->rest)
        return kv_fail(err, KV_BAD_REQUEST, "the leaf of a chain is not a certificate");
    for (size_t i = 1; i < in->chain.count; i++) {
        X509 *next = kv_ossl_parse_certificate(in->chain.items[i]);

        if (!next)
            return kv_fail(err, KV_BAD_REQUEST, "element %zu of a chain is not a certificate", i);
        if (!sk_X509_push(out->rest, next)) {
            X509_free(next);
            return failed(err);
        }
    }
    if (in->key.len == 0)
        return KV_OK;
    out->key = kv_ossl_parse_private_key(in->key);
    if (!out->key || !X509_check_private_key(out->leaf, out->key)) {
        ERR_clear_error();
        return kv_fail(err, KV_INTERNAL, "a private key is not the one of its certificate");
    }
    return KV_OK;
}

static kv_status write_file(const parts *from, const char *password, const char *name,
                            int iterations, kv_secret_buf *out, kv_error *err)
{
    KV_AUTO(kv_secret_buf) bytes = KV_SECRET_NONE;
    KV_AUTO(kv_ossl_pkcs12)
    file = PKCS12_create(password, name, from->key, from->leaf, from->rest, NID_aes_256_cbc,
                         NID_aes_256_cbc, iterations, NO_MAC, 0);
    unsigned char *at;
    int len;

    if (!file || !PKCS12_set_mac(file, password, -1, NULL, 0, iterations, EVP_sha256()))
        return failed(err);
    len = i2d_PKCS12(file, NULL);
    if (len <= 0)
        return failed(err);
    KV_TRY(kv_secret_buf_new((size_t)len, &bytes, err));
    at = bytes.data;
    if (i2d_PKCS12(file, &at) != len)
        return failed(err);
    *out = kv_secret_buf_move(&bytes);
    return KV_OK;
}

/* A file without a key has all its certificates in `rest`. */
static bool same_certificates(const parts *wrote, const parts *read)
{
    int at = read->leaf ? 0 : 1;
    int count = sk_X509_num(wrote->rest);
    const X509 *leaf = read->leaf ? read->leaf : sk_X509_value(read->rest, 0);

    if (sk_X509_num(read->rest) != count + at && !(count + at == 0 && !read->rest))
        return false;
    if (!leaf || X509_cmp(leaf, wrote->leaf) != 0)
        return false;
    for (int i = 0; i < count; i++)
        if (X509_cmp(sk_X509_value(read->rest, i + at), sk_X509_value(wrote->rest, i)) != 0)
            return false;
    return true;
}

static kv_status read_back(const parts *wrote, const char *password, const kv_secret_buf *bytes,
                           kv_error *err)
{
    const unsigned char *at = bytes->data;
    KV_AUTO(kv_ossl_pkcs12) file = d2i_PKCS12(NULL, &at, (long)bytes->len);
    KV_AUTO(parts) read = { 0 };

    if (!file || !PKCS12_parse(file, password, &read.key, &read.leaf, &read.rest))
        return kv_ossl_failed(err, KV_INTERNAL, "a new PFX cannot be read");
    if (!same_certificates(wrote, &read) || !wrote->key != !read.key ||
        (wrote->key && EVP_PKEY_eq(wrote->key, read.key) != 1))
        return kv_fail(err, KV_INTERNAL, "a new PFX reads back as something else");
    return KV_OK;
}

kv_status kv_x509_pfx_write(const kv_x509_pfx *in, kv_secret_buf *out, kv_error *err)
{
    KV_AUTO(kv_secret_buf) password = KV_SECRET_NONE;
    KV_AUTO(kv_secret_buf) name = KV_SECRET_NONE; /* for its NUL byte */
    KV_AUTO(kv_secret_buf) bytes = KV_SECRET_NONE;
    KV_AUTO(parts) all = { 0 };
    int iterations = in->password.len ? KV_X509_PFX_ITERATIONS : KV_X509_PFX_ITERATIONS_NO_PASSWORD;

    KV_TRY(check_text(in->password, KV_X509_PFX_PASSWORD_MAX, "password", err));
    KV_TRY(check_text(in->friendly_name, KV_X509_PFX_NAME_MAX, "friendly_name", err));
    KV_TRY(read_parts(in, &all, err));
    KV_TRY(kv_secret_buf_copy(in->password, &password, err));
    KV_TRY(kv_secret_buf_copy(in->friendly_name, &name, err));
    KV_TRY(write_file(&all, (const char *)password.data, name.len ? (const char *)name.data : NULL,
                      iterations, &bytes, err));
    KV_TRY(read_back(&all, (const char *)password.data, &bytes, err));
    *out = kv_secret_buf_move(&bytes);
    return KV_OK;
}
