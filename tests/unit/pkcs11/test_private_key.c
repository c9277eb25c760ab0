/* test_private_key.c - PKCS#8 is read strictly, checked, and written as strict readers want it. */
#include "pkcs11/private_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "pkcs11/token_import.h"
#include "tests/support/kv_cmocka.h"

enum { MEMORY = 16 * 1024 };

static EVP_PKEY *rsa_with_exponent(unsigned long value)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    BIGNUM *exponent = BN_new();
    EVP_PKEY *key = NULL;

    assert_true(BN_set_word(exponent, value) && EVP_PKEY_keygen_init(ctx) > 0 &&
                EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048) > 0 &&
                EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, exponent) > 0 &&
                EVP_PKEY_generate(ctx, &key) > 0);
    BN_free(exponent);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static void every_kind_is_read_and_written(void **state)
{
    EVP_PKEY *keys[] = { EVP_RSA_gen(2048),
                         rsa_with_exponent(3),
                         EVP_EC_gen("P-256"),
                         EVP_EC_gen("P-384"),
                         EVP_EC_gen("P-521"),
                         EVP_EC_gen("secp256k1"),
                         EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") };
    static const kv_key_kind kinds[] = { KV_KEY_RSA_2048, KV_KEY_RSA_2048, KV_KEY_P256,
                                         KV_KEY_P384,     KV_KEY_P521,     KV_KEY_P256K,
                                         KV_KEY_ED25519 };
    kv_arena arena = KV_ARENA(MEMORY);
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(keys); i++) {
        KV_AUTO(kv_secret_buf) pkcs8 = KV_SECRET_NONE;
        KV_AUTO(kv_secret_buf) again = KV_SECRET_NONE;
        KV_AUTO(kv_private_key) back = NULL;
        kv_key_kind kind = KV_KEY_NONE;
        kv_slice spki, expected;

        assert_kv_ok(kv_private_key_encode(keys[i], &pkcs8, &err));
        assert_kv_ok(kv_private_key_inspect(&pkcs8, &arena, &kind, &spki, &err));
        assert_int_equal(kind, kinds[i]);
        assert_kv_ok(kv_private_key_public(keys[i], &arena, &expected, &err));
        assert_slice_equal(expected, spki);
        assert_kv_ok(kv_private_key_read(&pkcs8, &back, &kind, &err));
        assert_kv_ok(kv_private_key_encode(back, &again, &err));
        assert_slice_equal(kv_secret_buf_slice(&pkcs8), kv_secret_buf_slice(&again));
        EVP_PKEY_free(keys[i]);
    }
    kv_arena_cleanup(&arena);
}

static void refuse(const kv_secret_buf *pkcs8)
{
    kv_arena arena = KV_ARENA(MEMORY);
    kv_key_kind kind;
    kv_error err = { 0 };
    kv_slice spki;

    assert_kv_fails(KV_BAD_REQUEST, kv_private_key_inspect(pkcs8, &arena, &kind, &spki, &err));
    assert_string_equal(err.field, "key");
    kv_arena_cleanup(&arena);
}

static void keys_of_other_kinds_are_refused(void **state)
{
    EVP_PKEY *keys[] = {
        EVP_RSA_gen(1024),
        EVP_EC_gen("secp224r1"),
        EVP_EC_gen("brainpoolP256r1"),
        EVP_PKEY_Q_keygen(NULL, NULL, "ED448"),
        EVP_PKEY_Q_keygen(NULL, NULL, "X25519"),
    };
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(keys); i++) {
        KV_AUTO(kv_secret_buf) pkcs8 = KV_SECRET_NONE;

        assert_kv_ok(kv_private_key_encode(keys[i], &pkcs8, &err));
        refuse(&pkcs8);
        EVP_PKEY_free(keys[i]);
    }
}

static void a_curve_has_a_name(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    KV_AUTO(kv_secret_buf) pkcs8 = KV_SECRET_NONE;
    kv_error err = { 0 };

    (void)state;
    assert_true(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, "explicit"));
    assert_kv_ok(kv_private_key_encode(key, &pkcs8, &err));
    refuse(&pkcs8);
    EVP_PKEY_free(key);
}

/* Every byte of an RSA key's numbers belongs to the others. */
static void inconsistent_keys_are_refused(void **state)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    KV_AUTO(kv_secret_buf) pkcs8 = KV_SECRET_NONE;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_private_key_encode(key, &pkcs8, &err));
    for (size_t at = 60; at < pkcs8.len; at += 301) {
        pkcs8.data[at] ^= 2;
        refuse(&pkcs8);
        pkcs8.data[at] ^= 2;
    }
    for (size_t len = 0; len < pkcs8.len; len += 97) {
        kv_secret_buf cut = { pkcs8.data, len };

        refuse(&cut);
    }
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_read_and_written),
        cmocka_unit_test(keys_of_other_kinds_are_refused),
        cmocka_unit_test(a_curve_has_a_name),
        cmocka_unit_test(inconsistent_keys_are_refused),
    };

    return cmocka_run_group_tests_name("private_key", tests, NULL, NULL);
}
