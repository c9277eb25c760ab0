/* key_sign.c - signatures and MACs by the token, signatures verified in software. No SQL on this
 * path. */
#include "pkcs11/public_key.h"
#include "pkcs11/token_cipher.h"
#include "pkcs11/token_sign.h"
#include "server/vault/keys/key_rules.h"
#include "server/vault/operations/operations.h"

typedef struct job {
    const kv_mechanism *alg;     /* one of the two */
    const kv_mac_algorithm *mac; /* by symmetric keys */
    kv_slice data;               /* what is signed: a digest, or the message */
    uint8_t digest[KV_DIGEST_MAX];
} job;

static kv_status find_algorithm(const char *algorithm, const kv_key_snapshot *key, job *out,
                                kv_error *err)
{
    bool fits;

    out->alg = kv_mechanism_find(kv_slice_text(algorithm));
    out->mac = kv_mac_find(kv_slice_text(algorithm));
    if (!out->alg && !out->mac)
        return kv_fail_field(err, "algorithm", "there is no algorithm '%s'", algorithm);
    fits = out->mac ? out->mac->kind == key->kind && key->class == KV_CLASS_MAC
                    : kv_mechanism_fits(out->alg, key->kind) && key->class == KV_CLASS_SIGN;
    if (!fits)
        return kv_fail_field(err, "algorithm", "%s does not fit a key of kind %s", algorithm,
                             kv_key_kind_of(key->kind)->name);
    return KV_OK;
}

/* HMAC and EdDSA take the message itself: a digest would be another signature. */
static kv_status take_message(const char *algorithm, bool is_digest, kv_slice data, job *out,
                              kv_error *err)
{
    if (is_digest)
        return kv_fail_field(err, "digest", "%s signs the message itself", algorithm);
    if (data.len > KV_EDDSA_MESSAGE_MAX)
        return kv_fail_field(err, "message", "%s signs at most %d bytes", algorithm,
                             KV_EDDSA_MESSAGE_MAX);
    out->data = data;
    return KV_OK;
}

static kv_status prepare(const char *algorithm, bool is_digest, kv_slice data,
                         const kv_key_snapshot *key, job *out, kv_error *err)
{
    KV_TRY(find_algorithm(algorithm, key, out, err));
    if (out->mac || !out->alg->digest_len)
        return take_message(algorithm, is_digest, data, out, err);
    out->data = kv_slice_of(out->digest, out->alg->digest_len);
    if (!is_digest)
        return kv_public_key_digest(out->alg, data, out->digest, err);
    if (data.len != out->alg->digest_len)
        return kv_fail_field(err, "digest", "the digest for %s has %zu bytes, not %zu",
                             out->alg->name, out->alg->digest_len, data.len);
    memcpy(out->digest, data.data, data.len);
    return KV_OK;
}

static kv_status check_der(bool der, const char *algorithm, const kv_key_snapshot *key,
                           kv_error *err)
{
    if (der && kv_key_kind_of(key->kind)->family != KV_FAMILY_EC)
        return kv_fail_field(err, "der", "is for ECDSA; a signature by %s has one form", algorithm);
    return KV_OK;
}

static kv_status as_der(kv_work *work, kv_slice *signature, kv_error *err)
{
    uint8_t *der = kv_arena_alloc(work->arena, KV_SIGNATURE_MAX);
    size_t len = KV_SIGNATURE_MAX;

    if (!der)
        return kv_arena_full(err);
    KV_TRY(kv_ecdsa_to_der(*signature, der, &len, err));
    *signature = kv_slice_of(der, len);
    return KV_OK;
}

/* What is not DER is not a valid signature, and no error. */
static bool from_der(const kv_mechanism *alg, kv_slice *signature, uint8_t *raw, size_t len)
{
    kv_error ignored = { 0 };

    if (kv_ecdsa_from_der(*signature, alg->coordinate_len, raw, &len, &ignored) != KV_OK)
        return false;
    *signature = kv_slice_of(raw, len);
    return true;
}

kv_status kv_key_sign(kv_vault *vault, kv_work *work, const kv_key_sign_in *in, kv_signature *out,
                      kv_error *err)
{
    kv_token *token = kv_tokens_get(vault->config.tokens, KV_DUTY_KEYS);
    uint8_t *signature = kv_arena_alloc(work->arena, KV_SIGNATURE_MAX);
    size_t len = KV_SIGNATURE_MAX;
    kv_key_snapshot key;
    kv_object_id id;
    kv_key_ref ref;
    job todo;

    if (!signature)
        return kv_arena_full(err);
    KV_TRY(kv_key_use(vault, work, &in->target, &key, &id, err));
    KV_TRY(kv_key_allows(&key, KV_KEY_OP_SIGN, "sign", true, work->now_ms, err));
    KV_TRY(prepare(in->algorithm, in->is_digest, in->data, &key, &todo, err));
    KV_TRY(check_der(in->der, in->algorithm, &key, err));

    ref = kv_key_ref_of(&key);
    if (todo.mac) {
        len = todo.mac->len;
        KV_TRY(kv_token_hmac(token, &ref, todo.mac, todo.data, signature, err));
    } else {
        KV_TRY(kv_token_sign(token, &ref, todo.alg, todo.data, signature, &len, err));
    }
    *out = (kv_signature){ .id = id,
                           .algorithm = in->algorithm,
                           .signature = kv_slice_of(signature, len) };
    return in->der ? as_der(work, &out->signature, err) : KV_OK;
}

kv_status kv_key_verify(kv_vault *vault, kv_work *work, const kv_key_verify_in *in,
                        kv_verification *out, kv_error *err)
{
    kv_token *token = kv_tokens_get(vault->config.tokens, KV_DUTY_KEYS);
    kv_key_snapshot key;
    kv_object_id id;
    kv_slice signature = in->signature;
    uint8_t raw[KV_SIGNATURE_MAX];
    kv_key_ref ref;
    bool valid = false;
    job todo;

    KV_TRY(kv_key_use(vault, work, &in->target, &key, &id, err));
    KV_TRY(kv_key_allows(&key, KV_KEY_OP_VERIFY, "verify", false, work->now_ms, err));
    KV_TRY(prepare(in->algorithm, in->is_digest, in->data, &key, &todo, err));
    KV_TRY(check_der(in->der, in->algorithm, &key, err));
    ref = kv_key_ref_of(&key);
    *out = (kv_verification){ .id = id };
    if (in->der && !from_der(todo.alg, &signature, raw, sizeof(raw)))
        return KV_OK;
    if (todo.mac)
        KV_TRY(kv_token_hmac_verify(token, &ref, todo.mac, todo.data, signature, &valid, err));
    else
        KV_TRY(kv_public_key_verify(ref.spki, todo.alg, todo.data, signature, &valid, err));
    out->valid = valid;
    return KV_OK;
}
