/* test_vault_crypto.c - what keys of every type can do, and that they can do nothing else. */
#include <stdio.h>

#include "pkcs11/mechanism.h"
#include "tests/contract/vault/acts.h"

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

/* --- encryption and wrapping --- */

static const struct {
    const char *algorithm;
    kv_key_type kty;
    uint32_t size;
    size_t plain; /* bytes */
    bool wraps, weak;
} ciphers[] = {
    { "RSA-OAEP", KV_KEY_TYPE_RSA, 2048, 100, false, false },
    { "RSA-OAEP-256", KV_KEY_TYPE_RSA, 2048, 190, false, false },
    { "RSA-OAEP", KV_KEY_TYPE_RSA, 2048, 32, true, false },
    { "RSA-OAEP-256", KV_KEY_TYPE_RSA, 2048, 32, true, false },
    { "RSA1_5", KV_KEY_TYPE_RSA, 2048, 32, false, true },
    { "A128GCM", KV_KEY_TYPE_OCT, 128, 5, false, false },
    { "A192GCM", KV_KEY_TYPE_OCT, 192, 1000, false, false },
    { "A256GCM", KV_KEY_TYPE_OCT, 256, 16384, false, false },
    { "A128CBC", KV_KEY_TYPE_OCT, 128, 64, false, true },
    { "A192CBC", KV_KEY_TYPE_OCT, 192, 64, false, true },
    { "A256CBC", KV_KEY_TYPE_OCT, 256, 64, false, true },
    { "A128CBCPAD", KV_KEY_TYPE_OCT, 128, 61, false, true },
    { "A192CBCPAD", KV_KEY_TYPE_OCT, 192, 64, false, true },
    { "A256CBCPAD", KV_KEY_TYPE_OCT, 256, 1, false, true },
    { "A128KW", KV_KEY_TYPE_OCT, 128, 16, true, false },
    { "A192KW", KV_KEY_TYPE_OCT, 192, 24, true, false },
    { "A256KW", KV_KEY_TYPE_OCT, 256, 64, true, false },
    { "CKM_AES_KEY_WRAP", KV_KEY_TYPE_OCT, 192, 32, true, false },
    { "CKM_AES_KEY_WRAP_PAD", KV_KEY_TYPE_OCT, 256, 32, true, false },
};

static void allow_weak(house *h, bool allow)
{
    kv_vault_patch_in in = { .target = { .vault = KV_SLICE(ACT_VAULT) },
                             .has_allow_unauthenticated = true,
                             .allow_unauthenticated = allow };
    kv_vault_bundle out;
    kv_error err;

    assert_kv_ok(HOUSE_DO(h, kv_vault_patch, &in, &out));
    assert_int_equal(out.allow_unauthenticated, allow);
}

static kv_status run_cipher(house *h, bool wraps, bool back, const kv_key_cipher_in *in,
                            kv_key_ciphered *out, kv_error *told)
{
    kv_error err = { 0 };
    kv_status status =
        wraps  ? back ? HOUSE_DO(h, kv_key_unwrap, in, out) : HOUSE_DO(h, kv_key_wrap, in, out)
         : back ? HOUSE_DO(h, kv_key_decrypt, in, out)
               : HOUSE_DO(h, kv_key_encrypt, in, out);

    *told = err;
    return status;
}

static kv_key_cipher_in back_of(const kv_key_cipher_in *in, const kv_key_ciphered *out)
{
    kv_key_cipher_in back = *in;

    back.data = out->data;
    back.iv = out->iv;
    back.tag = out->tag;
    return back;
}

/* Whatever is wrong with it, nobody learns more than that. */
static void refuses_changes(house *h, size_t row, const kv_key_cipher_in *good)
{
    uint8_t changed[17000];
    kv_key_cipher_in bad = *good;
    kv_key_ciphered out;
    kv_error first, err;

    memcpy(changed, good->data.data, good->data.len);
    bad.data = kv_slice_of(changed, good->data.len - 1);
    assert_kv_fails(KV_BAD_REQUEST, run_cipher(h, ciphers[row].wraps, true, &bad, &out, &err));
    first = err;
    assert_string_equal(first.field, "");
    bad.data.len = 0;
    assert_kv_fails(KV_BAD_REQUEST, run_cipher(h, ciphers[row].wraps, true, &bad, &out, &err));
    assert_string_equal(err.message, first.message);
    bad.data.len = good->data.len;
    if (ciphers[row].weak)
        return;
    changed[good->data.len / 2] ^= 0x40;
    assert_kv_fails(KV_BAD_REQUEST, run_cipher(h, ciphers[row].wraps, true, &bad, &out, &err));
    assert_string_equal(err.message, first.message);
    assert_string_equal(err.field, "");
    if (!good->tag.len)
        return;
    bad = *good;
    memcpy(changed, good->tag.data, good->tag.len);
    changed[0] ^= 1;
    bad.tag = kv_slice_of(changed, good->tag.len);
    assert_kv_fails(KV_BAD_REQUEST, run_cipher(h, false, true, &bad, &out, &err));
    assert_string_equal(err.message, first.message);
    bad = *good;
    bad.aad = KV_SLICE("other");
    assert_kv_fails(KV_BAD_REQUEST, run_cipher(h, false, true, &bad, &out, &err));
    assert_string_equal(err.message, first.message);
}

static void there_and_back(house *h, size_t row)
{
    static uint8_t plain[16384];
    bool gcm = strstr(ciphers[row].algorithm, "GCM") != NULL;
    kv_key_create_in create =
        key_in("k", ciphers[row].kty, ciphers[row].wraps ? WRAPPING : ENCRYPTING);
    kv_key_cipher_in in = { .target = create.target,
                            .algorithm = ciphers[row].algorithm,
                            .data = kv_slice_of(plain, ciphers[row].plain),
                            .aad = gcm ? KV_SLICE("with it") : KV_SLICE_NONE };
    kv_key_cipher_in back;
    kv_key_ciphered out, again;
    kv_key_bundle key;
    kv_error err;

    memset(plain, 'p', sizeof(plain));
    create.key_size = ciphers[row].size;
    assert_kv_ok(HOUSE_DO(h, kv_key_create, &create, &key));
    if (ciphers[row].weak) {
        assert_kv_fails(KV_BAD_REQUEST, run_cipher(h, ciphers[row].wraps, false, &in, &out, &err));
        assert_string_equal(err.field, "algorithm");
        allow_weak(h, true);
    }
    assert_kv_ok(run_cipher(h, ciphers[row].wraps, false, &in, &out, &err));
    assert_int_equal(out.tag.len, gcm ? 16 : 0);
    back = back_of(&in, &out);
    assert_kv_ok(run_cipher(h, ciphers[row].wraps, true, &back, &again, &err));
    assert_slice_equal(in.data, again.data);
    refuses_changes(h, row, &back);
    if (ciphers[row].weak)
        allow_weak(h, false);
    if (ciphers[row].weak)
        assert_kv_fails(KV_BAD_REQUEST,
                        run_cipher(h, ciphers[row].wraps, true, &back, &again, &err));
}

static void what_is_encrypted_comes_back(void **state)
{
    house *h = *state;

    for (size_t row = 0; row < KV_COUNT(ciphers); row++)
        there_and_back(h, row);
    house_assert_tidy(h);
}

/* Tookan: the use that a key was not made for is refused, before and after anything that is said
 * about its operations. */
static void keys_do_nothing_else(void **state)
{
    static const kv_key_ops made[] = { SIGNING, ENCRYPTING, WRAPPING };
    static const char *const signing[] = { "RS256", "HS256" };
    house *h = *state;

    for (size_t i = 0; i < 2 * KV_COUNT(made); i++) {
        bool rsa = i >= KV_COUNT(made);
        kv_key_ops ops = made[i % KV_COUNT(made)];
        kv_key_create_in create = key_in("k", rsa ? KV_KEY_TYPE_RSA : KV_KEY_TYPE_OCT, ops);
        kv_key_sign_in sign = { .target = create.target,
                                .algorithm = signing[rsa ? 0 : 1],
                                .data = KV_SLICE("m") };
        kv_key_bundle key;
        kv_signature signature;
        kv_error err;

        assert_kv_ok(HOUSE_DO(h, kv_key_create, &create, &key));
        for (size_t row = 0; row < KV_COUNT(ciphers); row++) {
            kv_key_cipher_in in = { .target = create.target,
                                    .algorithm = ciphers[row].algorithm,
                                    .data = KV_SLICE("0123456789abcdef") };
            bool may = ops == (ciphers[row].wraps ? WRAPPING : ENCRYPTING);
            kv_key_ciphered out;
            kv_status status;

            if (may)
                continue;
            status = run_cipher(h, ciphers[row].wraps, false, &in, &out, &err);
            assert_int_equal(status, KV_PRECONDITION);
            assert_int_equal(err.reason, KV_REASON_OPERATION_NOT_PERMITTED);
            status = run_cipher(h, ciphers[row].wraps, true, &in, &out, &err);
            assert_int_equal(status, KV_PRECONDITION);
        }
        if (ops != SIGNING)
            assert_kv_fails(KV_PRECONDITION, HOUSE_DO(h, kv_key_sign, &sign, &signature));
    }
}

/* Reading goes on when a key has expired, writing does not. */
static void dates_stop_only_writing(void **state)
{
    house *h = *state;
    kv_key_create_in create = key_in("k", KV_KEY_TYPE_OCT, ENCRYPTING);
    kv_key_cipher_in in = { .target = create.target,
                            .algorithm = "A256GCM",
                            .data = KV_SLICE("a word") };
    kv_key_update_in update = { .target = create.target,
                                .attributes = { .has_enabled = true, .enabled = false } };
    kv_key_cipher_in back;
    kv_key_ciphered out, again;
    kv_key_bundle key;
    kv_error err;

    create.attributes.has_expires = true;
    create.attributes.expires = HOUSE_NOW_MS + 1000;
    assert_kv_ok(HOUSE_DO(h, kv_key_create, &create, &key));
    assert_kv_ok(HOUSE_DO(h, kv_key_encrypt, &in, &out));
    back = back_of(&in, &out);
    h->now_ms += 2000;
    assert_kv_fails(KV_PRECONDITION, HOUSE_DO(h, kv_key_encrypt, &in, &again));
    assert_int_equal(err.reason, KV_REASON_EXPIRED);
    assert_kv_ok(HOUSE_DO(h, kv_key_decrypt, &back, &again));
    assert_kv_ok(HOUSE_DO(h, kv_key_update, &update, &key));
    assert_kv_fails(KV_PRECONDITION, HOUSE_DO(h, kv_key_decrypt, &back, &again));
    assert_int_equal(err.reason, KV_REASON_DISABLED);
}

int main(void)
{
#define BOTH(test)                                              \
    cmocka_unit_test_setup_teardown(test, act_start, act_stop), \
        cmocka_unit_test_setup_teardown(test, act_start_softhsm, act_stop)
    const struct CMUnitTest tests[] = {
        BOTH(every_type_signs_in_its_own_way),
        cmocka_unit_test_setup_teardown(a_message_for_eddsa_and_hmac_has_a_bound, act_start,
                                        act_stop),
        BOTH(a_key_has_one_use),
        cmocka_unit_test_setup_teardown(the_use_never_changes, act_start, act_stop),
        BOTH(what_is_encrypted_comes_back),
        cmocka_unit_test_setup_teardown(keys_do_nothing_else, act_start, act_stop),
        cmocka_unit_test_setup_teardown(dates_stop_only_writing, act_start, act_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
