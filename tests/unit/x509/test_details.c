/* test_details.c - what the lint asks beside the facts, read from certificates that OpenSSL made.
 */
#include "server/x509/details.h"

#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/crypto_memory.h"

/* Extensions as openssl.cnf has them; NULL: none. */
typedef struct shape {
    const char *points;
    const char *access;
    const char *policies[3]; /* identifiers */
    const char *constraints;
    const char *unit;
    const char *country;
    const char *second; /* common name */
    unsigned rsa_bits;  /* 0: P-256 */
    unsigned exponent;
} shape;

static void extend(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension =
        value ? X509V3_EXT_conf_nid(NULL, NULL, nid, (char *)(uintptr_t)value) : NULL;

    assert_true(!value || extension);
    assert_true(!value || X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
}

static void add_policies(X509 *certificate, const char *const policies[3])
{
    CERTIFICATEPOLICIES *all = CERTIFICATEPOLICIES_new();

    for (unsigned i = 0; i < 3 && policies[i]; i++) {
        POLICYINFO *one = POLICYINFO_new();

        one->policyid = OBJ_txt2obj(policies[i], 1);
        assert_true(sk_POLICYINFO_push(all, one));
    }
    assert_int_equal(X509_add1_ext_i2d(certificate, NID_certificate_policies, all, 0, 0), 1);
    CERTIFICATEPOLICIES_free(all);
}

static void name(X509 *certificate, const char *field, const char *value)
{
    assert_true(!value ||
                X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), field, MBSTRING_ASC,
                                           (const unsigned char *)value, -1, -1, 0));
}

static EVP_PKEY *make_key(const shape *of)
{
    EVP_PKEY_CTX *context;
    EVP_PKEY *key = NULL;
    BIGNUM *exponent = BN_new();

    if (!of->rsa_bits) {
        BN_free(exponent);
        return EVP_EC_gen("P-256");
    }
    context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_true(BN_set_word(exponent, of->exponent) && EVP_PKEY_keygen_init(context) == 1 &&
                EVP_PKEY_CTX_set_rsa_keygen_bits(context, (int)of->rsa_bits) == 1 &&
                EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, exponent) == 1 &&
                EVP_PKEY_keygen(context, &key) == 1);
    EVP_PKEY_CTX_free(context);
    BN_free(exponent);
    return key;
}

/* As if it had just been received. */
static kv_x509_details details_of(X509 *certificate)
{
    unsigned char *der = NULL;
    int len = i2d_X509(certificate, &der);
    kv_x509_details details;
    kv_error err = { 0 };

    assert_true(len > 0);
    assert_kv_ok(kv_x509_details_of(certificate, kv_slice_of(der, (size_t)len), &details, &err));
    OPENSSL_free(der);
    return details;
}

static kv_x509_details read(const shape *of)
{
    X509 *certificate = X509_new();
    EVP_PKEY *key = make_key(of);
    kv_x509_details details;

    assert_true(X509_set_version(certificate, X509_VERSION_3));
    assert_true(X509_gmtime_adj(X509_getm_notBefore(certificate), 0) &&
                X509_gmtime_adj(X509_getm_notAfter(certificate), 1000));
    name(certificate, "CN", "www.example.com");
    name(certificate, "CN", of->second);
    name(certificate, "OU", of->unit);
    name(certificate, "C", of->country);
    extend(certificate, NID_crl_distribution_points, of->points);
    extend(certificate, NID_info_access, of->access);
    if (of->policies[0])
        add_policies(certificate, of->policies);
    extend(certificate, NID_name_constraints, of->constraints);
    assert_true(X509_set_pubkey(certificate, key) && X509_sign(certificate, key, EVP_sha256()));
    details = details_of(certificate);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return details;
}

static void a_plain_one_has_nothing(void **state)
{
    kv_x509_details details = read(&(shape){ 0 });
    kv_x509_details nothing = { .common_names = 1 };

    (void)state;
    assert_memory_equal(&details, &nothing, sizeof(details));
}

static void where_its_revocation_is_told(void **state)
{
    kv_x509_details details = read(&(shape){ .points = "URI:http://a.test/1.crl" });

    (void)state;
    assert_true(details.has_revocation && !details.foreign_url);
    details =
        read(&(shape){ .access = "OCSP;URI:http://a.test/ocsp,caIssuers;URI:http://a.test/c" });
    assert_true(details.has_revocation && !details.foreign_url);
    /* Where the issuer is says nothing of that. */
    details = read(&(shape){ .access = "caIssuers;URI:http://a.test/c" });
    assert_false(details.has_revocation || details.foreign_url);
    details = read(&(shape){ .points = "URI:http://a.test/1.crl,URI:ldap://a.test/crl" });
    assert_true(details.has_revocation && details.foreign_url);
    /* Schemes are equal in capitals (RFC 3986, section 3.1). */
    details = read(&(shape){ .points = "URI:HTTP://a.test/1.crl" });
    assert_true(details.has_revocation && !details.foreign_url);
    details = read(&(shape){ .access = "OCSP;URI:https://a.test/ocsp" });
    assert_true(details.foreign_url);
    details = read(&(shape){ .access = "caIssuers;email:ca@a.test" });
    assert_true(details.foreign_url);
}

static void policies_of_the_forum_are_counted(void **state)
{
    (void)state;
    assert_int_equal(read(&(shape){ .policies = { "1.2.3.4" } }).reserved_policies, 0);
    assert_int_equal(
        read(&(shape){ .policies = { "1.2.3.4", "2.23.140.1.2.1" } }).reserved_policies, 1);
    assert_int_equal(
        read(&(shape){ .policies = { "2.23.140.1.1", "2.23.140.1.2.2" } }).reserved_policies, 2);
}

static void names_and_constraints(void **state)
{
    static const char *const bad[] = { "D1", "de" };

    (void)state;
    assert_true(read(&(shape){ .constraints = "permitted;DNS:a.test" }).has_constraints);
    assert_true(read(&(shape){ .unit = "Sales" }).has_unit);
    assert_int_equal(read(&(shape){ .second = "other.example.com" }).common_names, 2);
    assert_false(read(&(shape){ .country = "DE" }).bad_country);
    for (size_t i = 0; i < KV_COUNT(bad); i++)
        assert_true(read(&(shape){ .country = bad[i] }).bad_country);
}

static void rsa_keys(void **state)
{
    (void)state;
    assert_false(read(&(shape){ .rsa_bits = 2048, .exponent = 65537 }).bad_rsa);
    assert_false(read(&(shape){ .rsa_bits = 1024, .exponent = 3 }).bad_rsa);
    assert_true(read(&(shape){ .rsa_bits = 1023, .exponent = 65537 }).bad_rsa);
}

static bool signed_with_pss(const EVP_MD *hash, const EVP_MD *mask, int salt)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    X509 *certificate = X509_new();
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *how;
    bool good;

    assert_true(X509_set_pubkey(certificate, key));
    assert_true(EVP_DigestSignInit(context, &how, hash, NULL, key) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1 &&
                EVP_PKEY_CTX_set_rsa_mgf1_md(how, mask) == 1 &&
                EVP_PKEY_CTX_set_rsa_pss_saltlen(how, salt) == 1 &&
                X509_sign_ctx(certificate, context) > 0);
    good = details_of(certificate).good_pss;
    EVP_MD_CTX_free(context);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return good;
}

static void signatures_with_pss(void **state)
{
    (void)state;
    assert_true(signed_with_pss(EVP_sha256(), EVP_sha256(), 32));
    assert_true(signed_with_pss(EVP_sha512(), EVP_sha512(), 64));
    assert_false(signed_with_pss(EVP_sha256(), EVP_sha384(), 32));
    assert_false(signed_with_pss(EVP_sha256(), EVP_sha256(), 20));
    assert_false(signed_with_pss(EVP_sha1(), EVP_sha1(), 20));
    assert_false(read(&(shape){ .rsa_bits = 2048, .exponent = 65537 }).good_pss);
}

/* A public key of two neighbours, as firmware has been found to make (CVE-2022-26320). */
static EVP_PKEY *neighbours(void)
{
    BIGNUM *n = BN_new(), *next = BN_new();
    BN_CTX *numbers = BN_CTX_new();
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *both;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;

    assert_true(BN_generate_prime_ex(n, 1024, 0, NULL, NULL, NULL) && BN_copy(next, n) &&
                BN_add_word(next, 20002) && BN_mul(n, n, next, numbers));
    assert_true(OSSL_PARAM_BLD_push_BN(builder, "n", n) &&
                OSSL_PARAM_BLD_push_uint(builder, "e", 65537));
    both = OSSL_PARAM_BLD_to_param(builder);
    assert_true(EVP_PKEY_fromdata_init(context) == 1 &&
                EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, both) == 1);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(both);
    OSSL_PARAM_BLD_free(builder);
    BN_CTX_free(numbers);
    BN_free(next);
    BN_free(n);
    return key;
}

static void primes_that_are_neighbours(void **state)
{
    EVP_PKEY *key = neighbours(), *signer = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();

    (void)state;
    assert_true(X509_set_pubkey(certificate, key) && X509_sign(certificate, signer, EVP_sha256()));
    assert_true(details_of(certificate).close_primes);
    assert_false(read(&(shape){ .rsa_bits = 2048, .exponent = 65537 }).close_primes);
    X509_free(certificate);
    EVP_PKEY_free(key);
    EVP_PKEY_free(signer);
}

static void years_of_four_digits(void **state)
{
    static const struct {
        const char *from, *until;
        bool found;
    } samples[] = {
        { "261121120000Z", "271121120000Z", false },
        { "261121120000Z", "20500101000000Z", false },
        { "261121120000Z", "20491231235959Z", true },
        { "20261121120000Z", "271121120000Z", true },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(samples); i++) {
        X509 *certificate = X509_new();
        EVP_PKEY *key = EVP_EC_gen("P-256");

        assert_true(ASN1_TIME_set_string(X509_getm_notBefore(certificate), samples[i].from) &&
                    ASN1_TIME_set_string(X509_getm_notAfter(certificate), samples[i].until));
        assert_true(X509_set_pubkey(certificate, key) && X509_sign(certificate, key, EVP_sha256()));
        assert_int_equal(details_of(certificate).long_times, samples[i].found);
        X509_free(certificate);
        EVP_PKEY_free(key);
    }
}

/* What is signed is told by the first algorithm; whoever changes the second one changes nothing
 * that the signature covers. */
static void two_algorithms(void **state)
{
    X509 *certificate = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    const X509_ALGOR *outside = NULL;
    kv_x509_details details;

    (void)state;
    assert_true(X509_set_pubkey(certificate, key) && X509_sign(certificate, key, EVP_sha256()));
    X509_get0_signature(NULL, &outside, certificate);
    assert_true(X509_ALGOR_set0((X509_ALGOR *)(uintptr_t)outside,
                                OBJ_nid2obj(NID_ecdsa_with_SHA384), V_ASN1_UNDEF, NULL));
    details = details_of(certificate);
    assert_true(details.two_algorithms);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static bool is_good(const kv_x509_details *details)
{
    return !details->bad_rsa && !details->close_primes && !details->two_algorithms &&
           !details->not_der && !details->bad_country && details->has_revocation;
}

/* False: it needed no more allocations than that. */
static bool without_memory(const X509 *certificate, kv_slice der, unsigned n)
{
    kv_x509_details details = { 0 };
    kv_error err = { 0 };
    kv_status status;
    bool failed;

    crypto_memory_fail(n, 1);
    status = kv_x509_details_of(certificate, der, &details, &err);
    failed = crypto_memory_spare();
    if (status != KV_BUSY && (status != KV_OK || !is_good(&details)))
        fail_msg("allocation %u: status %d", n, status);
    assert_true(failed || status == KV_OK);
    return failed;
}

static void a_certificate_is_not_bad_for_lack_of_memory(void **state)
{
    X509 *certificate = X509_new();
    EVP_PKEY *key = make_key(&(shape){ .rsa_bits = 2048, .exponent = 65537 });
    unsigned char *der = NULL;
    unsigned n = 1;
    int len;

    (void)state;
    name(certificate, "CN", "www.example.com");
    extend(certificate, NID_crl_distribution_points, "URI:http://a.test/1.crl");
    assert_true(X509_set_version(certificate, X509_VERSION_3) &&
                X509_gmtime_adj(X509_getm_notBefore(certificate), 0) &&
                X509_gmtime_adj(X509_getm_notAfter(certificate), 1000) &&
                X509_set_pubkey(certificate, key) && X509_sign(certificate, key, EVP_sha256()));
    len = i2d_X509(certificate, &der);
    assert_true(len > 0);
    while (without_memory(certificate, kv_slice_of(der, (size_t)len), n))
        n++;
    assert_true(n > 10);
    OPENSSL_free(der);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_one_has_nothing),
        cmocka_unit_test(where_its_revocation_is_told),
        cmocka_unit_test(policies_of_the_forum_are_counted),
        cmocka_unit_test(names_and_constraints),
        cmocka_unit_test(rsa_keys),
        cmocka_unit_test(signatures_with_pss),
        cmocka_unit_test(primes_that_are_neighbours),
        cmocka_unit_test(years_of_four_digits),
        cmocka_unit_test(two_algorithms),
        cmocka_unit_test(a_certificate_is_not_bad_for_lack_of_memory),
    };

    crypto_memory_take();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
