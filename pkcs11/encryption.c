/* encryption.c - the tables of encryption, wrapping and keyed-hash algorithms. */
#include "pkcs11/encryption.h"

#include <p11-kit/pkcs11.h>

#define AES_ROWS(bits)                                                                           \
    { "A" #bits "GCM", KV_MODE_GCM, KV_CLASS_CIPHER, KV_KEY_AES_##bits, false, CKM_AES_GCM },    \
        { "A" #bits "CBC", KV_MODE_CBC, KV_CLASS_CIPHER, KV_KEY_AES_##bits, true, CKM_AES_CBC }, \
        { "A" #bits "CBCPAD", KV_MODE_CBC_PAD, KV_CLASS_CIPHER, KV_KEY_AES_##bits, true,         \
          CKM_AES_CBC_PAD },                                                                     \
    {                                                                                            \
        "A" #bits "KW", KV_MODE_KW, KV_CLASS_WRAP, KV_KEY_AES_##bits, false, CKM_AES_KEY_WRAP    \
    }

static const kv_encryption rows[] = {
    { "RSA-OAEP", KV_MODE_OAEP_SHA1, KV_CLASS_DECRYPT, KV_KEY_NONE, false, CKM_RSA_PKCS_OAEP },
    { "RSA-OAEP-256", KV_MODE_OAEP_SHA256, KV_CLASS_DECRYPT, KV_KEY_NONE, false, CKM_RSA_X_509 },
    { "RSA1_5", KV_MODE_RSA1_5, KV_CLASS_DECRYPT, KV_KEY_NONE, true, CKM_RSA_X_509 },
    AES_ROWS(128),
    AES_ROWS(192),
    AES_ROWS(256),
    { "CKM_AES_KEY_WRAP", KV_MODE_KW, KV_CLASS_WRAP, KV_KEY_NONE, false, CKM_AES_KEY_WRAP },
    { "CKM_AES_KEY_WRAP_PAD", KV_MODE_KWP, KV_CLASS_WRAP, KV_KEY_NONE, false,
      CKM_AES_KEY_WRAP_PAD },
};

static const kv_mac_algorithm macs[] = {
    { "HS256", KV_KEY_HMAC_256, 32, CKM_SHA256_HMAC },
    { "HS384", KV_KEY_HMAC_384, 48, CKM_SHA384_HMAC },
    { "HS512", KV_KEY_HMAC_512, 64, CKM_SHA512_HMAC },
};

const kv_encryption *kv_encryption_find(kv_slice name)
{
    for (size_t i = 0; i < KV_COUNT(rows); i++)
        if (kv_slice_equal(name, kv_slice_text(rows[i].name)))
            return &rows[i];
    return NULL;
}

const kv_encryption *kv_encryption_at(size_t index)
{
    return index < KV_COUNT(rows) ? &rows[index] : NULL;
}

bool kv_encryption_fits(const kv_encryption *alg, kv_key_kind kind)
{
    if (alg->kind != KV_KEY_NONE)
        return alg->kind == kind;
    if (alg->class == KV_CLASS_DECRYPT)
        return kv_key_kind_of(kind)->family == KV_FAMILY_RSA;
    return kind >= KV_KEY_AES_128 && kind <= KV_KEY_AES_256;
}

kv_status kv_encryption_check(const kv_encryption *alg, kv_key_class class, kv_key_kind kind,
                              bool allow_weak, kv_error *err)
{
    if (alg->class != class)
        return kv_fail_field(err, "alg", "%s is not for keys of this use", alg->name);
    if (kind != KV_KEY_NONE && !kv_encryption_fits(alg, kind))
        return kv_fail_field(err, "alg", "%s does not fit a key of kind %s", alg->name,
                             kv_key_kind_of(kind)->name);
    if (alg->weak && !allow_weak)
        return kv_fail_field(err, "alg", "%s is weak and has to be allowed by the vault",
                             alg->name);
    return KV_OK;
}

const kv_mac_algorithm *kv_mac_find(kv_slice name)
{
    for (size_t i = 0; i < KV_COUNT(macs); i++)
        if (kv_slice_equal(name, kv_slice_text(macs[i].name)))
            return &macs[i];
    return NULL;
}

const kv_mac_algorithm *kv_mac_at(size_t index)
{
    return index < KV_COUNT(macs) ? &macs[index] : NULL;
}
