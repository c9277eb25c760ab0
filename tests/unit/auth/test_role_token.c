/* test_role_token.c - role tokens that are ours, and those that only look like it. */
#include "server/auth/role_token.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>

#include "server/base/text.h"
#include "tests/contract/auth/test_signer.h"
#include "tests/support/kv_cmocka.h"

#define KID     "00112233445566778899aabbccddeeff"
#define ISSUER  "keyvault:test"
#define SUBJECT "0102030405060708090a0b0c0d0e0f10"
#define JTI     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define X5T     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

#define HEADER "{\"alg\":\"ES256\",\"kid\":\"" KID "\",\"typ\":\"JWT\"}"
/* The claims around one that a test chooses. */
#define IDS   "\"iss\":\"" ISSUER "\",\"sub\":\"" SUBJECT "\",\"aud\":\"" ISSUER "\","
#define TIMES "\"iat\":1000,\"nbf\":1000,\"exp\":1900,"
#define REST                                                                   \
    "\"jti\":\"" JTI "\",\"roles\":[\"crypto-user\"],\"scope\":\"/vaults/v\"," \
    "\"cnf\":{\"x5t#S256\":\"" X5T "\"},\"epoch\":1"
#define PAYLOAD "{" IDS TIMES REST "}"

typedef struct fixture {
    test_signer *signer;
    kv_role_token_verifier *verifier;
    kv_arena arena;
} fixture;

static int set_up(void **state)
{
    fixture *made = calloc(1, sizeof(*made));
    kv_role_token_key key;
    kv_error err = { 0 };

    made->arena = KV_ARENA(1 << 20);
    made->signer = test_signer_new(KID);
    key = test_signer_key(made->signer);
    assert_kv_ok(kv_role_token_verifier_new(&key, 1, KV_SLICE(ISSUER), &made->verifier, &err));
    *state = made;
    return 0;
}

static int tear_down(void **state)
{
    fixture *made = *state;

    kv_role_token_verifier_free(made->verifier);
    test_signer_free(made->signer);
    kv_arena_cleanup(&made->arena);
    free(made);
    return 0;
}

static void refused(fixture *made, kv_slice text, const char *name)
{
    kv_role_token token;
    kv_error err = { 0 };
    kv_status status = kv_role_token_verify(made->verifier, text, &token, &err);

    if (status != KV_UNAUTHENTICATED || err.reason != KV_REASON_TOKEN_INVALID)
        fail_msg("%s: %s", name, kv_status_spelling(status)->name);
}

static void reads_what_it_makes(void **state)
{
    fixture *made = *state;
    kv_role_token_signer signer = test_signer_lend(made->signer);
    kv_role_token claims = { .issued_ms = 1000 * 1000,
                             .not_before_ms = 1000 * 1000,
                             .expires_ms = 1900 * 1000,
                             .epoch = 7,
                             .roles = { KV_ROLE_CRYPTO_USER, KV_ROLE_CERTIFICATE_READER },
                             .role_count = 2,
                             .scope = "/vaults/v/keys",
                             .scope_len = 14 };
    kv_role_token read;
    kv_error err = { 0 };
    kv_slice text;

    memset(claims.subject, 1, sizeof(claims.subject));
    memset(claims.thumbprint, 2, sizeof(claims.thumbprint));
    memset(claims.jti, 3, sizeof(claims.jti));
    assert_kv_ok(kv_role_token_make(&signer, KV_SLICE(ISSUER), &claims, &made->arena, &text, &err));
    assert_kv_ok(kv_role_token_verify(made->verifier, text, &read, &err));
    assert_memory_equal(&claims, &read, sizeof(read));
}

static void reads_what_the_tests_below_start_from(void **state)
{
    fixture *made = *state;
    kv_role_token token;
    kv_error err = { 0 };

    assert_kv_ok(kv_role_token_verify(made->verifier,
                                      test_signer_jwt(made->signer, HEADER, PAYLOAD, &made->arena),
                                      &token, &err));
    assert_int_equal(token.expires_ms, 1900 * 1000);
    assert_int_equal(token.roles[0], KV_ROLE_CRYPTO_USER);
    assert_int_equal(token.scope_len, 9);
}

/* Everything here is signed with the right key: the form alone condemns it. */
static void refuses_headers(void **state)
{
    static const char *const headers[] = {
        "{\"alg\":\"none\",\"kid\":\"" KID "\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"kid\":\"" KID "\",\"typ\":\"JWT\"}",
        "{\"alg\":\"es256\",\"kid\":\"" KID "\",\"typ\":\"JWT\"}",
        "{\"alg\":\"ES384\",\"kid\":\"" KID "\",\"typ\":\"JWT\"}",
        "{\"alg\":[\"ES256\"],\"kid\":\"" KID "\",\"typ\":\"JWT\"}",
        "{\"alg\":\"ES256\\u0000\",\"kid\":\"" KID "\",\"typ\":\"JWT\"}",
        "{\"alg\":\"ES256\",\"kid\":\"ff112233445566778899aabbccddeeff\",\"typ\":\"JWT\"}",
        "{\"alg\":\"ES256\",\"kid\":\"\",\"typ\":\"JWT\"}",
        "{\"alg\":\"ES256\",\"kid\":1,\"typ\":\"JWT\"}",
        "{\"alg\":\"ES256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"ES256\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"ES256\",\"kid\":\"" KID "\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"ES256\",\"kid\":\"" KID "\",\"typ\":\"JWT\",\"jwk\":{}}",
        "{\"alg\":\"ES256\",\"kid\":\"" KID "\",\"typ\":\"JWT\",\"jku\":\"https://evil\"}",
        "{\"alg\":\"ES256\",\"kid\":\"" KID "\",\"typ\":\"JWT\",\"x5u\":\"https://evil\"}",
        "{\"alg\":\"ES256\",\"kid\":\"" KID "\",\"typ\":\"JWT\",\"crit\":[]}",
        "{\"alg\":\"ES256\",\"kid\":\"" KID "\",\"jwk\":{}}",
        "{\"alg\":\"none\",\"alg\":\"ES256\",\"kid\":\"" KID "\",\"typ\":\"JWT\"}",
        "{\"alg\":\"ES256\",\"kid\":\"" KID "\",\"typ\":\"JWT\"} {}",
        "[\"ES256\",\"" KID "\",\"JWT\"]",
        "null",
        "",
    };
    fixture *made = *state;

    for (size_t i = 0; i < KV_COUNT(headers); i++)
        refused(made, test_signer_jwt(made->signer, headers[i], PAYLOAD, &made->arena), headers[i]);
}

static const char *const payloads[] = {
    "",
    "null",
    "[]",
    "{}",
    "{" IDS TIMES REST ",\"more\":1}",
    "{" IDS TIMES REST ",\"epoch\":1}",
    "{" IDS "\"exp\":1900," TIMES REST "}",
    "{" TIMES REST "}",
    "{\"iss\":\"keyvault:other\",\"sub\":\"" SUBJECT "\",\"aud\":\"" ISSUER "\"," TIMES REST "}",
    "{\"iss\":\"" ISSUER "\",\"sub\":\"" SUBJECT "\",\"aud\":\"keyvault:other\"," TIMES REST "}",
    "{\"iss\":\"" ISSUER "\",\"sub\":\"" SUBJECT "\",\"aud\":[\"" ISSUER "\"]," TIMES REST "}",
    "{\"iss\":\"" ISSUER "\",\"sub\":\"01\",\"aud\":\"" ISSUER "\"," TIMES REST "}",
    "{\"iss\":\"" ISSUER "\",\"sub\":7,\"aud\":\"" ISSUER "\"," TIMES REST "}",
    "{" IDS "\"iat\":\"1000\",\"nbf\":1000,\"exp\":1900," REST "}",
    "{" IDS "\"iat\":1000,\"nbf\":1000,\"exp\":1900.5," REST "}",
    "{" IDS "\"iat\":1000,\"nbf\":1000,\"exp\":true," REST "}",
    "{" IDS "\"iat\":1000,\"nbf\":-1,\"exp\":1900," REST "}",
    "{" IDS "\"iat\":1000,\"nbf\":1000,\"exp\":9223372036854775807," REST "}",
    "{" IDS "\"iat\":1000,\"nbf\":1000,\"exp\":9223372036854775808," REST "}",
    "{" IDS "\"iat\":1000,\"nbf\":1000,\"exp\":29801," REST "}",
    "{" IDS TIMES "\"jti\":\"" JTI "\",\"roles\":[],\"scope\":\"/vaults/v\","
    "\"cnf\":{\"x5t#S256\":\"" X5T "\"},\"epoch\":1}",
    "{" IDS TIMES "\"jti\":\"" JTI "\",\"roles\":[\"root\"],\"scope\":\"/vaults/v\","
    "\"cnf\":{\"x5t#S256\":\"" X5T "\"},\"epoch\":1}",
    "{" IDS TIMES "\"jti\":\"" JTI "\",\"roles\":\"crypto-user\",\"scope\":\"/vaults/v\","
    "\"cnf\":{\"x5t#S256\":\"" X5T "\"},\"epoch\":1}",
    "{" IDS TIMES "\"jti\":\"" JTI "\",\"roles\":[\"reader\",\"reader\",\"reader\",\"reader\","
    "\"reader\",\"reader\",\"reader\",\"reader\",\"reader\"],\"scope\":\"/vaults/v\","
    "\"cnf\":{\"x5t#S256\":\"" X5T "\"},\"epoch\":1}",
    "{" IDS TIMES "\"jti\":\"" JTI "\",\"roles\":[1],\"scope\":\"/vaults/v\","
    "\"cnf\":{\"x5t#S256\":\"" X5T "\"},\"epoch\":1}",
    "{" IDS TIMES "\"jti\":\"" JTI "\",\"roles\":[\"reader\"],\"scope\":\"/vaults/V\","
    "\"cnf\":{\"x5t#S256\":\"" X5T "\"},\"epoch\":1}",
    "{" IDS TIMES "\"jti\":\"" JTI "\",\"roles\":[\"reader\"],\"scope\":\"\","
    "\"cnf\":{\"x5t#S256\":\"" X5T "\"},\"epoch\":1}",
    "{" IDS TIMES "\"jti\":\"" JTI "\",\"roles\":[\"reader\"],\"scope\":\"/vaults/v\","
    "\"cnf\":{\"x5t#S256\":\"AAAA\"},\"epoch\":1}",
    "{" IDS TIMES "\"jti\":\"" JTI "\",\"roles\":[\"reader\"],\"scope\":\"/vaults/v\","
    "\"cnf\":{\"jkt\":\"" X5T "\"},\"epoch\":1}",
    "{" IDS TIMES "\"jti\":\"" JTI "\",\"roles\":[\"reader\"],\"scope\":\"/vaults/v\","
    "\"cnf\":{},\"epoch\":1}",
    "{" IDS TIMES "\"jti\":\"" JTI "\",\"roles\":[\"reader\"],\"scope\":\"/vaults/v\","
    "\"cnf\":{\"x5t#S256\":\"" X5T "\",\"x5t#S256\":\"" X5T "\"},\"epoch\":1}",
    "{" IDS TIMES "\"jti\":\"" JTI "\",\"roles\":[\"reader\"],\"scope\":\"/vaults/v\","
    "\"cnf\":\"" X5T "\",\"epoch\":1}",
    "{" IDS TIMES "\"jti\":\"" JTI "\",\"roles\":[\"reader\"],\"scope\":\"/vaults/v\","
    "\"cnf\":{\"x5t#S256\":\"" X5T "\"},\"epoch\":\"1\"}",
    "{" IDS TIMES "\"jti\":\"" JTI "\",\"roles\":[\"reader\"],\"scope\":\"/vaults/v\","
    "\"cnf\":{\"x5t#S256\":\"" X5T "\"},\"epoch\":-1}",
    "{" IDS TIMES "\"jti\":\"zz\",\"roles\":[\"reader\"],\"scope\":\"/vaults/v\","
    "\"cnf\":{\"x5t#S256\":\"" X5T "\"},\"epoch\":1}",
};

static void refuses_claims(void **state)
{
    fixture *made = *state;

    for (size_t i = 0; i < KV_COUNT(payloads); i++)
        refused(made, test_signer_jwt(made->signer, HEADER, payloads[i], &made->arena),
                payloads[i]);
}

/* The token's text without its signature, and with another. */
static kv_slice resigned(fixture *made, const uint8_t *signature, size_t len)
{
    kv_slice good = test_signer_jwt(made->signer, HEADER, PAYLOAD, &made->arena);
    kv_error err = { 0 };
    kv_slice encoded, out;
    size_t end = good.len;

    while (good.data[end - 1] != '.')
        end--;
    assert_kv_ok(kv_base64url(&made->arena, kv_slice_of(signature, len), &encoded, &err));
    assert_kv_ok(kv_arena_print(&made->arena, &out, &err, "%.*s%.*s", (int)end,
                                (const char *)good.data, KV_SLICE_ARG(encoded)));
    return out;
}

static void refuses_signatures(void **state)
{
    fixture *made = *state;
    uint8_t zero[64] = { 0 };
    uint8_t half[64] = { 0 };
    uint8_t ones[65];

    memset(ones, 0xff, sizeof(ones));
    refused(made, resigned(made, zero, 0), "no signature");
    refused(made, resigned(made, zero, 64), "r and s zero");
    half[63] = 1;
    refused(made, resigned(made, half, 64), "r zero");
    half[63] = 0;
    half[31] = 1;
    refused(made, resigned(made, half, 64), "s zero");
    refused(made, resigned(made, ones, 64), "beyond the order");
    refused(made, resigned(made, ones, 63), "short");
    refused(made, resigned(made, ones, 65), "long");
}

static void refuses_a_der_signature(void **state)
{
    fixture *made = *state;
    kv_slice good = test_signer_jwt(made->signer, HEADER, PAYLOAD, &made->arena);
    kv_error err = { 0 };
    ECDSA_SIG *signature = ECDSA_SIG_new();
    uint8_t *der = NULL;
    size_t start = good.len;
    kv_slice raw;
    int len;

    while (good.data[start - 1] != '.')
        start--;
    assert_kv_ok(
        kv_unbase64url(&made->arena, kv_slice_of(good.data + start, good.len - start), &raw, &err));
    assert_int_equal(raw.len, 64);
    assert_int_equal(ECDSA_SIG_set0(signature, BN_bin2bn(raw.data, 32, NULL),
                                    BN_bin2bn(raw.data + 32, 32, NULL)),
                     1);
    len = i2d_ECDSA_SIG(signature, &der);
    assert_true(len > 0);
    refused(made, resigned(made, der, (size_t)len), "DER");
    OPENSSL_free(der);
    ECDSA_SIG_free(signature);
}

/* The public key used as the secret of an HMAC. */
static void refuses_hs256_with_the_public_key(void **state)
{
    static const char header[] = "{\"alg\":\"HS256\",\"kid\":\"" KID "\",\"typ\":\"JWT\"}";
    fixture *made = *state;
    kv_role_token_key key = test_signer_key(made->signer);
    kv_error err = { 0 };
    kv_slice parts[3], text;
    uint8_t mac[32];
    unsigned len = sizeof(mac);

    assert_kv_ok(kv_base64url(&made->arena, kv_slice_text(header), &parts[0], &err));
    assert_kv_ok(kv_base64url(&made->arena, kv_slice_text(PAYLOAD), &parts[1], &err));
    assert_kv_ok(kv_arena_print(&made->arena, &text, &err, "%.*s.%.*s", KV_SLICE_ARG(parts[0]),
                                KV_SLICE_ARG(parts[1])));
    assert_non_null(
        HMAC(EVP_sha256(), key.spki.data, (int)key.spki.len, text.data, text.len, mac, &len));
    assert_kv_ok(kv_base64url(&made->arena, kv_slice_of(mac, len), &parts[2], &err));
    assert_kv_ok(kv_arena_print(&made->arena, &text, &err, "%.*s.%.*s", KV_SLICE_ARG(text),
                                KV_SLICE_ARG(parts[2])));
    refused(made, text, "HS256");
}

static void refuses_another_key_under_our_kid(void **state)
{
    fixture *made = *state;
    test_signer *stranger = test_signer_new(KID);

    refused(made, test_signer_jwt(stranger, HEADER, PAYLOAD, &made->arena), "stranger");
    test_signer_free(stranger);
}

/* Every cut and every flipped bit. */
static void refuses_every_cut_and_every_change(void **state)
{
    fixture *made = *state;
    kv_slice good = test_signer_jwt(made->signer, HEADER, PAYLOAD, &made->arena);
    uint8_t *copy = kv_arena_alloc(&made->arena, good.len + 2);
    char name[32];

    for (size_t len = 0; len < good.len; len++) {
        snprintf(name, sizeof(name), "cut at %zu", len);
        refused(made, kv_slice_of(good.data, len), name);
    }
    for (size_t i = 0; i < good.len; i++) {
        memcpy(copy, good.data, good.len);
        copy[i] ^= 1;
        snprintf(name, sizeof(name), "changed at %zu", i);
        refused(made, kv_slice_of(copy, good.len), name);
    }
    memcpy(copy, good.data, good.len);
    copy[good.len] = '=';
    refused(made, kv_slice_of(copy, good.len + 1), "padding");
    copy[good.len] = '.';
    refused(made, kv_slice_of(copy, good.len + 1), "four parts");
    copy[good.len] = '\n';
    refused(made, kv_slice_of(copy, good.len + 1), "a line end");
}

static void refuses_what_is_too_long(void **state)
{
    fixture *made = *state;
    char *payload = kv_arena_alloc(&made->arena, KV_ROLE_TOKEN_MAX);

    /* White space keeps it the same JSON. */
    memset(payload, ' ', KV_ROLE_TOKEN_MAX - 1);
    memcpy(payload, PAYLOAD, strlen(PAYLOAD));
    refused(made, test_signer_jwt(made->signer, HEADER, payload, &made->arena), "too long");
}

static void is_usable_in_its_time_with_its_certificate(void **state)
{
    fixture *made = *state;
    uint8_t bound[32] = { 0 }, other[32] = { 1 };
    kv_role_token token;
    kv_error err = { 0 };

    assert_kv_ok(kv_role_token_verify(made->verifier,
                                      test_signer_jwt(made->signer, HEADER, PAYLOAD, &made->arena),
                                      &token, &err));
    assert_kv_ok(kv_role_token_usable(&token, bound, 1000 * 1000, &err));
    assert_kv_ok(kv_role_token_usable(&token, bound, 1900 * 1000 - 1, &err));
    assert_kv_fails(KV_UNAUTHENTICATED, kv_role_token_usable(&token, bound, 1000 * 1000 - 1, &err));
    assert_int_equal(err.reason, KV_REASON_TOKEN_INVALID);
    assert_kv_fails(KV_UNAUTHENTICATED, kv_role_token_usable(&token, bound, 1900 * 1000, &err));
    assert_int_equal(err.reason, KV_REASON_TOKEN_EXPIRED);
    assert_kv_fails(KV_UNAUTHENTICATED, kv_role_token_usable(&token, other, 1000 * 1000, &err));
    assert_int_equal(err.reason, KV_REASON_TOKEN_INVALID);
    token.verify_until_ms = 1200 * 1000;
    assert_kv_ok(kv_role_token_usable(&token, bound, 1200 * 1000 - 1, &err));
    assert_kv_fails(KV_UNAUTHENTICATED, kv_role_token_usable(&token, bound, 1200 * 1000, &err));
}

static void refuses_keys_it_cannot_use(void **state)
{
    fixture *made = *state;
    kv_role_token_key good = test_signer_key(made->signer);
    kv_role_token_key keys[9] = { good, good };
    EVP_PKEY *p384 = EVP_EC_gen("P-384");
    kv_role_token_verifier *verifier;
    kv_error err = { 0 };
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(p384, &der);

    assert_kv_fails(KV_PRECONDITION,
                    kv_role_token_verifier_new(keys, 2, KV_SLICE(ISSUER), &verifier, &err));
    assert_kv_fails(KV_PRECONDITION,
                    kv_role_token_verifier_new(keys, 0, KV_SLICE(ISSUER), &verifier, &err));
    assert_kv_fails(KV_PRECONDITION,
                    kv_role_token_verifier_new(keys, 9, KV_SLICE(ISSUER), &verifier, &err));
    assert_kv_fails(KV_PRECONDITION,
                    kv_role_token_verifier_new(keys, 1, KV_SLICE(""), &verifier, &err));
    keys[0].kid = KV_SLICE("short");
    assert_kv_fails(KV_PRECONDITION,
                    kv_role_token_verifier_new(keys, 1, KV_SLICE(ISSUER), &verifier, &err));
    keys[0] = good;
    keys[0].spki = kv_slice_of(der, (size_t)len);
    assert_kv_fails(KV_PRECONDITION,
                    kv_role_token_verifier_new(keys, 1, KV_SLICE(ISSUER), &verifier, &err));
    OPENSSL_free(der);
    EVP_PKEY_free(p384);
}

static void tells_when_the_token_is_away(void **state)
{
    fixture *made = *state;
    kv_role_token_signer signer = test_signer_lend(made->signer);
    kv_role_token claims = {
        .roles = { KV_ROLE_READER }, .role_count = 1, .scope = "/", .scope_len = 1
    };
    kv_error err = { 0 };
    kv_slice text;

    test_signer_break(made->signer, true);
    assert_kv_fails(KV_UNAVAILABLE, kv_role_token_make(&signer, KV_SLICE(ISSUER), &claims,
                                                       &made->arena, &text, &err));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_what_it_makes),
        TEST(reads_what_the_tests_below_start_from),
        TEST(refuses_headers),
        TEST(refuses_claims),
        TEST(refuses_signatures),
        TEST(refuses_a_der_signature),
        TEST(refuses_hs256_with_the_public_key),
        TEST(refuses_another_key_under_our_kid),
        TEST(refuses_every_cut_and_every_change),
        TEST(refuses_what_is_too_long),
        TEST(is_usable_in_its_time_with_its_certificate),
        TEST(refuses_keys_it_cannot_use),
        TEST(tells_when_the_token_is_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
