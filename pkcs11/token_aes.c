/* token_aes.c - GCM and CBC with application keys. */
#include "pkcs11/token_aes.h"

#include "pkcs11/rv.h"
#include "pkcs11/token.h"
#include "pkcs11/token_try.h"

static const char not_ours[] = "the ciphertext does not belong to this key, algorithm and context";

typedef struct ciphering {
    const kv_key_ref *key;
    const kv_encryption *alg;
    bool encrypt;
    kv_slice in, aad;
    uint8_t iv[KV_CBC_IV_BYTES];
    bool choose_iv;
    uint8_t *out;
    size_t len; /* room, then bytes written */
} ciphering;

static size_t iv_len(const kv_encryption *alg)
{
    return alg->mode == KV_MODE_GCM ? KV_GCM_IV_BYTES : KV_CBC_IV_BYTES;
}

static CK_RV cbc(kv_token_visit *visit, const ciphering *work, CK_OBJECT_HANDLE key, size_t *len)
{
    static const uint8_t nothing;
    CK_MECHANISM mechanism = { work->alg->ckm, (void *)(uintptr_t)work->iv, KV_CBC_IV_BYTES };
    uint8_t *data = (uint8_t *)(uintptr_t)(work->in.len ? work->in.data : &nothing);
    CK_ULONG out_len = *len;
    CK_RV rv = work->encrypt ? visit->f->C_EncryptInit(visit->session, &mechanism, key)
                             : visit->f->C_DecryptInit(visit->session, &mechanism, key);

    if (rv != CKR_OK)
        return kv_token_before_data(rv);
    rv = work->encrypt
             ? visit->f->C_Encrypt(visit->session, data, work->in.len, work->out, &out_len)
             : visit->f->C_Decrypt(visit->session, data, work->in.len, work->out, &out_len);
    rv = kv_rv_within(rv, out_len, *len);
    *len = out_len;
    return rv;
}

static kv_status run(kv_token_visit *visit, void *context, kv_error *err)
{
    ciphering *work = context;
    size_t len = work->len;
    kv_found_key key;
    CK_RV rv = CKR_OK;

    KV_TRY(kv_token_index_find(visit, work->key, &key, err));
    KV_TRY(kv_encryption_check(work->alg, KV_CLASS_CIPHER, key.kind, true, err));
    if (work->choose_iv)
        rv = visit->f->C_GenerateRandom(visit->session, work->iv, iv_len(work->alg));
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_GenerateRandom", err);
    if (work->alg->mode == KV_MODE_GCM)
        rv = kv_token_gcm_by(visit, key.use, work->encrypt, work->iv, work->in, work->aad,
                             work->out, &len);
    else
        rv = cbc(visit, work, key.use, &len);
    if (rv != CKR_OK)
        return work->encrypt ? kv_token_failed(visit, rv, "C_Encrypt", err)
                             : kv_token_not_opened(visit, rv, "C_Decrypt", not_ours, err);
    work->len = len;
    return KV_OK;
}

static kv_status check(const kv_key_ref *key, const kv_encryption *alg, bool allow_weak,
                       kv_error *err)
{
    if (key->class != KV_CLASS_CIPHER)
        return kv_fail_field(err, "key", "keys of this class do not encrypt");
    return kv_encryption_check(alg, KV_CLASS_CIPHER, KV_KEY_NONE, allow_weak, err);
}

static kv_status check_input(const kv_encryption *alg, kv_slice plaintext, kv_slice iv,
                             kv_slice aad, kv_error *err)
{
    if (alg->mode == KV_MODE_GCM && iv.len)
        return kv_fail_field(err, "iv", "the server chooses the IV of %s", alg->name);
    if (iv.len && iv.len != KV_CBC_IV_BYTES)
        return kv_fail_field(err, "iv", "%s has an IV of %d bytes", alg->name, KV_CBC_IV_BYTES);
    if (aad.len > (alg->mode == KV_MODE_GCM ? KV_GCM_AAD_MAX : 0))
        return kv_fail_field(err, "aad", "%s takes at most %d bytes of additional data", alg->name,
                             alg->mode == KV_MODE_GCM ? KV_GCM_AAD_MAX : 0);
    if (plaintext.len > KV_CBC_PLAINTEXT_MAX)
        return kv_fail_field(err, "plaintext", "at most %d bytes can be encrypted at once",
                             KV_CBC_PLAINTEXT_MAX);
    if (alg->mode == KV_MODE_CBC && (!plaintext.len || plaintext.len % KV_CBC_BLOCK))
        return kv_fail_field(err, "plaintext", "%s takes whole blocks of %d bytes", alg->name,
                             KV_CBC_BLOCK);
    return KV_OK;
}

static size_t sealed_len(const kv_encryption *alg, size_t plain)
{
    if (alg->mode == KV_MODE_GCM)
        return plain + KV_GCM_TAG_BYTES;
    return alg->mode == KV_MODE_CBC ? plain : (plain / KV_CBC_BLOCK + 1) * KV_CBC_BLOCK;
}

kv_status kv_token_aes_encrypt(kv_token *token, const kv_key_ref *key, const kv_encryption *alg,
                               bool allow_weak, kv_slice plaintext, kv_slice iv, kv_slice aad,
                               kv_arena *arena, kv_sealed *out, kv_error *err)
{
    size_t tag = alg->mode == KV_MODE_GCM ? KV_GCM_TAG_BYTES : 0;
    ciphering work = { .key = key, .alg = alg, .encrypt = true, .in = plaintext, .aad = aad };
    uint8_t *bytes;

    KV_TRY(check(key, alg, allow_weak, err));
    KV_TRY(check_input(alg, plaintext, iv, aad, err));
    KV_TRY(kv_token_require(token, alg->ckm, err));
    work.choose_iv = !iv.len;
    if (iv.len)
        memcpy(work.iv, iv.data, iv.len);
    work.len = sealed_len(alg, plaintext.len);
    bytes = kv_arena_alloc(arena, work.len + KV_CBC_IV_BYTES);
    if (!bytes)
        return kv_arena_full(err);
    work.out = bytes + KV_CBC_IV_BYTES;
    KV_TRY(kv_token_run(token, run, &work, err));
    if (work.len != sealed_len(alg, plaintext.len))
        return kv_fail(err, KV_INTERNAL, "the token encrypted to another length than it should");
    memcpy(bytes, work.iv, iv_len(alg));
    *out = (kv_sealed){ .iv = kv_slice_of(bytes, iv_len(alg)),
                        .ciphertext = kv_slice_of(work.out, work.len - tag),
                        .tag = kv_slice_of(work.out + work.len - tag, tag) };
    return KV_OK;
}

static bool well_formed(const kv_encryption *alg, const kv_sealed *in, kv_slice aad)
{
    bool gcm = alg->mode == KV_MODE_GCM;

    if (in->iv.len != iv_len(alg) || in->tag.len != (gcm ? KV_GCM_TAG_BYTES : 0) ||
        aad.len > (gcm ? KV_GCM_AAD_MAX : 0) ||
        in->ciphertext.len > KV_CBC_PLAINTEXT_MAX + KV_CBC_BLOCK)
        return false;
    return gcm || (in->ciphertext.len && in->ciphertext.len % KV_CBC_BLOCK == 0);
}

kv_status kv_token_aes_decrypt(kv_token *token, const kv_key_ref *key, const kv_encryption *alg,
                               bool allow_weak, const kv_sealed *in, kv_slice aad,
                               kv_secret_buf *out, kv_error *err)
{
    KV_AUTO(kv_secret_buf) plain = KV_SECRET_NONE;
    KV_AUTO(kv_secret_buf) joined = KV_SECRET_NONE;
    ciphering work = { .key = key, .alg = alg, .aad = aad };

    KV_TRY(check(key, alg, allow_weak, err));
    if (!well_formed(alg, in, aad))
        return kv_fail(err, KV_BAD_REQUEST, "%s", not_ours);
    KV_TRY(kv_token_require(token, alg->ckm, err));
    memcpy(work.iv, in->iv.data, in->iv.len);
    /* Room for the tag too: SoftHSM asks for it. */
    work.len = in->ciphertext.len + in->tag.len;
    KV_TRY(kv_secret_buf_new(work.len, &joined, err));
    KV_TRY(kv_secret_buf_new(work.len, &plain, err));
    if (in->ciphertext.len)
        memcpy(joined.data, in->ciphertext.data, in->ciphertext.len);
    if (in->tag.len)
        memcpy(joined.data + in->ciphertext.len, in->tag.data, in->tag.len);
    work.in = kv_secret_buf_slice(&joined);
    work.out = plain.data;
    KV_TRY(kv_token_run(token, run, &work, err));
    return kv_secret_buf_copy(kv_slice_of(plain.data, work.len), out, err);
}
