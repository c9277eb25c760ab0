/* test_inspect.c - the facts of a certificate agree with what OpenSSL's own tool prints. */
#include "server/x509/inspect.h"

#include <stdio.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "server/base/text.h"
#include "server/x509/request.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/pki.h"

static void agree_with_the_openssl_tool(void **state)
{
    kv_arena arena = KV_ARENA(1 << 20);
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    char text[4096], path[256], expected[256];
    kv_x509_built built;
    soft_key key;

    (void)state;
    soft_key_make(&key, KV_KEY_P256, &arena);
    policy.x509_props.subject = KV_SLICE("CN=www.example.com, O=Example\\, Inc., C=CH");
    built = soft_certificate(&key, &policy, SOFT_NOW_MS, &arena);
    soft_file("leaf.der", built.der, path);
    assert_int_equal(soft_run((const char *[]){ "openssl", "x509", "-inform", "DER", "-in", path,
                                                "-noout", "-subject", "-serial", "-fingerprint",
                                                "-nameopt", "RFC2253", "-dates", NULL },
                              text, sizeof(text)),
                     0);
    (void)snprintf(expected, sizeof(expected), "subject=%.*s\n", KV_SLICE_ARG(built.facts.subject));
    assert_non_null(strstr(text, expected));
    (void)snprintf(expected, sizeof(expected), "serial=%.*s\n",
                   KV_SLICE_ARG(built.facts.serial_hex));
    assert_non_null(strcasestr(text, expected));
    assert_non_null(strstr(text, "notBefore=Nov 20 11:50:00 2026 GMT"));
    assert_non_null(strstr(text, "notAfter=Jan 20 12:00:00 2027 GMT"));
    (void)snprintf(expected, sizeof(expected), "%02X:%02X:%02X:%02X", built.facts.sha1[0],
                   built.facts.sha1[1], built.facts.sha1[2], built.facts.sha1[3]);
    assert_non_null(strstr(text, expected));
    soft_file_remove(path);
    soft_key_cleanup(&key);
    kv_arena_cleanup(&arena);
}

static void have_the_thumbprints(void **state)
{
    kv_arena arena = KV_ARENA(1 << 20);
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    uint8_t sha1[20], sha256[32];
    kv_x509_built built;
    soft_key key;

    (void)state;
    soft_key_make(&key, KV_KEY_P256, &arena);
    built = soft_certificate(&key, &policy, SOFT_NOW_MS, &arena);
    (void)SHA1(built.der.data, built.der.len, sha1);
    (void)SHA256(built.der.data, built.der.len, sha256);
    assert_memory_equal(sha1, built.facts.sha1, 20);
    assert_memory_equal(sha256, built.facts.sha256, 32);
    soft_key_cleanup(&key);
    kv_arena_cleanup(&arena);
}

static void see_a_key_that_we_would_not_make(void **state)
{
    kv_arena arena = KV_ARENA(1 << 20);
    X509 *certificate = X509_new();
    kv_error err = { 0 };
    unsigned char *der = NULL;
    kv_x509_facts facts;
    soft_key key;
    int len;

    (void)state;
    soft_key_make_rsa(&key, 1024, &arena);
    assert_true(X509_set_pubkey(certificate, key.pair));
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 60));
    assert_true(ASN1_INTEGER_set(X509_get_serialNumber(certificate), -5));
    assert_true(X509_sign(certificate, key.pair, EVP_sha1()) > 0);
    len = i2d_X509(certificate, &der);
    assert_kv_ok(kv_x509_inspect(&arena, kv_slice_of(der, (size_t)len), &facts, &err));
    assert_int_equal(facts.key_kind, KV_KEY_NONE);
    assert_int_equal(facts.key_bits, 1024);
    assert_true(facts.is_rsa);
    assert_false(facts.has_key_usage);
    assert_int_equal(facts.subject.len, 0);
    assert_int_equal(facts.common_name.len, 0);
    assert_slice_equal(KV_SLICE("-05"), facts.serial_hex);
    assert_slice_equal(KV_SLICE("sha1WithRSAEncryption"), facts.signature_algorithm);
    assert_int_equal(facts.not_after_ms - facts.not_before_ms, 60 * 1000);
    OPENSSL_free(der);
    X509_free(certificate);
    soft_key_cleanup(&key);
    kv_arena_cleanup(&arena);
}

/* The same curve by its parameters is refused elsewhere, and must not pass for the named one. */
static void know_curves_by_their_names_only(void **state)
{
    kv_arena arena = KV_ARENA(1 << 20);
    X509 *certificate = X509_new();
    kv_error err = { 0 };
    unsigned char *der = NULL;
    kv_x509_facts facts;
    soft_key key;
    int len;

    (void)state;
    soft_key_make(&key, KV_KEY_P256, &arena);
    assert_true(EVP_PKEY_set_utf8_string_param(key.pair, OSSL_PKEY_PARAM_EC_ENCODING,
                                               OSSL_PKEY_EC_ENCODING_EXPLICIT));
    assert_true(X509_set_pubkey(certificate, key.pair));
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 60));
    assert_true(X509_sign(certificate, key.pair, EVP_sha256()) > 0);
    len = i2d_X509(certificate, &der);
    assert_kv_ok(kv_x509_inspect(&arena, kv_slice_of(der, (size_t)len), &facts, &err));
    assert_int_equal(facts.key_kind, KV_KEY_NONE);
    assert_int_equal(facts.key_bits, 256);
    OPENSSL_free(der);
    X509_free(certificate);
    soft_key_cleanup(&key);
    kv_arena_cleanup(&arena);
}

/* A name that OpenSSL would store but that reads as another one. */
static void refuse_a_name_with_a_nul_byte(void **state)
{
    static const char name[] = "www.example.com\0.evil.example";
    kv_arena arena = KV_ARENA(1 << 20);
    X509 *certificate = X509_new();
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *one = GENERAL_NAME_new();
    ASN1_IA5STRING *value = ASN1_IA5STRING_new();
    kv_error err = { 0 };
    unsigned char *der = NULL;
    kv_x509_facts facts;
    soft_key key;
    int len;

    (void)state;
    soft_key_make(&key, KV_KEY_P256, &arena);
    assert_true(ASN1_STRING_set(value, name, sizeof(name) - 1));
    GENERAL_NAME_set0_value(one, GEN_DNS, value);
    assert_true(sk_GENERAL_NAME_push(names, one));
    assert_true(X509_set_pubkey(certificate, key.pair));
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 60));
    assert_true(X509_set_version(certificate, X509_VERSION_3));
    assert_int_equal(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0), 1);
    assert_true(X509_sign(certificate, key.pair, EVP_sha256()) > 0);
    len = i2d_X509(certificate, &der);
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_x509_inspect(&arena, kv_slice_of(der, (size_t)len), &facts, &err));
    OPENSSL_free(der);
    GENERAL_NAMES_free(names);
    X509_free(certificate);
    soft_key_cleanup(&key);
    kv_arena_cleanup(&arena);
}

static void refuse_what_is_not_one_certificate(void **state)
{
    static const uint8_t huge[64 * 1024 + 1] = { 0x30 };
    kv_arena arena = KV_ARENA(1 << 20);
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    kv_error err = { 0 };
    kv_x509_facts facts;
    uint8_t longer[4096];
    kv_slice der;
    soft_key key;

    (void)state;
    soft_key_make(&key, KV_KEY_P256, &arena);
    der = soft_certificate(&key, &policy, SOFT_NOW_MS, &arena).der;
    memcpy(longer, der.data, der.len);
    longer[der.len] = 0;
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_x509_inspect(&arena, kv_slice_of(longer, der.len + 1), &facts, &err));
    for (size_t len = 0; len < der.len; len += 7)
        assert_kv_fails(KV_BAD_REQUEST,
                        kv_x509_inspect(&arena, kv_slice_of(der.data, len), &facts, &err));
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_x509_inspect(&arena, kv_slice_of(huge, sizeof(huge)), &facts, &err));
    assert_kv_fails(KV_BAD_REQUEST, kv_x509_inspect(&arena, key.spki, &facts, &err));
    soft_key_cleanup(&key);
    kv_arena_cleanup(&arena);
}

static void self_signed_is_checked(void **state)
{
    kv_arena arena = KV_ARENA(1 << 20);
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    kv_error err = { 0 };
    kv_x509_facts facts;
    uint8_t changed[4096];
    kv_slice der;
    soft_key key;

    (void)state;
    soft_key_make(&key, KV_KEY_P256, &arena);
    der = soft_certificate(&key, &policy, SOFT_NOW_MS, &arena).der;
    memcpy(changed, der.data, der.len);
    changed[der.len - 1] ^= 1;
    assert_kv_ok(kv_x509_inspect(&arena, kv_slice_of(changed, der.len), &facts, &err));
    assert_true(facts.self_issued);
    assert_false(kv_x509_is_self_signed(kv_slice_of(changed, der.len)));
    assert_true(kv_x509_is_self_signed(der));
    assert_false(kv_x509_is_self_signed(KV_SLICE("no certificate")));
    soft_key_cleanup(&key);
    kv_arena_cleanup(&arena);
}

/* What has no form that could be shown is counted, so that it does not pass for nothing. */
static void count_names_that_are_none(void **state)
{
    static const struct {
        const char *sans; /* DNS:www.example.com, and one more */
        unsigned hosts, addresses, others;
    } samples[] = {
        { "DER:3017820f7777772e6578616d706c652e636f6d870401020304", 1, 1, 0 },
        { "DER:3016820f7777772e6578616d706c652e636f6d8703010203", 1, 0, 1 },
        { "DER:301b820f7777772e6578616d706c652e636f6d8708010203ffffff0000", 1, 0, 1 },
        { "DER:3013820f7777772e6578616d706c652e636f6d8700", 1, 0, 1 },
        { "DER:3013820f7777772e6578616d706c652e636f6d8200", 1, 0, 1 },
        { "DER:3013820f7777772e6578616d706c652e636f6d8600", 1, 0, 1 },
        { "DER:3013820f7777772e6578616d706c652e636f6d8100", 1, 0, 1 },
        { "DER:30028200", 0, 0, 1 },
    };
    pki p;

    (void)state;
    pki_make(&p);
    for (size_t i = 0; i < KV_COUNT(samples); i++) {
        pki_spec spec = pki_leaf_spec(&p);
        kv_x509_facts facts;
        kv_error err = { 0 };

        spec.sans = samples[i].sans;
        assert_kv_ok(kv_x509_inspect(&p.arena, pki_certificate(&spec, &p.arena), &facts, &err));
        assert_int_equal(facts.sans.dns_names.count, samples[i].hosts);
        assert_int_equal(facts.sans.ip_addresses.count, samples[i].addresses);
        assert_int_equal(facts.other_sans, samples[i].others);
    }
    pki_cleanup(&p);
}

static void see_what_a_request_asks_for(void **state)
{
    kv_arena arena = KV_ARENA(1 << 20);
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    kv_x509_facts facts;
    uint8_t changed[4096];
    kv_error err = { 0 };
    kv_slice der;
    soft_key key;

    (void)state;
    soft_key_make(&key, KV_KEY_P256, &arena);
    assert_kv_ok(kv_x509_request_build(&arena, &policy, key.spki, &key.signer, &der, &err));
    assert_kv_ok(kv_x509_inspect_request(&arena, der, &facts, &err));
    assert_slice_equal(KV_SLICE("CN=www.example.com"), facts.subject);
    assert_slice_equal(KV_SLICE("www.example.com"), facts.common_name);
    assert_slice_equal(key.spki, facts.spki);
    assert_int_equal(facts.key_kind, KV_KEY_P256);
    assert_int_equal(facts.sans.dns_names.count, 1);
    assert_slice_equal(KV_SLICE("www.example.com"), facts.sans.dns_names.items[0]);
    assert_int_equal(facts.key_usage, policy.x509_props.key_usage);
    assert_int_equal(facts.ekus.count, 2);
    assert_false(facts.is_ca);
    assert_int_equal(facts.issuer.len + facts.serial_hex.len, 0);
    memcpy(changed, der.data, der.len);
    changed[der.len - 1] ^= 1;
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_x509_inspect_request(&arena, kv_slice_of(changed, der.len), &facts, &err));
    assert_string_equal(err.message, "the request is not signed by its own key");
    for (size_t len = 0; len < der.len; len += 7)
        assert_kv_fails(KV_BAD_REQUEST,
                        kv_x509_inspect_request(&arena, kv_slice_of(der.data, len), &facts, &err));
    soft_key_cleanup(&key);
    kv_arena_cleanup(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agree_with_the_openssl_tool),
        cmocka_unit_test(have_the_thumbprints),
        cmocka_unit_test(see_a_key_that_we_would_not_make),
        cmocka_unit_test(know_curves_by_their_names_only),
        cmocka_unit_test(refuse_a_name_with_a_nul_byte),
        cmocka_unit_test(refuse_what_is_not_one_certificate),
        cmocka_unit_test(self_signed_is_checked),
        cmocka_unit_test(count_names_that_are_none),
        cmocka_unit_test(see_what_a_request_asks_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
