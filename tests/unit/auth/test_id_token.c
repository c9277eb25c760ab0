/* test_id_token.c - keys of an identity provider, and tokens that are right or wrong by one thing.
 */
#include "server/auth/id_token.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

#include "server/base/text.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/auth/provider.h"

/* --- keys --- */

typedef struct signer {
    const char *algorithm;
    EVP_PKEY *key;
    const char *curve;
} signer;

static void every_algorithm_fits_its_own_key_alone(void **state)
{
    world *at = *state;
    const signer signers[] = {
        { "RS256", at->rsa, NULL },     { "RS384", at->rsa, NULL },
        { "RS512", at->rsa, NULL },     { "PS256", at->rsa, NULL },
        { "PS384", at->rsa, NULL },     { "PS512", at->rsa, NULL },
        { "ES256", at->p256, "P-256" }, { "ES384", at->p384, "P-384" },
        { "ES512", at->p521, "P-521" }, { "EdDSA", at->ed, "Ed25519" },
    };
    kv_slice text = KV_SLICE("signed part"), other = KV_SLICE("signed Part");

    for (size_t i = 0; i < KV_COUNT(signers); i++) {
        const kv_jws_algorithm *row = kv_jws_algorithm_find(kv_slice_text(signers[i].algorithm));
        kv_slice signature = sign(at, signers[i].key, row, text);
        kv_jwks *keys = NULL;

        assert_int_equal(
            parse(at, jwk(at, signers[i].key, signers[i].curve, ",\"kid\":\"k\""), &keys), KV_OK);
        for (size_t k = 0; k < KV_COUNT(signers); k++) {
            const kv_jws_algorithm *as = kv_jws_algorithm_find(kv_slice_text(signers[k].algorithm));
            EVP_PKEY *found = kv_jwks_find(keys, KV_SLICE("k"), as);

            assert_int_equal(found != NULL, signers[k].key == signers[i].key);
            if (found)
                assert_int_equal(kv_jws_verify(found, as, text, signature), k == i);
            if (found)
                assert_false(kv_jws_verify(found, as, other, signature));
        }
        assert_false(kv_jws_verify(kv_jwks_find(keys, KV_SLICE("k"), row), row, text,
                                   kv_slice_of(signature.data, signature.len - 1)));
        assert_null(kv_jwks_find(keys, KV_SLICE("K"), row));
        kv_jwks_free(keys);
    }
    assert_null(kv_jws_algorithm_find(KV_SLICE("none")));
    assert_null(kv_jws_algorithm_find(KV_SLICE("HS256")));
    assert_null(kv_jws_algorithm_find(KV_SLICE("rs256")));
    assert_null(kv_jws_algorithm_find(KV_SLICE("")));
}

static void zero_signatures_of_ecdsa_do_not_hold(void **state)
{
    world *at = *state;
    const kv_jws_algorithm *row = kv_jws_algorithm_find(KV_SLICE("ES256"));
    uint8_t zero[64] = { 0 };

    assert_false(kv_jws_verify(at->p256, row, KV_SLICE("a"), kv_slice_of(zero, sizeof(zero))));
    assert_false(kv_jws_verify(at->p256, row, KV_SLICE("a"), KV_SLICE_NONE));
}

static void a_key_must_be_for_signatures_and_sound(void **state)
{
    world *at = *state;
    EVP_PKEY *weak = EVP_RSA_gen(1024);
    const char *good = jwk(at, at->ed, "Ed25519", ",\"kid\":\"good\"");
    const char *bad[] = {
        jwk(at, at->ed, NULL, ""),
        jwk(at, at->ed, NULL, ",\"kid\":\"\""),
        jwk(at, at->ed, NULL, ",\"kid\":1"),
        jwk(at, at->ed, NULL, ",\"kid\":\"k\",\"use\":\"enc\""),
        jwk(at, at->ed, NULL, ",\"kid\":\"k\",\"use\":7"),
        jwk(at, at->ed, NULL, ",\"kid\":\"k\",\"key_ops\":[\"sign\"]"),
        jwk(at, at->ed, NULL, ",\"kid\":\"k\",\"d\":\"AAAA\""),
        jwk(at, weak, NULL, ",\"kid\":\"k\""),
        "{\"kty\":\"RSA\",\"kid\":\"k\",\"n\":\"AQ\",\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"kid\":\"k\",\"e\":\"AQAB\"}",
        "{\"kty\":\"oct\",\"kid\":\"k\",\"k\":\"AAAA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\","
        "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
        "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", /* not on the curve */
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\",\"x\":\"AA\",\"y\":\"AA\"}",
        "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"kid\":\"k\",\"x\":\"AA\",\"y\":\"AA\"}",
        "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"kid\":\"k\",\"x\":\"AA\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":\"not base64url!\"}",
        "{\"kty\":\"??\",\"kid\":\"k\"}",
        "7",
        "null",
    };
    kv_jwks *keys = NULL;

    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        char both[8192];

        if (parse(at, bad[i], &keys) != KV_UNAVAILABLE)
            fail_msg("taken: %s", bad[i]);
        (void)snprintf(both, sizeof(both), "%s,%s", bad[i], good);
        assert_int_equal(parse(at, both, &keys), KV_OK);
        assert_int_equal(kv_jwks_count(keys), 1);
        kv_jwks_free(keys);
    }
    EVP_PKEY_free(weak);
}

static void a_set_is_bounded_and_names_its_keys_once(void **state)
{
    world *at = *state;
    const kv_jws_algorithm *eddsa = kv_jws_algorithm_find(KV_SLICE("EdDSA"));
    kv_slice text = KV_SLICE_NONE, long_text;
    kv_jwks *keys = NULL;
    kv_error err = { 0 };
    EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    char both[2048];

    (void)snprintf(both, sizeof(both), "%s,%s", jwk(at, at->ed, NULL, ",\"kid\":\"k\""),
                   jwk(at, other, NULL, ",\"kid\":\"k\""));
    assert_int_equal(parse(at, both, &keys), KV_OK);
    assert_int_equal(kv_jwks_count(keys), 1);
    assert_int_equal(EVP_PKEY_eq(kv_jwks_find(keys, KV_SLICE("k"), eddsa), at->ed), 1);
    kv_jwks_free(keys);
    EVP_PKEY_free(other);

    for (int i = 0; i < KV_JWKS_KEYS + 10; i++) {
        char more[32];

        (void)snprintf(more, sizeof(more), ",\"kid\":\"%d\"", i);
        assert_kv_ok(kv_arena_print(&at->arena, &text, &err, "%.*s%s%s", KV_SLICE_ARG(text),
                                    i ? "," : "", jwk(at, at->ed, NULL, more)));
    }
    assert_kv_ok(kv_arena_print(&at->arena, &text, &err, "{\"keys\":[%.*s]}", KV_SLICE_ARG(text)));
    assert_kv_ok(kv_jwks_parse(text, &keys, &err));
    assert_int_equal(kv_jwks_count(keys), KV_JWKS_KEYS);
    kv_jwks_free(keys);

    assert_kv_ok(kv_arena_print(&at->arena, &long_text, &err, "%.*s%*s", KV_SLICE_ARG(text),
                                KV_JWKS_BYTES, ""));
    assert_kv_fails(KV_UNAVAILABLE, kv_jwks_parse(long_text, &keys, &err));
    assert_kv_fails(KV_UNAVAILABLE, kv_jwks_parse(KV_SLICE("{\"keys\":{}}"), &keys, &err));
    assert_kv_fails(KV_UNAVAILABLE, kv_jwks_parse(KV_SLICE("[]"), &keys, &err));
    assert_kv_fails(KV_UNAVAILABLE,
                    kv_jwks_parse(KV_SLICE("{\"keys\":[],\"keys\":[]}"), &keys, &err));
    assert_kv_fails(KV_UNAVAILABLE, kv_jwks_parse(KV_SLICE_NONE, &keys, &err));
}

/* --- tokens --- */

#define HEADER "{\"alg\":\"EdDSA\",\"kid\":\"k\",\"typ\":\"JWT\"}"
#define REST   "\"iat\":1795000000,\"exp\":1795000300"
#define OURS   "{\"iss\":\"" ISSUER "\",\"sub\":\"a\""
/* A thumbprint of zeros has one A before it. */
#define NO_THUMB "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define GOOD     "{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"kv\"," REST "}"

static kv_status check(world *at, kv_slice text, int64_t now_s, kv_id_token *out, kv_error *err)
{
    KV_AUTO(kv_id_token_form) form = { 0 };
    kv_id_token_rules rules = { .issuer = KV_SLICE(ISSUER),
                                .audience = KV_SLICE("kv"),
                                .algorithms = { kv_jws_algorithm_find(KV_SLICE("EdDSA")) },
                                .algorithm_count = 1,
                                .claims = { KV_SLICE("sub"), KV_SLICE("groups") },
                                .claim_count = 2,
                                .leeway_ms = 60000 };
    const uint8_t thumbprint[32] = { 0 };
    kv_jwks *keys = NULL;
    bool unknown;
    kv_status status;

    *err = (kv_error){ 0 };
    KV_TRY(kv_id_token_open(text, &at->arena, &form, err));
    assert_int_equal(parse(at, jwk(at, at->ed, NULL, ",\"kid\":\"k\""), &keys), KV_OK);
    status = kv_id_token_check(&form, &rules, keys, thumbprint, now_s * 1000, &at->arena, out,
                               &unknown, err);
    assert_int_equal(unknown, strstr(err->message, "(kid)") != NULL);
    kv_jwks_free(keys);
    return status;
}

static void times_have_a_leeway_and_an_edge(void **state)
{
    static const struct {
        int64_t at;
        kv_status status;
    } rows[] = {
        { NOW_S - 61, KV_UNAUTHENTICATED },  { NOW_S - 60, KV_OK },     { NOW_S + 359, KV_OK },
        { NOW_S + 360, KV_UNAUTHENTICATED }, { 0, KV_UNAUTHENTICATED },
    };
    world *at = *state;
    kv_id_token out;
    kv_error err;

    for (size_t i = 0; i < KV_COUNT(rows); i++)
        assert_int_equal(check(at, token(at, HEADER, GOOD), rows[i].at, &out, &err),
                         rows[i].status);
}

static void values_come_in_the_order_of_the_rules(void **state)
{
    world *at = *state;
    kv_id_token out;
    kv_error err;

    assert_kv_ok(check(at,
                       token(at, HEADER,
                             "{\"groups\":[\"x\",7,\"\",\"y\",null],\"iss\":\"" ISSUER
                             "\",\"sub\":\"a\",\"aud\":[\"kv\"]," REST "}"),
                       NOW_S, &out, &err));
    assert_int_equal(out.count, 3);
    assert_int_equal(out.values[0].claim, 0);
    assert_slice_equal(KV_SLICE("a"), out.values[0].text);
    assert_slice_equal(KV_SLICE("x"), out.values[1].text);
    assert_slice_equal(KV_SLICE("y"), out.values[2].text);
}

/* shape: table */
static const struct wrong {
    const char *header;
    const char *payload;
    const char *says;
} wrongs[] = {
    { "{\"alg\":\"none\",\"kid\":\"k\"}", GOOD, "(alg)" },
    { "{\"alg\":\"RS256\",\"kid\":\"k\"}", GOOD, "(alg)" },
    { "{\"alg\":[\"EdDSA\"],\"kid\":\"k\"}", GOOD, "(alg)" },
    { "{\"kid\":\"k\"}", GOOD, "(alg)" },
    { "{\"alg\":\"EdDSA\",\"alg\":\"EdDSA\",\"kid\":\"k\"}", GOOD, "duplicates" },
    { "{\"alg\":\"EdDSA\"}", GOOD, "(kid)" },
    { "{\"alg\":\"EdDSA\",\"kid\":null}", GOOD, "(kid)" },
    { "{\"alg\":\"EdDSA\",\"kid\":\"other\"}", GOOD, "(kid)" },
    { "{\"alg\":\"EdDSA\",\"kid\":\"k\",\"typ\":\"secevent+jwt\"}", GOOD, "(typ)" },
    { "{\"alg\":\"EdDSA\",\"kid\":\"k\",\"typ\":7}", GOOD, "(typ)" },
    { "{\"alg\":\"EdDSA\",\"kid\":\"k\",\"crit\":[]}", GOOD, "extension" },
    { "{\"alg\":\"EdDSA\",\"kid\":\"k\",\"x5u\":\"https://a\"}", GOOD, "extension" },
    { "{\"alg\":\"EdDSA\",\"kid\":\"k\",\"b64\":false}", GOOD, "extension" },
    { "[]", GOOD, "JSON objects" },
    { HEADER, "7", "JSON objects" },
    { HEADER, "", "JSON objects" },
    { HEADER, "{}", "(iss)" },
    { HEADER, "{\"iss\":\"" ISSUER "/\",\"sub\":\"a\",\"aud\":\"kv\"," REST "}", "(iss)" },
    { HEADER, "{\"iss\":\"" ISSUER "\",\"sub\":\"\",\"aud\":\"kv\"," REST "}", "(sub)" },
    { HEADER, "{\"iss\":\"" ISSUER "\",\"sub\":7,\"aud\":\"kv\"," REST "}", "(sub)" },
    { HEADER, "{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":[]," REST "}", "(aud)" },
    { HEADER, "{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":{\"kv\":1}," REST "}", "(aud)" },
    { HEADER, "{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"kv\",\"iat\":1}", "(iat, exp)" },
    { HEADER, "{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"kv\",\"iat\":-1,\"exp\":1795000300}",
      "(iat, exp)" },
    { HEADER, "{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"kv\",\"iat\":1,\"exp\":1e300}",
      "(iat, exp)" },
    { HEADER, "{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"kv\",\"nbf\":\"0\"," REST "}",
      "(nbf)" },
    { HEADER, OURS ",\"aud\":\"kv\",\"nbf\":1795000061," REST "}", "(nbf)" },
    { HEADER, OURS ",\"aud\":[\"x\",\"y\"],\"azp\":\"kv\"," REST "}", "(aud)" },
    { HEADER, OURS ",\"aud\":[\"kv\",\"x\"]," REST "}", "(azp)" },
    { HEADER, OURS ",\"aud\":[\"kv\",\"x\"],\"azp\":\"x\"," REST "}", "(azp)" },
    { HEADER, OURS ",\"aud\":[\"x\",\"kv\"],\"azp\":[\"kv\"]," REST "}", "(azp)" },
    { HEADER, OURS ",\"aud\":\"kv\",\"cnf\":{\"x5t#S256\":\"B" NO_THUMB "\"}," REST "}", "(cnf)" },
    { HEADER, OURS ",\"aud\":\"kv\",\"cnf\":{\"jkt\":\"A" NO_THUMB "\"}," REST "}", "(cnf)" },
    { HEADER, "{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"kv\",\"cnf\":{}," REST "}",
      "(cnf)" },
    { HEADER, "{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"kv\",\"cnf\":7," REST "}", "(cnf)" },
    { HEADER, "{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"kv\",\"events\":{}," REST "}",
      "(events)" },
    { HEADER, "{\"iss\":\"" ISSUER "\",\"sub\":\"a\\u0000b\",\"aud\":\"kv\"," REST "}",
      "JSON objects" },
};

static void one_thing_wrong_is_enough(void **state)
{
    world *at = *state;
    kv_id_token out;
    kv_error err;

    assert_kv_ok(check(at, token(at, HEADER, GOOD), NOW_S, &out, &err));
    for (size_t i = 0; i < KV_COUNT(wrongs); i++) {
        kv_slice text = token(at, wrongs[i].header, wrongs[i].payload);

        if (check(at, text, NOW_S, &out, &err) != KV_UNAUTHENTICATED ||
            err.reason != KV_REASON_ID_TOKEN_INVALID || !strstr(err.message, wrongs[i].says))
            fail_msg("%zu: %s %s: '%s'", i, wrongs[i].header, wrongs[i].payload, err.message);
    }
}

static void what_is_ours_among_others_is_taken(void **state)
{
    static const char *const rights[] = {
        OURS ",\"aud\":\"kv\",\"nbf\":1795000060," REST "}",
        OURS ",\"aud\":[\"x\",\"kv\"],\"azp\":\"kv\"," REST "}",
        OURS ",\"aud\":\"kv\",\"cnf\":{\"x5t#S256\":\"A" NO_THUMB "\"}," REST "}",
    };
    world *at = *state;
    kv_id_token out;
    kv_error err;

    for (size_t i = 0; i < KV_COUNT(rights); i++)
        if (check(at, token(at, HEADER, rights[i]), NOW_S, &out, &err) != KV_OK)
            fail_msg("%s: '%s'", rights[i], err.message);
}

/* Ours, with a member that is a list of so many texts. */
static kv_slice with_list(world *at, const char *before, unsigned count, const char *text,
                          const char *after)
{
    enum { PAYLOAD = 8192 };
    char payload[PAYLOAD];
    int len = snprintf(payload, sizeof(payload), "%s", before);

    for (unsigned i = 0; i < count; i++)
        len +=
            snprintf(payload + len, sizeof(payload) - (size_t)len, "%s\"%s\"", i ? "," : "", text);
    (void)snprintf(payload + len, sizeof(payload) - (size_t)len, "%s", after);
    return token(at, HEADER, payload);
}

static void lists_have_an_end(void **state)
{
    static const char audiences[] = OURS ",\"azp\":\"kv\",\"aud\":[", rest[] = "]," REST "}";
    static const char groups[] = OURS ",\"aud\":\"kv\",\"groups\":[";
    world *at = *state;
    kv_id_token out;
    kv_error err;

    assert_kv_ok(check(at, with_list(at, audiences, 64, "kv", rest), NOW_S, &out, &err));
    assert_kv_fails(KV_UNAUTHENTICATED,
                    check(at, with_list(at, audiences, 65, "kv", rest), NOW_S, &out, &err));
    assert_non_null(strstr(err.message, "(aud)"));
    assert_kv_ok(check(at, with_list(at, groups, KV_ID_VALUES, "g", rest), NOW_S, &out, &err));
    assert_int_equal(out.count, KV_ID_VALUES + 1);
    assert_kv_fails(
        KV_UNAUTHENTICATED,
        check(at, with_list(at, groups, KV_ID_VALUES + 1, "g", rest), NOW_S, &out, &err));
    assert_int_equal(err.reason, KV_REASON_ID_TOKEN_INVALID);
}

static void every_changed_byte_shows(void **state)
{
    world *at = *state;
    kv_slice text = token(at, HEADER, GOOD);
    uint8_t *bytes = (uint8_t *)(uintptr_t)text.data;
    kv_id_token out;
    kv_error err;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t was = bytes[i];

        bytes[i] = was == 'A' ? 'B' : 'A';
        if (check(at, text, NOW_S, &out, &err) == KV_OK)
            fail_msg("byte %zu may change", i);
        bytes[i] = was;
    }
    assert_kv_ok(check(at, text, NOW_S, &out, &err));
    for (size_t len = 0; len < text.len; len++)
        assert_int_equal(check(at, kv_slice_of(text.data, len), NOW_S, &out, &err),
                         KV_UNAUTHENTICATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_algorithm_fits_its_own_key_alone),
        cmocka_unit_test(zero_signatures_of_ecdsa_do_not_hold),
        cmocka_unit_test(a_key_must_be_for_signatures_and_sound),
        cmocka_unit_test(a_set_is_bounded_and_names_its_keys_once),
        cmocka_unit_test(times_have_a_leeway_and_an_edge),
        cmocka_unit_test(values_come_in_the_order_of_the_rules),
        cmocka_unit_test(what_is_ours_among_others_is_taken),
        cmocka_unit_test(lists_have_an_end),
        cmocka_unit_test(one_thing_wrong_is_enough),
        cmocka_unit_test(every_changed_byte_shows),
    };

    return cmocka_run_group_tests_name("id_token", tests, set_up, take_down);
}
