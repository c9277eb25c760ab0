/* token_cipher.c - authenticated encryption, MACs and random bytes. */
#include "pkcs11/token_cipher.h"

#include <openssl/crypto.h>

#include "pkcs11/rv.h"
#include "pkcs11/token.h"
#include "pkcs11/token_try.h"

typedef struct ciphering {
    const kv_key_ref *key;
    const kv_mac_algorithm *mac;
    kv_slice in, aad;
    uint8_t *out; /* encrypt: IV || ciphertext || tag; decrypt: plaintext and room for a tag */
    size_t len;
} ciphering;

static kv_status check_class(const kv_key_ref *key, kv_key_class class, kv_error *err)
{
    return key->class == class ? KV_OK
                               : kv_fail_field(err, "key", "keys of this class do not do that");
}

static kv_status encrypt(kv_token_visit *visit, void *context, kv_error *err)
{
    ciphering *work = context;
    size_t len = work->len - KV_GCM_IV_BYTES;
    kv_found_key key;
    CK_RV rv;

    KV_TRY(kv_token_index_find(visit, work->key, &key, err));
    rv = visit->f->C_GenerateRandom(visit->session, work->out, KV_GCM_IV_BYTES);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_GenerateRandom", err);
    rv = kv_token_gcm_by(visit, key.use, true, work->out, work->in, work->aad,
                         work->out + KV_GCM_IV_BYTES, &len);
    if (rv == CKR_OK && len != work->in.len + KV_GCM_TAG_BYTES)
        rv = CKR_GENERAL_ERROR;
    return rv == CKR_OK ? KV_OK : kv_token_failed(visit, rv, "C_Encrypt", err);
}

kv_status kv_token_encrypt(kv_token *token, const kv_key_ref *key, kv_slice plaintext, kv_slice aad,
                           kv_arena *arena, kv_slice *out, kv_error *err)
{
    ciphering work = { .key = key, .in = plaintext, .aad = aad };

    KV_TRY(check_class(key, KV_CLASS_SECRET, err));
    if (plaintext.len > KV_GCM_PLAINTEXT_MAX || aad.len > KV_GCM_AAD_MAX)
        return kv_fail(err, KV_BAD_REQUEST, "at most %d bytes can be encrypted at once",
                       KV_GCM_PLAINTEXT_MAX);
    KV_TRY(kv_token_require(token, CKM_AES_GCM, err));
    work.len = plaintext.len + KV_GCM_OVERHEAD;
    work.out = kv_arena_alloc(arena, work.len);
    if (!work.out)
        return kv_arena_full(err);
    KV_TRY(kv_token_run(token, encrypt, &work, err));
    *out = kv_slice_of(work.out, work.len);
    return KV_OK;
}

static const char not_ours[] = "the ciphertext does not belong to this key and context";

static kv_status decrypt(kv_token_visit *visit, void *context, kv_error *err)
{
    ciphering *work = context;
    kv_slice sealed = { work->in.data + KV_GCM_IV_BYTES, work->in.len - KV_GCM_IV_BYTES };
    size_t len = work->len;
    kv_found_key key;
    CK_RV rv;

    KV_TRY(kv_token_index_find(visit, work->key, &key, err));
    rv = kv_token_gcm_by(visit, key.use, false, work->in.data, sealed, work->aad, work->out, &len);
    if (rv == CKR_OK && len != sealed.len - KV_GCM_TAG_BYTES)
        rv = CKR_DEVICE_ERROR;
    if (rv == CKR_OK)
        return KV_OK;
    return kv_token_not_opened(visit, rv, "C_Decrypt", not_ours, err);
}

kv_status kv_token_decrypt(kv_token *token, const kv_key_ref *key, kv_slice sealed, kv_slice aad,
                           kv_secret_buf *out, kv_error *err)
{
    KV_AUTO(kv_secret_buf) plain = KV_SECRET_NONE;
    ciphering work = { .key = key, .in = sealed, .aad = aad };

    KV_TRY(check_class(key, KV_CLASS_SECRET, err));
    if (sealed.len < KV_GCM_OVERHEAD || sealed.len > KV_GCM_PLAINTEXT_MAX + KV_GCM_OVERHEAD ||
        aad.len > KV_GCM_AAD_MAX)
        return kv_fail(err, KV_BAD_REQUEST, "%s", not_ours);
    KV_TRY(kv_token_require(token, CKM_AES_GCM, err));
    /* Room for the tag too: SoftHSM asks for it. */
    work.len = sealed.len - KV_GCM_IV_BYTES;
    KV_TRY(kv_secret_buf_new(work.len, &plain, err));
    work.out = plain.data;
    KV_TRY(kv_token_run(token, decrypt, &work, err));
    return kv_secret_buf_copy(kv_slice_of(plain.data, sealed.len - KV_GCM_OVERHEAD), out, err);
}

static kv_status mac(kv_token_visit *visit, void *context, kv_error *err)
{
    ciphering *work = context;
    kv_found_key key;
    CK_RV rv;

    KV_TRY(kv_token_index_find(visit, work->key, &key, err));
    if (key.kind != work->mac->kind)
        return kv_fail_field(err, "alg", "%s does not fit a key of kind %s", work->mac->name,
                             kv_key_kind_of(key.kind)->name);
    rv = kv_token_mac_by(visit, key.use, work->mac, work->in, work->out);
    return rv == CKR_OK ? KV_OK : kv_token_failed(visit, rv, "C_Sign", err);
}

kv_status kv_token_hmac(kv_token *token, const kv_key_ref *key, const kv_mac_algorithm *alg,
                        kv_slice message, uint8_t *out, kv_error *err)
{
    uint8_t result[KV_HMAC_MAX];
    ciphering work = { .key = key, .in = message, .out = result, .mac = alg };

    KV_TRY(check_class(key, KV_CLASS_MAC, err));
    if (message.len > KV_GCM_PLAINTEXT_MAX)
        return kv_fail(err, KV_BAD_REQUEST, "at most %d bytes can be authenticated at once",
                       KV_GCM_PLAINTEXT_MAX);
    KV_TRY(kv_token_require(token, alg->ckm, err));
    KV_TRY(kv_token_run(token, mac, &work, err));
    memcpy(out, result, alg->len);
    return KV_OK;
}

kv_status kv_token_hmac_verify(kv_token *token, const kv_key_ref *key, const kv_mac_algorithm *alg,
                               kv_slice message, kv_slice given, bool *valid, kv_error *err)
{
    uint8_t expected[KV_HMAC_MAX];

    KV_TRY(kv_token_hmac(token, key, alg, message, expected, err));
    *valid = given.len == alg->len && CRYPTO_memcmp(expected, given.data, alg->len) == 0;
    kv_wipe(expected, sizeof(expected));
    return KV_OK;
}

kv_status kv_token_mac(kv_token *token, const kv_key_ref *key, kv_slice message,
                       uint8_t out[KV_MAC_BYTES], kv_error *err)
{
    return kv_token_hmac(token, key, kv_mac_find(KV_SLICE("HS256")), message, out, err);
}

static kv_status generate_random(kv_token_visit *visit, void *context, kv_error *err)
{
    ciphering *work = context;
    CK_RV rv = visit->f->C_GenerateRandom(visit->session, work->out, work->len);

    return rv == CKR_OK ? KV_OK : kv_token_failed(visit, rv, "C_GenerateRandom", err);
}

kv_status kv_token_random(kv_token *token, uint8_t *out, size_t len, kv_error *err)
{
    ciphering work = { .out = out, .len = len };

    return kv_token_run(token, generate_random, &work, err);
}
