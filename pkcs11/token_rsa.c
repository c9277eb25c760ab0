/* token_rsa.c - RSA decryption: the token's own OAEP, or raw and unpadded here. */
/* OpenSSL's unpadding in constant time has no other door than these functions. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "pkcs11/token_rsa.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "pkcs11/rv.h"
#include "pkcs11/token.h"
#include "pkcs11/token_try.h"

enum { MODULUS_MAX = 512 };

static const char not_ours[] = "the ciphertext cannot be decrypted with this key and algorithm";

typedef struct opening {
    const kv_key_ref *key;
    const kv_encryption *alg;
    kv_slice in;
    kv_secret_buf *raw; /* MODULUS_MAX bytes */
    CK_ULONG len;       /* of what the token gave */
    size_t modulus;     /* bytes */
} opening;

static kv_status decrypt(kv_token_visit *visit, void *context, kv_error *err)
{
    opening *work = context;
    CK_RSA_PKCS_OAEP_PARAMS params;
    CK_MECHANISM mechanism = { work->alg->ckm, NULL, 0 };
    kv_found_key key;
    CK_RV rv;

    KV_TRY(kv_token_index_find(visit, work->key, &key, err));
    KV_TRY(kv_encryption_check(work->alg, KV_CLASS_DECRYPT, key.kind, true, err));
    work->modulus = kv_key_kind_of(key.kind)->bits / 8;
    if (work->in.len != work->modulus)
        return kv_fail(err, KV_BAD_REQUEST, "%s", not_ours);
    if (work->alg->mode == KV_MODE_OAEP_SHA1)
        mechanism = kv_token_oaep(&params);
    work->len = work->modulus;
    rv = visit->f->C_DecryptInit(visit->session, &mechanism, key.use);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_DecryptInit", err);
    rv = visit->f->C_Decrypt(visit->session, (uint8_t *)(uintptr_t)work->in.data, work->in.len,
                             work->raw->data, &work->len);
    rv = kv_rv_within(rv, work->len, work->modulus);
    return rv == CKR_OK ? KV_OK : kv_token_not_opened(visit, rv, "C_Decrypt", not_ours, err);
}

/* The raw result of k bytes without its padding; negative when it is not one. */
static int unpad(const opening *work, uint8_t *out)
{
    int k = (int)work->modulus, len;

    if (work->alg->mode == KV_MODE_OAEP_SHA256)
        len = RSA_padding_check_PKCS1_OAEP_mgf1(out, k, work->raw->data, k, k, NULL, 0,
                                                EVP_sha256(), EVP_sha256());
    else
        len = RSA_padding_check_PKCS1_type_2(out, k, work->raw->data, k, k);
    ERR_clear_error();
    return len;
}

static kv_status finish(opening *work, kv_secret_buf *out, kv_error *err)
{
    KV_AUTO(kv_secret_buf) plain = KV_SECRET_NONE;
    int len;

    if (work->alg->mode == KV_MODE_OAEP_SHA1)
        return kv_secret_buf_copy(kv_slice_of(work->raw->data, work->len), out, err);
    KV_TRY(kv_secret_buf_new(MODULUS_MAX, &plain, err));
    /* Some tokens leave leading zeros out. */
    memmove(work->raw->data + work->modulus - work->len, work->raw->data, work->len);
    memset(work->raw->data, 0, work->modulus - work->len);
    len = unpad(work, plain.data);
    if (len < 0)
        return kv_fail(err, KV_BAD_REQUEST, "%s", not_ours);
    return kv_secret_buf_copy(kv_slice_of(plain.data, (size_t)len), out, err);
}

kv_status kv_token_rsa_decrypt(kv_token *token, const kv_key_ref *key, const kv_encryption *alg,
                               bool allow_weak, kv_slice ciphertext, kv_secret_buf *out,
                               kv_error *err)
{
    KV_AUTO(kv_secret_buf) raw = KV_SECRET_NONE;
    opening work = { .key = key, .alg = alg, .in = ciphertext, .raw = &raw };

    if (key->class != KV_CLASS_DECRYPT)
        return kv_fail_field(err, "key", "keys of this class do not decrypt");
    KV_TRY(kv_encryption_check(alg, KV_CLASS_DECRYPT, KV_KEY_NONE, allow_weak, err));
    KV_TRY(kv_token_require(token, alg->ckm, err));
    KV_TRY(kv_secret_buf_new(MODULUS_MAX, &raw, err));
    KV_TRY(kv_token_run(token, decrypt, &work, err));
    return finish(&work, out, err);
}
