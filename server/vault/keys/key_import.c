/* key_import.c - keys made elsewhere come onto the token; and random bytes of the token. */
#include <stdio.h>

#include "pkcs11/public_key.h"
#include "pkcs11/token_cipher.h"
#include "pkcs11/token_import.h"
#include "server/vault/keys/key_jwk.h"
#include "server/vault/keys/key_rules.h"
#include "server/vault/operations/operations.h"

enum { RANDOM_MAX = 128 };

/* A symmetric key is its bytes: their number and the key's use say which kind it is. */
static kv_status take_secret(const kv_private_jwk *jwk, kv_key_ops asked, kv_secret_buf *material,
                             kv_key_making *out, kv_error *err)
{
    KV_TRY(kv_key_class_asked(KV_KEY_TYPE_OCT, asked, &out->ops, &out->class, err));
    if (!jwk->k.len || jwk->k.len > KV_HMAC_MAX ||
        kv_key_kind_asked(KV_KEY_TYPE_OCT, out->class, (uint32_t)jwk->k.len * 8, jwk->crv,
                          &out->kind, err) != KV_OK)
        return kv_fail_field(err, "key.k",
                             out->class == KV_CLASS_MAC ? "a key that signs has 32, 48 or 64 bytes"
                                                        : "a symmetric key has 16, 24 or 32 bytes");
    return kv_secret_buf_copy(jwk->k, material, err);
}

static kv_status take_pair(kv_work *work, const kv_key_import_in *in, kv_secret_buf *material,
                           kv_key_making *out, kv_error *err)
{
    kv_status status;

    if (!in->is_pkcs8)
        KV_TRY(kv_jwk_to_pkcs8(&in->jwk, material, err));
    else if (in->pkcs8.len > KV_IMPORT_MAX)
        return kv_fail_field(err, "pkcs8", "has at most %d bytes", KV_IMPORT_MAX);
    else
        KV_TRY(kv_secret_buf_copy(in->pkcs8, material, err));
    status = kv_private_key_inspect(material, work->arena, &out->kind, &out->spki, err);
    if (status == KV_BAD_REQUEST && in->is_pkcs8)
        (void)snprintf(err->field, sizeof(err->field), "pkcs8");
    KV_TRY(status);
    return kv_key_class_asked(kv_key_type_of(out->kind), in->key_ops, &out->ops, &out->class, err);
}

/* Only a key-exchange key of this vault opens it, and only on the token. */
static kv_status take_wrapped(kv_vault *vault, kv_work *work, const kv_key_import_in *in,
                              kv_key_snapshot *exchange, kv_key_making *out, kv_error *err)
{
    const kv_wrapped_key *wrapped = &in->wrapped;
    kv_status status;

    status = kv_key_cache_find(vault, work, &wrapped->exchange, exchange, err);
    if (status == KV_NOT_FOUND)
        (void)snprintf(err->field, sizeof(err->field), "key_hsm.exchange_key");
    KV_TRY(status);
    KV_TRY(kv_key_allows(exchange, KV_KEY_OP_IMPORT, "import", true, work->now_ms, err));
    status = kv_public_key_kind(wrapped->spki, &out->kind, err);
    if (status == KV_BAD_REQUEST)
        (void)snprintf(err->field, sizeof(err->field), "key_hsm.spki");
    KV_TRY(status);
    out->wrapped = wrapped->ciphertext;
    out->spki = wrapped->spki;
    return kv_key_class_asked(kv_key_type_of(out->kind), in->key_ops, &out->ops, &out->class, err);
}

kv_status kv_key_import(kv_vault *vault, kv_work *work, const kv_key_import_in *in,
                        kv_key_bundle *out, kv_error *err)
{
    KV_AUTO(kv_secret_buf) material = KV_SECRET_NONE;
    kv_key_making making = { .target = &in->target,
                             .attributes = &in->attributes,
                             .tags = &in->tags };
    kv_key_snapshot exchange;
    kv_key_ref ref;

    if (in->is_wrapped) {
        KV_TRY(take_wrapped(vault, work, in, &exchange, &making, err));
        ref = kv_key_ref_of(&exchange);
        making.exchange = &ref;
        return kv_key_make(vault, work, &making, out, err);
    }
    making.material = &material;
    if (!in->is_pkcs8 && in->jwk.kty == KV_KEY_TYPE_OCT)
        KV_TRY(take_secret(&in->jwk, in->key_ops, &material, &making, err));
    else
        KV_TRY(take_pair(work, in, &material, &making, err));
    return kv_key_make(vault, work, &making, out, err);
}

kv_status kv_random_bytes_get(kv_vault *vault, kv_work *work, const kv_random_bytes_get_in *in,
                              kv_random_bytes *out, kv_error *err)
{
    kv_token *token = kv_tokens_get(vault->config.tokens, KV_DUTY_KEYS);
    kv_vault_row row;
    uint8_t *bytes;

    if (!in->count || in->count > RANDOM_MAX)
        return kv_fail_field(err, "count", "1 to %d bytes", RANDOM_MAX);
    work->entry->vault = in->target.vault;
    KV_TRY(kv_find_vault(vault, work, in->target.vault, &row, err));
    bytes = kv_arena_alloc(work->arena, in->count);
    if (!bytes)
        return kv_arena_full(err);
    KV_TRY(kv_token_random(token, bytes, in->count, err));
    out->value = kv_slice_of(bytes, in->count);
    return KV_OK;
}
