/* jws.c - the compact form and the signature of a JWS. */
#include "server/auth/jws.h"

#include <string.h>

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "server/base/compiler.h"

enum { DER_BYTES = 160 };

/* shape: table */
static const kv_jws_algorithm algorithms[] = {
    { "RS256", "RSA", NULL, "SHA256", false, 0 },
    { "RS384", "RSA", NULL, "SHA384", false, 0 },
    { "RS512", "RSA", NULL, "SHA512", false, 0 },
    { "PS256", "RSA", NULL, "SHA256", true, 0 },
    { "PS384", "RSA", NULL, "SHA384", true, 0 },
    { "PS512", "RSA", NULL, "SHA512", true, 0 },
    { "ES256", "EC", "P-256", "SHA256", false, 32 },
    { "ES384", "EC", "P-384", "SHA384", false, 48 },
    { "ES512", "EC", "P-521", "SHA512", false, 66 },
    { "EdDSA", "OKP", "Ed25519", NULL, false, 0 },
};

static void md_ctx_cleanup(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

const kv_jws_algorithm *kv_jws_algorithm_find(kv_slice name)
{
    for (unsigned i = 0; i < KV_COUNT(algorithms); i++)
        if (kv_slice_equal(name, kv_slice_text(algorithms[i].name)))
            return &algorithms[i];
    return NULL;
}

const kv_jws_algorithm *kv_jws_algorithm_of_key(kv_slice family, kv_slice curve)
{
    for (unsigned i = 0; i < KV_COUNT(algorithms); i++) {
        const kv_jws_algorithm *row = &algorithms[i];

        if (kv_slice_equal(family, kv_slice_text(row->family)) &&
            (!row->curve || kv_slice_equal(curve, kv_slice_text(row->curve))))
            return row;
    }
    return NULL;
}

bool kv_jws_split(kv_slice text, kv_slice parts[3])
{
    unsigned part = 0;
    size_t start = 0;

    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && text.data[i] != '.')
            continue;
        if (part == 3)
            return false;
        parts[part++] = kv_slice_of(text.data + start, i - start);
        start = i + 1;
    }
    return part == 3;
}

/* r || s to the DER that OpenSSL verifies; the length, or 0. */
static int der_of(kv_slice raw, unsigned coordinate, uint8_t out[DER_BYTES])
{
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw.data, (int)coordinate, NULL);
    BIGNUM *s = BN_bin2bn(raw.data + coordinate, (int)coordinate, NULL);
    uint8_t *at = out;
    int len = 0;

    if (!signature || !r || !s || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
    } else if (!BN_is_zero(r) && !BN_is_zero(s)) {
        len = i2d_ECDSA_SIG(signature, &at);
    }
    ECDSA_SIG_free(signature);
    return len > 0 ? len : 0;
}

static bool set_padding(EVP_PKEY_CTX *context, const kv_jws_algorithm *algorithm)
{
    if (strcmp(algorithm->family, "RSA") != 0)
        return true;
    if (!algorithm->pss)
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

bool kv_jws_verify(EVP_PKEY *key, const kv_jws_algorithm *algorithm, kv_slice signed_part,
                   kv_slice signature)
{
    __attribute__((cleanup(md_ctx_cleanup))) EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *inner = NULL; /* belongs to the other */
    uint8_t der[DER_BYTES];
    bool holds;

    if (!context || !signature.len)
        return false;
    if (algorithm->coordinate) {
        if (signature.len != 2 * (size_t)algorithm->coordinate)
            return false;
        signature = kv_slice_of(der, (size_t)der_of(signature, algorithm->coordinate, der));
    }
    holds =
        signature.len > 0 &&
        EVP_DigestVerifyInit_ex(context, &inner, algorithm->digest, NULL, NULL, key, NULL) == 1 &&
        set_padding(inner, algorithm) &&
        EVP_DigestVerify(context, signature.data, signature.len, signed_part.data,
                         signed_part.len) == 1;
    ERR_clear_error();
    return holds;
}
