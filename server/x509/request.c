/* request.c - from a policy and a public key to a signed, checked certification request. */
#include "server/x509/request.h"

#include <openssl/err.h>

#include "pkcs11/public_key.h"
#include "server/x509/extensions.h"
#include "server/x509/openssl.h"

static kv_status failed(kv_error *err)
{
    return kv_ossl_failed(err, KV_INTERNAL, "the certification request could not be built");
}

static kv_status set_algorithm(X509_REQ *request, const kv_mechanism *alg, kv_error *err)
{
    X509_ALGOR *algorithm = X509_ALGOR_new();
    bool good = algorithm && kv_ossl_set_algorithm(algorithm, alg) &&
                X509_REQ_set1_signature_algo(request, algorithm);

    X509_ALGOR_free(algorithm);
    return good ? KV_OK : failed(err);
}

static kv_status fill(kv_arena *arena, X509_REQ *request, const kv_x509_policy *policy,
                      EVP_PKEY *key, kv_error *err)
{
    KV_AUTO(kv_ossl_name) subject = NULL;
    KV_AUTO(kv_ossl_extensions) extensions = NULL;

    KV_TRY(kv_x509_subject_build(arena, policy, &subject, err));
    KV_TRY(kv_x509_extensions_build(policy, &extensions, err));
    if (!X509_REQ_set_version(request, X509_REQ_VERSION_1) ||
        !X509_REQ_set_subject_name(request, subject) || !X509_REQ_set_pubkey(request, key) ||
        !X509_REQ_add_extensions(request, extensions))
        return failed(err);
    return KV_OK;
}

static kv_status sign(kv_arena *arena, X509_REQ *request, const kv_x509_signer *signer,
                      const kv_mechanism *alg, kv_error *err)
{
    KV_AUTO(kv_ossl_bytes) info = NULL;
    KV_AUTO(kv_ossl_bits) bits = ASN1_BIT_STRING_new();
    int len = i2d_re_X509_REQ_tbs(request, &info);
    kv_slice signature = KV_SLICE_NONE;

    if (len <= 0 || !bits)
        return failed(err);
    KV_TRY(kv_x509_sign(arena, signer, alg, kv_slice_of(info, (size_t)len), &signature, err));
    if (!kv_ossl_set_signature(bits, signature))
        return failed(err);
    X509_REQ_set0_signature(request, bits);
    bits = NULL;
    return KV_OK;
}

static kv_status encode(kv_arena *arena, X509_REQ *request, kv_slice *out, kv_error *err)
{
    KV_AUTO(kv_ossl_bytes) der = NULL;
    int len = i2d_X509_REQ(request, &der);

    return kv_ossl_keep(arena, der, len, out, err);
}

static kv_status check(kv_slice der, kv_error *err)
{
    const unsigned char *at = der.data;
    KV_AUTO(kv_ossl_request) again = d2i_X509_REQ(NULL, &at, (long)der.len);
    EVP_PKEY *key = again ? X509_REQ_get0_pubkey(again) : NULL;
    int valid = key ? X509_REQ_verify(again, key) : 0;

    ERR_clear_error();
    if (valid != 1)
        return kv_fail(err, KV_INTERNAL, "the signature of a new request does not verify");
    return KV_OK;
}

kv_status kv_x509_request_build(kv_arena *arena, const kv_x509_policy *policy, kv_slice spki,
                                const kv_x509_signer *signer, kv_slice *out, kv_error *err)
{
    KV_AUTO(kv_ossl_request) request = X509_REQ_new();
    KV_AUTO(kv_ossl_key) key = kv_ossl_parse_public_key(spki);
    const kv_mechanism *alg;
    kv_key_kind kind;
    kv_slice der = KV_SLICE_NONE;

    KV_TRY(kv_public_key_kind(spki, &kind, err));
    alg = kv_x509_signature_mechanism(kind);
    if (kind != kv_x509_policy_key_kind(policy) || !alg)
        return kv_fail(err, KV_INTERNAL, "the public key is not of the kind the policy asks for");
    if (!request || !key)
        return failed(err);
    KV_TRY(fill(arena, request, policy, key, err));
    KV_TRY(set_algorithm(request, alg, err));
    KV_TRY(sign(arena, request, signer, alg, err));
    KV_TRY(encode(arena, request, &der, err));
    KV_TRY(check(der, err));
    *out = der;
    return KV_OK;
}
