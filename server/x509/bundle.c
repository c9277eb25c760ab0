/* bundle.c - chains as PEM and PKCS#7, and the PEM of a secret. */
#include "server/x509/bundle.h"

#include <stdio.h>

#include <openssl/err.h>

#include "server/x509/openssl.h"

enum { LINE_BYTES = 48, LINE_CHARACTERS = 64 };

static const char certificate_label[] = "CERTIFICATE";
static const char key_label[] = "PRIVATE KEY";
static const char pkcs7_label[] = "PKCS7";

/* ---- PEM, written by hand so that nothing private passes through foreign buffers ---- */

static size_t pem_len(const char *label, size_t der_len)
{
    size_t lines = (der_len + LINE_BYTES - 1) / LINE_BYTES;

    return 2 * strlen(label) + strlen("-----BEGIN -----\n-----END -----\n") +
           (der_len + 2) / 3 * 4 + lines;
}

/* Writes pem_len() bytes at `at`; what follows them by a NUL byte is overwritten. */
static uint8_t *put_pem(uint8_t *at, const char *label, kv_slice der)
{
    size_t label_len = strlen(label);

    memcpy(at, "-----BEGIN ", 11);
    memcpy(at + 11, label, label_len);
    memcpy(at + 11 + label_len, "-----\n", 6);
    at += 17 + label_len;
    for (size_t done = 0; done < der.len; done += LINE_BYTES) {
        size_t len = der.len - done < LINE_BYTES ? der.len - done : LINE_BYTES;

        at += EVP_EncodeBlock(at, der.data + done, (int)len);
        *at++ = '\n';
    }
    memcpy(at, "-----END ", 9);
    memcpy(at + 9, label, label_len);
    memcpy(at + 9 + label_len, "-----\n", 6);
    return at + 15 + label_len;
}

/* ---- chains ---- */

static kv_status check_chain(kv_x509_list chain, kv_error *err)
{
    if (chain.count == 0 || chain.count > KV_X509_CHAIN_MAX)
        return kv_fail(err, KV_BAD_REQUEST, "a chain has 1 to %d certificates", KV_X509_CHAIN_MAX);
    for (size_t i = 0; i < chain.count; i++) {
        KV_AUTO(kv_ossl_x509) certificate = kv_ossl_parse_certificate(chain.items[i]);

        if (!certificate)
            return kv_fail(err, KV_BAD_REQUEST, "element %zu of a chain is not a certificate", i);
    }
    return KV_OK;
}

static size_t chain_pem_len(kv_x509_list chain)
{
    size_t len = 0;

    for (size_t i = 0; i < chain.count; i++)
        len += pem_len(certificate_label, chain.items[i].len);
    return len;
}

static uint8_t *put_chain(uint8_t *at, kv_x509_list chain)
{
    for (size_t i = 0; i < chain.count; i++)
        at = put_pem(at, certificate_label, chain.items[i]);
    return at;
}

kv_status kv_x509_chain_pem(kv_arena *arena, kv_x509_list chain, kv_slice *out, kv_error *err)
{
    uint8_t *text;
    size_t len;

    KV_TRY(check_chain(chain, err));
    len = chain_pem_len(chain);
    text = kv_arena_alloc(arena, len + 1);
    if (!text)
        return kv_arena_full(err);
    (void)put_chain(text, chain);
    *out = kv_slice_of(text, len);
    return KV_OK;
}

static kv_status add_certificates(PKCS7 *message, kv_x509_list chain, kv_error *err)
{
    for (size_t i = 0; i < chain.count; i++) {
        KV_AUTO(kv_ossl_x509) certificate = kv_ossl_parse_certificate(chain.items[i]);

        if (!certificate || !PKCS7_add_certificate(message, certificate))
            return kv_ossl_failed(err, KV_INTERNAL, "a PKCS#7 message could not be built");
    }
    return KV_OK;
}

kv_status kv_x509_chain_pkcs7(kv_arena *arena, kv_x509_list chain, kv_slice *out, kv_error *err)
{
    KV_AUTO(kv_ossl_pkcs7) message = PKCS7_new();
    KV_AUTO(kv_ossl_bytes) der = NULL;
    int len;

    KV_TRY(check_chain(chain, err));
    if (!message || !PKCS7_set_type(message, NID_pkcs7_signed) ||
        !PKCS7_content_new(message, NID_pkcs7_data) || !PKCS7_set_detached(message, 1))
        return kv_ossl_failed(err, KV_INTERNAL, "a PKCS#7 message could not be built");
    KV_TRY(add_certificates(message, chain, err));
    len = i2d_PKCS7(message, &der);
    return kv_ossl_keep(arena, der, len, out, err);
}

kv_status kv_x509_chain_pkcs7_pem(kv_arena *arena, kv_x509_list chain, kv_slice *out, kv_error *err)
{
    kv_slice der = KV_SLICE_NONE;
    uint8_t *text;
    size_t len;

    KV_TRY(kv_x509_chain_pkcs7(arena, chain, &der, err));
    len = pem_len(pkcs7_label, der.len);
    text = kv_arena_alloc(arena, len + 1);
    if (!text)
        return kv_arena_full(err);
    (void)put_pem(text, pkcs7_label, der);
    *out = kv_slice_of(text, len);
    return KV_OK;
}

/* ---- the secret ---- */

static bool certifies(kv_slice der, const EVP_PKEY *key)
{
    KV_AUTO(kv_ossl_x509) certificate = kv_ossl_parse_certificate(der);

    return certificate && X509_check_private_key(certificate, key);
}

/* One of the first `count` certificates is the key's. */
static kv_status check_key(kv_x509_list chain, size_t count, kv_slice key, kv_error *err)
{
    KV_AUTO(kv_ossl_key) private_key = kv_ossl_parse_private_key(key);
    bool match = false;

    for (size_t i = 0; private_key && i < count && !match; i++)
        match = certifies(chain.items[i], private_key);
    ERR_clear_error();
    if (!match)
        return kv_fail(err, KV_INTERNAL, "a private key is not the one of its certificate");
    return KV_OK;
}

static kv_status secret_pem(kv_x509_list chain, size_t leaves, kv_slice key, kv_secret_buf *out,
                            kv_error *err)
{
    KV_AUTO(kv_secret_buf) text = KV_SECRET_NONE;
    uint8_t *at;
    size_t len;

    KV_TRY(check_chain(chain, err));
    len = chain_pem_len(chain);
    if (key.len) {
        KV_TRY(check_key(chain, leaves, key, err));
        len += pem_len(key_label, key.len);
    }
    KV_TRY(kv_secret_buf_new(len, &text, err));
    at = text.data;
    if (key.len)
        at = put_pem(at, key_label, key);
    (void)put_chain(at, chain);
    *out = kv_secret_buf_move(&text);
    return KV_OK;
}

kv_status kv_x509_secret_pem(kv_x509_list chain, kv_slice key, kv_secret_buf *out, kv_error *err)
{
    return secret_pem(chain, 1, key, out, err);
}

kv_status kv_x509_secret_pem_as_given(kv_x509_list given, kv_slice key, kv_secret_buf *out,
                                      kv_error *err)
{
    return secret_pem(given, given.count, key, out, err);
}
