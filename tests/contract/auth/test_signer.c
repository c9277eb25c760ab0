/* test_signer.c - a key in memory that signs role tokens. */
#include "tests/contract/auth/test_signer.h"

#include <stdlib.h>

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "server/base/text.h"

struct test_signer {
    EVP_PKEY *key;
    const char *kid;
    uint8_t *spki;
    int spki_len;
    bool broken;
};

static void must(bool done)
{
    if (!done)
        abort();
}

test_signer *test_signer_new(const char *kid)
{
    test_signer *signer = calloc(1, sizeof(*signer));

    must(signer);
    signer->key = EVP_EC_gen("P-256");
    must(signer->key);
    signer->kid = kid;
    signer->spki_len = i2d_PUBKEY(signer->key, &signer->spki);
    must(signer->spki_len > 0);
    return signer;
}

void test_signer_free(test_signer *signer)
{
    if (!signer)
        return;
    EVP_PKEY_free(signer->key);
    OPENSSL_free(signer->spki);
    free(signer);
}

void test_signer_break(test_signer *signer, bool broken)
{
    signer->broken = broken;
}

static void sign_digest(EVP_PKEY *key, const uint8_t digest[32], uint8_t out[64])
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    uint8_t der[80];
    const uint8_t *at = der;
    size_t len = sizeof(der);
    ECDSA_SIG *signature;

    must(context && EVP_PKEY_sign_init(context) == 1 &&
         EVP_PKEY_sign(context, der, &len, digest, 32) == 1);
    signature = d2i_ECDSA_SIG(NULL, &at, (long)len);
    must(signature && BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, 32) == 32 &&
         BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + 32, 32) == 32);
    ECDSA_SIG_free(signature);
    EVP_PKEY_CTX_free(context);
}

static kv_status sign(void *context, const uint8_t digest[32], uint8_t signature[64], kv_error *err)
{
    test_signer *signer = context;

    if (signer->broken)
        return kv_fail(err, KV_UNAVAILABLE, "the token is out of reach");
    sign_digest(signer->key, digest, signature);
    return KV_OK;
}

kv_role_token_signer test_signer_lend(test_signer *signer)
{
    return (
        kv_role_token_signer){ .sign = sign, .context = signer, .kid = kv_slice_text(signer->kid) };
}

kv_role_token_key test_signer_key(test_signer *signer)
{
    return (kv_role_token_key){ .kid = kv_slice_text(signer->kid),
                                .spki = kv_slice_of(signer->spki, (size_t)signer->spki_len) };
}

kv_slice test_signer_jwt(test_signer *signer, const char *header, const char *payload,
                         kv_arena *arena)
{
    kv_error err = { 0 };
    kv_slice parts[3], text;
    uint8_t digest[32], raw[64];

    must(kv_base64url(arena, kv_slice_text(header), &parts[0], &err) == KV_OK &&
         kv_base64url(arena, kv_slice_text(payload), &parts[1], &err) == KV_OK &&
         kv_arena_print(arena, &text, &err, "%.*s.%.*s", KV_SLICE_ARG(parts[0]),
                        KV_SLICE_ARG(parts[1])) == KV_OK);
    SHA256(text.data, text.len, digest);
    sign_digest(signer->key, digest, raw);
    must(kv_base64url(arena, kv_slice_of(raw, sizeof(raw)), &parts[2], &err) == KV_OK &&
         kv_arena_print(arena, &text, &err, "%.*s.%.*s", KV_SLICE_ARG(text),
                        KV_SLICE_ARG(parts[2])) == KV_OK);
    return text;
}
