/* fake_cipher.c - the fake's encryption and decryption: GCM, CBC and RSA. */
#include <string.h>

#include <openssl/rsa.h>

#include "tests/support/fake_inside.h"

enum { TAG_BYTES = 16, IV_BYTES = 16 };

static CK_RV begin_gcm(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                       fake_operation operation)
{
    const CK_GCM_PARAMS *gcm = mechanism->pParameter;
    fake_session *session;
    CK_RV rv;

    if (gcm->iv_len > sizeof(session->iv) || gcm->aad_len > FAKE_AAD ||
        gcm->tag_bits != 8 * TAG_BYTES)
        return CKR_MECHANISM_PARAM_INVALID;
    rv = kv_fake_begin_operation(handle, mechanism, key, operation,
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

static bool is_cbc(CK_MECHANISM_TYPE type)
{
    return type == CKM_AES_CBC || type == CKM_AES_CBC_PAD;
}

static CK_RV begin(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                   fake_operation operation)
{
    fake_session *session;
    CK_RV rv;

    if (mechanism->mechanism == CKM_AES_GCM)
        return begin_gcm(handle, mechanism, key, operation);
    if (is_cbc(mechanism->mechanism) && mechanism->ulParameterLen != IV_BYTES)
        return CKR_MECHANISM_PARAM_INVALID;
    if (mechanism->mechanism == CKM_RSA_PKCS_OAEP &&
        ((CK_RSA_PKCS_OAEP_PARAMS *)mechanism->pParameter)->hash_alg != CKM_SHA_1)
        return CKR_ARGUMENTS_BAD;
    rv = kv_fake_begin_operation(handle, mechanism, key, operation,
                                 operation == FAKE_ENCRYPT ? CKA_ENCRYPT : CKA_DECRYPT, &session);
    if (rv == CKR_OK && is_cbc(mechanism->mechanism))
        memcpy(session->iv, mechanism->pParameter, IV_BYTES);
    return rv;
}

CK_RV kv_fake_encrypt_init(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CK_RV rv = kv_fake_begin("C_EncryptInit");

    return rv != CKR_OK ? rv : kv_fake_end(begin(handle, mechanism, key, FAKE_ENCRYPT));
}

CK_RV kv_fake_decrypt_init(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CK_RV rv = kv_fake_begin("C_DecryptInit");

    return rv != CKR_OK ? rv : kv_fake_end(begin(handle, mechanism, key, FAKE_DECRYPT));
}

/* By the length of the key: 16, 24 or 32 bytes. */
static const EVP_CIPHER *cipher_of(const fake_attribute *value, bool gcm)
{
    if (value->len == 16)
        return gcm ? EVP_aes_128_gcm() : EVP_aes_128_cbc();
    if (value->len == 24)
        return gcm ? EVP_aes_192_gcm() : EVP_aes_192_cbc();
    return gcm ? EVP_aes_256_gcm() : EVP_aes_256_cbc();
}

static bool gcm(const fake_session *session, const fake_object *key, bool encrypt,
                const CK_BYTE *in, size_t in_len, CK_BYTE *out, CK_BYTE *tag)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    const fake_attribute *value = kv_fake_attribute(key, CKA_VALUE);
    int len = 0, rest = 0;
    bool good;

    good = EVP_CipherInit_ex(ctx, cipher_of(value, true), NULL, NULL, NULL, encrypt) &&
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

static CK_RV cbc(const fake_session *session, const fake_object *key, bool encrypt,
                 const CK_BYTE *in, size_t in_len, CK_BYTE *out, CK_ULONG *out_len)
{
    const fake_attribute *value = kv_fake_attribute(key, CKA_VALUE);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0, rest = 0;
    bool good;

    good =
        EVP_CipherInit_ex(ctx, cipher_of(value, false), NULL, value->value, session->iv, encrypt) &&
        EVP_CIPHER_CTX_set_padding(ctx, session->mechanism == CKM_AES_CBC_PAD) &&
        EVP_CipherUpdate(ctx, out, &len, in, (int)in_len) &&
        EVP_CipherFinal_ex(ctx, out + len, &rest) > 0;
    EVP_CIPHER_CTX_free(ctx);
    *out_len = (CK_ULONG)len + (CK_ULONG)rest;
    return good ? CKR_OK : CKR_GENERAL_ERROR;
}

CK_RV kv_fake_encrypt(CK_SESSION_HANDLE handle, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out,
                      CK_ULONG *len)
{
    CK_RV rv = kv_fake_begin("C_Encrypt");
    fake_session *session;
    fake_object *key;

    if (rv != CKR_OK)
        return rv;
    rv = kv_fake_end_operation(handle, FAKE_ENCRYPT, &session, &key);
    if (rv == CKR_OK && is_cbc(session->mechanism))
        return kv_fake_end(*len < in_len ? CKR_BUFFER_TOO_SMALL
                                         : cbc(session, key, true, in, in_len, out, len));
    if (rv == CKR_OK && *len < in_len + TAG_BYTES)
        rv = CKR_BUFFER_TOO_SMALL;
    if (rv == CKR_OK && !gcm(session, key, true, in, in_len, out, out + in_len))
        rv = CKR_GENERAL_ERROR;
    *len = in_len + TAG_BYTES;
    return kv_fake_end(rv);
}

CK_RV kv_fake_rsa_open(const fake_object *key, CK_MECHANISM_TYPE mechanism, const CK_BYTE *in,
                       CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
    int padding = mechanism == CKM_RSA_PKCS_OAEP ? RSA_PKCS1_OAEP_PADDING : RSA_NO_PADDING;
    EVP_PKEY_CTX *ctx = key->pkey ? EVP_PKEY_CTX_new(key->pkey, NULL) : NULL;
    size_t len = *out_len;
    bool good;

    good = ctx && EVP_PKEY_decrypt_init(ctx) > 0 &&
           EVP_PKEY_CTX_set_rsa_padding(ctx, padding) > 0 &&
           EVP_PKEY_decrypt(ctx, out, &len, in, in_len) > 0;
    EVP_PKEY_CTX_free(ctx);
    *out_len = len;
    return good ? CKR_OK : CKR_GENERAL_ERROR;
}

/* As SoftHSM answers a wrong tag, padding or length. */
static CK_RV open_gcm(const fake_session *session, const fake_object *key, CK_BYTE *in,
                      CK_ULONG in_len, CK_BYTE *out, CK_ULONG *len)
{
    if (in_len < TAG_BYTES)
        return CKR_ENCRYPTED_DATA_LEN_RANGE;
    if (!gcm(session, key, false, in, in_len - TAG_BYTES, out, in + in_len - TAG_BYTES))
        return CKR_GENERAL_ERROR;
    *len = in_len - TAG_BYTES;
    return CKR_OK;
}

CK_RV kv_fake_decrypt(CK_SESSION_HANDLE handle, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out,
                      CK_ULONG *len)
{
    CK_RV rv = kv_fake_begin("C_Decrypt");
    fake_session *session;
    fake_object *key;

    if (rv != CKR_OK)
        return rv;
    rv = kv_fake_end_operation(handle, FAKE_DECRYPT, &session, &key);
    if (rv != CKR_OK)
        return kv_fake_end(rv);
    if (session->mechanism == CKM_AES_GCM)
        return kv_fake_end(open_gcm(session, key, in, in_len, out, len));
    if (is_cbc(session->mechanism))
        return kv_fake_end(cbc(session, key, false, in, in_len, out, len));
    return kv_fake_end(kv_fake_rsa_open(key, session->mechanism, in, in_len, out, len));
}
