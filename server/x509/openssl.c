/* openssl.c - OpenSSL's parsers made strict, and its errors as ours. */
#include "server/x509/openssl.h"

#include <limits.h>

#include <openssl/err.h>
#include <openssl/sha.h>

kv_status kv_ossl_failed(kv_error *err, kv_status status, const char *message)
{
    unsigned long code = ERR_get_error();
    char text[160] = "";

    if (code)
        ERR_error_string_n(code, text, sizeof(text));
    ERR_clear_error();
    kv_fail(err, status, "%s", message);
    return kv_note(err, "%s", text);
}

bool kv_ossl_out_of_memory(void)
{
    bool found = false;
    unsigned long code;

    while ((code = ERR_get_error()) != 0)
        found = found || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
    return found;
}

kv_status kv_ossl_no_memory(kv_error *err)
{
    ERR_clear_error();
    return kv_fail(err, KV_BUSY, "the server is out of memory");
}

X509 *kv_ossl_parse_certificate(kv_slice der)
{
    const unsigned char *at = der.data;
    X509 *certificate = der.len > LONG_MAX ? NULL : d2i_X509(NULL, &at, (long)der.len);

    ERR_clear_error();
    if (certificate && at != der.data + der.len) {
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

EVP_PKEY *kv_ossl_parse_private_key(kv_slice der)
{
    const unsigned char *at = der.data;
    KV_AUTO(kv_ossl_pkcs8)
    info = der.len > LONG_MAX ? NULL : d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der.len);
    EVP_PKEY *key = info && at == der.data + der.len ? EVP_PKCS82PKEY(info) : NULL;

    ERR_clear_error();
    return key;
}

EVP_PKEY *kv_ossl_parse_public_key(kv_slice spki)
{
    const unsigned char *at = spki.data;
    EVP_PKEY *key = spki.len > LONG_MAX ? NULL : d2i_PUBKEY(NULL, &at, (long)spki.len);

    ERR_clear_error();
    if (key && at != spki.data + spki.len) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

kv_status kv_ossl_keep(kv_arena *arena, const unsigned char *der, int len, kv_slice *out,
                       kv_error *err)
{
    if (len < 0 || !der)
        return kv_ossl_failed(err, KV_INTERNAL, "a structure could not be encoded");
    return kv_arena_copy(arena, kv_slice_of(der, (size_t)len), out, err);
}

static int digest_nid(const kv_mechanism *alg)
{
    if (alg->digest_len == SHA256_DIGEST_LENGTH)
        return NID_sha256;
    return alg->digest_len == SHA384_DIGEST_LENGTH ? NID_sha384 : NID_sha512;
}

bool kv_ossl_set_algorithm(X509_ALGOR *out, const kv_mechanism *alg)
{
    bool rsa = alg->family == KV_FAMILY_RSA;
    int key = rsa ? NID_rsaEncryption : NID_X9_62_id_ecPublicKey;
    int nid;

    /* RFC 4055 wants NULL parameters for RSA, RFC 5758 none for ECDSA. */
    return OBJ_find_sigid_by_algs(&nid, digest_nid(alg), key) &&
           X509_ALGOR_set0(out, OBJ_nid2obj(nid), rsa ? V_ASN1_NULL : V_ASN1_UNDEF, NULL);
}

bool kv_ossl_set_signature(ASN1_BIT_STRING *out, kv_slice signature)
{
    if (!ASN1_BIT_STRING_set(out, (unsigned char *)signature.data, (int)signature.len))
        return false;
    /* Otherwise the encoder would drop trailing zero bits. */
    out->flags = (out->flags & ~(ASN1_STRING_FLAG_BITS_LEFT | 7)) | ASN1_STRING_FLAG_BITS_LEFT;
    return true;
}

ASN1_OBJECT *kv_ossl_object(kv_slice oid)
{
    char text[128];

    if (oid.len >= sizeof(text))
        return NULL;
    memcpy(text, oid.data, oid.len);
    text[oid.len] = 0;
    return OBJ_txt2obj(text, 1);
}

bool kv_ossl_set_text(GENERAL_NAME *name, int kind, kv_slice text)
{
    ASN1_IA5STRING *value = ASN1_IA5STRING_new();

    if (!value || !ASN1_STRING_set(value, text.data, (int)text.len)) {
        ASN1_IA5STRING_free(value);
        return false;
    }
    GENERAL_NAME_set0_value(name, kind, value);
    return true;
}
