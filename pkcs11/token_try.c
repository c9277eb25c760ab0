/* token_try.c - operations by handle, and trials made of them. */
#include "pkcs11/token_try.h"

#include "pkcs11/public_key.h"
#include "pkcs11/rv.h"
#include "pkcs11/token_cipher.h"
#include "pkcs11/token_object.h"
#include "server/base/text.h"

enum { TRIAL_BYTES = 48, MODULUS_MAX = 512, JWK_MEMORY = 4096 };

kv_status kv_token_sign_by(kv_token_visit *visit, CK_OBJECT_HANDLE key, const kv_mechanism *alg,
                           kv_slice digest, uint8_t *signature, size_t *len, kv_error *err)
{
    CK_RSA_PKCS_PSS_PARAMS pss = { alg->ckm_hash, alg->mgf, alg->digest_len };
    CK_MECHANISM mechanism = { alg->ckm, NULL, 0 };
    uint8_t input[sizeof(alg->prefix) + KV_DIGEST_MAX];
    CK_ULONG out_len = *len;
    CK_RV rv;

    if (alg->padding == KV_PADDING_PSS) {
        mechanism.pParameter = &pss;
        mechanism.ulParameterLen = sizeof(pss);
    }
    memcpy(input, alg->prefix, alg->prefix_len);
    memcpy(input + alg->prefix_len, digest.data, digest.len);
    rv = visit->f->C_SignInit(visit->session, &mechanism, key);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_SignInit", err);
    rv = visit->f->C_Sign(visit->session, input, alg->prefix_len + digest.len, signature, &out_len);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_Sign", err);
    *len = out_len;
    return KV_OK;
}

CK_RV kv_token_gcm_by(kv_token_visit *visit, CK_OBJECT_HANDLE key, bool encrypt, const uint8_t *iv,
                      kv_slice in, kv_slice aad, uint8_t *out, size_t *len)
{
    static const uint8_t nothing;
    CK_GCM_PARAMS gcm = { (uint8_t *)(uintptr_t)iv,
                          KV_GCM_IV_BYTES,
                          8 * KV_GCM_IV_BYTES,
                          (uint8_t *)(uintptr_t)(aad.len ? aad.data : &nothing),
                          aad.len,
                          8 * KV_GCM_TAG_BYTES };
    CK_MECHANISM mechanism = { CKM_AES_GCM, &gcm, sizeof(gcm) };
    uint8_t *data = (uint8_t *)(uintptr_t)(in.len ? in.data : &nothing);
    CK_ULONG out_len = *len;
    CK_RV rv = encrypt ? visit->f->C_EncryptInit(visit->session, &mechanism, key)
                       : visit->f->C_DecryptInit(visit->session, &mechanism, key);

    if (rv != CKR_OK)
        return rv;
    rv = encrypt ? visit->f->C_Encrypt(visit->session, data, in.len, out, &out_len)
                 : visit->f->C_Decrypt(visit->session, data, in.len, out, &out_len);
    *len = out_len;
    return rv;
}

CK_RV kv_token_mac_by(kv_token_visit *visit, CK_OBJECT_HANDLE key, kv_slice message, uint8_t *out)
{
    static const uint8_t nothing;
    CK_MECHANISM mechanism = { CKM_SHA256_HMAC, NULL, 0 };
    uint8_t *data = (uint8_t *)(uintptr_t)(message.len ? message.data : &nothing);
    CK_ULONG len = KV_MAC_BYTES;
    CK_RV rv = visit->f->C_SignInit(visit->session, &mechanism, key);

    if (rv == CKR_OK)
        rv = visit->f->C_Sign(visit->session, data, message.len, out, &len);
    if (rv == CKR_OK && len != KV_MAC_BYTES)
        rv = CKR_GENERAL_ERROR;
    return rv;
}

static const kv_mechanism *first_that_fits(const kv_token *token, kv_key_kind kind)
{
    const kv_mechanism *alg;

    for (size_t i = 0; (alg = kv_mechanism_at(i)); i++)
        if (kv_mechanism_fits(alg, kind) && token->signs[i])
            return alg;
    return NULL;
}

static kv_status same_modulus(kv_token_visit *visit, CK_OBJECT_HANDLE key, kv_slice spki,
                              bool *good, kv_error *err)
{
    kv_arena arena = KV_ARENA(JWK_MEMORY);
    uint8_t modulus[MODULUS_MAX];
    size_t len = sizeof(modulus);
    kv_jwk jwk;
    kv_status status = kv_object_bytes(visit, key, CKA_MODULUS, modulus, &len, err);

    if (status == KV_OK)
        status = kv_public_key_jwk(spki, &arena, &jwk, err);
    if (status == KV_OK)
        *good = kv_slice_equal(jwk.n, kv_slice_of(modulus, len));
    kv_arena_cleanup(&arena);
    return status;
}

kv_status kv_token_try_pair(kv_token_visit *visit, kv_key_class class, kv_key_kind kind,
                            CK_OBJECT_HANDLE key, kv_slice spki, bool *good, kv_error *err)
{
    const kv_mechanism *alg = first_that_fits(visit->token, kind);
    uint8_t digest[KV_DIGEST_MAX], signature[KV_SIGNATURE_MAX];
    size_t len = sizeof(signature);

    if (class == KV_CLASS_DECRYPT)
        return same_modulus(visit, key, spki, good, err);
    if (!alg) {
        kv_fail(err, KV_UNSUPPORTED, "signing with %s is not supported by token '%s'",
                kv_key_kind_of(kind)->name, visit->token->label);
        return kv_because(err, KV_REASON_NOT_SUPPORTED_BY_TOKEN);
    }
    if (!kv_random_id(digest, alg->digest_len))
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    KV_TRY(kv_token_sign_by(visit, key, alg, kv_slice_of(digest, alg->digest_len), signature, &len,
                            err));
    return kv_public_key_verify(spki, alg, kv_slice_of(digest, alg->digest_len),
                                kv_slice_of(signature, len), good, err);
}

static kv_status try_cipher(kv_token_visit *visit, CK_OBJECT_HANDLE key, bool *good, kv_error *err)
{
    uint8_t plain[TRIAL_BYTES], sealed[TRIAL_BYTES + KV_GCM_TAG_BYTES], back[sizeof(sealed)];
    uint8_t iv[KV_GCM_IV_BYTES];
    size_t sealed_len = sizeof(sealed), back_len = sizeof(back);
    CK_RV rv;

    if (!kv_random_id(plain, sizeof(plain)) || !kv_random_id(iv, sizeof(iv)))
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    rv = kv_token_gcm_by(visit, key, true, iv, kv_slice_of(plain, sizeof(plain)), KV_SLICE_NONE,
                         sealed, &sealed_len);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_Encrypt", err);
    rv = kv_token_gcm_by(visit, key, false, iv, kv_slice_of(sealed, sealed_len), KV_SLICE_NONE,
                         back, &back_len);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_Decrypt", err);
    *good = sealed_len == sizeof(sealed) && memcmp(sealed, plain, sizeof(plain)) != 0 &&
            back_len == sizeof(plain) && !memcmp(back, plain, sizeof(plain));
    return KV_OK;
}

kv_status kv_token_try_secret(kv_token_visit *visit, kv_key_class class, CK_OBJECT_HANDLE key,
                              bool *good, kv_error *err)
{
    static const uint8_t zeros[KV_MAC_BYTES];
    uint8_t a[KV_MAC_BYTES], b[KV_MAC_BYTES];
    CK_RV rv;

    if (class == KV_CLASS_SECRET)
        return try_cipher(visit, key, good, err);
    rv = kv_token_mac_by(visit, key, KV_SLICE("a"), a);
    if (rv == CKR_OK)
        rv = kv_token_mac_by(visit, key, KV_SLICE("b"), b);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_Sign", err);
    *good = memcmp(a, b, sizeof(a)) != 0 && memcmp(a, zeros, sizeof(a)) != 0;
    return KV_OK;
}
