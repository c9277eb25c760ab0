/* key_sign.c - signatures by the token, verifications in software. No SQL on this path. */
#include "pkcs11/public_key.h"
#include "pkcs11/token_sign.h"
#include "server/vault/key_rules.h"
#include "server/vault/operations.h"

typedef struct job {
    const kv_mechanism *alg;
    uint8_t digest[KV_DIGEST_MAX];
} job;

static kv_status prepare(const char *algorithm, bool is_digest, kv_slice data,
                         const kv_key_snapshot *key, job *out, kv_error *err)
{
    out->alg = kv_mechanism_find(kv_slice_text(algorithm));
    if (!out->alg)
        return kv_fail_field(err, "algorithm", "there is no algorithm '%s'", algorithm);
    if (!kv_mechanism_fits(out->alg, key->kind))
        return kv_fail_field(err, "algorithm", "%s does not fit a key of kind %s", out->alg->name,
                             kv_key_kind_of(key->kind)->name);
    if (!is_digest)
        return kv_public_key_digest(out->alg, data, out->digest, err);
    if (data.len != out->alg->digest_len)
        return kv_fail_field(err, "digest", "the digest for %s has %zu bytes, not %zu",
                             out->alg->name, out->alg->digest_len, data.len);
    memcpy(out->digest, data.data, data.len);
    return KV_OK;
}

static kv_status id_of(kv_work *work, const kv_key_snapshot *key, kv_object_id *out, kv_error *err)
{
    KV_TRY(kv_arena_copy(work->arena, kv_slice_text(key->vault), &out->vault, err));
    KV_TRY(kv_arena_copy(work->arena, kv_slice_text(key->name), &out->name, err));
    return kv_arena_copy(work->arena, kv_slice_text(key->version), &out->version, err);
}

/* The key, its id for the answer, and both in the audit record. */
static kv_status find(kv_vault *vault, kv_work *work, const kv_target *target, kv_key_snapshot *key,
                      kv_object_id *id, kv_error *err)
{
    KV_TRY(kv_key_cache_find(vault, work, target, key, err));
    KV_TRY(id_of(work, key, id, err));
    work->entry->version = id->version;
    work->entry->has_key = true;
    memcpy(work->entry->key_id, key->key_id, sizeof(work->entry->key_id));
    return KV_OK;
}

kv_status kv_key_sign(kv_vault *vault, kv_work *work, const kv_key_sign_in *in, kv_signature *out,
                      kv_error *err)
{
    kv_token *token = kv_tokens_get(vault->config.tokens, KV_DUTY_KEYS);
    uint8_t *signature = kv_arena_alloc(work->arena, KV_SIGNATURE_MAX);
    size_t len = KV_SIGNATURE_MAX;
    kv_key_ref ref = { .class = KV_CLASS_SIGN };
    kv_key_snapshot key;
    kv_object_id id;
    job todo;

    if (!signature)
        return kv_arena_full(err);
    KV_TRY(find(vault, work, &in->target, &key, &id, err));
    KV_TRY(kv_key_allows(&key, KV_KEY_OP_SIGN, "sign", true, work->now_ms, err));
    KV_TRY(prepare(in->algorithm, in->is_digest, in->data, &key, &todo, err));

    memcpy(ref.id, key.key_id, sizeof(ref.id));
    ref.spki = kv_slice_of(key.spki, key.spki_len);
    KV_TRY(kv_token_sign(token, &ref, todo.alg, kv_slice_of(todo.digest, todo.alg->digest_len),
                         signature, &len, err));
    *out = (kv_signature){ .id = id,
                           .algorithm = in->algorithm,
                           .signature = kv_slice_of(signature, len) };
    return KV_OK;
}

kv_status kv_key_verify(kv_vault *vault, kv_work *work, const kv_key_verify_in *in,
                        kv_verification *out, kv_error *err)
{
    kv_key_snapshot key;
    kv_object_id id;
    bool valid = false;
    job todo;

    KV_TRY(find(vault, work, &in->target, &key, &id, err));
    KV_TRY(kv_key_allows(&key, KV_KEY_OP_VERIFY, "verify", false, work->now_ms, err));
    KV_TRY(prepare(in->algorithm, in->is_digest, in->data, &key, &todo, err));
    KV_TRY(kv_public_key_verify(kv_slice_of(key.spki, key.spki_len), todo.alg,
                                kv_slice_of(todo.digest, todo.alg->digest_len), in->signature,
                                &valid, err));
    *out = (kv_verification){ .id = id, .valid = valid };
    return KV_OK;
}
