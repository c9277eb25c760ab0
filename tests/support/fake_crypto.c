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

enum { TAG_BYTES = 16, NUMBER_MAX = 512, POINT_MAX = 133, PKCS8_MAX = 4096 };

static fake_state *const fake = &kv_fake_state;

static bool allows(const fake_object *key, CK_MECHANISM_TYPE mechanism)
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

static CK_RV begin_operation(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism,
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
    if (!kv_fake_has(mechanism->mechanism) || !allows(key, mechanism->mechanism))
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
    rv = begin_operation(handle, mechanism, key, FAKE_SIGN, CKA_SIGN, &session);
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

static CK_RV mac_with(const fake_object *key, const CK_BYTE *data, CK_ULONG data_len, CK_BYTE *out,
                      CK_ULONG *len)
{
    const fake_attribute *value = kv_fake_attribute(key, CKA_VALUE);
    unsigned mac_len = 0;

    if (!value || *len < 32)
        return CKR_BUFFER_TOO_SMALL;
    (void)HMAC(EVP_sha256(), value->value, (int)value->len, data, data_len, out, &mac_len);
    *len = mac_len;
    return CKR_OK;
}

/* The key of the operation under way, which ends here. */
static CK_RV end_operation(CK_SESSION_HANDLE handle, fake_operation operation,
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
    rv = end_operation(handle, FAKE_SIGN, &session, &key);
    if (rv == CKR_OK)
        rv = session->mechanism == CKM_SHA256_HMAC
                 ? mac_with(key, data, data_len, out, len)
                 : sign_with(session, key->pkey, data, data_len, out, len);
    return kv_fake_end(rv);
}

static CK_RV begin_gcm(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                       fake_operation operation)
{
    const CK_GCM_PARAMS *gcm = mechanism->pParameter;
    fake_session *session;
    CK_RV rv;

    if (gcm->iv_len > sizeof(session->iv) || gcm->aad_len > FAKE_AAD ||
        gcm->tag_bits != 8 * TAG_BYTES)
        return CKR_MECHANISM_PARAM_INVALID;
    rv = begin_operation(handle, mechanism, key, operation,
                         operation == FAKE_ENCRYPT ? CKA_ENCRYPT : CKA_DECRYPT, &session);
    if (rv != CKR_OK)
        return rv;
    session->iv_len = gcm->iv_len;
    session->aad_len = gcm->aad_len;
    memcpy(session->iv, gcm->iv_ptr, gcm->iv_len);
    if (gcm->aad_len)
        memcpy(session->aad, gcm->aad_ptr, gcm->aad_len);
    return CKR_OK;
}

CK_RV kv_fake_encrypt_init(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CK_RV rv = kv_fake_begin("C_EncryptInit");

    return rv != CKR_OK ? rv : kv_fake_end(begin_gcm(handle, mechanism, key, FAKE_ENCRYPT));
}

CK_RV kv_fake_decrypt_init(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CK_RV rv = kv_fake_begin("C_DecryptInit");

    return rv != CKR_OK ? rv : kv_fake_end(begin_gcm(handle, mechanism, key, FAKE_DECRYPT));
}

static bool gcm(const fake_session *session, const fake_object *key, bool encrypt,
                const CK_BYTE *in, size_t in_len, CK_BYTE *out, CK_BYTE *tag)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    const fake_attribute *value = kv_fake_attribute(key, CKA_VALUE);
    int len = 0, rest = 0;
    bool good;

    good = EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, NULL, NULL, encrypt) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)session->iv_len, NULL) &&
           EVP_CipherInit_ex(ctx, NULL, NULL, value->value, session->iv, encrypt) &&
           (encrypt || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag)) &&
           EVP_CipherUpdate(ctx, NULL, &len, session->aad, (int)session->aad_len) &&
           EVP_CipherUpdate(ctx, out, &len, in, (int)in_len) &&
           EVP_CipherFinal_ex(ctx, out + len, &rest) > 0 &&
           (!encrypt || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag));
    EVP_CIPHER_CTX_free(ctx);
    return good;
}

CK_RV kv_fake_encrypt(CK_SESSION_HANDLE handle, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out,
                      CK_ULONG *len)
{
    CK_RV rv = kv_fake_begin("C_Encrypt");
    fake_session *session;
    fake_object *key;

    if (rv != CKR_OK)
        return rv;
    rv = end_operation(handle, FAKE_ENCRYPT, &session, &key);
    if (rv == CKR_OK && *len < in_len + TAG_BYTES)
        rv = CKR_BUFFER_TOO_SMALL;
    if (rv == CKR_OK && !gcm(session, key, true, in, in_len, out, out + in_len))
        rv = CKR_GENERAL_ERROR;
    *len = in_len + TAG_BYTES;
    return kv_fake_end(rv);
}

CK_RV kv_fake_decrypt(CK_SESSION_HANDLE handle, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out,
                      CK_ULONG *len)
{
    CK_RV rv = kv_fake_begin("C_Decrypt");
    fake_session *session;
    fake_object *key;

    if (rv != CKR_OK)
        return rv;
    rv = end_operation(handle, FAKE_DECRYPT, &session, &key);
    if (rv == CKR_OK && in_len < TAG_BYTES)
        rv = CKR_ENCRYPTED_DATA_LEN_RANGE;
    /* As SoftHSM answers a wrong tag. */
    if (rv == CKR_OK &&
        !gcm(session, key, false, in, in_len - TAG_BYTES, out, in + in_len - TAG_BYTES))
        rv = CKR_GENERAL_ERROR;
    if (rv == CKR_OK)
        *len = in_len - TAG_BYTES;
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
    uint8_t value[32];

    if (rv != CKR_OK)
        return rv;
    session = kv_fake_session(handle);
    if (!session || !kv_fake_has(mechanism->mechanism))
        return kv_fake_end(session ? CKR_MECHANISM_INVALID : CKR_SESSION_HANDLE_INVALID);
    (void)RAND_bytes(value, sizeof(value));
    key = kv_fake_object_new(session, template, count);
    kv_fake_set(key, CKA_VALUE, value, sizeof(value));
    mark_generated(key);
    *out = key->handle;
    return kv_fake_end(CKR_OK);
}

static EVP_PKEY *generate(const fake_object *public)
{
    const fake_attribute *params = kv_fake_attribute(public, CKA_EC_PARAMS);

    if (!params)
        return EVP_RSA_gen(kv_fake_number(public, CKA_MODULUS_BITS));
    if (params->len == 10)
        return EVP_EC_gen("P-256");
    return EVP_EC_gen(params->value[6] == 0x22 ? "P-384" : "P-521");
}

static void set_big(fake_object *object, CK_ATTRIBUTE_TYPE type, EVP_PKEY *key, const char *name)
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
        set_big(public, CKA_MODULUS, key, OSSL_PKEY_PARAM_RSA_N);
        set_big(private, CKA_MODULUS, key, OSSL_PKEY_PARAM_RSA_N);
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

static CK_RV wrap(const fake_object *kek, const fake_object *key, CK_BYTE *out, CK_ULONG *len)
{
    const fake_attribute *value = kv_fake_attribute(kek, CKA_VALUE);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->pkey);
    unsigned char *der = NULL;
    int der_len = i2d_PKCS8_PRIV_KEY_INFO(info, &der), some = 0, rest = 0;
    bool good = der_len > 0 && *len >= (CK_ULONG)der_len + 16;

    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    good = good && EVP_EncryptInit_ex(ctx, EVP_aes_256_wrap_pad(), NULL, value->value, NULL) &&
           EVP_EncryptUpdate(ctx, out, &some, der, der_len) &&
           EVP_EncryptFinal_ex(ctx, out + some, &rest);
    *len = (CK_ULONG)(some + rest);
    OPENSSL_clear_free(der, der_len > 0 ? (size_t)der_len : 0);
    PKCS8_PRIV_KEY_INFO_free(info);
    EVP_CIPHER_CTX_free(ctx);
    return good ? CKR_OK : CKR_FUNCTION_FAILED;
}

CK_RV kv_fake_wrap(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE with,
                   CK_OBJECT_HANDLE what, CK_BYTE *out, CK_ULONG *len)
{
    CK_RV rv = kv_fake_begin("C_WrapKey");
    fake_session *session;
    fake_object *kek, *key;

    if (rv != CKR_OK)
        return rv;
    session = kv_fake_session(handle);
    kek = session ? kv_fake_object(session, with) : NULL;
    key = session ? kv_fake_object(session, what) : NULL;
    if (!session || !kek || !key)
        return kv_fake_end(session ? CKR_KEY_HANDLE_INVALID : CKR_SESSION_HANDLE_INVALID);
    if (!kv_fake_has(mechanism->mechanism) || !allows(kek, mechanism->mechanism))
        return kv_fake_end(CKR_MECHANISM_INVALID);
    if (!kv_fake_flag(kek, CKA_WRAP, false))
        return kv_fake_end(CKR_KEY_FUNCTION_NOT_PERMITTED);
    if (!kv_fake_flag(key, CKA_EXTRACTABLE, false))
        return kv_fake_end(CKR_KEY_UNEXTRACTABLE);
    return kv_fake_end(key->pkey ? wrap(kek, key, out, len) : CKR_KEY_NOT_WRAPPABLE);
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
