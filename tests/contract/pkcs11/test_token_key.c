/* test_token_key.c - keys are what they were asked to be, and leave only by the one door. */
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "pkcs11/public_key.h"
#include "pkcs11/token_sign.h"
#include "server/base/text.h"
#include "tests/contract/pkcs11/bench.h"

/* Verifies with nothing of ours: OpenSSL's high-level interface over the message. */
static void verify_with_openssl(kv_slice spki, const kv_mechanism *alg, kv_slice signature)
{
    const unsigned char *at = spki.data;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki.len);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options = NULL;
    uint8_t der[KV_EC_DER_MAX];
    size_t der_len = sizeof(der);
    kv_error err = { 0 };

    if (alg->family == KV_FAMILY_EC) {
        assert_kv_ok(kv_ecdsa_to_der(signature, der, &der_len, &err));
        signature = kv_slice_of(der, der_len);
    }
    assert_true(EVP_DigestVerifyInit_ex(ctx, alg->digest_len ? &options : NULL, alg->digest_name,
                                        NULL, NULL, key, NULL));
    if (alg->padding == KV_PADDING_PSS) {
        assert_true(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) > 0);
        assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) > 0);
    }
    assert_int_equal(
        EVP_DigestVerify(ctx, signature.data, signature.len, (const unsigned char *)"abc", 3), 1);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
}

static void every_algorithm_signs_and_openssl_verifies(void **state)
{
    bench *b = *state;
    unsigned tried[KV_MECHANISM_COUNT] = { 0 };
    uint8_t digest[KV_DIGEST_MAX], signature[KV_SIGNATURE_MAX];
    const kv_mechanism *alg;
    kv_error err = { 0 };

    for (unsigned kind = KV_KEY_RSA_2048; kind <= KV_KEY_ED25519; kind++) {
        bench_key key = bench_bear(b, KV_CLASS_SIGN, (kv_key_kind)kind, false);

        for (size_t i = 0; (alg = kv_mechanism_at(i)); i++) {
            size_t len = sizeof(signature);

            if (!kv_mechanism_fits(alg, key.spec.kind))
                continue;
            assert_kv_ok(kv_token_sign(b->token, &key.ref, alg, bench_signed(alg, digest),
                                       signature, &len, &err));
            verify_with_openssl(key.born.spki, alg, kv_slice_of(signature, len));
            tried[i]++;
        }
        assert_kv_ok(kv_token_key_destroy(b->token, key.spec.id, &err));
    }
    for (size_t i = 0; i < KV_MECHANISM_COUNT; i++)
        assert_true(tried[i] > 0);
}

static void a_new_key_is_local_and_never_extractable(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);

    assert_true(key.born.local);
    assert_true(key.born.sensitive);
    assert_true(key.born.always_sensitive);
    assert_true(key.born.never_extractable);
    assert_false(key.born.extractable);
}

static void a_key_that_was_not_asked_to_be_exportable_has_no_way_out(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    KV_AUTO(kv_secret_buf) pkcs8 = KV_SECRET_NONE;
    kv_error err = { 0 };

    assert_kv_fails(KV_PRECONDITION, kv_token_key_export(b->token, &key.ref, &pkcs8, &err));
    assert_int_equal(err.reason, KV_REASON_NOT_EXPORTABLE);
    assert_null(pkcs8.data);
}

static void check_exported(kv_key_kind kind, kv_slice spki, const kv_secret_buf *pkcs8)
{
    const unsigned char *at = pkcs8->data;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)pkcs8->len);
    EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);

    assert_non_null(key);
    /* Nothing follows the structure. */
    assert_ptr_equal(at, pkcs8->data + pkcs8->len);
    assert_int_equal(EVP_PKEY_get_bits(key), kv_key_kind_of(kind)->bits);
    assert_slice_equal(spki, kv_slice_of(der, (size_t)len));
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    PKCS8_PRIV_KEY_INFO_free(info);
}

static void an_exportable_key_comes_out_until_it_is_sealed(void **state)
{
    static const kv_key_kind kinds[] = { KV_KEY_RSA_2048, KV_KEY_P256, KV_KEY_P384, KV_KEY_P521 };
    bench *b = *state;
    kv_error err = { 0 };

    for (size_t i = 0; i < KV_COUNT(kinds); i++) {
        bench_key key = bench_bear(b, KV_CLASS_SIGN, kinds[i], true);
        KV_AUTO(kv_secret_buf) first = KV_SECRET_NONE;
        KV_AUTO(kv_secret_buf) second = KV_SECRET_NONE;
        KV_AUTO(kv_secret_buf) third = KV_SECRET_NONE;

        assert_true(key.born.extractable);
        bench_use(b, &key);
        assert_kv_ok(kv_token_key_export(b->token, &key.ref, &first, &err));
        check_exported(kinds[i], key.born.spki, &first);
        assert_kv_ok(kv_token_key_export(b->token, &key.ref, &second, &err));
        assert_kv_ok(kv_token_key_seal_export(b->token, key.spec.id, &err));
        assert_kv_fails(KV_PRECONDITION, kv_token_key_export(b->token, &key.ref, &third, &err));
        assert_int_equal(err.reason, KV_REASON_NOT_EXPORTABLE);
        assert_kv_ok(kv_token_key_seal_export(b->token, key.spec.id, &err));
        bench_use(b, &key);
    }
}

static void the_key_with_the_wrong_public_half_is_refused(void **state)
{
    bench *b = *state;
    bench_key one = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    bench_key other = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    bench_key rsa = bench_bear(b, KV_CLASS_SIGN, KV_KEY_RSA_2048, false);
    kv_error err = { 0 };

    one.ref.spki = other.born.spki;
    assert_kv_fails(KV_INTERNAL, kv_token_key_check(b->token, &one.ref, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    one.ref.spki = rsa.born.spki;
    assert_kv_fails(KV_INTERNAL, kv_token_key_check(b->token, &one.ref, &err));
    one.ref.spki = KV_SLICE_NONE;
    assert_kv_fails(KV_BAD_REQUEST, kv_token_key_check(b->token, &one.ref, &err));
    one.ref.spki = one.born.spki;
    assert_kv_ok(kv_token_key_check(b->token, &one.ref, &err));
    /* Also after it has proved itself. */
    one.ref.spki = other.born.spki;
    assert_kv_fails(KV_INTERNAL, kv_token_key_check(b->token, &one.ref, &err));
}

static void a_key_of_another_class_is_refused(void **state)
{
    bench *b = *state;
    bench_key mac = bench_bear(b, KV_CLASS_MAC, KV_KEY_HMAC_256, false);
    bench_key pair = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P384, false);
    kv_error err = { 0 };

    mac.ref.class = KV_CLASS_SECRET;
    assert_kv_fails(KV_INTERNAL, kv_token_key_check(b->token, &mac.ref, &err));
    pair.ref.class = KV_CLASS_SECRET;
    assert_kv_fails(KV_INTERNAL, kv_token_key_check(b->token, &pair.ref, &err));
    pair.ref.class = KV_CLASS_SEAL;
    assert_kv_fails(KV_INTERNAL, kv_token_key_check(b->token, &pair.ref, &err));
}

static void a_destroyed_key_is_gone_and_may_be_destroyed_again(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    uint8_t digest[32] = { 1 }, signature[KV_SIGNATURE_MAX];
    size_t len = sizeof(signature);
    kv_error err = { 0 };

    bench_use(b, &key);
    assert_kv_ok(kv_token_key_destroy(b->token, key.spec.id, &err));
    assert_kv_ok(kv_token_key_destroy(b->token, key.spec.id, &err));
    assert_kv_fails(KV_NOT_FOUND,
                    kv_token_sign(b->token, &key.ref, kv_mechanism_find(KV_SLICE("ES256")),
                                  kv_slice_of(digest, sizeof(digest)), signature, &len, &err));
    assert_int_equal(kv_token_state_of(b->token), KV_TOKEN_UP);
}

static void an_id_is_used_once(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    kv_key_born again;
    kv_error err = { 0 };

    assert_kv_fails(KV_EXISTS, kv_token_key_generate(b->token, &key.spec, &b->arena, &again, &err));
    bench_use(b, &key);
}

static void what_does_not_fit_is_refused(void **state)
{
    static const kv_key_spec bad[] = {
        { .class = KV_CLASS_SIGN, .kind = KV_KEY_AES_256 },
        { .class = KV_CLASS_SECRET, .kind = KV_KEY_P256 },
        { .class = KV_CLASS_SEAL, .kind = KV_KEY_P384 },
        { .class = KV_CLASS_SIGN, .kind = KV_KEY_NONE },
        { .class = KV_CLASS_NONE, .kind = KV_KEY_P256 },
        { .class = KV_CLASS_SEAL, .kind = KV_KEY_P256, .exportable = true },
        { .class = KV_CLASS_SECRET, .kind = KV_KEY_AES_256, .exportable = true },
    };
    bench *b = *state;
    kv_key_born born;
    kv_error err = { 0 };

    for (size_t i = 0; i < KV_COUNT(bad); i++)
        assert_kv_fails(KV_BAD_REQUEST,
                        kv_token_key_generate(b->token, &bad[i], &b->arena, &born, &err));
}

static void signing_checks_digest_and_algorithm(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    uint8_t digest[64] = { 1 }, signature[KV_SIGNATURE_MAX];
    size_t len = sizeof(signature);
    kv_error err = { 0 };

    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_sign(b->token, &key.ref, kv_mechanism_find(KV_SLICE("ES256")),
                                  kv_slice_of(digest, 31), signature, &len, &err));
    assert_string_equal(err.field, "digest");
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_sign(b->token, &key.ref, kv_mechanism_find(KV_SLICE("ES384")),
                                  kv_slice_of(digest, 48), signature, &len, &err));
    assert_string_equal(err.field, "alg");
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_sign(b->token, &key.ref, kv_mechanism_find(KV_SLICE("RS256")),
                                  kv_slice_of(digest, 32), signature, &len, &err));
}

static void what_the_token_can_do_is_known(void **state)
{
    bench *b = *state;
    kv_error err = { 0 };

    for (unsigned kind = KV_KEY_RSA_2048; kind <= KV_KEY_ED25519; kind++)
        assert_kv_ok(kv_token_key_can(b->token, KV_CLASS_SIGN, (kv_key_kind)kind, &err));
    for (unsigned kind = KV_KEY_AES_128; kind <= KV_KEY_AES_256; kind++) {
        assert_kv_ok(kv_token_key_can(b->token, KV_CLASS_CIPHER, (kv_key_kind)kind, &err));
        assert_kv_ok(kv_token_key_can(b->token, KV_CLASS_WRAP, (kv_key_kind)kind, &err));
    }
    assert_kv_ok(kv_token_key_can(b->token, KV_CLASS_EXCHANGE, KV_KEY_RSA_4096, &err));
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_key_can(b->token, KV_CLASS_DECRYPT, KV_KEY_P256, &err));
}

static void what_the_token_lacks_is_named(void **state)
{
    static const struct {
        CK_MECHANISM_TYPE without;
        kv_key_class class;
        kv_key_kind kind;
    } rows[] = {
        { CKM_EC_EDWARDS_KEY_PAIR_GEN, KV_CLASS_SIGN, KV_KEY_ED25519 },
        { CKM_EDDSA, KV_CLASS_SIGN, KV_KEY_ED25519 },
        { CKM_AES_KEY_WRAP, KV_CLASS_WRAP, KV_KEY_AES_128 },
        { CKM_RSA_X_509, KV_CLASS_DECRYPT, KV_KEY_RSA_2048 },
        { CKM_SHA512_HMAC, KV_CLASS_MAC, KV_KEY_HMAC_512 },
    };
    bench *b = *state;
    kv_key_born born;
    kv_error err = { 0 };

    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_key_spec spec = { .class = rows[i].class, .kind = rows[i].kind };

        bench_shut(b);
        kv_fake_without(rows[i].without);
        bench_open(b);
        assert_kv_fails(KV_UNSUPPORTED, kv_token_key_can(b->token, spec.class, spec.kind, &err));
        assert_int_equal(err.reason, KV_REASON_NOT_SUPPORTED_BY_TOKEN);
        assert_kv_fails(KV_UNSUPPORTED,
                        kv_token_key_generate(b->token, &spec, &b->arena, &born, &err));
    }
    bench_shut(b);
    kv_fake_without(KV_FAKE_ALL);
    bench_open(b);
    /* A curve that the list does not speak of. */
    kv_fake_fail("C_GenerateKeyPair", CKR_CURVE_NOT_SUPPORTED, 1);
    assert_kv_fails(KV_UNSUPPORTED, kv_token_key_can(b->token, KV_CLASS_SIGN, KV_KEY_P256K, &err));
    assert_int_equal(err.reason, KV_REASON_NOT_SUPPORTED_BY_TOKEN);
}

/* r and s zero, as large as the order, exchanged, or of another length: not valid, no error. */
static void strange_signatures_are_just_not_valid(void **state)
{
    static const kv_key_kind kinds[] = { KV_KEY_P256, KV_KEY_P384, KV_KEY_P521, KV_KEY_P256K,
                                         KV_KEY_ED25519 };
    bench *b = *state;
    const kv_mechanism *alg;
    uint8_t digest[KV_DIGEST_MAX], good[KV_SIGNATURE_MAX], bad[KV_SIGNATURE_MAX + 1];
    kv_error err = { 0 };
    bool valid = true;

    for (size_t k = 0; k < KV_COUNT(kinds); k++) {
        bench_key key = bench_bear(b, KV_CLASS_SIGN, kinds[k], false);
        size_t i = 0, len = sizeof(good), half;
        kv_slice input;

        while (!kv_mechanism_fits(kv_mechanism_at(i), kinds[k]))
            i++;
        alg = kv_mechanism_at(i);
        input = bench_signed(alg, digest);
        half = alg->coordinate_len;
        assert_kv_ok(kv_token_sign(b->token, &key.ref, alg, input, good, &len, &err));
        for (int variant = 0; variant < 8; variant++) {
            size_t bad_len = len;

            memcpy(bad, good, len);
            bad[len] = 0;
            if (variant == 0 || variant == 2)
                memset(bad, 0, half);
            if (variant == 1 || variant == 2)
                memset(bad + half, 0, half);
            if (variant == 3)
                memset(bad, 0xff, half);
            if (variant == 4)
                memset(bad + half, 0xff, half);
            if (variant == 5) {
                memcpy(bad, good + half, half);
                memcpy(bad + half, good, half);
            }
            if (variant == 6)
                bad_len--;
            if (variant == 7)
                bad_len++;
            assert_kv_ok(kv_public_key_verify(key.born.spki, alg, input, kv_slice_of(bad, bad_len),
                                              &valid, &err));
            assert_false(valid);
        }
    }
}

typedef struct roll_call {
    kv_key_seen found;
    uint8_t id[KV_KEY_ID_BYTES];
    unsigned times;
} roll_call;

static kv_status look_for(void *context, const kv_key_seen *key, kv_error *err)
{
    roll_call *call = context;

    (void)err;
    if (!key->has_id || memcmp(key->id, call->id, sizeof(call->id)) != 0)
        return KV_OK;
    call->found = *key;
    call->times++;
    return KV_OK;
}

static void the_list_tells_what_keys_there_are(void **state)
{
    static const struct {
        kv_key_class class;
        kv_key_kind kind;
    } rows[] = {
        { KV_CLASS_SIGN, KV_KEY_RSA_2048 },    { KV_CLASS_SIGN, KV_KEY_P384 },
        { KV_CLASS_DECRYPT, KV_KEY_RSA_2048 }, { KV_CLASS_SECRET, KV_KEY_AES_256 },
        { KV_CLASS_MAC, KV_KEY_HMAC_256 },
    };
    bench *b = *state;
    kv_error err = { 0 };

    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        bench_key key = bench_bear(b, rows[i].class, rows[i].kind, false);
        roll_call call = { 0 };

        memcpy(call.id, key.spec.id, sizeof(call.id));
        assert_kv_ok(kv_token_key_check(b->token, &key.ref, &err));
        assert_kv_ok(kv_token_key_list(b->token, look_for, &call, &err));
        assert_int_equal(call.times, 1);
        assert_int_equal(call.found.class, rows[i].class);
        assert_int_equal(call.found.kind, rows[i].kind);
        assert_true(call.found.local && call.found.sensitive && call.found.never_extractable);
        assert_false(call.found.extractable);
        assert_string_equal(call.found.label, "a key of the bench");
    }
}

static void whole_keys_survive_the_sweep_for_halves(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    size_t destroyed = 99;
    kv_error err = { 0 };

    assert_kv_ok(kv_token_key_destroy_halves(b->token, &destroyed, &err));
    assert_int_equal(destroyed, 0);
    bench_use(b, &key);
}

static void keys_are_found_again_after_reopening(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);

    bench_shut(b);
    bench_open(b);
    bench_use(b, &key);
}

enum { MANY = 30, OTHERS = 20 /* calls of the supervisor's probes meanwhile */ };

static unsigned calls_of_a_start(bench *b)
{
    unsigned before = kv_fake_seen().calls;

    bench_shut(b);
    bench_open(b);
    return kv_fake_seen().calls - before;
}

static kv_status ignore(void *context, const kv_key_seen *key, kv_error *err)
{
    (void)context;
    (void)key;
    (void)err;
    return KV_OK;
}

static unsigned calls_of_a_list(bench *b)
{
    unsigned before = kv_fake_seen().calls;
    kv_error err = { 0 };

    assert_kv_ok(kv_token_key_list(b->token, ignore, NULL, &err));
    return kv_fake_seen().calls - before;
}

/* Each question opens and locks files on a software token, and crosses the network on others. */
static void a_start_asks_each_key_once_and_a_list_thrice(void **state)
{
    bench *b = *state;
    unsigned start, list;

    if (b->hsm)
        return;
    start = calls_of_a_start(b);
    list = calls_of_a_list(b);
    for (unsigned i = 0; i < MANY; i++)
        (void)bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    assert_in_range(calls_of_a_start(b), start + MANY - OTHERS, start + MANY + OTHERS);
    assert_in_range(calls_of_a_list(b), list, list + 3 * MANY + OTHERS);
}

#define TESTS                                                                                     \
    {                                                                                             \
        cmocka_unit_test(every_algorithm_signs_and_openssl_verifies),                             \
            cmocka_unit_test(a_new_key_is_local_and_never_extractable),                           \
            cmocka_unit_test(a_key_that_was_not_asked_to_be_exportable_has_no_way_out),           \
            cmocka_unit_test(an_exportable_key_comes_out_until_it_is_sealed),                     \
            cmocka_unit_test(the_key_with_the_wrong_public_half_is_refused),                      \
            cmocka_unit_test(a_key_of_another_class_is_refused),                                  \
            cmocka_unit_test(a_destroyed_key_is_gone_and_may_be_destroyed_again),                 \
            cmocka_unit_test(an_id_is_used_once), cmocka_unit_test(what_does_not_fit_is_refused), \
            cmocka_unit_test(signing_checks_digest_and_algorithm),                                \
            cmocka_unit_test(the_list_tells_what_keys_there_are),                                 \
            cmocka_unit_test(whole_keys_survive_the_sweep_for_halves),                            \
            cmocka_unit_test(keys_are_found_again_after_reopening),                               \
            cmocka_unit_test(a_start_asks_each_key_once_and_a_list_thrice),                       \
            cmocka_unit_test(what_the_token_can_do_is_known),                                     \
            cmocka_unit_test(strange_signatures_are_just_not_valid),                              \
    }

int main(void)
{
    const struct CMUnitTest tests[] = TESTS;

    /* Only the fake can be told to lack something. */
    const struct CMUnitTest lacking[] = { cmocka_unit_test(what_the_token_lacks_is_named) };

    return cmocka_run_group_tests_name("token_key on the fake", tests, bench_fake, bench_close) +
           cmocka_run_group_tests_name("token_key that lacks", lacking, bench_fake, bench_close) +
           cmocka_run_group_tests_name("token_key on SoftHSM", tests, bench_softhsm, bench_close);
}
