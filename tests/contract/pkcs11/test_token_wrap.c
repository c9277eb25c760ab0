/* test_token_wrap.c - key wrap of callers' bytes, both ways against OpenSSL, and wrong blobs. */
#include <openssl/evp.h>

#include "pkcs11/token_aes.h"
#include "pkcs11/token_wrap.h"
#include "tests/contract/pkcs11/bench.h"

static const uint8_t known[32] = { 0x10, 0x21, 0x32, 0x43, 0x54, 0x65, 0x76, 0x87, 0x98, 0xa9, 0xba,
                                   0xcb, 0xdc, 0xed, 0xfe, 0x0f, 1,    2,    3,    4,    5,    6,
                                   7,    8,    9,    10,   11,   12,   13,   14,   15,   16 };

static const EVP_CIPHER *cipher_of(const kv_encryption *alg, size_t key_len)
{
    bool pad = alg->mode == KV_MODE_KWP;

    if (key_len == 16)
        return pad ? EVP_aes_128_wrap_pad() : EVP_aes_128_wrap();
    if (key_len == 24)
        return pad ? EVP_aes_192_wrap_pad() : EVP_aes_192_wrap();
    return pad ? EVP_aes_256_wrap_pad() : EVP_aes_256_wrap();
}

/* KW and KWP with nothing of ours; 0 when OpenSSL refuses. */
static size_t with_openssl(const kv_encryption *alg, size_t key_len, bool wrap, kv_slice in,
                           uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0, rest = 0;
    bool good;

    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    good = EVP_CipherInit_ex(ctx, cipher_of(alg, key_len), NULL, known, NULL, wrap) &&
           EVP_CipherUpdate(ctx, out, &len, in.data, (int)in.len) &&
           EVP_CipherFinal_ex(ctx, out + len, &rest);
    EVP_CIPHER_CTX_free(ctx);
    return good ? (size_t)len + (size_t)rest : 0;
}

static void both_ways(bench *b, const bench_key *key, const kv_encryption *alg, size_t key_len,
                      size_t len)
{
    KV_AUTO(kv_secret_buf) back = KV_SECRET_NONE;
    uint8_t plain[64], theirs[96], undone[96];
    size_t theirs_len;
    kv_slice ours;
    kv_error err = { 0 };
    kv_status status;

    memset(plain, (int)len, sizeof(plain));
    theirs_len = with_openssl(alg, key_len, true, kv_slice_of(plain, len), theirs);
    assert_true(theirs_len > 0);
    assert_kv_ok(
        kv_token_unwrap(b->token, &key->ref, alg, kv_slice_of(theirs, theirs_len), &back, &err));
    assert_slice_equal(kv_slice_of(plain, len), kv_secret_buf_slice(&back));
    status =
        kv_token_wrap(b->token, &key->ref, alg, kv_slice_of(plain, len), &b->arena, &ours, &err);
    if (b->hsm && len % 8) {
        /* It says so rather than give out what cannot be undone. */
        assert_kv_fails(KV_UNSUPPORTED, status);
        assert_int_equal(err.reason, KV_REASON_NOT_SUPPORTED_BY_TOKEN);
        return;
    }
    assert_kv_ok(status);
    assert_slice_equal(kv_slice_of(theirs, theirs_len), ours);
    assert_int_equal(with_openssl(alg, key_len, false, ours, undone), len);
    assert_memory_equal(undone, plain, len);
}

static void wraps_as_openssl_does(void **state)
{
    bench *b = *state;
    const kv_encryption *alg;

    for (size_t i = 0; (alg = kv_encryption_at(i)); i++) {
        if (alg->class != KV_CLASS_WRAP)
            continue;
        for (unsigned bits = 128; bits <= 256; bits += 64) {
            bench_key key;

            if (!kv_encryption_fits(alg, kv_key_kind_aes(bits)))
                continue;
            key =
                bench_bring(b, KV_CLASS_WRAP, kv_key_kind_aes(bits), kv_slice_of(known, bits / 8));
            if (alg->mode == KV_MODE_KW)
                for (size_t len = 16; len <= 64; len += 8)
                    both_ways(b, &key, alg, bits / 8, len);
            else
                for (size_t len = 1; len <= 40; len++)
                    both_ways(b, &key, alg, bits / 8, len);
        }
    }
}

static void refuse(bench *b, const bench_key *key, const kv_encryption *alg, kv_slice wrapped)
{
    KV_AUTO(kv_secret_buf) out = KV_SECRET_NONE;
    kv_error err = { 0 };

    assert_kv_fails(KV_BAD_REQUEST, kv_token_unwrap(b->token, &key->ref, alg, wrapped, &out, &err));
    assert_string_equal(err.message, "the wrapped bytes do not belong to this key and algorithm");
    assert_string_equal(err.field, "");
    assert_null(out.data);
    assert_int_equal(kv_token_state_of(b->token), KV_TOKEN_UP);
}

static void every_wrong_blob_gets_one_answer(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_WRAP, KV_KEY_AES_256, false);
    bench_key other = bench_bear(b, KV_CLASS_WRAP, KV_KEY_AES_256, false);
    const kv_encryption *kw = kv_encryption_find(KV_SLICE("A256KW"));
    const kv_encryption *kwp = kv_encryption_find(KV_SLICE("CKM_AES_KEY_WRAP_PAD"));
    uint8_t changed[64];
    kv_error err = { 0 };
    kv_slice wrapped;

    assert_kv_ok(kv_token_wrap(b->token, &key.ref, kw, KV_SLICE("sixteen bytes .."), &b->arena,
                               &wrapped, &err));
    assert_int_equal(wrapped.len, 24);
    for (size_t i = 0; i < wrapped.len; i++) {
        memcpy(changed, wrapped.data, wrapped.len);
        changed[i] ^= 1;
        refuse(b, &key, kw, kv_slice_of(changed, wrapped.len));
        refuse(b, &key, kw, kv_slice_of(wrapped.data, i));
    }
    memcpy(changed, wrapped.data, wrapped.len);
    memset(changed + wrapped.len, 0, 8);
    refuse(b, &key, kw, kv_slice_of(changed, wrapped.len + 8));
    refuse(b, &other, kw, wrapped);
    /* One algorithm's blob is not another's. */
    refuse(b, &key, kwp, wrapped);
    assert_kv_ok(kv_token_wrap(b->token, &key.ref, kwp, KV_SLICE("sixteen bytes .."), &b->arena,
                               &wrapped, &err));
    refuse(b, &key, kw, wrapped);
    for (size_t i = 0; i < wrapped.len; i++)
        refuse(b, &key, kwp, kv_slice_of(wrapped.data, i));
}

static void lengths_are_kept(void **state)
{
    static const size_t bad[] = { 0, 1, 7, 8, 15, 17, 20, 23, KV_WRAP_MAX + 8 };
    static uint8_t plain[KV_WRAP_MAX + 8];
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_WRAP, KV_KEY_AES_128, false);
    const kv_encryption *kw = kv_encryption_find(KV_SLICE("A128KW"));
    const kv_encryption *kwp = kv_encryption_find(KV_SLICE("CKM_AES_KEY_WRAP_PAD"));
    kv_error err = { 0 };
    kv_slice out;

    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        assert_kv_fails(KV_BAD_REQUEST,
                        kv_token_wrap(b->token, &key.ref, kw, kv_slice_of(plain, bad[i]), &b->arena,
                                      &out, &err));
        assert_string_equal(err.field, "plaintext");
    }
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_wrap(b->token, &key.ref, kwp, KV_SLICE_NONE, &b->arena, &out, &err));
    assert_kv_ok(kv_token_wrap(b->token, &key.ref, kwp, kv_slice_of(plain, KV_WRAP_MAX), &b->arena,
                               &out, &err));
    assert_int_equal(out.len, KV_WRAP_MAX + 8);
}

/* Wrap, then decrypt: the classic way to get a wrapped key out in clear. */
static void what_wraps_does_not_decrypt(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_WRAP, KV_KEY_AES_256, false);
    bench_key cipher = bench_bear(b, KV_CLASS_CIPHER, KV_KEY_AES_256, false);
    const kv_encryption *kw = kv_encryption_find(KV_SLICE("A256KW"));
    const kv_encryption *cbc = kv_encryption_find(KV_SLICE("A256CBC"));
    KV_AUTO(kv_secret_buf) out = KV_SECRET_NONE;
    uint8_t iv[16] = { 0 };
    kv_sealed sealed;
    kv_error err = { 0 };
    kv_slice wrapped;

    assert_kv_ok(kv_token_wrap(b->token, &key.ref, kw, KV_SLICE("sixteen bytes .."), &b->arena,
                               &wrapped, &err));
    sealed = (kv_sealed){ kv_slice_of(iv, 16), kv_slice_of(wrapped.data, 16), KV_SLICE_NONE };
    assert_kv_fails(KV_BAD_REQUEST, kv_token_aes_decrypt(b->token, &key.ref, cbc, true, &sealed,
                                                         KV_SLICE_NONE, &out, &err));
    assert_string_equal(err.field, "key");
    key.ref.class = KV_CLASS_CIPHER;
    assert_kv_fails(KV_INTERNAL, kv_token_aes_decrypt(b->token, &key.ref, cbc, true, &sealed,
                                                      KV_SLICE_NONE, &out, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_wrap(b->token, &cipher.ref, kw, KV_SLICE("sixteen bytes .."),
                                  &b->arena, &wrapped, &err));
    cipher.ref.class = KV_CLASS_WRAP;
    assert_kv_fails(KV_INTERNAL,
                    kv_token_wrap(b->token, &cipher.ref, kw, KV_SLICE("sixteen bytes .."),
                                  &b->arena, &wrapped, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
}

/* What could be wrong bytes is not, on a token that does not unwrap even what is known. */
static void trouble_is_not_taken_for_wrong_bytes(void **state)
{
    static const CK_RV codes[] = { CKR_GENERAL_ERROR, CKR_FUNCTION_FAILED,
                                   CKR_WRAPPED_KEY_INVALID };
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_WRAP, KV_KEY_AES_256, false);
    const kv_encryption *kw = kv_encryption_find(KV_SLICE("A256KW"));
    KV_AUTO(kv_secret_buf) out = KV_SECRET_NONE;
    kv_error err = { 0 };
    kv_slice wrapped;

    assert_kv_ok(kv_token_wrap(b->token, &key.ref, kw, KV_SLICE("sixteen bytes .."), &b->arena,
                               &wrapped, &err));
    assert_kv_ok(kv_token_unwrap(b->token, &key.ref, kw, wrapped, &out, &err));
    kv_secret_buf_cleanup(&out);
    for (size_t i = 0; i < KV_COUNT(codes); i++) {
        kv_fake_fail("C_UnwrapKey", codes[i], 100);
        assert_kv_fails(KV_UNAVAILABLE,
                        kv_token_unwrap(b->token, &key.ref, kw, wrapped, &out, &err));
        kv_fake_fail("C_UnwrapKey", CKR_OK, 0);
        bench_wait(b->token, KV_TOKEN_UP);
        assert_kv_ok(kv_token_unwrap(b->token, &key.ref, kw, wrapped, &out, &err));
        kv_secret_buf_cleanup(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wraps_as_openssl_does),
        cmocka_unit_test(every_wrong_blob_gets_one_answer),
        cmocka_unit_test(lengths_are_kept),
        cmocka_unit_test(what_wraps_does_not_decrypt),
    };
    const struct CMUnitTest faults[] = {
        cmocka_unit_test(trouble_is_not_taken_for_wrong_bytes),
    };

    return cmocka_run_group_tests_name("wrap on the fake", tests, bench_fake, bench_close) +
           cmocka_run_group_tests_name("faults of wrapping", faults, bench_fake, bench_close) +
           cmocka_run_group_tests_name("wrap on SoftHSM", tests, bench_softhsm, bench_close);
}
