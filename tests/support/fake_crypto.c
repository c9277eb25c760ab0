/* fake_crypto.c - the fake's cryptography: OpenSSL behind Cryptoki. */
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "tests/support/fake_inside.h"

enum { NUMBER_MAX = 512, POINT_MAX = 133, SECRET_MAX = 64 };

static fake_state *const fake = &kv_fake_state;

bool kv_fake_allows(const fake_object *key, CK_MECHANISM_TYPE mechanism)
{
    const fake_attribute *list = kv_fake_attribute(key, CKA_ALLOWED_MECHANISMS);
    CK_MECHANISM_TYPE one;

    for (CK_ULONG at = 0; list && at + sizeof(one) <= list->len; at += sizeof(one)) {
        memcpy(&one, list->value + at, sizeof(one));
        if (one == mechanism)
            return true;
    }
    return !list;
}

CK_RV kv_fake_begin_operation(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism,
                              CK_OBJECT_HANDLE which, fake_operation operation,
                              CK_ATTRIBUTE_TYPE usage, fake_session **out)
{
    fake_session *session = kv_fake_session(handle);
    fake_object *key = session ? kv_fake_object(session, which) : NULL;

    if (!session)
        return CKR_SESSION_HANDLE_INVALID;
    if (session->operation != FAKE_IDLE)
        return CKR_OPERATION_ACTIVE;
    if (!key)
        return CKR_KEY_HANDLE_INVALID;
    if (!kv_fake_has(mechanism->mechanism) || !kv_fake_allows(key, mechanism->mechanism))
        return CKR_MECHANISM_INVALID;
    if (!kv_fake_flag(key, usage, false))
        return CKR_KEY_FUNCTION_NOT_PERMITTED;
    session->operation = operation;
    session->key = which;
    session->mechanism = mechanism->mechanism;
    *out = session;
    return CKR_OK;
}

CK_RV kv_fake_sign_init(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CK_RV rv = kv_fake_begin("C_SignInit");
    fake_session *session;

    if (rv != CKR_OK)
        return rv;
    rv = kv_fake_begin_operation(handle, mechanism, key, FAKE_SIGN, CKA_SIGN, &session);
    if (rv == CKR_OK && mechanism->mechanism == CKM_RSA_PKCS_PSS)
        memcpy(&session->pss, mechanism->pParameter, sizeof(session->pss));
    return kv_fake_end(rv);
}

static const EVP_MD *hash_of(CK_MECHANISM_TYPE hash)
{
    if (hash == CKM_SHA256)
        return EVP_sha256();
    return hash == CKM_SHA384 ? EVP_sha384() : EVP_sha512();
}

static CK_RV raw_ecdsa(EVP_PKEY *key, const uint8_t *der, size_t der_len, CK_BYTE *out,
                       CK_ULONG *len)
{
    int half = (EVP_PKEY_get_bits(key) + 7) / 8;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)der_len);
    CK_RV rv = pair && *len >= 2 * (CK_ULONG)half ? CKR_OK : CKR_BUFFER_TOO_SMALL;

    if (rv == CKR_OK) {
        (void)BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, half);
        (void)BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + half, half);
        *len = 2 * (CK_ULONG)half;
    }
    ECDSA_SIG_free(pair);
    return rv;
}

static CK_RV sign_with(const fake_session *session, EVP_PKEY *key, const CK_BYTE *data,
                       CK_ULONG data_len, CK_BYTE *out, CK_ULONG *len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    uint8_t signature[NUMBER_MAX];
    size_t signature_len = sizeof(signature);
    bool good = ctx && EVP_PKEY_sign_init(ctx) > 0;

    if (good && session->mechanism == CKM_RSA_PKCS)
        good = EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0;
    if (good && session->mechanism == CKM_RSA_PKCS_PSS)
        good = EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) > 0 &&
               EVP_PKEY_CTX_set_signature_md(ctx, hash_of(session->pss.hash_alg)) > 0 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, (int)session->pss.s_len) > 0;
    good = good && EVP_PKEY_sign(ctx, signature, &signature_len, data, data_len) > 0;
    EVP_PKEY_CTX_free(ctx);
    if (!good)
        return CKR_FUNCTION_FAILED;
    if (session->mechanism == CKM_ECDSA)
        return raw_ecdsa(key, signature, signature_len, out, len);
    if (*len < signature_len)
        return CKR_BUFFER_TOO_SMALL;
    memcpy(out, signature, signature_len);
    *len = signature_len;
    return CKR_OK;
}

static const EVP_MD *hmac_hash(CK_MECHANISM_TYPE mechanism)
{
    if (mechanism == CKM_SHA256_HMAC)
        return EVP_sha256();
    if (mechanism == CKM_SHA384_HMAC)
        return EVP_sha384();
    return mechanism == CKM_SHA512_HMAC ? EVP_sha512() : NULL;
}

static CK_RV mac_with(const fake_object *key, const EVP_MD *hash, const CK_BYTE *data,
                      CK_ULONG data_len, CK_BYTE *out, CK_ULONG *len)
{
    const fake_attribute *value = kv_fake_attribute(key, CKA_VALUE);
    unsigned mac_len = 0;

    if (!value || *len < (CK_ULONG)EVP_MD_get_size(hash))
        return CKR_BUFFER_TOO_SMALL;
    (void)HMAC(hash, value->value, (int)value->len, data, data_len, out, &mac_len);
    *len = mac_len;
    return CKR_OK;
}

static CK_RV sign_message(EVP_PKEY *key, const CK_BYTE *data, CK_ULONG data_len, CK_BYTE *out,
                          CK_ULONG *len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t out_len = *len;
    bool good = EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) > 0 &&
                EVP_DigestSign(ctx, out, &out_len, data, data_len) > 0;

    EVP_MD_CTX_free(ctx);
    *len = out_len;
    return good ? CKR_OK : CKR_FUNCTION_FAILED;
}

/* The key of the operation under way, which ends here. */
CK_RV kv_fake_end_operation(CK_SESSION_HANDLE handle, fake_operation operation,
                            fake_session **session, fake_object **key)
{
    *session = kv_fake_session(handle);
    if (!*session)
        return CKR_SESSION_HANDLE_INVALID;
    if ((*session)->operation != operation)
        return CKR_OPERATION_NOT_INITIALIZED;
    (*session)->operation = FAKE_IDLE;
    *key = kv_fake_object(*session, (*session)->key);
    return *key ? CKR_OK : CKR_KEY_HANDLE_INVALID;
}

CK_RV kv_fake_sign(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *out,
                   CK_ULONG *len)
{
    CK_RV rv = kv_fake_begin("C_Sign");
    fake_session *session;
    fake_object *key;

    if (rv != CKR_OK)
        return rv;
    rv = kv_fake_end_operation(handle, FAKE_SIGN, &session, &key);
    if (rv == CKR_OK && hmac_hash(session->mechanism))
        rv = mac_with(key, hmac_hash(session->mechanism), data, data_len, out, len);
    else if (rv == CKR_OK && session->mechanism == CKM_EDDSA)
        rv = sign_message(key->pkey, data, data_len, out, len);
    else if (rv == CKR_OK)
        rv = sign_with(session, key->pkey, data, data_len, out, len);
    return kv_fake_end(rv);
}

static void mark_generated(fake_object *key)
{
    kv_fake_set_flag(key, CKA_LOCAL, true);
    kv_fake_set_flag(key, CKA_ALWAYS_SENSITIVE, kv_fake_flag(key, CKA_SENSITIVE, false));
    kv_fake_set_flag(key, CKA_NEVER_EXTRACTABLE, !kv_fake_flag(key, CKA_EXTRACTABLE, false));
}

CK_RV kv_fake_generate_key(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism,
                           CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *out)
{
    CK_RV rv = kv_fake_begin("C_GenerateKey");
    fake_session *session;
    fake_object *key;
    uint8_t value[SECRET_MAX];
    CK_ULONG len;

    if (rv != CKR_OK)
        return rv;
    session = kv_fake_session(handle);
    if (!session || !kv_fake_has(mechanism->mechanism))
        return kv_fake_end(session ? CKR_MECHANISM_INVALID : CKR_SESSION_HANDLE_INVALID);
    (void)RAND_bytes(value, sizeof(value));
    key = kv_fake_object_new(session, template, count);
    len = kv_fake_number(key, CKA_VALUE_LEN);
    kv_fake_set(key, CKA_VALUE, value, len < SECRET_MAX ? len : SECRET_MAX);
    mark_generated(key);
    *out = key->handle;
    return kv_fake_end(CKR_OK);
}

static EVP_PKEY *generate(const fake_object *public)
{
    const fake_attribute *params = kv_fake_attribute(public, CKA_EC_PARAMS);

    if (!params)
        return EVP_RSA_gen(kv_fake_number(public, CKA_MODULUS_BITS));
    if (params->len == 14)
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (params->len == 10)
        return EVP_EC_gen("P-256");
    if (params->value[6] == 0x0a)
        return EVP_EC_gen("secp256k1");
    return EVP_EC_gen(params->value[6] == 0x22 ? "P-384" : "P-521");
}

void kv_fake_set_big(fake_object *object, CK_ATTRIBUTE_TYPE type, EVP_PKEY *key, const char *name)
{
    BIGNUM *number = NULL;
    uint8_t bytes[NUMBER_MAX];

    if (EVP_PKEY_get_bn_param(key, name, &number))
        kv_fake_set(object, type, bytes, (CK_ULONG)BN_bn2bin(number, bytes));
    BN_free(number);
}

static void describe_pair(fake_object *private, fake_object *public, EVP_PKEY *key)
{
    const fake_attribute *params = kv_fake_attribute(public, CKA_EC_PARAMS);
    uint8_t point[POINT_MAX + 3];
    size_t len = 0, at = 2;

    if (!params) {
        kv_fake_set_big(public, CKA_MODULUS, key, OSSL_PKEY_PARAM_RSA_N);
        kv_fake_set_big(private, CKA_MODULUS, key, OSSL_PKEY_PARAM_RSA_N);
        return;
    }
    kv_fake_set(private, CKA_EC_PARAMS, params->value, params->len);
    (void)EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point + 3, POINT_MAX, &len);
    if (len > 127)
        at = 3;
    memmove(point + at, point + 3, len);
    point[0] = 0x04;
    point[1] = at == 3 ? 0x81 : (uint8_t)len;
    point[at - 1] = (uint8_t)len;
    kv_fake_set(public, CKA_EC_POINT, point, at + len);
}

CK_RV kv_fake_generate_pair(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism,
                            CK_ATTRIBUTE *public_template, CK_ULONG public_count,
                            CK_ATTRIBUTE *private_template, CK_ULONG private_count,
                            CK_OBJECT_HANDLE *public_out, CK_OBJECT_HANDLE *private_out)
{
    CK_RV rv = kv_fake_begin("C_GenerateKeyPair");
    fake_object *private, *public;
    fake_session *session;

    if (rv != CKR_OK)
        return rv;
    session = kv_fake_session(handle);
    if (!session || !kv_fake_has(mechanism->mechanism))
        return kv_fake_end(session ? CKR_MECHANISM_INVALID : CKR_SESSION_HANDLE_INVALID);
    if (!fake->logged_in[session->slot])
        return kv_fake_end(CKR_USER_NOT_LOGGED_IN);
    public = kv_fake_object_new(session, public_template, public_count);
    private = kv_fake_object_new(session, private_template, private_count);
    private->pkey = generate(public);
    mark_generated(private);
    describe_pair(private, public, private->pkey);
    *public_out = public->handle;
    *private_out = private->handle;
    return kv_fake_end(CKR_OK);
}

CK_RV kv_fake_random(CK_SESSION_HANDLE handle, CK_BYTE *out, CK_ULONG len)
{
    CK_RV rv = kv_fake_begin("C_GenerateRandom");

    if (rv != CKR_OK)
        return rv;
    if (!kv_fake_session(handle))
        return kv_fake_end(CKR_SESSION_HANDLE_INVALID);
    (void)RAND_bytes(out, (int)len);
    return kv_fake_end(CKR_OK);
}
