/* test_token_import.c - keys from elsewhere: what they are, what they say of themselves, and what
 * is refused. */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "pkcs11/public_key.h"
#include "pkcs11/token_aes.h"
#include "pkcs11/token_import.h"
#include "pkcs11/token_rsa.h"
#include "server/base/text.h"
#include "tests/contract/pkcs11/bench.h"

typedef struct foreign {
    EVP_PKEY *key;
    kv_secret_buf pkcs8;
    unsigned char *der;
    kv_slice spki;
} foreign;

static void foreign_cleanup(foreign *f)
{
    EVP_PKEY_free(f->key);
    OPENSSL_free(f->der);
    kv_secret_buf_cleanup(&f->pkcs8);
}

static foreign make(EVP_PKEY *key)
{
    foreign f = { .key = key };
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    unsigned char *der = NULL;
    int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    kv_error err = { 0 };

    assert_true(len > 0);
    assert_kv_ok(kv_secret_buf_copy(kv_slice_of(der, (size_t)len), &f.pkcs8, &err));
    OPENSSL_clear_free(der, (size_t)len);
    PKCS8_PRIV_KEY_INFO_free(info);
    len = i2d_PUBKEY(key, &f.der);
    f.spki = kv_slice_of(f.der, (size_t)len);
    return f;
}

static EVP_PKEY *generate(kv_key_kind kind)
{
    const kv_key_kind_row *row = kv_key_kind_of(kind);

    if (row->family == KV_FAMILY_RSA)
        return EVP_RSA_gen(row->bits);
    if (kind == KV_KEY_ED25519)
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return EVP_EC_gen(OBJ_nid2sn(row->curve));
}

static kv_key_spec spec_of(kv_key_class class, kv_key_kind kind)
{
    kv_key_spec spec = { .class = class, .kind = kind, .label = KV_SLICE("from elsewhere") };

    assert_true(kv_random_id(spec.id, sizeof(spec.id)));
    return spec;
}

static void says_it_came_from_elsewhere(const kv_key_born *born)
{
    assert_false(born->local);
    assert_false(born->never_extractable);
    assert_false(born->always_sensitive);
    assert_true(born->sensitive);
}

static bench_key take(bench *b, kv_key_class class, const foreign *f, kv_key_kind kind)
{
    bench_key key = { .spec = spec_of(class, kind) };
    kv_error err = { 0 };

    assert_kv_ok(
        kv_token_key_import(b->token, &key.spec, &f->pkcs8, f->spki, &b->arena, &key.born, &err));
    key.ref = (kv_key_ref){ .class = class, .spki = key.born.spki };
    memcpy(key.ref.id, key.spec.id, sizeof(key.ref.id));
    return key;
}

static void every_kind_of_pair_is_imported_and_signs(void **state)
{
    bench *b = *state;

    for (unsigned kind = KV_KEY_RSA_2048; kind <= KV_KEY_ED25519; kind++) {
        KV_AUTO(foreign) f = make(generate((kv_key_kind)kind));
        bench_key key = take(b, KV_CLASS_SIGN, &f, (kv_key_kind)kind);

        says_it_came_from_elsewhere(&key.born);
        assert_false(key.born.extractable);
        assert_slice_equal(f.spki, key.born.spki);
        bench_use(b, &key);
    }
}

static void an_imported_key_stays(void **state)
{
    bench *b = *state;
    KV_AUTO(foreign) f = make(generate(KV_KEY_P384));
    KV_AUTO(foreign) g = make(generate(KV_KEY_ED25519));
    bench_key key = take(b, KV_CLASS_SIGN, &f, KV_KEY_P384);
    bench_key other = take(b, KV_CLASS_SIGN, &g, KV_KEY_ED25519);

    bench_shut(b);
    bench_open(b);
    bench_use(b, &key);
    bench_use(b, &other);
}

static void an_imported_rsa_key_decrypts(void **state)
{
    bench *b = *state;
    KV_AUTO(foreign) f = make(generate(KV_KEY_RSA_2048));
    bench_key key = take(b, KV_CLASS_DECRYPT, &f, KV_KEY_RSA_2048);
    const kv_encryption *alg = kv_encryption_find(KV_SLICE("RSA-OAEP-256"));
    KV_AUTO(kv_secret_buf) out = KV_SECRET_NONE;
    kv_error err = { 0 };
    kv_slice sealed;

    assert_kv_ok(
        kv_public_key_encrypt(f.spki, alg, false, KV_SLICE("x"), &b->arena, &sealed, &err));
    assert_kv_ok(kv_token_rsa_decrypt(b->token, &key.ref, alg, false, sealed, &out, &err));
    assert_slice_equal(KV_SLICE("x"), kv_secret_buf_slice(&out));
}

static bool gcm_with_openssl(const uint8_t *key, size_t len, const kv_sealed *in, uint8_t *out)
{
    const EVP_CIPHER *cipher = len == 16   ? EVP_aes_128_gcm()
                               : len == 24 ? EVP_aes_192_gcm()
                                           : EVP_aes_256_gcm();
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int some = 0, rest = 0;
    bool good =
        EVP_DecryptInit_ex(ctx, cipher, NULL, key, in->iv.data) &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, (void *)(uintptr_t)in->tag.data) &&
        EVP_DecryptUpdate(ctx, NULL, &some, (const unsigned char *)"aad", 3) &&
        EVP_DecryptUpdate(ctx, out, &some, in->ciphertext.data, (int)in->ciphertext.len) &&
        EVP_DecryptFinal_ex(ctx, out + some, &rest) > 0;

    EVP_CIPHER_CTX_free(ctx);
    return good;
}

static size_t cbc_with_openssl(const uint8_t *key, size_t len, const uint8_t *iv, kv_slice in,
                               uint8_t *out)
{
    const EVP_CIPHER *cipher = len == 16   ? EVP_aes_128_cbc()
                               : len == 24 ? EVP_aes_192_cbc()
                                           : EVP_aes_256_cbc();
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int some = 0, rest = 0;

    assert_true(EVP_EncryptInit_ex(ctx, cipher, NULL, key, iv) &&
                EVP_EncryptUpdate(ctx, out, &some, in.data, (int)in.len) &&
                EVP_EncryptFinal_ex(ctx, out + some, &rest));
    EVP_CIPHER_CTX_free(ctx);
    return (size_t)some + (size_t)rest;
}

static void imported_aes_keys_agree_with_openssl(void **state)
{
    bench *b = *state;
    const kv_encryption *alg;
    uint8_t value[32], iv[16] = { 9 }, theirs[64], plain[64];
    kv_error err = { 0 };

    assert_true(RAND_bytes(value, sizeof(value)) == 1);
    for (size_t i = 0; (alg = kv_encryption_at(i)); i++) {
        size_t len = kv_key_kind_of(alg->kind)->bits / 8;
        KV_AUTO(kv_secret_buf) back = KV_SECRET_NONE;
        kv_sealed sealed;
        bench_key key;

        if (alg->mode != KV_MODE_GCM && alg->mode != KV_MODE_CBC_PAD)
            continue;
        key = bench_bring(b, KV_CLASS_CIPHER, alg->kind, kv_slice_of(value, len));
        says_it_came_from_elsewhere(&key.born);
        if (alg->mode == KV_MODE_GCM) {
            assert_kv_ok(kv_token_aes_encrypt(b->token, &key.ref, alg, false, KV_SLICE("a secret"),
                                              KV_SLICE_NONE, KV_SLICE("aad"), &b->arena, &sealed,
                                              &err));
            assert_true(gcm_with_openssl(value, len, &sealed, plain));
            assert_memory_equal(plain, "a secret", 8);
            continue;
        }
        sealed = (kv_sealed){ .iv = kv_slice_of(iv, 16) };
        sealed.ciphertext = kv_slice_of(
            theirs, cbc_with_openssl(value, len, iv, KV_SLICE("seventeen bytes .."), theirs));
        assert_kv_ok(kv_token_aes_decrypt(b->token, &key.ref, alg, true, &sealed, KV_SLICE_NONE,
                                          &back, &err));
        assert_slice_equal(KV_SLICE("seventeen bytes .."), kv_secret_buf_slice(&back));
    }
}

static void imported_hmac_keys_agree_with_openssl(void **state)
{
    static const EVP_MD *(*const hashes[])(void) = { EVP_sha256, EVP_sha384, EVP_sha512 };
    bench *b = *state;
    uint8_t value[64] = { 3, 2, 1 }, expected[KV_HMAC_MAX], mac[KV_HMAC_MAX];
    const kv_mac_algorithm *alg;
    kv_error err = { 0 };

    for (size_t i = 0; (alg = kv_mac_at(i)); i++) {
        size_t len = kv_key_kind_of(alg->kind)->bits / 8;
        bench_key key = bench_bring(b, KV_CLASS_MAC, alg->kind, kv_slice_of(value, len));
        unsigned mac_len = 0;

        assert_non_null(HMAC(hashes[i](), value, (int)len, (const unsigned char *)"abc", 3,
                             expected, &mac_len));
        assert_kv_ok(kv_token_hmac(b->token, &key.ref, alg, KV_SLICE("abc"), mac, &err));
        assert_slice_equal(kv_slice_of(expected, mac_len), kv_slice_of(mac, alg->len));
    }
}

static void an_exportable_import_comes_out_until_it_is_sealed(void **state)
{
    bench *b = *state;
    KV_AUTO(foreign) f = make(generate(KV_KEY_P256));
    KV_AUTO(kv_secret_buf) out = KV_SECRET_NONE;
    KV_AUTO(kv_secret_buf) again = KV_SECRET_NONE;
    bench_key key = { .spec = spec_of(KV_CLASS_SIGN, KV_KEY_P256) };
    kv_key_spec copy = spec_of(KV_CLASS_SIGN, KV_KEY_P256);
    kv_key_born born;
    kv_error err = { 0 };

    key.spec.exportable = true;
    assert_kv_ok(
        kv_token_key_import(b->token, &key.spec, &f.pkcs8, f.spki, &b->arena, &key.born, &err));
    assert_true(key.born.extractable);
    key.ref = (kv_key_ref){ .class = KV_CLASS_SIGN, .spki = key.born.spki };
    memcpy(key.ref.id, key.spec.id, sizeof(key.ref.id));
    assert_kv_ok(kv_token_key_export(b->token, &key.ref, &out, &err));
    assert_kv_ok(kv_token_key_seal_export(b->token, key.spec.id, &err));
    assert_kv_fails(KV_PRECONDITION, kv_token_key_export(b->token, &key.ref, &again, &err));
    bench_use(b, &key);
    /* What came out goes in again. */
    assert_kv_ok(kv_token_key_import(b->token, &copy, &out, f.spki, &b->arena, &born, &err));
    /* An imported key that was not asked to be exportable is not. */
    key = take(b, KV_CLASS_SIGN, &f, KV_KEY_P256);
    assert_kv_fails(KV_PRECONDITION, kv_token_key_export(b->token, &key.ref, &again, &err));
}

static void refuse(bench *b, kv_key_class class, kv_key_kind kind, kv_slice material, kv_slice spki)
{
    kv_key_spec spec = spec_of(class, kind);
    KV_AUTO(kv_secret_buf) bytes = KV_SECRET_NONE;
    kv_key_ref ref = { .class = class, .spki = spki };
    kv_key_born born;
    kv_error err = { 0 };

    assert_kv_ok(kv_secret_buf_copy(material, &bytes, &err));
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_key_import(b->token, &spec, &bytes, spki, &b->arena, &born, &err));
    assert_string_equal(err.field, "key");
    memcpy(ref.id, spec.id, sizeof(ref.id));
    assert_kv_fails(KV_NOT_FOUND, kv_token_key_check(b->token, &ref, &err));
    assert_int_equal(kv_token_state_of(b->token), KV_TOKEN_UP);
}

static void what_is_not_the_key_is_refused(void **state)
{
    bench *b = *state;
    KV_AUTO(foreign) p256 = make(generate(KV_KEY_P256));
    KV_AUTO(foreign) other = make(generate(KV_KEY_P256));
    KV_AUTO(foreign) small = make(EVP_RSA_gen(1024));
    KV_AUTO(foreign) strange = make(EVP_EC_gen("secp224r1"));
    uint8_t bytes[KV_IMPORT_MAX + 1] = { 0x30, 0x82 };
    kv_slice good = kv_secret_buf_slice(&p256.pkcs8);

    refuse(b, KV_CLASS_SIGN, KV_KEY_P256, good, other.spki);
    refuse(b, KV_CLASS_SIGN, KV_KEY_P384, good, p256.spki);
    refuse(b, KV_CLASS_SIGN, KV_KEY_RSA_2048, good, p256.spki);
    refuse(b, KV_CLASS_SIGN, KV_KEY_RSA_2048, kv_secret_buf_slice(&small.pkcs8), KV_SLICE_NONE);
    refuse(b, KV_CLASS_SIGN, KV_KEY_P256, kv_secret_buf_slice(&strange.pkcs8), KV_SLICE_NONE);
    refuse(b, KV_CLASS_SIGN, KV_KEY_P256, KV_SLICE_NONE, KV_SLICE_NONE);
    refuse(b, KV_CLASS_SIGN, KV_KEY_P256, kv_slice_of(bytes, sizeof(bytes)), KV_SLICE_NONE);
    for (size_t len = 0; len < good.len; len += 7)
        refuse(b, KV_CLASS_SIGN, KV_KEY_P256, kv_slice_of(good.data, len), KV_SLICE_NONE);
    memcpy(bytes, good.data, good.len);
    bytes[good.len] = 0;
    refuse(b, KV_CLASS_SIGN, KV_KEY_P256, kv_slice_of(bytes, good.len + 1), KV_SLICE_NONE);
    /* The public point inside is another key's. */
    bytes[good.len - 1] ^= 1;
    refuse(b, KV_CLASS_SIGN, KV_KEY_P256, kv_slice_of(bytes, good.len), KV_SLICE_NONE);
    for (size_t len = 0; len <= 64; len += 8) {
        if (len != 16)
            refuse(b, KV_CLASS_CIPHER, KV_KEY_AES_128, kv_slice_of(bytes, len), KV_SLICE_NONE);
        if (len != 48)
            refuse(b, KV_CLASS_MAC, KV_KEY_HMAC_384, kv_slice_of(bytes, len), KV_SLICE_NONE);
    }
}

static void a_key_is_not_imported_as_another_type_or_use(void **state)
{
    static const struct {
        kv_key_class class;
        kv_key_kind kind;
        bool exportable;
    } bad[] = {
        { KV_CLASS_CIPHER, KV_KEY_P256, false },     { KV_CLASS_SIGN, KV_KEY_AES_256, false },
        { KV_CLASS_DECRYPT, KV_KEY_P256, false },    { KV_CLASS_WRAP, KV_KEY_HMAC_256, false },
        { KV_CLASS_CIPHER, KV_KEY_AES_256, true },   { KV_CLASS_SIGN, KV_KEY_ED25519, true },
        { KV_CLASS_DECRYPT, KV_KEY_RSA_2048, true },
    };
    bench *b = *state;
    KV_AUTO(foreign) f = make(generate(KV_KEY_P256));
    kv_key_born born;
    kv_error err = { 0 };

    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        kv_key_spec spec = spec_of(bad[i].class, bad[i].kind);

        spec.exportable = bad[i].exportable;
        assert_kv_fails(KV_BAD_REQUEST, kv_token_key_import(b->token, &spec, &f.pkcs8,
                                                            KV_SLICE_NONE, &b->arena, &born, &err));
    }
}

/* --- keys that are brought wrapped --- */

/* RSA-OAEP of a fresh AES-256 key || AES-KWP of the PKCS#8, with nothing of ours. */
static kv_slice bring(bench *b, kv_slice exchange, kv_slice pkcs8)
{
    uint8_t *blob = kv_arena_alloc(&b->arena, KV_BYOK_MAX), kek[32];
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    const unsigned char *at = exchange.data;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)exchange.len);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    size_t len = KV_BYOK_MAX;
    int some = 0, rest = 0;

    assert_true(RAND_bytes(kek, sizeof(kek)) == 1);
    assert_true(EVP_PKEY_encrypt_init(ctx) > 0 &&
                EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
                EVP_PKEY_encrypt(ctx, blob, &len, kek, sizeof(kek)) > 0);
    EVP_CIPHER_CTX_set_flags(cipher, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    assert_true(EVP_EncryptInit_ex(cipher, EVP_aes_256_wrap_pad(), NULL, kek, NULL) &&
                EVP_EncryptUpdate(cipher, blob + len, &some, pkcs8.data, (int)pkcs8.len) &&
                EVP_EncryptFinal_ex(cipher, blob + len + some, &rest));
    EVP_CIPHER_CTX_free(cipher);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    return kv_slice_of(blob, len + (size_t)some + (size_t)rest);
}

static void a_brought_key_signs(void **state)
{
    static const kv_key_kind kinds[] = { KV_KEY_RSA_2048, KV_KEY_RSA_4096, KV_KEY_P256, KV_KEY_P521,
                                         KV_KEY_P256K };
    bench *b = *state;
    bench_key exchange = bench_bear(b, KV_CLASS_EXCHANGE, KV_KEY_RSA_2048, false);
    kv_error err = { 0 };

    for (size_t i = 0; i < KV_COUNT(kinds); i++) {
        KV_AUTO(foreign) f = make(generate(kinds[i]));
        bench_key key = { .spec = spec_of(KV_CLASS_SIGN, kinds[i]) };
        kv_slice blob = bring(b, exchange.born.spki, kv_secret_buf_slice(&f.pkcs8));
        bool rsa = kv_key_kind_of(kinds[i])->family == KV_FAMILY_RSA;

        assert_kv_ok(kv_token_key_import_byok(b->token, &key.spec, &exchange.ref, blob,
                                              rsa ? KV_SLICE_NONE : f.spki, &b->arena, &key.born,
                                              &err));
        says_it_came_from_elsewhere(&key.born);
        assert_false(key.born.extractable);
        assert_slice_equal(f.spki, key.born.spki);
        key.ref = (kv_key_ref){ .class = KV_CLASS_SIGN, .spki = key.born.spki };
        memcpy(key.ref.id, key.spec.id, sizeof(key.ref.id));
        bench_use(b, &key);
    }
}

static void refuse_blob(bench *b, const bench_key *exchange, kv_slice blob, kv_slice spki)
{
    kv_key_spec spec = spec_of(KV_CLASS_SIGN, KV_KEY_P256);
    kv_key_ref ref = { .class = KV_CLASS_SIGN, .spki = spki };
    kv_key_born born;
    kv_error err = { 0 };

    assert_kv_fails(KV_BAD_REQUEST, kv_token_key_import_byok(b->token, &spec, &exchange->ref, blob,
                                                             spki, &b->arena, &born, &err));
    assert_string_equal(err.field, "key_hsm");
    assert_string_equal(err.message,
                        "the wrapped key cannot be unwrapped with this key-exchange key");
    memcpy(ref.id, spec.id, sizeof(ref.id));
    assert_kv_fails(KV_NOT_FOUND, kv_token_key_check(b->token, &ref, &err));
    assert_int_equal(kv_token_state_of(b->token), KV_TOKEN_UP);
}

static void every_wrong_blob_gets_one_answer(void **state)
{
    static const size_t lengths[] = { 0, 1, 8, 255, 256, 264, 271, 272, 280 };
    bench *b = *state;
    bench_key exchange = bench_bear(b, KV_CLASS_EXCHANGE, KV_KEY_RSA_2048, false);
    bench_key other = bench_bear(b, KV_CLASS_EXCHANGE, KV_KEY_RSA_2048, false);
    KV_AUTO(foreign) f = make(generate(KV_KEY_P256));
    kv_slice blob = bring(b, exchange.born.spki, kv_secret_buf_slice(&f.pkcs8));
    uint8_t changed[1024];

    for (size_t i = 0; i < KV_COUNT(lengths); i++)
        refuse_blob(b, &exchange, kv_slice_of(blob.data, lengths[i]), f.spki);
    for (size_t i = 0; i < blob.len; i += 37) {
        memcpy(changed, blob.data, blob.len);
        changed[i] ^= 1;
        refuse_blob(b, &exchange, kv_slice_of(changed, blob.len), f.spki);
    }
    refuse_blob(b, &other, blob, f.spki);
    /* Not a private key at all, in a blob that is otherwise good. */
    refuse_blob(b, &exchange, bring(b, exchange.born.spki, KV_SLICE("sixteen bytes ..")), f.spki);
}

static void a_brought_key_is_what_was_said(void **state)
{
    bench *b = *state;
    bench_key exchange = bench_bear(b, KV_CLASS_EXCHANGE, KV_KEY_RSA_2048, false);
    bench_key decrypt = bench_bear(b, KV_CLASS_DECRYPT, KV_KEY_RSA_2048, false);
    KV_AUTO(foreign) f = make(generate(KV_KEY_P256));
    KV_AUTO(foreign) other = make(generate(KV_KEY_P256));
    KV_AUTO(foreign) rsa = make(generate(KV_KEY_RSA_2048));
    kv_slice blob = bring(b, exchange.born.spki, kv_secret_buf_slice(&f.pkcs8));
    kv_key_spec spec = spec_of(KV_CLASS_SIGN, KV_KEY_P256);
    kv_key_born born;
    kv_error err = { 0 };

    /* Another public key, none, and no key-exchange key. */
    assert_kv_fails(KV_BAD_REQUEST, kv_token_key_import_byok(b->token, &spec, &exchange.ref, blob,
                                                             other.spki, &b->arena, &born, &err));
    assert_string_equal(err.field, "key");
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_key_import_byok(b->token, &spec, &exchange.ref, blob, KV_SLICE_NONE,
                                             &b->arena, &born, &err));
    assert_string_equal(err.field, "key");
    assert_kv_fails(KV_BAD_REQUEST, kv_token_key_import_byok(b->token, &spec, &decrypt.ref, blob,
                                                             f.spki, &b->arena, &born, &err));
    assert_string_equal(err.field, "kid");
    decrypt.ref.class = KV_CLASS_EXCHANGE;
    assert_kv_fails(KV_INTERNAL, kv_token_key_import_byok(b->token, &spec, &decrypt.ref, blob,
                                                          f.spki, &b->arena, &born, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    /* RSA is said to be larger than it is. */
    spec.kind = KV_KEY_RSA_3072;
    blob = bring(b, exchange.born.spki, kv_secret_buf_slice(&rsa.pkcs8));
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_key_import_byok(b->token, &spec, &exchange.ref, blob, KV_SLICE_NONE,
                                             &b->arena, &born, &err));
    assert_string_equal(err.field, "key");
    spec.kind = KV_KEY_RSA_2048;
    spec.exportable = true;
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_key_import_byok(b->token, &spec, &exchange.ref, blob, KV_SLICE_NONE,
                                             &b->arena, &born, &err));
    spec = spec_of(KV_CLASS_CIPHER, KV_KEY_AES_256);
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_token_key_import_byok(b->token, &spec, &exchange.ref, blob, KV_SLICE_NONE,
                                             &b->arena, &born, &err));
    assert_string_equal(err.field, "kty");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_pair_is_imported_and_signs),
        cmocka_unit_test(an_imported_key_stays),
        cmocka_unit_test(an_imported_rsa_key_decrypts),
        cmocka_unit_test(imported_aes_keys_agree_with_openssl),
        cmocka_unit_test(imported_hmac_keys_agree_with_openssl),
        cmocka_unit_test(an_exportable_import_comes_out_until_it_is_sealed),
        cmocka_unit_test(what_is_not_the_key_is_refused),
        cmocka_unit_test(a_key_is_not_imported_as_another_type_or_use),
        cmocka_unit_test(a_brought_key_signs),
        cmocka_unit_test(every_wrong_blob_gets_one_answer),
        cmocka_unit_test(a_brought_key_is_what_was_said),
    };

    return cmocka_run_group_tests_name("import on the fake", tests, bench_fake, bench_close) +
           cmocka_run_group_tests_name("import on SoftHSM", tests, bench_softhsm, bench_close);
}
