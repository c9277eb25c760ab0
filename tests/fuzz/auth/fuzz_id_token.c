/* fuzz_id_token.c - what an identity provider says: its keys, its tokens, their claims. The first
 * byte chooses; claims are signed here, so that they are reached. */
#include <stdlib.h>

#include "server/auth/id_token.h"
#include "server/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t secret[32] = { 7 };
static const uint8_t thumbprint[32] = { 0 };

static void must(bool done)
{
    if (!done)
        abort();
}

static void read_keys(kv_slice json)
{
    kv_jwks *keys = NULL;
    kv_error err = { 0 };

    if (kv_jwks_parse(json, &keys, &err) != KV_OK)
        return;
    must(kv_jwks_count(keys) > 0 && kv_jwks_count(keys) <= KV_JWKS_KEYS);
    kv_jwks_free(keys);
}

static void open_token(kv_slice text)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 20);
    KV_AUTO(kv_id_token_form) form = { 0 };
    kv_error err = { 0 };

    if (kv_id_token_open(text, &arena, &form, &err) != KV_OK) {
        must(err.status == KV_UNAUTHENTICATED && err.reason == KV_REASON_ID_TOKEN_INVALID);
        return;
    }
    must(form.algorithm && form.kid.len && form.header && form.payload);
}

/* {"keys":[...]} with the public half of `key`. */
static kv_jwks *keys_of(EVP_PKEY *key, kv_arena *arena)
{
    kv_jwks *keys = NULL;
    kv_slice text, json;
    kv_error err = { 0 };
    uint8_t raw[32];
    size_t len = sizeof(raw);

    must(EVP_PKEY_get_raw_public_key(key, raw, &len) == 1);
    must(kv_base64url(arena, kv_slice_of(raw, len), &text, &err) == KV_OK);
    must(kv_arena_print(arena, &json, &err,
                        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":\"%.*"
                        "s\"}]}",
                        KV_SLICE_ARG(text)) == KV_OK);
    must(kv_jwks_parse(json, &keys, &err) == KV_OK);
    return keys;
}

static kv_slice token_of(EVP_PKEY *key, kv_slice payload, kv_arena *arena)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    kv_slice header = KV_SLICE("{\"alg\":\"EdDSA\",\"kid\":\"k\"}"), body, text, signature;
    uint8_t raw[64];
    size_t len = sizeof(raw);
    kv_error err = { 0 };

    must(kv_base64url(arena, header, &header, &err) == KV_OK);
    must(kv_base64url(arena, payload, &body, &err) == KV_OK);
    must(kv_arena_print(arena, &text, &err, "%.*s.%.*s", KV_SLICE_ARG(header),
                        KV_SLICE_ARG(body)) == KV_OK);
    must(context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
         EVP_DigestSign(context, raw, &len, text.data, text.len) == 1);
    EVP_MD_CTX_free(context);
    must(kv_base64url(arena, kv_slice_of(raw, len), &signature, &err) == KV_OK);
    must(kv_arena_print(arena, &text, &err, "%.*s.%.*s", KV_SLICE_ARG(text),
                        KV_SLICE_ARG(signature)) == KV_OK);
    return text;
}

static void check_claims(kv_slice payload)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(8 << 20);
    KV_AUTO(kv_id_token_form) form = { 0 };
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, sizeof(secret));
    kv_id_token_rules rules = { .issuer = KV_SLICE("i"),
                                .audience = KV_SLICE("a"),
                                .algorithms = { kv_jws_algorithm_find(KV_SLICE("EdDSA")) },
                                .algorithm_count = 1,
                                .claims = { KV_SLICE("sub"), KV_SLICE("email"), KV_SLICE("g") },
                                .claim_count = 3 };
    kv_jwks *keys = keys_of(key, &arena);
    kv_id_token token = { 0 };
    bool unknown = false;
    kv_error err = { 0 };

    if (payload.len < KV_ID_TOKEN_BYTES / 2 &&
        kv_id_token_open(token_of(key, payload, &arena), &arena, &form, &err) == KV_OK) {
        if (kv_id_token_check(&form, &rules, keys, thumbprint, 1000000, &arena, &token, &unknown,
                              &err) == KV_OK)
            for (unsigned i = 0; i < token.count; i++)
                must(token.values[i].claim < 3 && token.values[i].text.len > 0 &&
                     (i == 0 || token.values[i - 1].claim <= token.values[i].claim));
        must(!unknown);
    }
    kv_jwks_free(keys);
    EVP_PKEY_free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kv_slice rest;

    if (size == 0)
        return 0;
    rest = kv_slice_of(data + 1, size - 1);
    if (data[0] == 'k')
        read_keys(rest);
    else if (data[0] == 'c')
        check_claims(rest);
    else
        open_token(rest);
    return 0;
}
