/* provider.c - what an identity provider makes. */
#include "tests/unit/auth/provider.h"

#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

#include "server/base/text.h"
#include "tests/support/kv_cmocka.h"

int set_up(void **state)
{
    world *at = calloc(1, sizeof(*at));

    at->arena = KV_ARENA(64 << 20);
    at->rsa = EVP_RSA_gen(2048);
    at->p256 = EVP_EC_gen("P-256");
    at->p384 = EVP_EC_gen("P-384");
    at->p521 = EVP_EC_gen("P-521");
    at->ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_true(at->rsa && at->p256 && at->p384 && at->p521 && at->ed);
    *state = at;
    return 0;
}

int take_down(void **state)
{
    world *at = *state;

    EVP_PKEY_free(at->rsa);
    EVP_PKEY_free(at->p256);
    EVP_PKEY_free(at->p384);
    EVP_PKEY_free(at->p521);
    EVP_PKEY_free(at->ed);
    kv_arena_cleanup(&at->arena);
    free(at);
    return 0;
}

/* --- making --- */

const char *b64(world *at, kv_slice bytes)
{
    kv_slice text;
    kv_error err = { 0 };

    assert_kv_ok(kv_base64url(&at->arena, bytes, &text, &err));
    assert_kv_ok(kv_arena_copy(&at->arena, text, &text, &err));
    return (const char *)text.data;
}

static const char *number(world *at, EVP_PKEY *key, const char *name, int width)
{
    BIGNUM *value = NULL;
    uint8_t bytes[1024];
    int len;

    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &value), 1);
    len = width ? BN_bn2binpad(value, bytes, width) : BN_bn2bin(value, bytes);
    assert_true(len > 0);
    BN_free(value);
    return b64(at, kv_slice_of(bytes, (size_t)len));
}

/* What the key says of itself, then `more`: ",\"kid\":\"k\"". */
const char *jwk(world *at, EVP_PKEY *key, const char *curve, const char *more)
{
    uint8_t raw[32];
    size_t len = sizeof(raw);
    kv_slice text;
    kv_error err = { 0 };
    int width = curve ? (EVP_PKEY_get_bits(key) + 7) / 8 : 0;

    if (EVP_PKEY_is_a(key, "RSA")) {
        assert_kv_ok(kv_arena_print(&at->arena, &text, &err,
                                    "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"%s}",
                                    number(at, key, OSSL_PKEY_PARAM_RSA_N, 0),
                                    number(at, key, OSSL_PKEY_PARAM_RSA_E, 0), more));
    } else if (EVP_PKEY_is_a(key, "EC")) {
        assert_kv_ok(kv_arena_print(
            &at->arena, &text, &err, "{\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"%s}",
            curve ? curve : "", number(at, key, OSSL_PKEY_PARAM_EC_PUB_X, width),
            number(at, key, OSSL_PKEY_PARAM_EC_PUB_Y, width), more));
    } else {
        assert_int_equal(EVP_PKEY_get_raw_public_key(key, raw, &len), 1);
        assert_kv_ok(kv_arena_print(&at->arena, &text, &err,
                                    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"%s}",
                                    b64(at, kv_slice_of(raw, len)), more));
    }
    assert_kv_ok(kv_arena_copy(&at->arena, text, &text, &err));
    return (const char *)text.data;
}

kv_status parse(world *at, const char *keys, kv_jwks **out)
{
    kv_slice text;
    kv_error err = { 0 };

    assert_kv_ok(kv_arena_print(&at->arena, &text, &err, "{\"keys\":[%s]}", keys));
    return kv_jwks_parse(text, out, &err);
}

static size_t raw_signature(const uint8_t *der, size_t len, unsigned coordinate, uint8_t *out)
{
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)len);

    assert_non_null(signature);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, (int)coordinate), coordinate);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + coordinate, (int)coordinate),
                     coordinate);
    ECDSA_SIG_free(signature);
    return 2 * (size_t)coordinate;
}

kv_slice sign(world *at, EVP_PKEY *key, const kv_jws_algorithm *row, kv_slice text)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *inner;
    uint8_t der[512], raw[512];
    size_t len = sizeof(der);
    kv_slice out;
    kv_error err = { 0 };

    assert_int_equal(EVP_DigestSignInit_ex(context, &inner, row->digest, NULL, NULL, key, NULL), 1);
    if (row->pss) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(inner, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    assert_int_equal(EVP_DigestSign(context, der, &len, text.data, text.len), 1);
    EVP_MD_CTX_free(context);
    out = row->coordinate ? kv_slice_of(raw, raw_signature(der, len, row->coordinate, raw))
                          : kv_slice_of(der, len);
    assert_kv_ok(kv_arena_copy(&at->arena, out, &out, &err));
    return out;
}

kv_slice token(world *at, const char *header, const char *payload)
{
    kv_slice text, whole;
    kv_error err = { 0 };

    assert_kv_ok(kv_arena_print(&at->arena, &text, &err, "%s.%s", b64(at, kv_slice_text(header)),
                                b64(at, kv_slice_text(payload))));
    assert_kv_ok(
        kv_arena_print(&at->arena, &whole, &err, "%.*s.%s", KV_SLICE_ARG(text),
                       b64(at, sign(at, at->ed, kv_jws_algorithm_find(KV_SLICE("EdDSA")), text))));
    return whole;
}
