/* test_request.c - certification requests are what the policy says, and OpenSSL takes them. */
#include "server/x509/request.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/soft_key.h"

static const kv_key_kind kinds[] = { KV_KEY_RSA_2048, KV_KEY_P256, KV_KEY_P384, KV_KEY_P521 };

static void openssl_takes_them_for_every_kind_of_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(kinds); i++) {
        kv_arena arena = KV_ARENA(1 << 20);
        kv_x509_policy policy = soft_policy(kinds[i]);
        char text[8192], path[256];
        kv_error err = { 0 };
        kv_slice der;
        soft_key key;

        soft_key_make(&key, kinds[i], &arena);
        assert_kv_ok(kv_x509_request_build(&arena, &policy, key.spki, &key.signer, &der, &err));
        soft_file("request.der", der, path);
        assert_int_equal(soft_run((const char *[]){ "openssl", "req", "-inform", "DER", "-in", path,
                                                    "-noout", "-verify", "-text", NULL },
                                  text, sizeof(text)),
                         0);
        assert_non_null(strstr(text, "verify OK"));
        assert_non_null(strstr(text, "DNS:www.example.com"));
        assert_non_null(strstr(text, "TLS Web Server Authentication"));
        assert_non_null(strstr(text, "X509v3 Key Usage: critical"));
        assert_non_null(strstr(text, "CA:FALSE"));
        soft_file_remove(path);
        soft_key_cleanup(&key);
        kv_arena_cleanup(&arena);
    }
}

static void have_the_names_and_the_key(void **state)
{
    kv_arena arena = KV_ARENA(1 << 20);
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    kv_error err = { 0 };
    const unsigned char *at;
    char subject[128];
    X509_REQ *request;
    kv_slice der;
    soft_key key;

    (void)state;
    soft_key_make(&key, KV_KEY_P256, &arena);
    policy.x509_props.subject = KV_SLICE("CN=a, O=b, C=CH");
    assert_kv_ok(kv_x509_request_build(&arena, &policy, key.spki, &key.signer, &der, &err));
    at = der.data;
    request = d2i_X509_REQ(NULL, &at, (long)der.len);
    assert_non_null(request);
    assert_ptr_equal(at, der.data + der.len);
    assert_non_null(
        X509_NAME_oneline(X509_REQ_get_subject_name(request), subject, sizeof(subject)));
    assert_string_equal(subject, "/C=CH/O=b/CN=a");
    assert_int_equal(EVP_PKEY_eq(X509_REQ_get0_pubkey(request), key.pair), 1);
    assert_int_equal(X509_REQ_get_version(request), X509_REQ_VERSION_1);
    X509_REQ_free(request);
    soft_key_cleanup(&key);
    kv_arena_cleanup(&arena);
}

static void do_not_come_out_when_signing_fails(void **state)
{
    kv_arena arena = KV_ARENA(1 << 20);
    kv_x509_policy policy = soft_policy(KV_KEY_P256), other = soft_policy(KV_KEY_P384);
    kv_error err = { 0 };
    kv_slice der = KV_SLICE_NONE;
    soft_key key;

    (void)state;
    soft_key_make(&key, KV_KEY_P256, &arena);
    assert_kv_fails(KV_INTERNAL,
                    kv_x509_request_build(&arena, &other, key.spki, &key.signer, &der, &err));
    key.lies = true;
    assert_kv_fails(KV_INTERNAL,
                    kv_x509_request_build(&arena, &policy, key.spki, &key.signer, &der, &err));
    key.refuses = true;
    assert_kv_fails(KV_UNAVAILABLE,
                    kv_x509_request_build(&arena, &policy, key.spki, &key.signer, &der, &err));
    assert_kv_fails(KV_BAD_REQUEST, kv_x509_request_build(&arena, &policy, KV_SLICE("no key"),
                                                          &key.signer, &der, &err));
    assert_int_equal(der.len, 0);
    soft_key_cleanup(&key);
    kv_arena_cleanup(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_takes_them_for_every_kind_of_key),
        cmocka_unit_test(have_the_names_and_the_key),
        cmocka_unit_test(do_not_come_out_when_signing_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
