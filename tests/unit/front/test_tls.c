/* test_tls.c - which client keys and usages are accepted. */
#include "server/front/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "tests/support/kv_cmocka.h"

static kv_status check(EVP_PKEY *key, const char *usage, kv_error *err)
{
    EVP_PKEY *issuer = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    kv_status status;

    assert_non_null(key);
    assert_true(X509_set_version(certificate, X509_VERSION_3));
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 3600));
    assert_true(X509_set_pubkey(certificate, key));
    if (usage) {
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_ext_key_usage, usage);

        assert_non_null(extension);
        assert_true(X509_add_ext(certificate, extension, -1));
        X509_EXTENSION_free(extension);
    }
    assert_true(X509_sign(certificate, issuer, EVP_sha256()) > 0);
    EVP_PKEY_free(issuer);
    status = kv_tls_check_client(certificate, err);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return status;
}

static void good_keys_are_accepted(void **state)
{
    kv_error err;

    (void)state;
    assert_kv_ok(check(EVP_RSA_gen(2048), NULL, &err));
    assert_kv_ok(check(EVP_EC_gen("P-256"), NULL, &err));
    assert_kv_ok(check(EVP_EC_gen("P-384"), NULL, &err));
    assert_kv_ok(check(EVP_EC_gen("P-521"), NULL, &err));
}

static void weak_and_odd_keys_are_not(void **state)
{
    kv_error err;

    (void)state;
    assert_kv_fails(KV_BAD_REQUEST, check(EVP_RSA_gen(1024), NULL, &err));
    assert_kv_fails(KV_BAD_REQUEST, check(EVP_EC_gen("P-224"), NULL, &err));
    assert_kv_fails(KV_BAD_REQUEST, check(EVP_EC_gen("secp256k1"), NULL, &err));
    assert_kv_fails(KV_BAD_REQUEST, check(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL, &err));
}

static void a_usage_must_name_the_client(void **state)
{
    kv_error err;

    (void)state;
    assert_kv_ok(check(EVP_EC_gen("P-256"), "serverAuth,clientAuth", &err));
    assert_kv_fails(KV_BAD_REQUEST, check(EVP_EC_gen("P-256"), "serverAuth", &err));
    assert_non_null(strstr(err.message, "clientAuth"));
}

static void a_certificate_needs_its_own_key(void **state)
{
    kv_tls_identity identity = { .key = EVP_EC_gen("P-256"), .chain = sk_X509_new_null() };
    X509 *certificate = X509_new();
    EVP_PKEY *other = EVP_EC_gen("P-256");
    kv_tls *tls;
    kv_error err;

    (void)state;
    assert_kv_fails(KV_BAD_REQUEST, kv_tls_new(&identity, &tls, &err));
    assert_true(X509_set_pubkey(certificate, other));
    assert_true(sk_X509_push(identity.chain, certificate));
    assert_kv_fails(KV_BAD_REQUEST, kv_tls_new(&identity, &tls, &err));
    EVP_PKEY_free(other);
    kv_tls_identity_cleanup(&identity);
}

static void absent_files_are_told(void **state)
{
    kv_tls_identity identity;
    kv_error err;

    (void)state;
    assert_kv_fails(KV_UNAVAILABLE,
                    kv_tls_identity_read("/nonexistent/a", "/nonexistent/b", &identity, &err));
}

/* How many certificates a PEM file has; -1 when it is refused. */
static int read_file(const char *text, int len)
{
    BIO *file = BIO_new_mem_buf(text, len);
    STACK_OF(X509) *chain = sk_X509_new_null();
    int count = kv_tls_read_chain(file, chain) ? sk_X509_num(chain) : -1;

    BIO_free(file);
    sk_X509_pop_free(chain, X509_free);
    ERR_clear_error();
    return count;
}

static void a_file_is_read_whole_or_not_at_all(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    BIO *out = BIO_new(BIO_s_mem());
    char *text;
    int one, all;

    (void)state;
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 3600));
    assert_true(X509_set_pubkey(certificate, key) && X509_sign(certificate, key, EVP_sha256()));
    assert_true(PEM_write_bio_X509(out, certificate));
    one = (int)BIO_get_mem_data(out, &text);
    assert_true(BIO_puts(out, "and a remark\n") > 0 && PEM_write_bio_X509(out, certificate));
    all = (int)BIO_get_mem_data(out, &text);
    assert_int_equal(read_file(text, one), 1);
    assert_int_equal(read_file(text, all), 2);
    assert_int_equal(read_file(text, 0), -1);
    /* From the first line of the second one on. */
    for (int len = all - 30; len > all - one + 28; len--)
        assert_int_equal(read_file(text, len), -1);
    text[all - one / 2] = '!';
    assert_int_equal(read_file(text, all), -1);
    BIO_free(out);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_keys_are_accepted),
        cmocka_unit_test(weak_and_odd_keys_are_not),
        cmocka_unit_test(a_usage_must_name_the_client),
        cmocka_unit_test(a_certificate_needs_its_own_key),
        cmocka_unit_test(absent_files_are_told),
        cmocka_unit_test(a_file_is_read_whole_or_not_at_all),
    };

    return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
