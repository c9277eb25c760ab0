/* fake_wrap.c - the fake's C_WrapKey and C_UnwrapKey, with the rules that tokens have for them. */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "tests/support/fake_inside.h"

enum { PLAIN_MAX = 16384 };

static const EVP_CIPHER *cipher_of(size_t key_len, bool pad)
{
    if (key_len == 16)
        return pad ? EVP_aes_128_wrap_pad() : EVP_aes_128_wrap();
    if (key_len == 24)
        return pad ? EVP_aes_192_wrap_pad() : EVP_aes_192_wrap();
    return pad ? EVP_aes_256_wrap_pad() : EVP_aes_256_wrap();
}

static bool aes(const fake_object *kek, CK_MECHANISM_TYPE mechanism, bool encrypt,
                const uint8_t *in, size_t in_len, uint8_t *out, CK_ULONG *out_len)
{
    const fake_attribute *value = kv_fake_attribute(kek, CKA_VALUE);
    const EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int some = 0, rest = 0;
    bool good = false;

    if (value) {
        cipher = cipher_of(value->len, mechanism == CKM_AES_KEY_WRAP_PAD);
        EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
        good = EVP_CipherInit_ex(ctx, cipher, NULL, value->value, NULL, encrypt) &&
               EVP_CipherUpdate(ctx, out, &some, in, (int)in_len) &&
               EVP_CipherFinal_ex(ctx, out + some, &rest) > 0;
    }
    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    *out_len = (CK_ULONG)some + (CK_ULONG)rest;
    return good;
}

static CK_RV wrap_private(const fake_object *kek, CK_MECHANISM_TYPE mechanism, EVP_PKEY *key,
                          CK_BYTE *out, CK_ULONG *len)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    unsigned char *der = NULL;
    int der_len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    bool good = der_len > 0 && *len >= (CK_ULONG)der_len + 16 &&
                aes(kek, mechanism, true, der, (size_t)der_len, out, len);

    OPENSSL_clear_free(der, der_len > 0 ? (size_t)der_len : 0);
    PKCS8_PRIV_KEY_INFO_free(info);
    return good ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV may_use(const fake_object *kek, CK_MECHANISM_TYPE mechanism, CK_ATTRIBUTE_TYPE usage)
{
    if (!kv_fake_has(mechanism) || !kv_fake_allows(kek, mechanism))
        return CKR_MECHANISM_INVALID;
    return kv_fake_flag(kek, usage, false) ? CKR_OK : CKR_KEY_FUNCTION_NOT_PERMITTED;
}

static CK_RV wrap(const fake_object *kek, CK_MECHANISM_TYPE mechanism, const fake_object *key,
                  CK_BYTE *out, CK_ULONG *len)
{
    const fake_attribute *value = kv_fake_attribute(key, CKA_VALUE);
    CK_RV rv = may_use(kek, mechanism, CKA_WRAP);

    if (rv != CKR_OK)
        return rv;
    if (!kv_fake_flag(key, CKA_EXTRACTABLE, false))
        return CKR_KEY_UNEXTRACTABLE;
    /* As SoftHSM: Ed25519 is not wrapped. */
    if (key->pkey && EVP_PKEY_is_a(key->pkey, "ED25519"))
        return CKR_KEY_NOT_WRAPPABLE;
    if (key->pkey)
        return wrap_private(kek, mechanism, key->pkey, out, len);
    if (!value || *len < (value->len + 7) / 8 * 8 + 8)
        return value ? CKR_BUFFER_TOO_SMALL : CKR_KEY_NOT_WRAPPABLE;
    return aes(kek, mechanism, true, value->value, value->len, out, len) ? CKR_OK
                                                                         : CKR_KEY_SIZE_RANGE;
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
    return kv_fake_end(wrap(kek, mechanism->mechanism, key, out, len));
}

static const CK_ATTRIBUTE *stated(const CK_ATTRIBUTE *template, CK_ULONG count,
                                  CK_ATTRIBUTE_TYPE type)
{
    for (CK_ULONG i = 0; i < count; i++)
        if (template[i].type == type)
            return &template[i];
    return NULL;
}

/* What the unwrapping key insists on has to be said, and said the same way. */
static bool obeys(const fake_object *kek, const CK_ATTRIBUTE *template, CK_ULONG count)
{
    const fake_attribute *rules = kv_fake_attribute(kek, CKA_UNWRAP_TEMPLATE);
    const CK_ATTRIBUTE *rule, *said;

    for (CK_ULONG i = 0; rules && i < rules->len / sizeof(*rule); i++) {
        rule = (const CK_ATTRIBUTE *)(const void *)rules->value + i;
        said = stated(template, count, rule->type);
        if (!said || said->ulValueLen != rule->ulValueLen ||
            memcmp(said->pValue, rule->pValue, rule->ulValueLen) != 0)
            return false;
    }
    return true;
}

static bool fill_private(fake_object *object, const uint8_t *der, size_t len)
{
    const unsigned char *at = der;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)len);
    CK_KEY_TYPE type = kv_fake_number(object, CKA_KEY_TYPE);
    uint8_t params[32];
    unsigned char *end = params;
    char group[32];

    object->pkey = info ? EVP_PKCS82PKEY(info) : NULL;
    PKCS8_PRIV_KEY_INFO_free(info);
    ERR_clear_error();
    if (!object->pkey || !EVP_PKEY_is_a(object->pkey, type == CKK_RSA ? "RSA" : "EC"))
        return false;
    if (type == CKK_RSA) {
        kv_fake_set_big(object, CKA_MODULUS, object->pkey, OSSL_PKEY_PARAM_RSA_N);
        kv_fake_set_big(object, CKA_PUBLIC_EXPONENT, object->pkey, OSSL_PKEY_PARAM_RSA_E);
        return true;
    }
    if (!EVP_PKEY_get_group_name(object->pkey, group, sizeof(group), NULL))
        return false;
    kv_fake_set(object, CKA_EC_PARAMS, params,
                (CK_ULONG)i2d_ASN1_OBJECT(OBJ_txt2obj(group, 0), &end));
    return true;
}

static bool fill(fake_object *object, const uint8_t *plain, CK_ULONG len)
{
    CK_KEY_TYPE type = kv_fake_number(object, CKA_KEY_TYPE);

    kv_fake_set_flag(object, CKA_LOCAL, false);
    kv_fake_set_flag(object, CKA_ALWAYS_SENSITIVE, false);
    kv_fake_set_flag(object, CKA_NEVER_EXTRACTABLE, false);
    if (kv_fake_number(object, CKA_CLASS) == CKO_PRIVATE_KEY)
        return fill_private(object, plain, len);
    if (type == CKK_AES && len != 16 && len != 24 && len != 32)
        return false;
    kv_fake_set(object, CKA_VALUE, plain, len);
    kv_fake_set(object, CKA_VALUE_LEN, &len, sizeof(len));
    return true;
}

static CK_RV unwrap(fake_session *session, const fake_object *kek, CK_MECHANISM_TYPE mechanism,
                    const CK_BYTE *in, CK_ULONG in_len, CK_ATTRIBUTE *template, CK_ULONG count,
                    CK_OBJECT_HANDLE *out)
{
    CK_RV rv = may_use(kek, mechanism, CKA_UNWRAP);
    uint8_t plain[PLAIN_MAX];
    CK_ULONG len = sizeof(plain);
    fake_object *object;

    if (rv != CKR_OK)
        return rv;
    if (!obeys(kek, template, count))
        return CKR_TEMPLATE_INCONSISTENT;
    if (in_len > PLAIN_MAX)
        return CKR_WRAPPED_KEY_LEN_RANGE;
    if (mechanism == CKM_RSA_PKCS_OAEP)
        rv = kv_fake_rsa_open(kek, mechanism, in, in_len, plain, &len);
    else
        rv = aes(kek, mechanism, false, in, in_len, plain, &len) ? CKR_OK : CKR_GENERAL_ERROR;
    if (rv != CKR_OK)
        return rv;
    object = kv_fake_object_new(session, template, count);
    *out = object->handle;
    if (fill(object, plain, len))
        return CKR_OK;
    kv_fake_forget_object(object);
    return CKR_GENERAL_ERROR;
}

CK_RV kv_fake_unwrap(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE with,
                     CK_BYTE *in, CK_ULONG in_len, CK_ATTRIBUTE *template, CK_ULONG count,
                     CK_OBJECT_HANDLE *out)
{
    CK_RV rv = kv_fake_begin("C_UnwrapKey");
    fake_session *session;
    fake_object *kek;

    if (rv != CKR_OK)
        return rv;
    session = kv_fake_session(handle);
    kek = session ? kv_fake_object(session, with) : NULL;
    if (!kek)
        return kv_fake_end(session ? CKR_UNWRAPPING_KEY_HANDLE_INVALID
                                   : CKR_SESSION_HANDLE_INVALID);
    return kv_fake_end(
        unwrap(session, kek, mechanism->mechanism, in, in_len, template, count, out));
}
