/* test_token_crypt.c - RSA, AES and HMAC of applications, both ways against OpenSSL, and every way
 * in which a ciphertext can be wrong. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "pkcs11/public_key.h"
#include "pkcs11/token_aes.h"
#include "pkcs11/token_rsa.h"
#include "tests/contract/pkcs11/bench.h"

/* Encrypts with nothing of ours. */
static size_t encrypt_with_openssl(kv_slice spki, const kv_encryption *alg, kv_slice plain,
                                   uint8_t *out)
{
    const char *hash = alg->mode == KV_MODE_OAEP_SHA256 ? "SHA256" : "SHA1";
    const unsigned char *at = spki.data;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki.len);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    size_t len = KV_SIGNATURE_MAX;

    assert_true(EVP_PKEY_encrypt_init(ctx) > 0);
    if (alg->mode == KV_MODE_RSA1_5) {
        assert_true(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0);
    } else {
        assert_true(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0);
        assert_true(EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, hash, NULL) > 0);
        assert_true(EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, hash, NULL) > 0);
    }
    assert_true(EVP_PKEY_encrypt(ctx, out, &len, plain.data, plain.len) > 0);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    return len;
}

/* A block of the modulus' length, encrypted as it stands. */
static void encrypt_block(kv_slice spki, const uint8_t *block, size_t len, uint8_t *out)
{
    const unsigned char *at = spki.data;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki.len);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    size_t out_len = len;

    assert_true(EVP_PKEY_encrypt_init(ctx) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) > 0);
    assert_true(EVP_PKEY_encrypt(ctx, out, &out_len, block, len) > 0);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
}

static void rsa_opens_what_openssl_and_we_encrypt(void **state)
{
    static const kv_key_kind kinds[] = { KV_KEY_RSA_2048, KV_KEY_RSA_3072 };
    bench *b = *state;
    uint8_t sealed[KV_SIGNATURE_MAX];
    const kv_encryption *alg;
    kv_error err = { 0 };
    unsigned tried = 0;

    for (size_t k = 0; k < KV_COUNT(kinds); k++) {
        bench_key key = bench_bear(b, KV_CLASS_DECRYPT, kinds[k], false);

        for (size_t i = 0; (alg = kv_encryption_at(i)); i++) {
            KV_AUTO(kv_secret_buf) theirs = KV_SECRET_NONE;
            KV_AUTO(kv_secret_buf) ours = KV_SECRET_NONE;
            KV_AUTO(kv_secret_buf) nothing = KV_SECRET_NONE;
            kv_slice made;
            size_t len;

            if (alg->class != KV_CLASS_DECRYPT)
                continue;
            len = encrypt_with_openssl(key.born.spki, alg, KV_SLICE("a session key"), sealed);
            assert_kv_ok(kv_token_rsa_decrypt(b->token, &key.ref, alg, true,
                                              kv_slice_of(sealed, len), &theirs, &err));
            assert_slice_equal(KV_SLICE("a session key"), kv_secret_buf_slice(&theirs));
            assert_kv_ok(kv_public_key_encrypt(key.born.spki, alg, true, KV_SLICE("another"),
                                               &b->arena, &made, &err));
            assert_kv_ok(kv_token_rsa_decrypt(b->token, &key.ref, alg, true, made, &ours, &err));
            assert_slice_equal(KV_SLICE("another"), kv_secret_buf_slice(&ours));
            assert_kv_ok(kv_public_key_encrypt(key.born.spki, alg, true, KV_SLICE_NONE, &b->arena,
                                               &made, &err));
            assert_kv_ok(kv_token_rsa_decrypt(b->token, &key.ref, alg, true, made, &nothing, &err));
            assert_int_equal(nothing.len, 0);
            tried++;
        }
    }
    assert_int_equal(tried, 3 * KV_COUNT(kinds));
}

static void refused_by_all(bench *b, const bench_key *key, kv_slice sealed, const char *message)
{
    const kv_encryption *alg;
    kv_error err = { 0 };

    for (size_t i = 0; (alg = kv_encryption_at(i)); i++) {
        KV_AUTO(kv_secret_buf) out = KV_SECRET_NONE;

        if (alg->class != KV_CLASS_DECRYPT)
            continue;
        assert_kv_fails(KV_BAD_REQUEST,
                        kv_token_rsa_decrypt(b->token, &key->ref, alg, true, sealed, &out, &err));
        assert_string_equal(err.message, message);
        assert_string_equal(err.field, "");
        assert_null(out.data);
        assert_int_equal(kv_token_state_of(b->token), KV_TOKEN_UP);
    }
}

/* Wrong lengths, out of range, and blocks whose padding is wrong in each of its parts. */
static void every_wrong_rsa_ciphertext_gets_one_answer(void **state)
{
    static const char message[] = "the ciphertext cannot be decrypted with this key and algorithm";
    static const size_t lengths[] = { 0, 1, 255, 257, 512 };
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_DECRYPT, KV_KEY_RSA_2048, false);
    uint8_t block[512], sealed[512];

    memset(sealed, 0x11, sizeof(sealed));
    for (size_t i = 0; i < KV_COUNT(lengths); i++)
        refused_by_all(b, &key, kv_slice_of(sealed, lengths[i]), message);
    memset(sealed, 0xff, 256);
    refused_by_all(b, &key, kv_slice_of(sealed, 256), message);
    memset(sealed, 0, 256);
    refused_by_all(b, &key, kv_slice_of(sealed, 256), message);
    sealed[255] = 1;
    refused_by_all(b, &key, kv_slice_of(sealed, 256), message);
    for (int variant = 0; variant < 5; variant++) {
        memset(block, 0x55, 256);
        block[0] = 0;
        block[1] = 2;
        if (variant == 0)
            block[0] = 1; /* first byte */
        if (variant == 1)
            block[1] = 1; /* a signature's block type */
        if (variant == 2)
            block[9] = 0; /* only seven bytes of padding */
        if (variant == 3)
            block[1] = 0;
        /* variant 4: no end of the padding */
        encrypt_block(key.born.spki, block, 256, sealed);
        refused_by_all(b, &key, kv_slice_of(sealed, 256), message);
    }
}

static void every_bit_of_an_oaep_block_counts(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_DECRYPT, KV_KEY_RSA_2048, false);
    const kv_encryption *sha1 = kv_encryption_find(KV_SLICE("RSA-OAEP"));
    const kv_encryption *sha256 = kv_encryption_find(KV_SLICE("RSA-OAEP-256"));
    KV_AUTO(kv_secret_buf) out = KV_SECRET_NONE;
    uint8_t changed[256];
    kv_error err = { 0 };
    kv_slice sealed;

    assert_kv_ok(kv_public_key_encrypt(key.born.spki, sha256, false, KV_SLICE("x"), &b->arena,
                                       &sealed, &err));
    for (size_t i = 0; i < sealed.len; i += 17) {
        memcpy(changed, sealed.data, sealed.len);
        changed[i] ^= 1;
        assert_kv_fails(KV_BAD_REQUEST,
                        kv_token_rsa_decrypt(b->token, &key.ref, sha256, false,
                                             kv_slice_of(changed, sizeof(changed)), &out, &err));
    }
    /* The other hash is another padding. */
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_rsa_decrypt(b->token, &key.ref, sha1, false, sealed, &out, &err));
    assert_kv_ok(kv_token_rsa_decrypt(b->token, &key.ref, sha256, false, sealed, &out, &err));
}

static void weak_algorithms_have_to_be_allowed(void **state)
{
    bench *b = *state;
    bench_key rsa = bench_bear(b, KV_CLASS_DECRYPT, KV_KEY_RSA_2048, false);
    bench_key aes = bench_bear(b, KV_CLASS_CIPHER, KV_KEY_AES_256, false);
    const kv_encryption *rsa1_5 = kv_encryption_find(KV_SLICE("RSA1_5"));
    const kv_encryption *cbc = kv_encryption_find(KV_SLICE("A256CBCPAD"));
    KV_AUTO(kv_secret_buf) out = KV_SECRET_NONE;
    uint8_t some[256] = { 0 };
    kv_sealed sealed = { kv_slice_of(some, 16), kv_slice_of(some, 16), KV_SLICE_NONE };
    kv_error err = { 0 };
    kv_slice made;

    assert_kv_fails(KV_BAD_REQUEST, kv_token_rsa_decrypt(b->token, &rsa.ref, rsa1_5, false,
                                                         kv_slice_of(some, 256), &out, &err));
    assert_string_equal(err.field, "alg");
    assert_kv_fails(KV_BAD_REQUEST, kv_public_key_encrypt(rsa.born.spki, rsa1_5, false,
                                                          KV_SLICE("x"), &b->arena, &made, &err));
    assert_string_equal(err.field, "alg");
    assert_kv_fails(KV_BAD_REQUEST, kv_token_aes_decrypt(b->token, &aes.ref, cbc, false, &sealed,
                                                         KV_SLICE_NONE, &out, &err));
    assert_string_equal(err.field, "alg");
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_aes_encrypt(b->token, &aes.ref, cbc, false, KV_SLICE("x"),
                                         KV_SLICE_NONE, KV_SLICE_NONE, &b->arena, &sealed, &err));
    assert_string_equal(err.field, "alg");
}

static void rsa_plaintexts_have_a_limit(void **state)
{
    static const struct {
        const char *name;
        size_t most; /* RSA-2048 */
    } rows[] = { { "RSA-OAEP", 214 }, { "RSA-OAEP-256", 190 }, { "RSA1_5", 245 } };
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_DECRYPT, KV_KEY_RSA_2048, false);
    uint8_t plain[256] = { 7 };
    kv_error err = { 0 };
    kv_slice sealed;

    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        const kv_encryption *alg = kv_encryption_find(kv_slice_text(rows[i].name));
        KV_AUTO(kv_secret_buf) out = KV_SECRET_NONE;

        assert_kv_ok(kv_public_key_encrypt(
            key.born.spki, alg, true, kv_slice_of(plain, rows[i].most), &b->arena, &sealed, &err));
        assert_kv_ok(kv_token_rsa_decrypt(b->token, &key.ref, alg, true, sealed, &out, &err));
        assert_slice_equal(kv_slice_of(plain, rows[i].most), kv_secret_buf_slice(&out));
        assert_kv_fails(KV_BAD_REQUEST, kv_public_key_encrypt(key.born.spki, alg, true,
                                                              kv_slice_of(plain, rows[i].most + 1),
                                                              &b->arena, &sealed, &err));
        assert_string_equal(err.field, "plaintext");
    }
}

static kv_slice aad_of(const kv_encryption *alg)
{
    return alg->mode == KV_MODE_GCM ? KV_SLICE("where it belongs") : KV_SLICE_NONE;
}

/* Every cipher there is, every size of key, many lengths: what goes in comes out. */
static void aes_comes_back(void **state)
{
    static const size_t sizes[] = { 0, 1, 15, 16, 17, 32, 4096, 65536 };
    static uint8_t plain[65536];
    bench *b = *state;
    const kv_encryption *alg;
    kv_error err = { 0 };
    unsigned tried = 0;

    memset(plain, 'p', sizeof(plain));
    for (size_t i = 0; (alg = kv_encryption_at(i)); i++) {
        bench_key key;

        if (alg->class != KV_CLASS_CIPHER)
            continue;
        key = bench_bear(b, KV_CLASS_CIPHER, alg->kind, false);
        for (size_t s = 0; s < KV_COUNT(sizes); s++) {
            KV_AUTO(kv_secret_buf) back = KV_SECRET_NONE;
            bool whole = sizes[s] && sizes[s] % 16 == 0;
            kv_sealed sealed = { 0 };
            kv_status status =
                kv_token_aes_encrypt(b->token, &key.ref, alg, true, kv_slice_of(plain, sizes[s]),
                                     KV_SLICE_NONE, aad_of(alg), &b->arena, &sealed, &err);

            if (alg->mode == KV_MODE_CBC && !whole) {
                assert_kv_fails(KV_BAD_REQUEST, status);
                assert_string_equal(err.field, "plaintext");
                continue;
            }
            assert_kv_ok(status);
            assert_kv_ok(kv_token_aes_decrypt(b->token, &key.ref, alg, true, &sealed, aad_of(alg),
                                              &back, &err));
            assert_slice_equal(kv_slice_of(plain, sizes[s]), kv_secret_buf_slice(&back));
            tried++;
        }
    }
    assert_int_equal(tried, 3 * (8 + 8 + 4));
}

static void refuse_sealed(bench *b, const bench_key *key, const kv_encryption *alg,
                          const kv_sealed *in, kv_slice aad)
{
    KV_AUTO(kv_secret_buf) out = KV_SECRET_NONE;
    kv_error err = { 0 };

    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_aes_decrypt(b->token, &key->ref, alg, true, in, aad, &out, &err));
    assert_string_equal(err.message,
                        "the ciphertext does not belong to this key, algorithm and context");
    assert_string_equal(err.field, "");
    assert_null(out.data);
    assert_int_equal(kv_token_state_of(b->token), KV_TOKEN_UP);
}

static void every_wrong_aes_ciphertext_gets_one_answer(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_CIPHER, KV_KEY_AES_256, false);
    const kv_encryption *gcm = kv_encryption_find(KV_SLICE("A256GCM"));
    const kv_encryption *pad = kv_encryption_find(KV_SLICE("A256CBCPAD"));
    kv_sealed sealed, wrong;
    uint8_t bytes[64];
    kv_error err = { 0 };

    assert_kv_ok(kv_token_aes_encrypt(b->token, &key.ref, gcm, false, KV_SLICE("a secret"),
                                      KV_SLICE_NONE, KV_SLICE("aad"), &b->arena, &sealed, &err));
    refuse_sealed(b, &key, gcm, &sealed, KV_SLICE("AAD"));
    refuse_sealed(b, &key, gcm, &sealed, KV_SLICE_NONE);
    for (size_t i = 0; i < 16; i++) {
        wrong = sealed;
        memcpy(bytes, sealed.tag.data, 16);
        bytes[i] ^= 0x80;
        wrong.tag = kv_slice_of(bytes, 16);
        refuse_sealed(b, &key, gcm, &wrong, KV_SLICE("aad"));
        /* A tag that was cut short is no tag. */
        wrong.tag = kv_slice_of(sealed.tag.data, i);
        refuse_sealed(b, &key, gcm, &wrong, KV_SLICE("aad"));
    }
    for (size_t len = 0; len <= 16; len++) {
        wrong = sealed;
        memset(bytes, 0, sizeof(bytes));
        wrong.iv = kv_slice_of(bytes, len);
        refuse_sealed(b, &key, gcm, &wrong, KV_SLICE("aad"));
    }
    wrong = sealed;
    wrong.ciphertext = KV_SLICE_NONE;
    refuse_sealed(b, &key, gcm, &wrong, KV_SLICE("aad"));

    assert_kv_ok(kv_token_aes_encrypt(b->token, &key.ref, pad, true, KV_SLICE("a secret"),
                                      KV_SLICE_NONE, KV_SLICE_NONE, &b->arena, &sealed, &err));
    wrong = sealed;
    for (size_t len = 0; len < 16; len++) {
        wrong.ciphertext = kv_slice_of(sealed.ciphertext.data, len);
        refuse_sealed(b, &key, pad, &wrong, KV_SLICE_NONE);
    }
    /* Seventeen bytes of padding, by a change of the IV. */
    memcpy(bytes, sealed.iv.data, 16);
    bytes[15] ^= 8 ^ 17;
    wrong = sealed;
    wrong.iv = kv_slice_of(bytes, 16);
    refuse_sealed(b, &key, pad, &wrong, KV_SLICE_NONE);
    bytes[15] = sealed.iv.data[15] ^ 8;
    refuse_sealed(b, &key, pad, &wrong, KV_SLICE_NONE);
}

static void the_server_chooses_the_iv_of_gcm(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_CIPHER, KV_KEY_AES_128, false);
    const kv_encryption *gcm = kv_encryption_find(KV_SLICE("A128GCM"));
    const kv_encryption *cbc = kv_encryption_find(KV_SLICE("A128CBC"));
    uint8_t iv[16] = { 1, 2, 3 };
    kv_sealed one, other;
    kv_error err = { 0 };

    assert_kv_fails(KV_BAD_REQUEST, kv_token_aes_encrypt(b->token, &key.ref, gcm, false,
                                                         KV_SLICE("x"), kv_slice_of(iv, 12),
                                                         KV_SLICE_NONE, &b->arena, &one, &err));
    assert_string_equal(err.field, "iv");
    assert_kv_ok(kv_token_aes_encrypt(b->token, &key.ref, gcm, false, KV_SLICE("x"), KV_SLICE_NONE,
                                      KV_SLICE_NONE, &b->arena, &one, &err));
    assert_kv_ok(kv_token_aes_encrypt(b->token, &key.ref, gcm, false, KV_SLICE("x"), KV_SLICE_NONE,
                                      KV_SLICE_NONE, &b->arena, &other, &err));
    assert_int_equal(one.iv.len, KV_GCM_IV_BYTES);
    assert_int_equal(one.tag.len, KV_GCM_TAG_BYTES);
    assert_memory_not_equal(one.iv.data, other.iv.data, one.iv.len);
    assert_kv_fails(KV_BAD_REQUEST, kv_token_aes_encrypt(
                                        b->token, &key.ref, cbc, true, KV_SLICE("sixteen bytes .."),
                                        kv_slice_of(iv, 15), KV_SLICE_NONE, &b->arena, &one, &err));
    assert_string_equal(err.field, "iv");
    assert_kv_ok(kv_token_aes_encrypt(b->token, &key.ref, cbc, true, KV_SLICE("sixteen bytes .."),
                                      kv_slice_of(iv, 16), KV_SLICE_NONE, &b->arena, &one, &err));
    assert_slice_equal(kv_slice_of(iv, 16), one.iv);
    assert_int_equal(one.ciphertext.len, 16);
}

static void a_key_does_only_what_its_class_is_for(void **state)
{
    bench *b = *state;
    bench_key cipher = bench_bear(b, KV_CLASS_CIPHER, KV_KEY_AES_256, false);
    bench_key secret = bench_bear(b, KV_CLASS_SECRET, KV_KEY_AES_256, false);
    bench_key sign = bench_bear(b, KV_CLASS_SIGN, KV_KEY_RSA_2048, false);
    const kv_encryption *gcm = kv_encryption_find(KV_SLICE("A256GCM"));
    KV_AUTO(kv_secret_buf) out = KV_SECRET_NONE;
    uint8_t some[256] = { 0 };
    kv_sealed sealed;
    kv_error err = { 0 };

    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_aes_encrypt(b->token, &secret.ref, gcm, true, KV_SLICE("x"),
                                         KV_SLICE_NONE, KV_SLICE_NONE, &b->arena, &sealed, &err));
    assert_string_equal(err.field, "key");
    assert_kv_fails(KV_BAD_REQUEST, kv_token_rsa_decrypt(b->token, &sign.ref,
                                                         kv_encryption_find(KV_SLICE("RSA-OAEP")),
                                                         true, kv_slice_of(some, 256), &out, &err));
    assert_string_equal(err.field, "key");
    /* Saying another class does not make the key one of it. */
    secret.ref.class = KV_CLASS_CIPHER;
    assert_kv_fails(KV_INTERNAL,
                    kv_token_aes_encrypt(b->token, &secret.ref, gcm, true, KV_SLICE("x"),
                                         KV_SLICE_NONE, KV_SLICE_NONE, &b->arena, &sealed, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    sign.ref.class = KV_CLASS_DECRYPT;
    assert_kv_fails(KV_INTERNAL, kv_token_rsa_decrypt(b->token, &sign.ref,
                                                      kv_encryption_find(KV_SLICE("RSA-OAEP")),
                                                      true, kv_slice_of(some, 256), &out, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    /* The size of the key is part of an algorithm's name. */
    assert_kv_fails(KV_BAD_REQUEST, kv_token_aes_encrypt(b->token, &cipher.ref,
                                                         kv_encryption_find(KV_SLICE("A128GCM")),
                                                         false, KV_SLICE("x"), KV_SLICE_NONE,
                                                         KV_SLICE_NONE, &b->arena, &sealed, &err));
    assert_string_equal(err.field, "alg");
}

static void macs_verify_or_do_not(void **state)
{
    bench *b = *state;
    const kv_mac_algorithm *alg;
    uint8_t mac[KV_HMAC_MAX], other[KV_HMAC_MAX];
    kv_error err = { 0 };
    bool valid;

    for (size_t i = 0; (alg = kv_mac_at(i)); i++) {
        bench_key key = bench_bear(b, KV_CLASS_MAC, alg->kind, false);

        assert_kv_ok(kv_token_hmac(b->token, &key.ref, alg, KV_SLICE("a message"), mac, &err));
        assert_kv_ok(kv_token_hmac_verify(b->token, &key.ref, alg, KV_SLICE("a message"),
                                          kv_slice_of(mac, alg->len), &valid, &err));
        assert_true(valid);
        assert_kv_ok(kv_token_hmac_verify(b->token, &key.ref, alg, KV_SLICE("A message"),
                                          kv_slice_of(mac, alg->len), &valid, &err));
        assert_false(valid);
        for (size_t len = 0; len < alg->len; len++) {
            assert_kv_ok(kv_token_hmac_verify(b->token, &key.ref, alg, KV_SLICE("a message"),
                                              kv_slice_of(mac, len), &valid, &err));
            assert_false(valid);
        }
        memcpy(other, mac, sizeof(mac));
        other[alg->len - 1] ^= 1;
        assert_kv_ok(kv_token_hmac_verify(b->token, &key.ref, alg, KV_SLICE("a message"),
                                          kv_slice_of(other, alg->len), &valid, &err));
        assert_false(valid);
        assert_kv_fails(KV_BAD_REQUEST, kv_token_hmac(b->token, &key.ref, kv_mac_at((i + 1) % 3),
                                                      KV_SLICE("a message"), mac, &err));
        assert_string_equal(err.field, "alg");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsa_opens_what_openssl_and_we_encrypt),
        cmocka_unit_test(every_wrong_rsa_ciphertext_gets_one_answer),
        cmocka_unit_test(every_bit_of_an_oaep_block_counts),
        cmocka_unit_test(weak_algorithms_have_to_be_allowed),
        cmocka_unit_test(rsa_plaintexts_have_a_limit),
        cmocka_unit_test(aes_comes_back),
        cmocka_unit_test(every_wrong_aes_ciphertext_gets_one_answer),
        cmocka_unit_test(the_server_chooses_the_iv_of_gcm),
        cmocka_unit_test(a_key_does_only_what_its_class_is_for),
        cmocka_unit_test(macs_verify_or_do_not),
    };

    return cmocka_run_group_tests_name("crypt on the fake", tests, bench_fake, bench_close) +
           cmocka_run_group_tests_name("crypt on SoftHSM", tests, bench_softhsm, bench_close);
}
