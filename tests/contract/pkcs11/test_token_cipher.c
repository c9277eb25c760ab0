/* test_token_cipher.c - GCM, HMAC, random bytes and anchors. */
#include <openssl/evp.h>

#include "pkcs11/token_anchor.h"
#include "pkcs11/token_cipher.h"
#include "tests/contract/pkcs11/bench.h"

static void what_was_encrypted_is_decrypted(void **state)
{
    static const size_t sizes[] = { 0, 1, 15, 16, 17, 4096, 100000 };
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_SECRET, KV_KEY_AES_256, false);
    static uint8_t plain[100000];
    kv_error err = { 0 };
    kv_slice sealed;

    memset(plain, 'x', sizeof(plain));
    for (size_t i = 0; i < KV_COUNT(sizes); i++) {
        KV_AUTO(kv_secret_buf) back = KV_SECRET_NONE;

        assert_kv_ok(kv_token_encrypt(b->token, &key.ref, kv_slice_of(plain, sizes[i]),
                                      KV_SLICE("where it belongs"), &b->arena, &sealed, &err));
        assert_int_equal(sealed.len, sizes[i] + KV_GCM_OVERHEAD);
        assert_kv_ok(kv_token_decrypt(b->token, &key.ref, sealed, KV_SLICE("where it belongs"),
                                      &back, &err));
        assert_slice_equal(kv_slice_of(plain, sizes[i]), kv_secret_buf_slice(&back));
    }
}

static void every_changed_byte_is_noticed_and_nobody_trips_the_breaker(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_SECRET, KV_KEY_AES_256, false);
    KV_AUTO(kv_secret_buf) back = KV_SECRET_NONE;
    uint8_t changed[64];
    char message[192];
    kv_error err = { 0 };
    kv_slice sealed;

    assert_kv_ok(kv_token_encrypt(b->token, &key.ref, KV_SLICE("a secret"), KV_SLICE("aad"),
                                  &b->arena, &sealed, &err));
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_decrypt(b->token, &key.ref, sealed, KV_SLICE("AAD"), &back, &err));
    memcpy(message, err.message, sizeof(message));
    for (size_t i = 0; i < sealed.len; i++) {
        memcpy(changed, sealed.data, sealed.len);
        changed[i] ^= 1;
        assert_kv_fails(KV_BAD_REQUEST,
                        kv_token_decrypt(b->token, &key.ref, kv_slice_of(changed, sealed.len),
                                         KV_SLICE("aad"), &back, &err));
        assert_string_equal(err.message, message);
        assert_null(back.data);
        assert_int_equal(kv_token_state_of(b->token), KV_TOKEN_UP);
    }
    for (size_t len = 0; len < sealed.len; len++)
        assert_kv_fails(KV_BAD_REQUEST,
                        kv_token_decrypt(b->token, &key.ref, kv_slice_of(sealed.data, len),
                                         KV_SLICE("aad"), &back, &err));
    assert_kv_ok(kv_token_decrypt(b->token, &key.ref, sealed, KV_SLICE("aad"), &back, &err));
}

static void another_key_does_not_decrypt(void **state)
{
    bench *b = *state;
    bench_key one = bench_bear(b, KV_CLASS_SECRET, KV_KEY_AES_256, false);
    bench_key other = bench_bear(b, KV_CLASS_SECRET, KV_KEY_AES_256, false);
    KV_AUTO(kv_secret_buf) back = KV_SECRET_NONE;
    kv_error err = { 0 };
    kv_slice sealed, again;

    assert_kv_ok(kv_token_encrypt(b->token, &one.ref, KV_SLICE("a secret"), KV_SLICE_NONE,
                                  &b->arena, &sealed, &err));
    assert_kv_ok(kv_token_encrypt(b->token, &one.ref, KV_SLICE("a secret"), KV_SLICE_NONE,
                                  &b->arena, &again, &err));
    assert_memory_not_equal(sealed.data, again.data, KV_GCM_IV_BYTES);
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_decrypt(b->token, &other.ref, sealed, KV_SLICE_NONE, &back, &err));
}

static void limits_of_encryption_hold(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_SECRET, KV_KEY_AES_256, false);
    bench_key pair = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    static uint8_t much[KV_GCM_PLAINTEXT_MAX + 1];
    kv_error err = { 0 };
    kv_slice sealed;

    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_encrypt(b->token, &key.ref, kv_slice_of(much, sizeof(much)),
                                     KV_SLICE_NONE, &b->arena, &sealed, &err));
    assert_kv_fails(KV_BAD_REQUEST, kv_token_encrypt(b->token, &pair.ref, KV_SLICE("x"),
                                                     KV_SLICE_NONE, &b->arena, &sealed, &err));
}

static void a_mac_depends_on_key_and_message(void **state)
{
    bench *b = *state;
    bench_key one = bench_bear(b, KV_CLASS_MAC, KV_KEY_HMAC_256, false);
    bench_key other = bench_bear(b, KV_CLASS_MAC, KV_KEY_HMAC_256, false);
    uint8_t first[KV_MAC_BYTES], same[KV_MAC_BYTES], message[KV_MAC_BYTES], key[KV_MAC_BYTES],
        empty[KV_MAC_BYTES];
    kv_error err = { 0 };

    assert_kv_ok(kv_token_mac(b->token, &one.ref, KV_SLICE("row 1"), first, &err));
    assert_kv_ok(kv_token_mac(b->token, &one.ref, KV_SLICE("row 1"), same, &err));
    assert_kv_ok(kv_token_mac(b->token, &one.ref, KV_SLICE("row 2"), message, &err));
    assert_kv_ok(kv_token_mac(b->token, &other.ref, KV_SLICE("row 1"), key, &err));
    assert_kv_ok(kv_token_mac(b->token, &one.ref, KV_SLICE_NONE, empty, &err));
    assert_memory_equal(first, same, KV_MAC_BYTES);
    assert_memory_not_equal(first, message, KV_MAC_BYTES);
    assert_memory_not_equal(first, key, KV_MAC_BYTES);
    assert_memory_not_equal(first, empty, KV_MAC_BYTES);
}

static void random_bytes_differ(void **state)
{
    bench *b = *state;
    uint8_t one[32] = { 0 }, other[32] = { 0 };
    kv_error err = { 0 };

    assert_kv_ok(kv_token_random(b->token, one, sizeof(one), &err));
    assert_kv_ok(kv_token_random(b->token, other, sizeof(other), &err));
    assert_memory_not_equal(one, other, sizeof(one));
}

static void the_newest_anchor_is_read(void **state)
{
    bench *b = *state;
    kv_slice name = KV_SLICE("audit head");
    kv_error err = { 0 };
    kv_anchor anchor;

    assert_kv_fails(KV_NOT_FOUND, kv_token_anchor_read(b->token, name, &b->arena, &anchor, &err));
    assert_kv_ok(kv_token_anchor_write(b->token, name, KV_SLICE("one"), &err));
    assert_kv_ok(kv_token_anchor_write(b->token, name, KV_SLICE("two"), &err));
    assert_kv_ok(kv_token_anchor_write(b->token, KV_SLICE("another"), KV_SLICE("x"), &err));
    assert_kv_ok(kv_token_anchor_read(b->token, name, &b->arena, &anchor, &err));
    assert_slice_equal(KV_SLICE("two"), anchor.value);
    assert_int_equal(anchor.counter, 2);
    assert_int_equal(anchor.objects, 1);
    assert_kv_ok(kv_token_anchor_write(b->token, name, KV_SLICE_NONE, &err));
    bench_shut(b);
    bench_open(b);
    assert_kv_ok(kv_token_anchor_read(b->token, name, &b->arena, &anchor, &err));
    assert_int_equal(anchor.value.len, 0);
    assert_int_equal(anchor.counter, 3);
    assert_kv_ok(kv_token_anchor_destroy(b->token, name, &err));
    assert_kv_fails(KV_NOT_FOUND, kv_token_anchor_read(b->token, name, &b->arena, &anchor, &err));
}

static void a_kill_between_create_and_destroy_leaves_the_newest(void **state)
{
    bench *b = *state;
    kv_slice name = KV_SLICE("killed");
    kv_error err = { 0 };
    kv_anchor anchor;

    assert_kv_ok(kv_token_anchor_write(b->token, name, KV_SLICE("old"), &err));
    kv_fake_fail("C_DestroyObject", CKR_FUNCTION_CANCELED, 2);
    assert_kv_fails(KV_UNAVAILABLE, kv_token_anchor_write(b->token, name, KV_SLICE("new"), &err));
    assert_kv_ok(kv_token_anchor_read(b->token, name, &b->arena, &anchor, &err));
    assert_slice_equal(KV_SLICE("new"), anchor.value);
    assert_true(anchor.objects > 1);
    assert_kv_ok(kv_token_anchor_write(b->token, name, KV_SLICE("newer"), &err));
    assert_kv_ok(kv_token_anchor_read(b->token, name, &b->arena, &anchor, &err));
    assert_slice_equal(KV_SLICE("newer"), anchor.value);
    assert_int_equal(anchor.objects, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_encrypted_is_decrypted),
        cmocka_unit_test(every_changed_byte_is_noticed_and_nobody_trips_the_breaker),
        cmocka_unit_test(another_key_does_not_decrypt),
        cmocka_unit_test(limits_of_encryption_hold),
        cmocka_unit_test(a_mac_depends_on_key_and_message),
        cmocka_unit_test(random_bytes_differ),
        cmocka_unit_test(the_newest_anchor_is_read),
    };
    /* Only the fake fails on demand. */
    const struct CMUnitTest faults[] = {
        cmocka_unit_test(a_kill_between_create_and_destroy_leaves_the_newest),
    };

    return cmocka_run_group_tests_name("cipher on the fake", tests, bench_fake, bench_close) +
           cmocka_run_group_tests_name("cipher with faults", faults, bench_fake, bench_close) +
           cmocka_run_group_tests_name("cipher on SoftHSM", tests, bench_softhsm, bench_close);
}
