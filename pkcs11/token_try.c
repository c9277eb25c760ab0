/* token_try.c - operations by handle, and trials made of them. */
#include "pkcs11/token_try.h"

#include "pkcs11/public_key.h"
#include "pkcs11/rv.h"
#include "pkcs11/token_birth.h"
#include "pkcs11/token_cipher.h"
#include "pkcs11/token_object.h"
#include "server/base/text.h"

enum { TRIAL_BYTES = 48, TRIAL_MEMORY = 4096 };

kv_status kv_token_sign_by(kv_token_visit *visit, CK_OBJECT_HANDLE key, const kv_mechanism *alg,
                           kv_slice digest, uint8_t *signature, size_t *len, kv_error *err)
{
    CK_RSA_PKCS_PSS_PARAMS pss = { alg->ckm_hash, alg->mgf, alg->digest_len };
    CK_MECHANISM mechanism = { alg->ckm, NULL, 0 };
    uint8_t prefixed[sizeof(alg->prefix) + KV_DIGEST_MAX];
    static const uint8_t nothing;
    kv_slice input = digest;
    CK_ULONG out_len = *len;
    CK_RV rv;

    if (alg->padding == KV_PADDING_PSS) {
        mechanism.pParameter = &pss;
        mechanism.ulParameterLen = sizeof(pss);
    }
    if (alg->digest_len) {
        memcpy(prefixed, alg->prefix, alg->prefix_len);
        memcpy(prefixed + alg->prefix_len, digest.data, digest.len);
        input = kv_slice_of(prefixed, alg->prefix_len + digest.len);
    } else if (!input.len) {
        input = kv_slice_of(&nothing, 0);
    }
    rv = visit->f->C_SignInit(visit->session, &mechanism, key);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_SignInit", err);
    rv = visit->f->C_Sign(visit->session, (uint8_t *)(uintptr_t)input.data, input.len, signature,
                          &out_len);
    rv = kv_rv_within(rv, out_len, *len);
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
        return kv_token_before_data(rv);
    rv = encrypt ? visit->f->C_Encrypt(visit->session, data, in.len, out, &out_len)
                 : visit->f->C_Decrypt(visit->session, data, in.len, out, &out_len);
    rv = kv_rv_within(rv, out_len, *len);
    *len = out_len;
    return rv;
}

CK_RV kv_token_mac_by(kv_token_visit *visit, CK_OBJECT_HANDLE key, const kv_mac_algorithm *alg,
                      kv_slice message, uint8_t *out)
{
    static const uint8_t nothing;
    CK_MECHANISM mechanism = { alg->ckm, NULL, 0 };
    uint8_t *data = (uint8_t *)(uintptr_t)(message.len ? message.data : &nothing);
    CK_ULONG len = alg->len;
    CK_RV rv = visit->f->C_SignInit(visit->session, &mechanism, key);

    if (rv == CKR_OK)
        rv = visit->f->C_Sign(visit->session, data, message.len, out, &len);
    if (rv == CKR_OK && len != alg->len)
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

CK_RV kv_token_before_data(CK_RV rv)
{
    return rv == CKR_GENERAL_ERROR || rv == CKR_FUNCTION_FAILED ? CKR_DEVICE_ERROR : rv;
}

/* SoftHSM's CKR_GENERAL_ERROR is wrong data as well as a fault of its own. */
bool kv_token_may_be_data(CK_RV rv)
{
    return rv == CKR_GENERAL_ERROR || rv == CKR_FUNCTION_FAILED ||
           kv_rv_of(rv)->class == KV_RV_CALLER;
}

kv_status kv_token_not_opened(kv_token_visit *visit, CK_RV rv, const char *function,
                              const char *message, kv_error *err)
{
    visit->spoiled = true;
    if (!kv_token_may_be_data(rv))
        return kv_token_failed(visit, rv, function, err);
    if (!kv_token_probe_inside(visit) || !kv_token_probe_opens(visit))
        return kv_token_failed(visit, CKR_DEVICE_ERROR, function, err);
    visit->again = true;
    return kv_fail(err, KV_BAD_REQUEST, "%s", message);
}

kv_status kv_token_not_unwrapped(kv_token_visit *visit, CK_RV rv, const char *message,
                                 kv_error *err)
{
    if (kv_token_may_be_data(rv) && !kv_token_probe_unwraps(visit)) {
        visit->spoiled = true;
        return kv_token_failed(visit, CKR_DEVICE_ERROR, "C_UnwrapKey", err);
    }
    return kv_token_not_opened(visit, rv, "C_UnwrapKey", message, err);
}

CK_MECHANISM kv_token_oaep(CK_RSA_PKCS_OAEP_PARAMS *params)
{
    /* The only one that all tokens have. */
    *params = (CK_RSA_PKCS_OAEP_PARAMS){ CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0 };
    return (CK_MECHANISM){ CKM_RSA_PKCS_OAEP, params, sizeof(*params) };
}

static kv_status try_decryption(kv_token_visit *visit, CK_OBJECT_HANDLE key, kv_slice plain,
                                kv_slice sealed, bool *good, kv_error *err)
{
    CK_RSA_PKCS_OAEP_PARAMS params;
    CK_MECHANISM oaep = kv_token_oaep(&params);
    uint8_t back[KV_SIGNATURE_MAX];
    CK_ULONG len = sizeof(back);
    CK_RV rv = visit->f->C_DecryptInit(visit->session, &oaep, key);

    if (rv == CKR_OK)
        rv = visit->f->C_Decrypt(visit->session, (uint8_t *)(uintptr_t)sealed.data, sealed.len,
                                 back, &len);
    rv = kv_rv_within(rv, len, sizeof(back));
    *good = rv == CKR_OK && kv_slice_equal(plain, kv_slice_of(back, len));
    if (rv == CKR_OK || kv_token_may_be_data(rv)) {
        visit->spoiled = visit->spoiled || rv != CKR_OK;
        return KV_OK;
    }
    return kv_token_failed(visit, rv, "C_Decrypt", err);
}

static kv_status try_exchange(kv_token_visit *visit, CK_OBJECT_HANDLE key, kv_slice sealed,
                              bool *good, kv_error *err)
{
    CK_OBJECT_HANDLE got = CK_INVALID_HANDLE;
    CK_RV rv = kv_token_take_exchanged(visit, key, sealed, &got);

    kv_token_discard(visit, &got);
    *good = rv == CKR_OK;
    if (rv == CKR_OK || kv_token_may_be_data(rv)) {
        visit->spoiled = visit->spoiled || rv != CKR_OK;
        return KV_OK;
    }
    return kv_token_failed(visit, rv, "C_UnwrapKey", err);
}

/* What the public half encrypts, the private half opens. */
static kv_status try_opening(kv_token_visit *visit, kv_key_class class, CK_OBJECT_HANDLE key,
                             kv_slice spki, bool *good, kv_error *err)
{
    kv_arena arena = KV_ARENA(TRIAL_MEMORY);
    uint8_t plain[32];
    kv_slice sealed;
    kv_status status = KV_OK;

    if (!kv_random_id(plain, sizeof(plain)))
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    status = kv_public_key_encrypt(spki, kv_encryption_find(KV_SLICE("RSA-OAEP")), false,
                                   kv_slice_of(plain, sizeof(plain)), &arena, &sealed, err);
    if (status == KV_OK && class == KV_CLASS_DECRYPT)
        status = try_decryption(visit, key, kv_slice_of(plain, sizeof(plain)), sealed, good, err);
    else if (status == KV_OK)
        status = try_exchange(visit, key, sealed, good, err);
    kv_arena_cleanup(&arena);
    return status;
}

kv_status kv_token_try_pair(kv_token_visit *visit, kv_key_class class, kv_key_kind kind,
                            CK_OBJECT_HANDLE key, kv_slice spki, bool *good, kv_error *err)
{
    const kv_mechanism *alg = first_that_fits(visit->token, kind);
    uint8_t digest[KV_DIGEST_MAX], signature[KV_SIGNATURE_MAX];
    size_t len = sizeof(signature), digest_len;

    if (class == KV_CLASS_DECRYPT || class == KV_CLASS_EXCHANGE)
        return try_opening(visit, class, key, spki, good, err);
    if (!alg) {
        kv_fail(err, KV_UNSUPPORTED, "signing with %s is not supported by token '%s'",
                kv_key_kind_of(kind)->name, visit->token->label);
        return kv_because(err, KV_REASON_NOT_SUPPORTED_BY_TOKEN);
    }
    digest_len = alg->digest_len ? alg->digest_len : TRIAL_BYTES;
    if (!kv_random_id(digest, digest_len))
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    KV_TRY(
        kv_token_sign_by(visit, key, alg, kv_slice_of(digest, digest_len), signature, &len, err));
    return kv_public_key_verify(spki, alg, kv_slice_of(digest, digest_len),
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

static kv_status try_mac(kv_token_visit *visit, kv_key_kind kind, CK_OBJECT_HANDLE key, bool *good,
                         kv_error *err)
{
    static const uint8_t zeros[KV_HMAC_MAX];
    uint8_t a[KV_HMAC_MAX], b[KV_HMAC_MAX];
    const kv_mac_algorithm *alg = kv_mac_at(0);
    CK_RV rv;

    for (size_t i = 1; alg && alg->kind != kind; i++)
        alg = kv_mac_at(i);
    if (!alg)
        return kv_fail(err, KV_INTERNAL, "no algorithm for a key of kind %s",
                       kv_key_kind_of(kind)->name);
    rv = kv_token_mac_by(visit, key, alg, KV_SLICE("a"), a);
    if (rv == CKR_OK)
        rv = kv_token_mac_by(visit, key, alg, KV_SLICE("b"), b);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_Sign", err);
    *good = memcmp(a, b, alg->len) != 0 && memcmp(a, zeros, alg->len) != 0;
    return KV_OK;
}

static kv_status try_wrap(kv_token_visit *visit, CK_OBJECT_HANDLE key, bool *good, kv_error *err)
{
    KV_AUTO(kv_secret_buf) back = KV_SECRET_NONE;
    uint8_t plain[TRIAL_BYTES], wrapped[TRIAL_BYTES + 8];
    size_t len = sizeof(wrapped);
    const char *function = "";
    CK_RV rv;

    if (!kv_random_id(plain, sizeof(plain)))
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    rv = kv_token_wrap_by(visit, key, CKM_AES_KEY_WRAP_PAD, kv_slice_of(plain, sizeof(plain)),
                          wrapped, &len, &function);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, function, err);
    rv = CKR_OK;
    KV_TRY(kv_token_unwrap_by(visit, key, CKM_AES_KEY_WRAP_PAD, kv_slice_of(wrapped, len), &rv,
                              &back, err));
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_UnwrapKey", err);
    *good = kv_secret_buf_equal(&back, kv_slice_of(plain, sizeof(plain)));
    return KV_OK;
}

kv_status kv_token_try_secret(kv_token_visit *visit, kv_key_class class, kv_key_kind kind,
                              CK_OBJECT_HANDLE key, bool *good, kv_error *err)
{
    if (class == KV_CLASS_SECRET || class == KV_CLASS_CIPHER)
        return try_cipher(visit, key, good, err);
    return class == KV_CLASS_WRAP ? try_wrap(visit, key, good, err)
                                  : try_mac(visit, kind, key, good, err);
}
