/* test_acme_jws.c - signatures, thumbprints and bindings, byte by byte. */
#include "server/acme/jws.h"

#include <stdio.h>

#include <openssl/ecdsa.h>

#include "server/base/text.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/soft_key.h"

/* The P-256 key of RFC 7517, appendix A.1, as SubjectPublicKeyInfo. */
static const uint8_t example[] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04, 0x30, 0xa0, 0x42, 0x4c, 0xd2,
    0x1c, 0x29, 0x44, 0x83, 0x8a, 0x2d, 0x75, 0xc9, 0x2b, 0x37, 0xe7, 0x6e, 0xa2, 0x0d, 0x9f, 0x00,
    0x89, 0x3a, 0x3b, 0x4e, 0xee, 0x8a, 0x3c, 0x0a, 0xaf, 0xec, 0x3e, 0xe0, 0x4b, 0x65, 0xe9, 0x24,
    0x56, 0xd9, 0x88, 0x8b, 0x52, 0xb3, 0x79, 0xbd, 0xfb, 0xd5, 0x1e, 0xe8, 0x69, 0xef, 0x1f, 0x0f,
    0xc6, 0x5b, 0x66, 0x59, 0x69, 0x5b, 0x6c, 0xce, 0x08, 0x17, 0x23,
};

#define JWK                                                                                    \
    "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\"," \
    "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"}"

static kv_slice spki_of_example(void)
{
    return kv_slice_of(example, sizeof(example));
}

static int open_arena(void **state)
{
    static kv_arena arena;

    arena = KV_ARENA(1 << 20);
    *state = &arena;
    return 0;
}

static int close_arena(void **state)
{
    kv_arena_cleanup(*state);
    return 0;
}

static void the_thumbprint_is_that_of_rfc_7638(void **state)
{
    kv_error err = { 0 };
    kv_slice text;

    assert_kv_ok(kv_acme_jwk(*state, spki_of_example(), &text, &err));
    assert_slice_equal(KV_SLICE(JWK), text);
    assert_kv_ok(kv_acme_thumbprint(*state, spki_of_example(), &text, &err));
    assert_slice_equal(KV_SLICE("cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"), text);
}

static void another_kind_of_key_is_refused(void **state)
{
    uint8_t changed[sizeof(example)];
    kv_error err = { 0 };
    kv_slice text;
    soft_key rsa;

    memcpy(changed, example, sizeof(example));
    changed[26] = 0x02; /* a compressed point */
    soft_key_make(&rsa, KV_KEY_RSA_2048, *state);
    assert_kv_fails(KV_INTERNAL, kv_acme_jwk(*state, rsa.spki, &text, &err));
    assert_kv_fails(KV_INTERNAL,
                    kv_acme_jwk(*state, kv_slice_of(changed, sizeof(changed)), &text, &err));
    assert_kv_fails(KV_INTERNAL,
                    kv_acme_jwk(*state, kv_slice_of(example, sizeof(example) - 1), &text, &err));
    soft_key_cleanup(&rsa);
}

/* --- signatures --- */

static kv_status sign_raw(void *context, const uint8_t digest[KV_ACME_DIGEST_BYTES],
                          uint8_t signature[KV_ACME_SIGNATURE_BYTES], kv_error *err)
{
    const soft_key *key = context;
    EVP_PKEY_CTX *signer = EVP_PKEY_CTX_new(key->pair, NULL);
    uint8_t der[128];
    const uint8_t *at = der;
    size_t len = sizeof(der);
    ECDSA_SIG *pair;

    (void)err;
    assert_int_equal(EVP_PKEY_sign_init(signer), 1);
    assert_int_equal(EVP_PKEY_sign(signer, der, &len, digest, KV_ACME_DIGEST_BYTES), 1);
    pair = d2i_ECDSA_SIG(NULL, &at, (long)len);
    assert_non_null(pair);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, 32), 32);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + 32, 32), 32);
    ECDSA_SIG_free(pair);
    EVP_PKEY_CTX_free(signer);
    return KV_OK;
}

static kv_status refuse_to_sign(void *context, const uint8_t digest[KV_ACME_DIGEST_BYTES],
                                uint8_t signature[KV_ACME_SIGNATURE_BYTES], kv_error *err)
{
    (void)context;
    (void)digest;
    (void)signature;
    return kv_fail(err, KV_UNAVAILABLE, "the token has gone");
}

/* The value of a member of a flat object of texts without escapes. */
static kv_slice member(kv_slice json, const char *name)
{
    char begin[32];
    const char *at;
    const char *end;

    (void)snprintf(begin, sizeof(begin), "\"%s\":\"", name);
    at = memmem(json.data, json.len, begin, strlen(begin));
    assert_non_null(at);
    at += strlen(begin);
    end = strchr(at, '"');
    return kv_slice_of(at, (size_t)(end - at));
}

static kv_slice decoded(void **state, kv_slice json, const char *name)
{
    kv_error err = { 0 };
    kv_slice bytes;

    assert_kv_ok(kv_unbase64url(*state, member(json, name), &bytes, &err));
    return bytes;
}

static void assert_verifies(void **state, const soft_key *key, kv_slice json)
{
    kv_slice raw = decoded(state, json, "signature");
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t der[KV_EC_DER_MAX];
    size_t len = sizeof(der);
    kv_error err = { 0 };
    kv_slice text;

    assert_int_equal(raw.len, KV_ACME_SIGNATURE_BYTES);
    assert_kv_ok(kv_ecdsa_to_der(raw, der, &len, &err));
    assert_kv_ok(kv_arena_print(*state, &text, &err, "%.*s.%.*s",
                                KV_SLICE_ARG(member(json, "protected")),
                                KV_SLICE_ARG(member(json, "payload"))));
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key->pair), 1);
    assert_int_equal(EVP_DigestVerify(context, der, len, text.data, text.len), 1);
    EVP_MD_CTX_free(context);
}

static void a_message_is_signed_by_the_account(void **state)
{
    soft_key key;
    kv_acme_key account = { .sign = sign_raw, .context = &key };
    kv_acme_signed in = { .key = &account,
                          .kid = KV_SLICE("https://ca.test/acct/1"),
                          .nonce = KV_SLICE("n0"),
                          .url = KV_SLICE("https://ca.test/order"),
                          .payload = KV_SLICE("{\"a\":1}") };
    kv_error err = { 0 };
    kv_slice json;

    soft_key_make(&key, KV_KEY_P256, *state);
    account.spki = key.spki;
    assert_kv_ok(kv_acme_sign(*state, &in, &json, &err));
    assert_slice_equal(KV_SLICE("{\"alg\":\"ES256\",\"nonce\":\"n0\",\"url\":\"https://ca.test/"
                                "order\",\"kid\":\"https://ca.test/acct/1\"}"),
                       decoded(state, json, "protected"));
    assert_slice_equal(KV_SLICE("{\"a\":1}"), decoded(state, json, "payload"));
    assert_verifies(state, &key, json);

    in.payload = KV_SLICE_NONE;
    assert_kv_ok(kv_acme_sign(*state, &in, &json, &err));
    assert_int_equal(member(json, "payload").len, 0);
    assert_verifies(state, &key, json);
    soft_key_cleanup(&key);
}

static void without_an_account_the_key_goes_with_it(void **state)
{
    soft_key key;
    kv_acme_key account = { .spki = spki_of_example(), .sign = sign_raw, .context = &key };
    kv_acme_signed in = { .key = &account,
                          .url = KV_SLICE("https://ca.test/new"),
                          .payload = KV_SLICE("{}") };
    kv_error err = { 0 };
    kv_slice json;

    soft_key_make(&key, KV_KEY_P256, *state);
    assert_kv_ok(kv_acme_sign(*state, &in, &json, &err));
    assert_slice_equal(
        KV_SLICE("{\"alg\":\"ES256\",\"url\":\"https://ca.test/new\",\"jwk\":" JWK "}"),
        decoded(state, json, "protected"));
    soft_key_cleanup(&key);
}

static void a_token_that_does_not_sign_is_told(void **state)
{
    kv_acme_key account = { .spki = spki_of_example(), .sign = refuse_to_sign };
    kv_acme_signed in = { .key = &account, .url = KV_SLICE("https://ca.test/") };
    kv_error err = { 0 };
    kv_slice json;

    assert_kv_fails(KV_UNAVAILABLE, kv_acme_sign(*state, &in, &json, &err));
}

/* --- external account binding --- */

#define MAC_KEY "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"

static void a_binding_is_signed_by_the_mac_key(void **state)
{
    KV_AUTO(kv_secret_buf) secret = KV_SECRET_NONE;
    kv_acme_binding binding = { .kid = KV_SLICE("kid-1"), .mac_key = &secret };
    kv_error err = { 0 };
    kv_slice json;

    assert_kv_ok(kv_acme_mac_key(KV_SLICE(MAC_KEY), &secret, &err));
    assert_kv_ok(kv_acme_bind(*state, &binding, KV_SLICE("https://ca.test/acct"), spki_of_example(),
                              &json, &err));
    assert_slice_equal(
        KV_SLICE("{\"alg\":\"HS256\",\"url\":\"https://ca.test/acct\",\"kid\":\"kid-1\"}"),
        decoded(state, json, "protected"));
    assert_slice_equal(KV_SLICE(JWK), decoded(state, json, "payload"));
    /* Computed elsewhere. */
    assert_slice_equal(KV_SLICE("4jizDZQibDVddYq-d9XYpDFo_PqJ04YjMY4kEQ9LqAY"),
                       member(json, "signature"));
}

static void names_in_a_binding_are_escaped(void **state)
{
    KV_AUTO(kv_secret_buf) secret = KV_SECRET_NONE;
    kv_acme_binding binding = { .kid = KV_SLICE("a\"b\\c"), .mac_key = &secret };
    kv_error err = { 0 };
    kv_slice json;

    assert_kv_ok(kv_acme_mac_key(KV_SLICE(MAC_KEY), &secret, &err));
    assert_kv_ok(kv_acme_bind(*state, &binding, KV_SLICE("https://ca.test/"), spki_of_example(),
                              &json, &err));
    assert_slice_equal(
        KV_SLICE("{\"alg\":\"HS256\",\"url\":\"https://ca.test/\",\"kid\":\"a\\\"b\\\\c\"}"),
        decoded(state, json, "protected"));
    binding.kid = KV_SLICE("\xff");
    assert_kv_fails(KV_BAD_REQUEST, kv_acme_bind(*state, &binding, KV_SLICE("https://ca.test/"),
                                                 spki_of_example(), &json, &err));
}

static void mac_keys_come_in_several_spellings(void **state)
{
    static const char *const good[] = { MAC_KEY, MAC_KEY "=", "++//--__++//--__++//--__" };
    static const char *const bad[] = {
        "",
        "=",
        "AAAAAAAAAAAAAAAAAAAA" /* 15 bytes */,
        MAC_KEY " ",
        "MDEy\nMDEyMDEyMDEyMDEyMDEy",
        "AAAAAAAAAAAAAAAAAAAAAAAAA" /* a stray digit */,
        "pass:word-pass:word-pass:word",
        "AAAAAAAAAAAAAAAAAAAAAB" /* stray bits */,
    };
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(good); i++) {
        KV_AUTO(kv_secret_buf) secret = KV_SECRET_NONE;

        assert_kv_ok(kv_acme_mac_key(kv_slice_text(good[i]), &secret, &err));
        assert_int_equal(secret.len, i < 2 ? 32 : 18);
    }
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        KV_AUTO(kv_secret_buf) secret = KV_SECRET_NONE;

        assert_kv_fails(KV_BAD_REQUEST, kv_acme_mac_key(kv_slice_text(bad[i]), &secret, &err));
        assert_string_equal(err.field, "credentials.pwd");
        assert_null(secret.data);
    }
}

#define JWS_TEST(name) cmocka_unit_test_setup_teardown(name, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JWS_TEST(the_thumbprint_is_that_of_rfc_7638),
        JWS_TEST(another_kind_of_key_is_refused),
        JWS_TEST(a_message_is_signed_by_the_account),
        JWS_TEST(without_an_account_the_key_goes_with_it),
        JWS_TEST(a_token_that_does_not_sign_is_told),
        JWS_TEST(a_binding_is_signed_by_the_mac_key),
        JWS_TEST(names_in_a_binding_are_escaped),
        JWS_TEST(mac_keys_come_in_several_spellings),
    };

    return cmocka_run_group_tests_name("acme_jws", tests, NULL, NULL);
}
