/* test_lint_profiles.c - what public authorities sign on an ordinary day breaks no rule of any
 * scope. */
#include "server/x509/lint.h"

#include <openssl/x509v3.h>

#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/pki.h"

/* What all of them have. */
#define COMMON                                                                                    \
    { NID_basic_constraints, "critical,CA:FALSE" }, { NID_ext_key_usage, "serverAuth" },          \
        { NID_authority_key_identifier, "DER:30168014a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4" }, \
        { NID_info_access, "caIssuers;URI:http://r.example.org/" },                               \
    {                                                                                             \
        NID_certificate_policies, "DER:300a3008060667810c010201"                                  \
    }

enum { EXTENSIONS_MAX = 12, SERIAL_BYTES = 18 };

typedef struct profile {
    const char *name;
    kv_key_kind kind;
    const char *common_name; /* NULL: an empty subject */
    int64_t seconds;         /* from the first to the last, both counted */
    struct {
        int nid;
        const char *value;
    } extensions[EXTENSIONS_MAX];
} profile;

static const profile profiles[] = {
    { "classic, RSA",
      KV_KEY_RSA_2048,
      "www.example.com",
      INT64_C(90) * 86400,
      { COMMON,
        { NID_key_usage, "critical,digitalSignature,keyEncipherment" },
        { NID_subject_key_identifier, "DER:0414b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4" },
        { NID_crl_distribution_points, "URI:http://r.c.example.org/1.crl" },
        { NID_subject_alt_name, "DNS:www.example.com,DNS:example.com" } } },
    { "classic, EC",
      KV_KEY_P256,
      "example.com",
      INT64_C(64) * 86400,
      { COMMON,
        { NID_key_usage, "critical,digitalSignature" },
        { NID_subject_key_identifier, "DER:0414b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4" },
        { NID_crl_distribution_points, "URI:http://r.c.example.org/1.crl" },
        { NID_subject_alt_name, "DNS:*.example.com,DNS:example.com" } } },
    { "tlsserver, RSA",
      KV_KEY_RSA_2048,
      NULL,
      INT64_C(45) * 86400,
      { COMMON,
        { NID_key_usage, "critical,digitalSignature" },
        { NID_crl_distribution_points, "URI:http://r.c.example.org/1.crl" },
        { NID_subject_alt_name, "critical,DNS:www.example.com" } } },
    { "shortlived, addresses too",
      KV_KEY_P384,
      NULL,
      INT64_C(160) * 3600,
      { COMMON,
        { NID_key_usage, "critical,digitalSignature" },
        { NID_subject_alt_name,
          "critical,DNS:www.example.com,IP:198.41.0.4,IP:2001:503:ba3e::2:30" } } },
};

static void extend(X509 *certificate, const profile *of)
{
    for (size_t i = 0; i < EXTENSIONS_MAX && of->extensions[i].value; i++) {
        X509_EXTENSION *made =
            X509V3_EXT_nconf_nid(NULL, NULL, of->extensions[i].nid, of->extensions[i].value);

        if (!made)
            fail_msg("no extension '%s'", of->extensions[i].value);
        assert_true(X509_add_ext(certificate, made, -1));
        X509_EXTENSION_free(made);
    }
}

static kv_slice certificate_of(const profile *of, const soft_key *signer, kv_arena *arena)
{
    static const uint8_t serial[SERIAL_BYTES] = { 0x05, 0xa1, 0xb2, 0xc3 };
    X509 *made = X509_new();
    X509_NAME *subject = X509_get_subject_name(made), *issuer = X509_get_issuer_name(made);
    time_t from = SOFT_NOW_MS / 1000 - 3510; /* an hour early, nearly */
    time_t until = from + of->seconds - 1;
    unsigned char *der = NULL;
    kv_error err = { 0 };
    soft_key key;
    kv_slice out;
    int len;

    soft_key_make(&key, of->kind, arena);
    assert_true(
        X509_set_version(made, X509_VERSION_3) &&
        ASN1_STRING_set(X509_get_serialNumber(made), serial, sizeof(serial)) &&
        X509_NAME_add_entry_by_txt(issuer, "C", MBSTRING_ASC, (const uint8_t *)"US", -1, -1, 0) &&
        X509_NAME_add_entry_by_txt(issuer, "CN", MBSTRING_ASC, (const uint8_t *)"E99", -1, -1, 0));
    assert_true(!of->common_name ||
                X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                           (const uint8_t *)of->common_name, -1, -1, 0));
    assert_true(ASN1_TIME_set(X509_getm_notBefore(made), from) &&
                ASN1_TIME_set(X509_getm_notAfter(made), until) && X509_set_pubkey(made, key.pair));
    extend(made, of);
    assert_true(X509_sign(made, signer->pair, EVP_sha256()) > 0);
    len = i2d_X509(made, &der);
    assert_true(len > 0);
    assert_kv_ok(kv_arena_copy(arena, kv_slice_of(der, (size_t)len), &out, &err));
    OPENSSL_free(der);
    X509_free(made);
    soft_key_cleanup(&key);
    return out;
}

static void ordinary_certificates_have_no_findings(void **state)
{
    static const kv_x509_lint_scope scopes[] = { KV_X509_LINT_PRIVATE, KV_X509_LINT_PUBLIC };
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 20);
    soft_key signer;

    (void)state;
    soft_key_make(&signer, KV_KEY_P384, &arena);
    for (size_t i = 0; i < KV_COUNT(profiles); i++) {
        kv_x509_facts facts;
        kv_error err = { 0 };

        assert_kv_ok(
            kv_x509_inspect(&arena, certificate_of(&profiles[i], &signer, &arena), &facts, &err));
        facts.beside = (kv_x509_beside){ .signed_after_ms = SOFT_NOW_MS,
                                         .signed_before_ms = SOFT_NOW_MS + 60000,
                                         .issuer_until_ms = facts.not_after_ms + 1000 };
        for (size_t k = 0; k < KV_COUNT(scopes); k++) {
            kv_x509_findings findings;

            kv_x509_lint(&facts, scopes[k], &findings);
            if (findings.count)
                fail_msg("%s: %s, %s", profiles[i].name, findings.items[0]->id,
                         findings.items[0]->message);
        }
    }
    soft_key_cleanup(&signer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_certificates_have_no_findings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
