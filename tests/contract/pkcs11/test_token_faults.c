/* test_token_faults.c - every call of Cryptoki can fail, hang or lie, and nothing is left behind.
 */
#include <pthread.h>
#include <unistd.h>

#include <openssl/x509.h>

#include "pkcs11/public_key.h"
#include "pkcs11/rv.h"
#include "pkcs11/token_anchor.h"
#include "pkcs11/token_cipher.h"
#include "pkcs11/token_import.h"
#include "pkcs11/token_sign.h"
#include "pkcs11/token_wrap.h"
#include "tests/contract/pkcs11/bench.h"

enum { MOST_CALLS = 400, QUIET_PROBE_MS = 600000 };

/* A bench whose supervisor stays asleep unless it is called, so that calls can be counted. */
static int open_quiet(void **state)
{
    bench *b = bench_new(false);

    b->configs[0].probe_ms = b->configs[1].probe_ms = QUIET_PROBE_MS;
    bench_open(b);
    *state = b;
    return 0;
}

static const CK_RV faults[] = { CKR_DEVICE_ERROR,          CKR_SESSION_HANDLE_INVALID,
                                CKR_OBJECT_HANDLE_INVALID, CKR_GENERAL_ERROR,
                                CKR_USER_NOT_LOGGED_IN,    CKR_FUNCTION_REJECTED };

/* Everything a key can live through. */
static kv_status life_of_a_key(bench *b, uint8_t number, kv_error *err)
{
    const kv_mechanism *alg = kv_mechanism_find(KV_SLICE("ES256"));
    kv_key_spec spec = {
        .class = KV_CLASS_SIGN, .kind = KV_KEY_P256, .id = { 0xfa, number }, .exportable = true
    };
    KV_AUTO(kv_secret_buf) pkcs8 = KV_SECRET_NONE;
    uint8_t digest[32] = { 3 }, signature[KV_SIGNATURE_MAX];
    size_t len = sizeof(signature);
    kv_key_born born;
    kv_key_ref ref = { .class = KV_CLASS_SIGN };

    memcpy(ref.id, spec.id, sizeof(ref.id));
    KV_TRY(kv_token_key_generate(b->token, &spec, &b->arena, &born, err));
    ref.spki = born.spki;
    KV_TRY(kv_token_sign(b->token, &ref, alg, kv_slice_of(digest, sizeof(digest)), signature, &len,
                         err));
    KV_TRY(kv_token_key_export(b->token, &ref, &pkcs8, err));
    KV_TRY(kv_token_key_seal_export(b->token, spec.id, err));
    len = sizeof(signature);
    KV_TRY(kv_token_sign(b->token, &ref, alg, kv_slice_of(digest, sizeof(digest)), signature, &len,
                         err));
    return kv_token_key_destroy(b->token, spec.id, err);
}

static kv_status life_of_a_secret(bench *b, uint8_t number, kv_error *err)
{
    kv_key_spec spec = { .class = KV_CLASS_SECRET, .kind = KV_KEY_AES_256, .id = { 0xfb, number } };
    kv_key_ref ref = { .class = KV_CLASS_SECRET };
    KV_AUTO(kv_secret_buf) back = KV_SECRET_NONE;
    kv_key_born born;
    kv_slice sealed;

    memcpy(ref.id, spec.id, sizeof(ref.id));
    KV_TRY(kv_token_key_generate(b->token, &spec, &b->arena, &born, err));
    KV_TRY(kv_token_encrypt(b->token, &ref, KV_SLICE("x"), KV_SLICE_NONE, &b->arena, &sealed, err));
    KV_TRY(kv_token_decrypt(b->token, &ref, sealed, KV_SLICE_NONE, &back, err));
    KV_TRY(kv_token_anchor_write(b->token, KV_SLICE("a"), KV_SLICE("b"), err));
    return kv_token_key_destroy(b->token, spec.id, err);
}

/* A fresh EC key from OpenSSL as PKCS#8. */
static void make_pkcs8(kv_secret_buf *out)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    unsigned char *der = NULL;
    int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    kv_error err = { 0 };

    assert_kv_ok(kv_secret_buf_copy(kv_slice_of(der, (size_t)len), out, &err));
    OPENSSL_clear_free(der, (size_t)len);
    PKCS8_PRIV_KEY_INFO_free(info);
    EVP_PKEY_free(key);
}

static kv_status life_of_an_import(bench *b, uint8_t number, kv_error *err)
{
    kv_key_spec spec = { .class = KV_CLASS_SIGN, .kind = KV_KEY_P256, .id = { 0xfd, number } };
    KV_AUTO(kv_secret_buf) pkcs8 = KV_SECRET_NONE;
    kv_key_born born;

    make_pkcs8(&pkcs8);
    KV_TRY(kv_token_key_import(b->token, &spec, &pkcs8, KV_SLICE_NONE, &b->arena, &born, err));
    return kv_token_key_destroy(b->token, spec.id, err);
}

static kv_status life_of_a_wrapping_key(bench *b, uint8_t number, kv_error *err)
{
    kv_key_spec spec = { .class = KV_CLASS_WRAP, .kind = KV_KEY_AES_128, .id = { 0xfe, number } };
    const kv_encryption *alg = kv_encryption_find(KV_SLICE("A128KW"));
    kv_key_ref ref = { .class = KV_CLASS_WRAP };
    KV_AUTO(kv_secret_buf) back = KV_SECRET_NONE;
    kv_key_born born;
    kv_slice wrapped;

    memcpy(ref.id, spec.id, sizeof(ref.id));
    KV_TRY(kv_token_key_generate(b->token, &spec, &b->arena, &born, err));
    KV_TRY(
        kv_token_wrap(b->token, &ref, alg, KV_SLICE("sixteen bytes .."), &b->arena, &wrapped, err));
    KV_TRY(kv_token_unwrap(b->token, &ref, alg, wrapped, &back, err));
    return kv_token_key_destroy(b->token, spec.id, err);
}

static void clean_up_after(bench *b, uint8_t first, uint8_t number)
{
    uint8_t id[KV_KEY_ID_BYTES] = { first, number };
    kv_error err = { 0 };

    /* The supervisor may be bringing the token back just now. */
    bench_wait(b->token, KV_TOKEN_UP);
    assert_kv_ok(kv_token_key_destroy(b->token, id, &err));
    /* A fault between create and destroy leaves two anchors until the next write. */
    if (first == 0xfb)
        assert_kv_ok(kv_token_anchor_write(b->token, KV_SLICE("a"), KV_SLICE("b"), &err));
}

/* Fails the n-th call, for each n and each fault, until a whole life passes without it. */
static void fail_each_call(bench *b, uint8_t first, kv_status (*life)(bench *, uint8_t, kv_error *))
{
    kv_error err = { 0 };
    unsigned baseline, n;

    assert_kv_ok(life(b, 0, &err));
    baseline = kv_fake_seen().token_objects;
    for (size_t f = 0; f < KV_COUNT(faults); f++) {
        for (n = 1; n < MOST_CALLS; n++) {
            kv_status status;

            kv_fake_fail_call(n, faults[f]);
            status = life(b, (uint8_t)n, &err);
            if (status != KV_OK)
                assert_true(err.message[0] != '\0' && err.status == status);
            if (!kv_fake_failed())
                break;
            kv_fake_fail_call(0, CKR_OK);
            clean_up_after(b, first, (uint8_t)n);
            assert_int_equal(kv_fake_seen().token_objects, baseline);
            /* Guard, owner and this thread's of one token; guard and owner of the other; the
             * supervisor's of both. */
            assert_true(kv_fake_seen().sessions_now <= 7);
        }
        assert_true(n > 10 && n < MOST_CALLS);
        kv_fake_fail_call(0, CKR_OK);
    }
}

static void every_call_in_a_keys_life_may_fail(void **state)
{
    fail_each_call(*state, 0xfa, life_of_a_key);
}

static void every_call_in_a_secrets_life_may_fail(void **state)
{
    fail_each_call(*state, 0xfb, life_of_a_secret);
}

static void every_call_of_an_import_may_fail(void **state)
{
    fail_each_call(*state, 0xfd, life_of_an_import);
}

static void every_call_of_wrapping_may_fail(void **state)
{
    fail_each_call(*state, 0xfe, life_of_a_wrapping_key);
}

static void every_call_of_opening_may_fail(void **state)
{
    bench *b = *state;
    kv_error err = { 0 };
    unsigned n;

    bench_shut(b);
    for (n = 1; n < MOST_CALLS; n++) {
        kv_tokens *tokens = NULL;
        kv_status status;

        kv_fake_fail_call(n, CKR_DEVICE_ERROR);
        status = kv_tokens_open(b->configs, 2, NULL, &tokens, &err);
        if (!kv_fake_failed())
            assert_int_equal(status, KV_OK);
        kv_tokens_close(tokens);
        if (!kv_fake_failed())
            break;
        assert_int_equal(kv_fake_seen().sessions_now, 0);
        assert_int_equal(kv_fake_seen().session_objects, 0);
    }
    assert_true(n > 10 && n < MOST_CALLS);
    kv_fake_fail_call(0, CKR_OK);
    bench_open(b);
}

static void a_birth_leaves_one_object_or_none(void **state)
{
    bench *b = *state;
    kv_key_spec spec = { .class = KV_CLASS_SIGN, .kind = KV_KEY_P256, .id = { 0xfc } };
    kv_fake_counts before = kv_fake_seen(), after;
    kv_key_born born;
    kv_error err = { 0 };
    unsigned n;

    for (n = 1; n < MOST_CALLS; n++) {
        kv_status status;

        /* The caller's kind of error: nobody reinitialises, so nothing hides what is left. */
        kv_fake_fail_call(n, CKR_TEMPLATE_INCONSISTENT);
        status = kv_token_key_generate(b->token, &spec, &b->arena, &born, &err);
        after = kv_fake_seen();
        assert_int_equal(after.session_objects, before.session_objects);
        /* Failing to destroy the session original, last of all, does no harm. */
        assert_int_equal(after.token_objects, before.token_objects + (status == KV_OK));
        if (status == KV_OK)
            break;
    }
    assert_true(n > 10 && n < MOST_CALLS);
    kv_fake_fail_call(0, CKR_OK);
    assert_kv_ok(kv_token_key_destroy(b->token, spec.id, &err));
}

/* A token that does not answer is not one that made another key. */
static void a_birth_blames_nobody_for_what_it_could_not_read(void **state)
{
    bench *b = *state;
    kv_key_spec spec = { .class = KV_CLASS_SIGN, .kind = KV_KEY_P256, .id = { 0xfb } };
    kv_key_born born;
    kv_status status = KV_UNAVAILABLE;
    unsigned n;

    for (n = 1; n < MOST_CALLS && status != KV_OK; n++) {
        kv_error err = { 0 };
        bool failed;

        kv_fake_fail_call(n, CKR_FUNCTION_FAILED);
        status = kv_token_key_generate(b->token, &spec, &b->arena, &born, &err);
        assert_int_not_equal(status, KV_INTERNAL);
        failed = kv_fake_failed();
        kv_fake_fail_call(0, CKR_OK);
        bench_wait(b->token, KV_TOKEN_UP);
        if (status == KV_OK && failed) {
            assert_kv_ok(kv_token_key_destroy(b->token, spec.id, &err));
            status = KV_UNAVAILABLE;
        }
    }
    assert_true(n > 10 && n < MOST_CALLS);
}

static void a_key_that_can_be_exported_has_no_session_copy(void **state)
{
    bench *b = *state;
    unsigned before = kv_fake_seen().session_objects;
    bench_key key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, true);
    kv_error err = { 0 };

    bench_use(b, &key);
    assert_int_equal(kv_fake_seen().session_objects, before);
    assert_kv_ok(kv_token_key_seal_export(b->token, key.spec.id, &err));
    bench_use(b, &key);
    assert_int_equal(kv_fake_seen().session_objects, before + 1);
    assert_kv_ok(kv_token_key_destroy(b->token, key.spec.id, &err));
    assert_int_equal(kv_fake_seen().session_objects, before);
}

/* What is used instead of the key goes with it, also when it does not go at first. */
static void a_destroyed_key_leaves_no_copy(void **state)
{
    bench *b = *state;
    unsigned before = kv_fake_seen().session_objects;
    bench_key key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    kv_key_gone gone;
    kv_error err = { 0 };

    bench_use(b, &key);
    assert_int_equal(kv_fake_seen().session_objects, before + 1);
    kv_fake_fail("C_DestroyObject", CKR_FUNCTION_FAILED, 1);
    assert_kv_ok(kv_token_key_destroy_told(b->token, key.spec.id, &gone, &err));
    assert_true(kv_fake_failed());
    assert_int_equal(kv_fake_seen().session_objects, before);
    assert_int_equal(gone.private_keys, 1);
    assert_int_equal(gone.copies, 1);
    assert_int_equal(gone.secret_keys + gone.public_keys + gone.others, 0);
    assert_string_equal(gone.label, kv_token_label(b->token));
    assert_kv_ok(kv_token_key_destroy_told(b->token, key.spec.id, &gone, &err));
    assert_int_equal(gone.private_keys + gone.copies, 0);
}

/* Whatever a code means, one failure of the signing calls never wedges the thread's session. */
static void the_session_is_good_again_after_any_code(void **state)
{
    static const char *const functions[] = { "C_SignInit", "C_Sign" };
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    const kv_mechanism *alg = kv_mechanism_find(KV_SLICE("ES256"));
    uint8_t digest[32] = { 3 }, signature[KV_SIGNATURE_MAX];
    const kv_rv_row *row;
    kv_error err = { 0 };

    bench_use(b, &key);
    for (size_t i = 1; (row = kv_rv_at(i)); i++) {
        for (size_t f = 0; f < KV_COUNT(functions); f++) {
            size_t len = sizeof(signature);
            kv_status status;

            kv_fake_fail(functions[f], row->rv, 1);
            status = kv_token_sign(b->token, &key.ref, alg, kv_slice_of(digest, sizeof(digest)),
                                   signature, &len, &err);
            assert_true(kv_fake_failed());
            /* A new session or a fresh handle is tried at once. */
            if (row->class == KV_RV_NEW_SESSION || row->class == KV_RV_BAD_KEY)
                assert_int_equal(status, KV_OK);
            else
                assert_int_not_equal(status, KV_OK);
            bench_wait(b->token, KV_TOKEN_UP);
            bench_use(b, &key);
        }
    }
}

static void a_token_that_is_gone_is_down_and_comes_back(void **state)
{
    bench *b = *state;
    bench_key key;
    kv_error err = { 0 };

    bench_shut(b);
    b->configs[0].probe_ms = b->configs[1].probe_ms = 20;
    bench_open(b);
    key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    bench_use(b, &key);
    kv_fake_gone(true);
    bench_wait(b->token, KV_TOKEN_DOWN);
    assert_kv_fails(KV_UNAVAILABLE, kv_token_key_check(b->token, &key.ref, &err));
    assert_int_equal(err.reason, KV_REASON_TOKEN_UNAVAILABLE);
    kv_fake_gone(false);
    bench_wait(b->token, KV_TOKEN_UP);
    bench_use(b, &key);
}

static void a_wedged_token_does_not_say_that_keys_are_gone(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    kv_error err = { 0 };

    kv_fake_gone(true);
    assert_kv_fails(KV_UNAVAILABLE, kv_token_key_destroy(b->token, key.spec.id, &err));
    kv_fake_gone(false);
    bench_wait(b->token, KV_TOKEN_UP);
    bench_use(b, &key);
}

typedef struct signing_thread {
    bench *b;
    const bench_key *key;
    kv_status status;
} signing_thread;

static void *sign_once(void *context)
{
    signing_thread *t = context;
    uint8_t digest[32] = { 3 }, signature[KV_SIGNATURE_MAX];
    size_t len = sizeof(signature);
    kv_error err = { 0 };

    t->status = kv_token_sign(t->b->token, &t->key->ref, kv_mechanism_find(KV_SLICE("ES256")),
                              kv_slice_of(digest, sizeof(digest)), signature, &len, &err);
    return NULL;
}

static void a_hanging_call_blocks_recovery_but_nobody_else(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    signing_thread hung = { .b = b, .key = &key };
    uint8_t random[16];
    pthread_t thread;
    kv_error err = { 0 };

    bench_use(b, &key);
    kv_fake_hang("C_Sign");
    assert_int_equal(pthread_create(&thread, NULL, sign_once, &hung), 0);
    while (!kv_fake_seen().hung)
        (void)usleep(1000);
    assert_kv_fails(KV_TIMEOUT, kv_token_recover(b->token, 50, &err));
    assert_kv_ok(kv_token_random(b->token, random, sizeof(random), &err));
    kv_fake_hang(NULL);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(hung.status, KV_OK);
    assert_kv_ok(kv_token_recover(b->token, 20000, &err));
    bench_use(b, &key);
}

/* Nobody waits for a call that does not come back, and no restart is needed when it does. */
static void a_token_with_a_call_that_does_not_come_back_is_down(void **state)
{
    bench *b = *state;
    uint8_t random[16];
    signing_thread hung;
    bench_key key;
    pthread_t thread;
    kv_error err = { 0 };

    bench_shut(b);
    b->configs[0].probe_ms = b->configs[1].probe_ms = 20;
    b->configs[0].hang_ms = b->configs[1].hang_ms = 2000;
    bench_open(b);
    key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    hung = (signing_thread){ .b = b, .key = &key };
    kv_fake_hang("C_Sign");
    assert_int_equal(pthread_create(&thread, NULL, sign_once, &hung), 0);
    bench_wait(b->token, KV_TOKEN_DOWN);
    assert_kv_fails(KV_UNAVAILABLE, kv_token_random(b->token, random, sizeof(random), &err));
    assert_int_equal(err.reason, KV_REASON_TOKEN_UNAVAILABLE);
    (void)usleep(300000);
    assert_int_equal(kv_token_state_of(b->token), KV_TOKEN_DOWN);
    kv_fake_hang(NULL);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(hung.status, KV_OK);
    bench_wait(b->token, KV_TOKEN_UP);
    bench_use(b, &key);
}

/* The probe does not sign with that key: only the failures show that something is wrong. */
static void operations_that_keep_failing_reinitialise_the_module_once(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    unsigned before = kv_fake_seen().initialised;
    signing_thread signing = { .b = b, .key = &key };

    for (unsigned i = 0; i < 400 && kv_fake_seen().initialised == before; i++) {
        kv_fake_fail("C_SignInit", CKR_DEVICE_ERROR, 1);
        (void)sign_once(&signing);
        (void)usleep(5000);
    }
    assert_int_equal(kv_fake_seen().initialised, before + 1);
    bench_wait(b->token, KV_TOKEN_UP);
    /* More of the same does not do it again, for a while. */
    for (unsigned i = 0; i < 50; i++) {
        kv_fake_fail("C_SignInit", CKR_DEVICE_ERROR, 1);
        (void)sign_once(&signing);
        (void)usleep(2000);
    }
    kv_fake_fail("C_SignInit", CKR_OK, 0);
    bench_wait(b->token, KV_TOKEN_UP);
    assert_int_equal(kv_fake_seen().initialised, before + 1);
    bench_use(b, &key);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_quiet, bench_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_call_in_a_keys_life_may_fail),
        TEST(every_call_in_a_secrets_life_may_fail),
        TEST(every_call_of_an_import_may_fail),
        TEST(every_call_of_wrapping_may_fail),
        TEST(every_call_of_opening_may_fail),
        TEST(a_birth_leaves_one_object_or_none),
        TEST(a_birth_blames_nobody_for_what_it_could_not_read),
        TEST(a_key_that_can_be_exported_has_no_session_copy),
        TEST(a_destroyed_key_leaves_no_copy),
        TEST(the_session_is_good_again_after_any_code),
        TEST(a_token_that_is_gone_is_down_and_comes_back),
        TEST(a_wedged_token_does_not_say_that_keys_are_gone),
        TEST(a_hanging_call_blocks_recovery_but_nobody_else),
        TEST(a_token_with_a_call_that_does_not_come_back_is_down),
        TEST(operations_that_keep_failing_reinitialise_the_module_once),
    };

    return cmocka_run_group_tests_name("token_faults", tests, NULL, NULL);
}
