/* test_public_key.c - software verification is strict, and public keys keep their shape. */
#include "pkcs11/public_key.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "server/base/text.h"
#include "tests/support/kv_cmocka.h"

enum { MEMORY = 64 * 1024 };

typedef struct pair {
    EVP_PKEY *key;
    unsigned char *der;
    kv_slice spki;
} pair;

static pair make(EVP_PKEY *key)
{
    pair p = { .key = key };
    int len;

    assert_non_null(key);
    len = i2d_PUBKEY(key, &p.der);
    p.spki = kv_slice_of(p.der, (size_t)len);
    return p;
}

static void drop(pair *p)
{
    EVP_PKEY_free(p->key);
    OPENSSL_free(p->der);
}

/* Signs with OpenSSL's high-level interface; ECDSA as r||s. */
static size_t sign(const pair *p, const kv_mechanism *alg, uint8_t *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options = NULL;
    uint8_t signature[KV_SIGNATURE_MAX];
    size_t len = sizeof(signature), raw_len = KV_SIGNATURE_MAX;
    kv_error err = { 0 };

    assert_true(EVP_DigestSignInit_ex(ctx, alg->digest_len ? &options : NULL, alg->digest_name,
                                      NULL, NULL, p->key, NULL));
    if (alg->padding == KV_PADDING_PSS) {
        assert_true(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) > 0);
        assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) > 0);
    }
    assert_true(EVP_DigestSign(ctx, signature, &len, (const unsigned char *)"abc", 3) > 0);
    EVP_MD_CTX_free(ctx);
    if (alg->family != KV_FAMILY_EC) {
        memcpy(out, signature, len);
        return len;
    }
    assert_kv_ok(
        kv_ecdsa_from_der(kv_slice_of(signature, len), alg->coordinate_len, out, &raw_len, &err));
    return raw_len;
}

static void openssl_signs_and_every_algorithm_verifies(void **state)
{
    pair pairs[] = {
        make(EVP_RSA_gen(2048)),       make(EVP_EC_gen("P-256")),
        make(EVP_EC_gen("P-384")),     make(EVP_EC_gen("P-521")),
        make(EVP_EC_gen("secp256k1")), make(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"))
    };
    uint8_t signature[KV_SIGNATURE_MAX], digest[KV_DIGEST_MAX];
    unsigned tried[KV_MECHANISM_COUNT] = { 0 };
    const kv_mechanism *alg;
    kv_key_kind kind;
    kv_error err = { 0 };
    bool valid;

    (void)state;
    for (size_t p = 0; p < KV_COUNT(pairs); p++) {
        assert_kv_ok(kv_public_key_kind(pairs[p].spki, &kind, &err));
        for (size_t i = 0; (alg = kv_mechanism_at(i)); i++) {
            kv_slice hashed = kv_slice_of(digest, alg->digest_len ? alg->digest_len : 3);
            size_t len;

            if (alg->digest_len)
                assert_kv_ok(kv_public_key_digest(alg, KV_SLICE("abc"), digest, &err));
            else
                memcpy(digest, "abc", 3);
            if (!kv_mechanism_fits(alg, kind)) {
                assert_kv_fails(KV_BAD_REQUEST, kv_public_key_verify(pairs[p].spki, alg, hashed,
                                                                     KV_SLICE("x"), &valid, &err));
                continue;
            }
            len = sign(&pairs[p], alg, signature);
            assert_kv_ok(kv_public_key_verify(pairs[p].spki, alg, hashed,
                                              kv_slice_of(signature, len), &valid, &err));
            assert_true(valid);
            signature[len / 2] ^= 1;
            assert_kv_ok(kv_public_key_verify(pairs[p].spki, alg, hashed,
                                              kv_slice_of(signature, len), &valid, &err));
            assert_false(valid);
            signature[len / 2] ^= 1;
            digest[0] ^= 1;
            assert_kv_ok(kv_public_key_verify(pairs[p].spki, alg, hashed,
                                              kv_slice_of(signature, len), &valid, &err));
            assert_false(valid);
            tried[i]++;
        }
        drop(&pairs[p]);
    }
    for (size_t i = 0; i < KV_MECHANISM_COUNT; i++)
        assert_int_equal(tried[i], 1);
}

static void signatures_of_the_wrong_shape_are_invalid(void **state)
{
    pair p = make(EVP_EC_gen("P-256"));
    const kv_mechanism *alg = kv_mechanism_find(KV_SLICE("ES256"));
    uint8_t signature[KV_SIGNATURE_MAX] = { 0 }, digest[KV_DIGEST_MAX], bad[65] = { 0 };
    kv_slice hashed = kv_slice_of(digest, alg->digest_len);
    kv_error err = { 0 };
    bool valid = true;

    (void)state;
    assert_kv_ok(kv_public_key_digest(alg, KV_SLICE("abc"), digest, &err));
    assert_int_equal(sign(&p, alg, signature), 64);
    memcpy(bad, signature, 64);
    for (size_t len = 0; len <= 65; len++) {
        assert_kv_ok(
            kv_public_key_verify(p.spki, alg, hashed, kv_slice_of(bad, len), &valid, &err));
        assert_int_equal(valid, len == 64);
    }
    memset(bad, 0, 32);
    assert_kv_ok(kv_public_key_verify(p.spki, alg, hashed, kv_slice_of(bad, 64), &valid, &err));
    assert_false(valid);
    memcpy(bad, signature, 64);
    memset(bad + 32, 0, 32);
    assert_kv_ok(kv_public_key_verify(p.spki, alg, hashed, kv_slice_of(bad, 64), &valid, &err));
    assert_false(valid);
    memset(bad, 0xff, 64);
    assert_kv_ok(kv_public_key_verify(p.spki, alg, hashed, kv_slice_of(bad, 64), &valid, &err));
    assert_false(valid);
    assert_kv_fails(KV_BAD_REQUEST, kv_public_key_verify(p.spki, alg, kv_slice_of(digest, 31),
                                                         kv_slice_of(signature, 64), &valid, &err));
    assert_string_equal(err.field, "digest");
    drop(&p);
}

static void a_pss_salt_of_another_length_is_invalid(void **state)
{
    pair p = make(EVP_RSA_gen(2048));
    const kv_mechanism *alg = kv_mechanism_find(KV_SLICE("PS256"));
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options = NULL;
    uint8_t signature[KV_SIGNATURE_MAX], digest[32];
    size_t len = sizeof(signature);
    kv_error err = { 0 };
    bool valid = true;

    (void)state;
    assert_true(EVP_DigestSignInit(ctx, &options, EVP_sha256(), NULL, p.key) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, 20) > 0);
    assert_true(EVP_DigestSign(ctx, signature, &len, (const unsigned char *)"abc", 3) > 0);
    EVP_MD_CTX_free(ctx);
    assert_kv_ok(kv_public_key_digest(alg, KV_SLICE("abc"), digest, &err));
    assert_kv_ok(kv_public_key_verify(p.spki, alg, kv_slice_of(digest, 32),
                                      kv_slice_of(signature, len), &valid, &err));
    assert_false(valid);
    drop(&p);
}

static void keys_of_other_kinds_are_refused(void **state)
{
    pair pairs[] = { make(EVP_RSA_gen(1024)), make(EVP_EC_gen("secp224r1")),
                     make(EVP_PKEY_Q_keygen(NULL, NULL, "ED448")) };
    kv_key_kind kind;
    kv_error err = { 0 };
    uint8_t longer[200];

    (void)state;
    for (size_t i = 0; i < KV_COUNT(pairs); i++) {
        assert_kv_fails(KV_BAD_REQUEST, kv_public_key_kind(pairs[i].spki, &kind, &err));
        drop(&pairs[i]);
    }
    assert_kv_fails(KV_BAD_REQUEST, kv_public_key_kind(KV_SLICE_NONE, &kind, &err));
    assert_kv_fails(KV_BAD_REQUEST, kv_public_key_kind(KV_SLICE("nonsense"), &kind, &err));
    pairs[0] = make(EVP_EC_gen("P-256"));
    memcpy(longer, pairs[0].spki.data, pairs[0].spki.len);
    longer[pairs[0].spki.len] = 0;
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_public_key_kind(kv_slice_of(longer, pairs[0].spki.len + 1), &kind, &err));
    drop(&pairs[0]);
}

static void a_jwk_has_its_members_and_the_key_comes_back(void **state)
{
    pair rsa = make(EVP_RSA_gen(2048)), ec = make(EVP_EC_gen("P-521"));
    kv_arena arena = KV_ARENA(MEMORY);
    uint8_t point[133] = { 0x04 };
    kv_slice spki;
    kv_jwk jwk;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_public_key_jwk(rsa.spki, &arena, &jwk, &err));
    assert_string_equal(jwk.kty, "RSA");
    assert_int_equal(jwk.n.len, 256);
    assert_slice_equal(KV_SLICE("\x01\x00\x01"), jwk.e);
    assert_kv_ok(kv_public_key_from_rsa(jwk.n, jwk.e, &arena, &spki, &err));
    assert_slice_equal(rsa.spki, spki);
    assert_kv_ok(kv_public_key_jwk(ec.spki, &arena, &jwk, &err));
    assert_string_equal(jwk.kty, "EC");
    assert_string_equal(jwk.crv, "P-521");
    assert_int_equal(jwk.x.len, 66);
    assert_int_equal(jwk.y.len, 66);
    memcpy(point + 1, jwk.x.data, 66);
    memcpy(point + 67, jwk.y.data, 66);
    assert_kv_ok(kv_public_key_from_point(KV_KEY_P521, kv_slice_of(point, sizeof(point)), &arena,
                                          &spki, &err));
    assert_slice_equal(ec.spki, spki);
    point[132] ^= 1;
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_public_key_from_point(KV_KEY_P521, kv_slice_of(point, sizeof(point)), &arena,
                                             &spki, &err));
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_public_key_from_point(KV_KEY_P256, kv_slice_of(point, sizeof(point)), &arena,
                                             &spki, &err));
    kv_arena_cleanup(&arena);
    drop(&rsa);
    drop(&ec);
}

static void assert_point(kv_key_kind kind, kv_slice point)
{
    uint8_t wrapped[2 + 65] = { 0x04, (uint8_t)point.len };
    kv_arena arena = KV_ARENA(MEMORY);
    kv_slice of_raw, of_wrapped;
    kv_error err = { 0 };

    memcpy(wrapped + 2, point.data, point.len);
    assert_kv_ok(kv_public_key_from_point(kind, point, &arena, &of_raw, &err));
    assert_kv_ok(kv_public_key_from_point(kind, kv_slice_of(wrapped, 2 + point.len), &arena,
                                          &of_wrapped, &err));
    assert_slice_equal(of_raw, of_wrapped);
    kv_arena_cleanup(&arena);
}

/* An OCTET STRING begins with the same byte as a point; with these, its length would fit, too. */
static void a_point_that_looks_wrapped_is_a_point(void **state)
{
    static const uint8_t ed25519[32] = { 0x04, 30 };
    uint8_t p256[65];

    (void)state;
    /* 111 times the generator. */
    assert_true(kv_unhex(KV_SLICE("043fc424067a1f679b0fe2c0ae1093724f6233002be8063cb1cad2cccdb85b08"
                                  "9e5bb243009e581be52aedbb47eda98d26cf9fc800f7934c9466aaaef8c6629e"
                                  "cf"),
                         p256, sizeof(p256)));
    assert_point(KV_KEY_P256, kv_slice_of(p256, sizeof(p256)));
    assert_point(KV_KEY_ED25519, kv_slice_of(ed25519, sizeof(ed25519)));
}

/* The example of RFC 7638, section 3.1. */
static void the_thumbprint_is_that_of_the_rfc(void **state)
{
    static const char n[] = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK"
                            "7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yB"
                            "XArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb"
                            "9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f"
                            "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    kv_arena arena = KV_ARENA(MEMORY);
    kv_slice modulus, spki, text;
    uint8_t thumbprint[32];
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_unbase64url(&arena, KV_SLICE(n), &modulus, &err));
    assert_kv_ok(kv_public_key_from_rsa(modulus, KV_SLICE("\x01\x00\x01"), &arena, &spki, &err));
    assert_kv_ok(kv_public_key_thumbprint(spki, &arena, thumbprint, &err));
    assert_kv_ok(kv_base64url(&arena, kv_slice_of(thumbprint, 32), &text, &err));
    assert_slice_equal(KV_SLICE("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"), text);
    kv_arena_cleanup(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_signs_and_every_algorithm_verifies),
        cmocka_unit_test(signatures_of_the_wrong_shape_are_invalid),
        cmocka_unit_test(a_pss_salt_of_another_length_is_invalid),
        cmocka_unit_test(keys_of_other_kinds_are_refused),
        cmocka_unit_test(a_jwk_has_its_members_and_the_key_comes_back),
        cmocka_unit_test(a_point_that_looks_wrapped_is_a_point),
        cmocka_unit_test(the_thumbprint_is_that_of_the_rfc),
    };

    return cmocka_run_group_tests_name("public_key", tests, NULL, NULL);
}
