/* key_cipher.c - callers' bytes are encrypted, decrypted, wrapped and unwrapped. No SQL on this
 * path.
 */
#include "pkcs11/public_key.h"
#include "pkcs11/token_aes.h"
#include "pkcs11/token_rsa.h"
#include "pkcs11/token_wrap.h"
#include "server/vault/keys/key_rules.h"
#include "server/vault/operations/operations.h"

enum { DATA_MAX = 16 * 1024 };

typedef struct job {
    kv_token *token;
    const kv_encryption *alg;
    kv_key_snapshot key;
    kv_key_ref ref;
} job;

static kv_status check_algorithm(const char *name, const kv_key_snapshot *key,
                                 const kv_encryption **out, kv_error *err)
{
    const kv_encryption *alg = kv_encryption_find(kv_slice_text(name));

    if (!alg)
        return kv_fail_field(err, "algorithm", "there is no algorithm '%s'", name);
    if (alg->class != key->class || !kv_encryption_fits(alg, key->kind))
        return kv_fail_field(err, "algorithm", "%s does not fit a key of kind %s and its use", name,
                             kv_key_kind_of(key->kind)->name);
    if (alg->weak && !key->allow_weak)
        return kv_fail_field(err, "algorithm",
                             "%s is not authenticated, and vault '%s' does not allow that", name,
                             key->vault);
    *out = alg;
    return KV_OK;
}

/* Bounded so that neither a call's memory nor a token is busy with one caller's bulk data. */
static kv_status check_sizes(const kv_key_cipher_in *in, const char *field, kv_error *err)
{
    if (in->data.len > DATA_MAX)
        return kv_fail_field(err, field, "at most %d bytes: bulk data has a data key of its own",
                             DATA_MAX);
    if (in->aad.len > DATA_MAX)
        return kv_fail_field(err, "aad", "at most %d bytes", DATA_MAX);
    return KV_OK;
}

/* Who may use which key for what. Reading goes on when a key has expired, writing does not. */
static kv_status begin(kv_vault *vault, kv_work *work, const kv_key_cipher_in *in, kv_key_ops op,
                       const char *verb, job *at, kv_key_ciphered *out, kv_error *err)
{
    bool writes = op == KV_KEY_OP_ENCRYPT || op == KV_KEY_OP_WRAP_KEY;
    kv_object_id id;

    KV_TRY(kv_key_use(vault, work, &in->target, &at->key, &id, err));
    KV_TRY(kv_key_allows(&at->key, op, verb, writes, work->now_ms, err));
    KV_TRY(check_algorithm(in->algorithm, &at->key, &at->alg, err));
    KV_TRY(check_sizes(in, writes ? "plaintext" : "ciphertext", err));
    at->token = kv_tokens_get(vault->config.tokens, KV_DUTY_KEYS);
    at->ref = kv_key_ref_of(&at->key);
    *out = (kv_key_ciphered){ .id = id, .algorithm = in->algorithm };
    return KV_OK;
}

static kv_status encrypt(kv_work *work, const job *at, const kv_key_cipher_in *in,
                         kv_key_ciphered *out, kv_error *err)
{
    kv_sealed sealed;

    if (at->alg->class == KV_CLASS_WRAP)
        return kv_token_wrap(at->token, &at->ref, at->alg, in->data, work->arena, &out->data, err);
    if (at->alg->class == KV_CLASS_DECRYPT) {
        if (in->iv.len || in->aad.len)
            return kv_fail_field(err, in->iv.len ? "iv" : "aad", "%s has none", in->algorithm);
        return kv_public_key_encrypt(at->ref.spki, at->alg, at->key.allow_weak, in->data,
                                     work->arena, &out->data, err);
    }
    KV_TRY(kv_token_aes_encrypt(at->token, &at->ref, at->alg, at->key.allow_weak, in->data, in->iv,
                                in->aad, work->arena, &sealed, err));
    out->data = sealed.ciphertext;
    out->iv = sealed.iv;
    out->tag = sealed.tag;
    out->aad = in->aad;
    return KV_OK;
}

static kv_status decrypt(kv_work *work, const job *at, const kv_key_cipher_in *in,
                         kv_key_ciphered *out, kv_error *err)
{
    KV_AUTO(kv_secret_buf) plaintext = KV_SECRET_NONE;
    kv_sealed sealed = { .iv = in->iv, .ciphertext = in->data, .tag = in->tag };
    bool plain = at->alg->class != KV_CLASS_CIPHER;

    if (plain && (in->iv.len || in->tag.len || in->aad.len))
        return kv_fail_field(err,
                             in->iv.len    ? "iv"
                             : in->tag.len ? "tag"
                                           : "aad",
                             "%s has none", in->algorithm);
    if (at->alg->class == KV_CLASS_WRAP)
        KV_TRY(kv_token_unwrap(at->token, &at->ref, at->alg, in->data, &plaintext, err));
    else if (plain)
        KV_TRY(kv_token_rsa_decrypt(at->token, &at->ref, at->alg, at->key.allow_weak, in->data,
                                    &plaintext, err));
    else
        KV_TRY(kv_token_aes_decrypt(at->token, &at->ref, at->alg, at->key.allow_weak, &sealed,
                                    in->aad, &plaintext, err));
    return kv_arena_copy(work->arena, kv_secret_buf_slice(&plaintext), &out->data, err);
}

kv_status kv_key_encrypt(kv_vault *vault, kv_work *work, const kv_key_encrypt_in *in,
                         kv_key_ciphered *out, kv_error *err)
{
    job at;

    KV_TRY(begin(vault, work, in, KV_KEY_OP_ENCRYPT, "encrypt", &at, out, err));
    return encrypt(work, &at, in, out, err);
}

kv_status kv_key_decrypt(kv_vault *vault, kv_work *work, const kv_key_decrypt_in *in,
                         kv_key_ciphered *out, kv_error *err)
{
    job at;

    KV_TRY(begin(vault, work, in, KV_KEY_OP_DECRYPT, "decrypt", &at, out, err));
    return decrypt(work, &at, in, out, err);
}

kv_status kv_key_wrap(kv_vault *vault, kv_work *work, const kv_key_wrap_in *in,
                      kv_key_ciphered *out, kv_error *err)
{
    job at;

    KV_TRY(begin(vault, work, in, KV_KEY_OP_WRAP_KEY, "wrapKey", &at, out, err));
    return encrypt(work, &at, in, out, err);
}

kv_status kv_key_unwrap(kv_vault *vault, kv_work *work, const kv_key_unwrap_in *in,
                        kv_key_ciphered *out, kv_error *err)
{
    job at;

    KV_TRY(begin(vault, work, in, KV_KEY_OP_UNWRAP_KEY, "unwrapKey", &at, out, err));
    return decrypt(work, &at, in, out, err);
}
