/* test_vault_import.c - keys that come from outside are used on the token like those born there,
 * and are known for what they are. */
#include <stdio.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>

#include "tests/contract/vault/acts.h"

/* SoftHSM leaks the name of the curve at each use of an Ed25519 key. */
__attribute__((weak)) void __lsan_disable(void);
__attribute__((weak)) void __lsan_enable(void);

static EVP_PKEY *fresh_key(const char *type, const char *curve, size_t bits)
{
    EVP_PKEY *key = bits    ? EVP_PKEY_Q_keygen(NULL, NULL, type, bits)
                    : curve ? EVP_PKEY_Q_keygen(NULL, NULL, type, curve)
                            : EVP_PKEY_Q_keygen(NULL, NULL, type);

    assert_non_null(key);
    return key;
}

static kv_slice pkcs8_of(house *h, EVP_PKEY *key)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    unsigned char der[4096], *end = der;
    int len = i2d_PKCS8_PRIV_KEY_INFO(info, &end);
    kv_slice out;
    kv_error err = { 0 };

    assert_in_range(len, 1, sizeof(der));
    PKCS8_PRIV_KEY_INFO_free(info);
    assert_kv_ok(kv_arena_copy(&h->arena, kv_slice_of(der, (size_t)len), &out, &err));
    return out;
}

static kv_slice spki_of(house *h, EVP_PKEY *key)
{
    unsigned char der[1024], *end = der;
    int len = i2d_PUBKEY(key, &end);
    kv_slice out;
    kv_error err = { 0 };

    assert_in_range(len, 1, sizeof(der));
    assert_kv_ok(kv_arena_copy(&h->arena, kv_slice_of(der, (size_t)len), &out, &err));
    return out;
}

static const struct {
    const char *type, *curve;
    size_t bits;
    const char *algorithm;
} pairs[] = {
    { "RSA", NULL, 2048, "PS256" },     { "EC", "P-256", 0, "ES256" },
    { "EC", "P-384", 0, "ES384" },      { "EC", "P-521", 0, "ES512" },
    { "EC", "secp256k1", 0, "ES256K" }, { "ED25519", NULL, 0, "EdDSA" },
};

static void import_and_sign(house *h, size_t row)
{
    EVP_PKEY *pair = fresh_key(pairs[row].type, pairs[row].curve, pairs[row].bits);
    kv_key_import_in in = { .target = act_target(KV_COLLECTION_KEYS, pairs[row].algorithm),
                            .is_pkcs8 = true,
                            .pkcs8 = pkcs8_of(h, pair) };
    kv_key_sign_in sign = { .target = in.target,
                            .algorithm = pairs[row].algorithm,
                            .data = KV_SLICE("a message") };
    kv_key_verify_in verify = { .target = in.target,
                                .algorithm = pairs[row].algorithm,
                                .data = sign.data };
    kv_verification verification;
    kv_signature signature;
    kv_key_bundle key;
    kv_error err;

    assert_kv_ok(HOUSE_DO(h, kv_key_import, &in, &key));
    assert_slice_equal(spki_of(h, pair), key.spki);
    assert_slice_equal(KV_SLICE("imported"), key.attestation.origin);
    assert_false(key.attestation.local);
    assert_true(key.attestation.sensitive);
    assert_false(key.attestation.extractable);
    assert_false(key.attestation.never_extractable);
    assert_int_equal(key.key_ops, KV_KEY_OP_SIGN | KV_KEY_OP_VERIFY);
    assert_kv_ok(HOUSE_DO(h, kv_key_sign, &sign, &signature));
    verify.signature = signature.signature;
    assert_kv_ok(HOUSE_DO(h, kv_key_verify, &verify, &verification));
    assert_true(verification.valid);
    EVP_PKEY_free(pair);
}

static void pairs_are_imported_and_sign(void **state)
{
    house *h = *state;

    for (size_t row = 0; row < KV_COUNT(pairs); row++) {
        bool leaks = h->hsm && __lsan_disable && !strcmp(pairs[row].type, "ED25519");

        if (leaks)
            __lsan_disable();
        import_and_sign(h, row);
        if (leaks)
            __lsan_enable();
    }
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), KV_COUNT(pairs));
    house_assert_tidy(h);
}

static kv_key_import_in secret_in(const char *name, kv_slice bytes, kv_key_ops ops)
{
    return (kv_key_import_in){ .target = act_target(KV_COLLECTION_KEYS, name),
                               .jwk = { .kty = KV_KEY_TYPE_OCT, .k = bytes },
                               .key_ops = ops };
}

static void a_mac_is_that_of_openssl(void **state)
{
    static const uint8_t bytes[64] = { 1, 2, 3 };
    static const struct {
        const char *algorithm;
        size_t len;
    } rows[] = { { "HS256", 32 }, { "HS384", 48 }, { "HS512", 64 } };
    house *h = *state;

    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_key_import_in in = secret_in("k", kv_slice_of(bytes, rows[i].len), KV_KEY_OP_SIGN);
        kv_key_sign_in sign = { .target = in.target,
                                .algorithm = rows[i].algorithm,
                                .data = KV_SLICE("a message") };
        const EVP_MD *hash = i == 0 ? EVP_sha256() : i == 1 ? EVP_sha384() : EVP_sha512();
        uint8_t expected[64];
        unsigned len = 0;
        kv_signature out;
        kv_key_bundle key;
        kv_error err;

        assert_non_null(
            HMAC(hash, bytes, (int)rows[i].len, sign.data.data, sign.data.len, expected, &len));
        assert_kv_ok(HOUSE_DO(h, kv_key_import, &in, &key));
        assert_int_equal(key.key.kty, KV_KEY_TYPE_OCT);
        assert_int_equal(key.key_size, rows[i].len * 8);
        assert_kv_ok(HOUSE_DO(h, kv_key_sign, &sign, &out));
        assert_slice_equal(kv_slice_of(expected, len), out.signature);
    }
}

static void what_it_encrypts_openssl_decrypts(void **state)
{
    static const uint8_t bytes[32] = { 9, 8, 7 };
    house *h = *state;
    kv_key_import_in in = secret_in("k", kv_slice_of(bytes, sizeof(bytes)), 0);
    kv_key_encrypt_in encrypt = { .target = in.target,
                                  .algorithm = "A256GCM",
                                  .data = KV_SLICE("a word"),
                                  .aad = KV_SLICE("with it") };
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    kv_key_ciphered out;
    kv_key_bundle key;
    uint8_t plain[16];
    int len = 0, rest = 0;
    kv_error err;

    assert_kv_ok(HOUSE_DO(h, kv_key_import, &in, &key));
    assert_kv_ok(HOUSE_DO(h, kv_key_encrypt, &encrypt, &out));
    assert_int_equal(EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, bytes, out.iv.data), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, (int)out.tag.len,
                                         (void *)(uintptr_t)out.tag.data),
                     1);
    assert_int_equal(EVP_DecryptUpdate(ctx, NULL, &len, encrypt.aad.data, (int)encrypt.aad.len), 1);
    assert_int_equal(EVP_DecryptUpdate(ctx, plain, &len, out.data.data, (int)out.data.len), 1);
    assert_int_equal(EVP_DecryptFinal_ex(ctx, plain + len, &rest), 1);
    assert_slice_equal(encrypt.data, kv_slice_of(plain, (size_t)(len + rest)));
    EVP_CIPHER_CTX_free(ctx);
}

static void refused(house *h, kv_key_import_in in, const char *field)
{
    kv_key_bundle key;
    kv_error err;

    in.target = act_target(KV_COLLECTION_KEYS, "k");
    assert_kv_fails(KV_BAD_REQUEST, HOUSE_DO(h, kv_key_import, &in, &key));
    assert_string_equal(err.field, field);
}

static void what_is_no_key_is_refused(void **state)
{
    static const uint8_t bytes[66] = { 4 };
    house *h = *state;
    EVP_PKEY *small = fresh_key("RSA", NULL, 1024);
    EVP_PKEY *pair = fresh_key("EC", "P-256", 0);
    kv_slice good = pkcs8_of(h, pair);
    kv_slice len32 = kv_slice_of(bytes, 32);
    kv_private_jwk ec = { .kty = KV_KEY_TYPE_EC, .crv = KV_CURVE_P256, .d = len32, .x = len32 };

    refused(h, (kv_key_import_in){ .is_pkcs8 = true }, "pkcs8");
    refused(h, (kv_key_import_in){ .is_pkcs8 = true, .pkcs8 = KV_SLICE("junk") }, "pkcs8");
    refused(h, (kv_key_import_in){ .is_pkcs8 = true, .pkcs8 = pkcs8_of(h, small) }, "pkcs8");
    refused(h,
            (kv_key_import_in){ .is_pkcs8 = true, .pkcs8 = kv_slice_of(good.data, good.len - 1) },
            "pkcs8");
    refused(h, (kv_key_import_in){ .is_pkcs8 = true, .pkcs8 = good, .key_ops = KV_KEY_OP_DECRYPT },
            "key_ops");
    refused(h, (kv_key_import_in){ .jwk = ec }, "key.y");
    ec.y = kv_slice_of(bytes, 31);
    refused(h, (kv_key_import_in){ .jwk = ec }, "key.y");
    ec.y = len32; /* not on the curve */
    refused(h, (kv_key_import_in){ .jwk = ec }, "key");
    ec.crv = KV_CURVE_NONE;
    refused(h, (kv_key_import_in){ .jwk = ec }, "key.crv");
    refused(h, (kv_key_import_in){ .jwk = { .kty = KV_KEY_TYPE_RSA, .n = len32 } }, "key.e");
    refused(
        h,
        (kv_key_import_in){
            .jwk = { .kty = KV_KEY_TYPE_OKP, .crv = KV_CURVE_ED25519, .d = len32, .x = len32 } },
        "key");
    refused(h, secret_in("k", kv_slice_of(bytes, 31), 0), "key.k");
    refused(h, secret_in("k", kv_slice_of(bytes, 64), 0), "key.k");
    refused(h, secret_in("k", kv_slice_of(bytes, 16), KV_KEY_OP_SIGN), "key.k");
    refused(h, secret_in("k", KV_SLICE_NONE, 0), "key.k");
    refused(h, secret_in("k", len32, KV_KEY_OP_SIGN | KV_KEY_OP_DECRYPT), "key_ops");
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 0);
    house_assert_tidy(h);
    EVP_PKEY_free(small);
    EVP_PKEY_free(pair);
}

static void random_bytes_have_a_bound(void **state)
{
    house *h = *state;
    kv_random_bytes_get_in in = { .target = { .vault = KV_SLICE(ACT_VAULT) } };
    kv_random_bytes first, second;
    kv_error err;

    assert_kv_fails(KV_BAD_REQUEST, HOUSE_DO(h, kv_random_bytes_get, &in, &first));
    assert_string_equal(err.field, "count");
    in.count = 129;
    assert_kv_fails(KV_BAD_REQUEST, HOUSE_DO(h, kv_random_bytes_get, &in, &first));
    in.count = 128;
    assert_kv_ok(HOUSE_DO(h, kv_random_bytes_get, &in, &first));
    assert_kv_ok(HOUSE_DO(h, kv_random_bytes_get, &in, &second));
    assert_int_equal(first.value.len, 128);
    assert_false(kv_slice_equal(first.value, second.value));
    in.target.vault = KV_SLICE("nowhere");
    assert_kv_fails(KV_NOT_FOUND, HOUSE_DO(h, kv_random_bytes_get, &in, &first));
}

int main(void)
{
#define BOTH(test)                                              \
    cmocka_unit_test_setup_teardown(test, act_start, act_stop), \
        cmocka_unit_test_setup_teardown(test, act_start_softhsm, act_stop)
    const struct CMUnitTest tests[] = {
        BOTH(pairs_are_imported_and_sign),
        BOTH(a_mac_is_that_of_openssl),
        BOTH(what_it_encrypts_openssl_decrypts),
        cmocka_unit_test_setup_teardown(what_is_no_key_is_refused, act_start, act_stop),
        BOTH(random_bytes_have_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
