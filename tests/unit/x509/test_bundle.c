/* test_bundle.c - PEM and PKCS#7 in the right order, read by OpenSSL. */
#include "server/x509/bundle.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>

#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/soft_key.h"

typedef struct fixture {
    kv_arena arena;
    soft_key keys[3];
    kv_slice ders[3];
    kv_x509_list chain;
} fixture;

static int set_up(void **state)
{
    fixture *f = test_calloc(1, sizeof(*f));
    kv_x509_policy policy = soft_policy(KV_KEY_P256);

    f->arena = KV_ARENA(1 << 20);
    for (size_t i = 0; i < 3; i++) {
        soft_key_make(&f->keys[i], KV_KEY_P256, &f->arena);
        f->ders[i] = soft_certificate(&f->keys[i], &policy, SOFT_NOW_MS, &f->arena).der;
    }
    f->chain = (kv_x509_list){ .items = f->ders, .count = 3 };
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    for (size_t i = 0; i < 3; i++)
        soft_key_cleanup(&f->keys[i]);
    kv_arena_cleanup(&f->arena);
    test_free(f);
    return 0;
}

/* Reads the certificates that follow in `pem` and compares them with the chain. */
static void assert_certificates(BIO *pem, const fixture *f)
{
    for (size_t i = 0; i < f->chain.count; i++) {
        X509 *certificate = PEM_read_bio_X509(pem, NULL, NULL, NULL);
        unsigned char *der = NULL;
        int len;

        assert_non_null(certificate);
        len = i2d_X509(certificate, &der);
        assert_slice_equal(f->ders[i], kv_slice_of(der, (size_t)len));
        OPENSSL_free(der);
        X509_free(certificate);
    }
    assert_int_equal(BIO_pending(pem), 0);
}

static void pem_is_leaf_first(void **state)
{
    fixture *f = *state;
    kv_error err = { 0 };
    kv_slice pem;
    BIO *bio;

    assert_kv_ok(kv_x509_chain_pem(&f->arena, f->chain, &pem, &err));
    assert_true(kv_slice_starts_with(pem, KV_SLICE("-----BEGIN CERTIFICATE-----\n")));
    assert_null(memchr(pem.data, '\r', pem.len));
    assert_null(memchr(pem.data, 0, pem.len));
    bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    assert_certificates(bio, f);
    BIO_free(bio);
}

static void pem_is_byte_for_byte_what_openssl_writes(void **state)
{
    fixture *f = *state;
    kv_error err = { 0 };

    for (size_t i = 0; i < 3; i++) {
        kv_x509_list one = { .items = &f->ders[i], .count = 1 };
        const unsigned char *at = f->ders[i].data;
        X509 *certificate = d2i_X509(NULL, &at, (long)f->ders[i].len);
        BIO *bio = BIO_new(BIO_s_mem());
        char *data;
        kv_slice pem;
        long len;

        assert_true(PEM_write_bio_X509(bio, certificate));
        len = BIO_get_mem_data(bio, &data);
        assert_kv_ok(kv_x509_chain_pem(&f->arena, one, &pem, &err));
        assert_slice_equal(kv_slice_of(data, (size_t)len), pem);
        BIO_free(bio);
        X509_free(certificate);
    }
}

static void pkcs7_has_the_chain_and_no_signature(void **state)
{
    fixture *f = *state;
    kv_error err = { 0 };
    const unsigned char *at;
    STACK_OF(X509) *certificates;
    kv_slice der;
    PKCS7 *message;

    assert_kv_ok(kv_x509_chain_pkcs7(&f->arena, f->chain, &der, &err));
    at = der.data;
    message = d2i_PKCS7(NULL, &at, (long)der.len);
    assert_non_null(message);
    assert_ptr_equal(at, der.data + der.len);
    assert_true(PKCS7_type_is_signed(message));
    assert_int_equal(sk_PKCS7_SIGNER_INFO_num(PKCS7_get_signer_info(message)), 0);
    certificates = message->d.sign->cert;
    assert_int_equal(sk_X509_num(certificates), 3);
    for (int i = 0; i < 3; i++) {
        unsigned char *one = NULL;
        int len = i2d_X509(sk_X509_value(certificates, i), &one);

        assert_slice_equal(f->ders[i], kv_slice_of(one, (size_t)len));
        OPENSSL_free(one);
    }
    PKCS7_free(message);
}

static void the_openssl_tool_reads_pkcs7(void **state)
{
    fixture *f = *state;
    kv_error err = { 0 };
    char text[16384], path[256];
    const char *at;
    kv_slice pem;
    int count = 0;

    assert_kv_ok(kv_x509_chain_pkcs7_pem(&f->arena, f->chain, &pem, &err));
    soft_file("chain.p7b", pem, path);
    assert_int_equal(
        soft_run((const char *[]){ "openssl", "pkcs7", "-in", path, "-print_certs", NULL }, text,
                 sizeof(text)),
        0);
    for (at = text; (at = strstr(at, "-----BEGIN CERTIFICATE-----")); at++)
        count++;
    assert_int_equal(count, 3);
    soft_file_remove(path);
}

static void the_secret_has_the_key_first(void **state)
{
    fixture *f = *state;
    KV_AUTO(kv_secret_buf) pem = KV_SECRET_NONE;
    kv_error err = { 0 };
    EVP_PKEY *key;
    BIO *bio;

    assert_kv_ok(kv_x509_secret_pem(f->chain, f->keys[0].pkcs8, &pem, &err));
    assert_true(
        kv_slice_starts_with(kv_secret_buf_slice(&pem), KV_SLICE("-----BEGIN PRIVATE KEY-----\n")));
    assert_int_equal(strlen((const char *)pem.data), pem.len);
    bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    assert_non_null(key);
    assert_int_equal(EVP_PKEY_eq(key, f->keys[0].pair), 1);
    assert_certificates(bio, f);
    EVP_PKEY_free(key);
    BIO_free(bio);
}

static void the_secret_without_a_key_is_the_chain(void **state)
{
    fixture *f = *state;
    KV_AUTO(kv_secret_buf) pem = KV_SECRET_NONE;
    kv_error err = { 0 };
    kv_slice chain;

    assert_kv_ok(kv_x509_secret_pem(f->chain, KV_SLICE_NONE, &pem, &err));
    assert_kv_ok(kv_x509_chain_pem(&f->arena, f->chain, &chain, &err));
    assert_slice_equal(chain, kv_secret_buf_slice(&pem));
}

static void a_foreign_key_is_refused(void **state)
{
    fixture *f = *state;
    KV_AUTO(kv_secret_buf) pem = KV_SECRET_NONE;
    kv_error err = { 0 };

    assert_kv_fails(KV_INTERNAL, kv_x509_secret_pem(f->chain, f->keys[1].pkcs8, &pem, &err));
    assert_kv_fails(KV_INTERNAL, kv_x509_secret_pem(f->chain, KV_SLICE("no key"), &pem, &err));
    assert_null(pem.data);
}

static void a_chain_that_is_none_is_refused(void **state)
{
    fixture *f = *state;
    KV_AUTO(kv_secret_buf) pem = KV_SECRET_NONE;
    kv_error err = { 0 };
    kv_slice many[KV_X509_CHAIN_MAX + 1], broken[2] = { f->ders[0], KV_SLICE("no certificate") };
    kv_x509_list chains[] = { { NULL, 0 }, { many, KV_COUNT(many) }, { broken, 2 } };
    kv_slice out = KV_SLICE_NONE;

    for (size_t i = 0; i < KV_COUNT(many); i++)
        many[i] = f->ders[0];
    for (size_t i = 0; i < KV_COUNT(chains); i++) {
        assert_kv_fails(KV_BAD_REQUEST, kv_x509_chain_pem(&f->arena, chains[i], &out, &err));
        assert_kv_fails(KV_BAD_REQUEST, kv_x509_chain_pkcs7(&f->arena, chains[i], &out, &err));
        assert_kv_fails(KV_BAD_REQUEST, kv_x509_chain_pkcs7_pem(&f->arena, chains[i], &out, &err));
        assert_kv_fails(KV_BAD_REQUEST,
                        kv_x509_secret_pem(chains[i], f->keys[0].pkcs8, &pem, &err));
    }
    assert_null(out.data);
    assert_null(pem.data);
    chains[1].count = KV_X509_CHAIN_MAX;
    assert_kv_ok(kv_x509_chain_pem(&f->arena, chains[1], &out, &err));
}

static void the_secret_keeps_a_given_order(void **state)
{
    fixture *f = *state;
    KV_AUTO(kv_secret_buf) pem = KV_SECRET_NONE;
    kv_error err = { 0 };
    EVP_PKEY *key;
    BIO *text;

    assert_kv_ok(kv_x509_secret_pem_as_given(f->chain, f->keys[2].pkcs8, &pem, &err));
    text = BIO_new_mem_buf(pem.data, (int)pem.len);
    key = PEM_read_bio_PrivateKey(text, NULL, NULL, NULL);
    assert_non_null(key);
    assert_int_equal(EVP_PKEY_eq(key, f->keys[2].pair), 1);
    assert_certificates(text, f);
    EVP_PKEY_free(key);
    BIO_free(text);
    f->chain.count = 2;
    assert_kv_fails(KV_INTERNAL,
                    kv_x509_secret_pem_as_given(f->chain, f->keys[2].pkcs8, &pem, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pem_is_leaf_first),
        cmocka_unit_test(pem_is_byte_for_byte_what_openssl_writes),
        cmocka_unit_test(pkcs7_has_the_chain_and_no_signature),
        cmocka_unit_test(the_openssl_tool_reads_pkcs7),
        cmocka_unit_test(the_secret_has_the_key_first),
        cmocka_unit_test(the_secret_without_a_key_is_the_chain),
        cmocka_unit_test(a_foreign_key_is_refused),
        cmocka_unit_test(a_chain_that_is_none_is_refused),
        cmocka_unit_test(the_secret_keeps_a_given_order),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
