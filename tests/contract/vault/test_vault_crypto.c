/* test_vault_crypto.c - what keys of every type can do, and that they can do nothing else. */
#include <stdio.h>

#include "pkcs11/mechanism.h"
#include "tests/contract/vault/acts.h"

static int open_house(void **state, bool softhsm)
{
    house *h = house_new(softhsm);
    kv_error err = { 0 };

    assert_kv_ok(act_make_vault(h, &err));
    *state = h;
    return 0;
}

static int start(void **state)
{
    return open_house(state, false);
}

static int start_softhsm(void **state)
{
    return open_house(state, true);
}

static int stop(void **state)
{
    house_free(*state);
    return 0;
}

static kv_key_create_in key_in(const char *name, kv_key_type kty, kv_key_ops ops)
{
    return (kv_key_create_in){ .target = act_target(KV_COLLECTION_KEYS, name),
                               .kty = kty,
                               .key_ops = ops };
}

/* --- signatures --- */

/* SoftHSM leaks the name of the curve at each use of an Ed25519 key. */
__attribute__((weak)) void __lsan_disable(void);
__attribute__((weak)) void __lsan_enable(void);

#define SIGNING    (KV_KEY_OP_SIGN | KV_KEY_OP_VERIFY)
#define ENCRYPTING (KV_KEY_OP_ENCRYPT | KV_KEY_OP_DECRYPT)
#define WRAPPING   (KV_KEY_OP_WRAP_KEY | KV_KEY_OP_UNWRAP_KEY)

static const struct {
    const char *algorithm;
    kv_key_type kty;
    kv_curve crv;
    uint32_t size;
    size_t len; /* of the signature */
    bool message_only;
} signers[] = {
    { "RS256", KV_KEY_TYPE_RSA, KV_CURVE_NONE, 2048, 256, false },
    { "PS512", KV_KEY_TYPE_RSA, KV_CURVE_NONE, 2048, 256, false },
    { "ES256", KV_KEY_TYPE_EC, KV_CURVE_P256, 256, 64, false },
    { "ES384", KV_KEY_TYPE_EC, KV_CURVE_P384, 384, 96, false },
    { "ES512", KV_KEY_TYPE_EC, KV_CURVE_P521, 521, 132, false },
    { "ES256K", KV_KEY_TYPE_EC, KV_CURVE_P256K, 256, 64, false },
    { "EdDSA", KV_KEY_TYPE_OKP, KV_CURVE_ED25519, 256, 64, true },
    { "HS256", KV_KEY_TYPE_OCT, KV_CURVE_NONE, 256, 32, true },
    { "HS384", KV_KEY_TYPE_OCT, KV_CURVE_NONE, 384, 48, true },
    { "HS512", KV_KEY_TYPE_OCT, KV_CURVE_NONE, 512, 64, true },
};

static bool verifies(house *h, size_t row, kv_slice message, kv_slice signature)
{
    kv_key_verify_in in = { .target = act_target(KV_COLLECTION_KEYS, signers[row].algorithm),
                            .algorithm = signers[row].algorithm,
                            .data = message,
                            .signature = signature };
    kv_verification out;
    kv_error err;

    assert_kv_ok(HOUSE_DO(h, kv_key_verify, &in, &out));
    return out.valid;
}

static void sign_with(house *h, size_t row)
{
    kv_key_create_in create = key_in(signers[row].algorithm, signers[row].kty, SIGNING);
    kv_key_sign_in in = { .target = create.target,
                          .algorithm = signers[row].algorithm,
                          .data = KV_SLICE("the message itself") };
    uint8_t changed[KV_SIGNATURE_MAX];
    uint8_t digest[KV_DIGEST_MAX] = { 0 };
    kv_key_bundle key;
    kv_signature out;
    kv_error err;

    create.crv = signers[row].crv;
    create.key_size = signers[row].size;
    assert_kv_ok(HOUSE_DO(h, kv_key_create, &create, &key));
    assert_int_equal(key.key.kty, signers[row].kty);
    assert_int_equal(key.key.crv, signers[row].crv);
    assert_int_equal(key.key_size, signers[row].size);
    assert_int_equal(key.key_ops, SIGNING);
    assert_true(key.attestation.never_extractable);
    assert_int_equal(key.spki.len == 0, signers[row].kty == KV_KEY_TYPE_OCT);

    assert_kv_ok(HOUSE_DO(h, kv_key_sign, &in, &out));
    assert_int_equal(out.signature.len, signers[row].len);
    assert_true(verifies(h, row, in.data, out.signature));
    assert_false(verifies(h, row, KV_SLICE("another message"), out.signature));
    memcpy(changed, out.signature.data, out.signature.len);
    changed[out.signature.len - 1] ^= 1;
    assert_false(verifies(h, row, in.data, kv_slice_of(changed, out.signature.len)));
    assert_false(verifies(h, row, in.data, kv_slice_of(changed, out.signature.len - 1)));

    in.is_digest = true;
    in.data = kv_slice_of(digest, 1);
    assert_kv_fails(KV_BAD_REQUEST, HOUSE_DO(h, kv_key_sign, &in, &out));
    assert_string_equal(err.field, "digest");
    for (size_t other = 0; other < KV_COUNT(signers); other++) {
        if (signers[other].kty == signers[row].kty && signers[other].size == signers[row].size &&
            signers[other].crv == signers[row].crv)
            continue;
        in.algorithm = signers[other].algorithm;
        assert_kv_fails(KV_BAD_REQUEST, HOUSE_DO(h, kv_key_sign, &in, &out));
        assert_string_equal(err.field, "algorithm");
    }
}

static void every_type_signs_in_its_own_way(void **state)
{
    house *h = *state;

    for (size_t row = 0; row < KV_COUNT(signers); row++) {
        bool leaks = h->hsm && __lsan_disable && signers[row].kty == KV_KEY_TYPE_OKP;

        if (leaks)
            __lsan_disable();
        sign_with(h, row);
        if (leaks)
            __lsan_enable();
    }
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), KV_COUNT(signers));
    house_assert_tidy(h);
}

static void a_message_for_eddsa_and_hmac_has_a_bound(void **state)
{
    static const uint8_t large[KV_EDDSA_MESSAGE_MAX + 1];
    house *h = *state;
    kv_key_create_in create = key_in("k", KV_KEY_TYPE_OCT, SIGNING);
    kv_key_sign_in in = { .target = create.target,
                          .algorithm = "HS256",
                          .data = kv_slice_of(large, sizeof(large)) };
    kv_key_bundle key;
    kv_signature out;
    kv_error err;

    assert_kv_ok(HOUSE_DO(h, kv_key_create, &create, &key));
    assert_kv_fails(KV_BAD_REQUEST, HOUSE_DO(h, kv_key_sign, &in, &out));
    assert_string_equal(err.field, "message");
    in.data.len--;
    assert_kv_ok(HOUSE_DO(h, kv_key_sign, &in, &out));
}

/* --- one use per key --- */

static const struct {
    kv_key_type kty;
    kv_key_ops ops;
    uint32_t size;
    const char *field; /* NULL: works */
} makings[] = {
    { KV_KEY_TYPE_OCT, 0, 0, NULL },
    { KV_KEY_TYPE_OCT, ENCRYPTING, 128, NULL },
    { KV_KEY_TYPE_OCT, KV_KEY_OP_DECRYPT, 192, NULL },
    { KV_KEY_TYPE_OCT, WRAPPING, 256, NULL },
    { KV_KEY_TYPE_OCT, KV_KEY_OP_VERIFY, 0, NULL },
    { KV_KEY_TYPE_RSA, KV_KEY_OP_DECRYPT | KV_KEY_OP_UNWRAP_KEY, 2048, NULL },
    { KV_KEY_TYPE_OCT, ENCRYPTING | WRAPPING, 0, "key_ops" },
    { KV_KEY_TYPE_OCT, KV_KEY_OP_DECRYPT | KV_KEY_OP_WRAP_KEY, 0, "key_ops" },
    { KV_KEY_TYPE_OCT, SIGNING | KV_KEY_OP_ENCRYPT, 0, "key_ops" },
    { KV_KEY_TYPE_RSA, KV_KEY_OP_SIGN | KV_KEY_OP_DECRYPT, 0, "key_ops" },
    { KV_KEY_TYPE_EC, KV_KEY_OP_WRAP_KEY, 0, "key_ops" },
    { KV_KEY_TYPE_OKP, KV_KEY_OP_ENCRYPT, 0, "key_ops" },
    { KV_KEY_TYPE_OCT, SIGNING, 128, "key_size" },
    { KV_KEY_TYPE_OCT, ENCRYPTING, 512, "key_size" },
    { KV_KEY_TYPE_OKP, 0, 448, "key_size" },
};

static void a_key_has_one_use(void **state)
{
    house *h = *state;
    unsigned made = 0;

    for (size_t i = 0; i < KV_COUNT(makings); i++) {
        char name[16];
        kv_key_create_in in;
        kv_key_bundle key;
        kv_error err;

        (void)snprintf(name, sizeof(name), "k%zu", i);
        in = key_in(name, makings[i].kty, makings[i].ops);
        in.key_size = makings[i].size;
        if (makings[i].field) {
            assert_kv_fails(KV_BAD_REQUEST, HOUSE_DO(h, kv_key_create, &in, &key));
            assert_string_equal(err.field, makings[i].field);
            continue;
        }
        assert_kv_ok(HOUSE_DO(h, kv_key_create, &in, &key));
        if (makings[i].ops)
            assert_int_equal(key.key_ops, makings[i].ops);
        made++;
    }
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), made);
    house_assert_tidy(h);
}

static void the_use_never_changes(void **state)
{
    static const struct {
        kv_key_type kty;
        kv_key_ops made, good, bad;
    } rows[] = {
        { KV_KEY_TYPE_OCT, ENCRYPTING, KV_KEY_OP_DECRYPT, WRAPPING },
        { KV_KEY_TYPE_OCT, KV_KEY_OP_UNWRAP_KEY, WRAPPING, ENCRYPTING },
        { KV_KEY_TYPE_OCT, SIGNING, KV_KEY_OP_VERIFY, KV_KEY_OP_ENCRYPT },
        { KV_KEY_TYPE_RSA, SIGNING, KV_KEY_OP_SIGN, KV_KEY_OP_DECRYPT },
        { KV_KEY_TYPE_RSA, ENCRYPTING, WRAPPING, SIGNING },
    };
    house *h = *state;

    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_key_create_in create = key_in("k", rows[i].kty, rows[i].made);
        kv_key_update_in update = { .target = create.target, .key_ops = rows[i].bad };
        kv_key_bundle key;
        kv_error err;

        assert_kv_ok(HOUSE_DO(h, kv_key_create, &create, &key));
        assert_kv_fails(KV_BAD_REQUEST, HOUSE_DO(h, kv_key_update, &update, &key));
        assert_string_equal(err.field, "key_ops");
        update.key_ops = rows[i].good;
        assert_kv_ok(HOUSE_DO(h, kv_key_update, &update, &key));
        assert_int_equal(key.key_ops, rows[i].good);
        update.key_ops = rows[i].bad;
        assert_kv_fails(KV_BAD_REQUEST, HOUSE_DO(h, kv_key_update, &update, &key));
    }
}

int main(void)
{
#define BOTH(test)                                      \
    cmocka_unit_test_setup_teardown(test, start, stop), \
        cmocka_unit_test_setup_teardown(test, start_softhsm, stop)
    const struct CMUnitTest tests[] = {
        BOTH(every_type_signs_in_its_own_way),
        cmocka_unit_test_setup_teardown(a_message_for_eddsa_and_hmac_has_a_bound, start, stop),
        BOTH(a_key_has_one_use),
        cmocka_unit_test_setup_teardown(the_use_never_changes, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
