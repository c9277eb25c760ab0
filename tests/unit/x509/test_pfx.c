/* test_pfx.c - PFX files open with the right password, in OpenSSL's library and in its tool. */
#include "server/x509/pfx.h"

#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/soft_key.h"

typedef struct fixture {
    kv_arena arena;
    soft_key rsa, ec;
    kv_slice ders[2]; /* the RSA key's and the EC key's */
} fixture;

static int set_up(void **state)
{
    fixture *f = test_calloc(1, sizeof(*f));
    kv_x509_policy rsa = soft_policy(KV_KEY_RSA_2048), ec = soft_policy(KV_KEY_P256);

    f->arena = KV_ARENA(1 << 20);
    soft_key_make(&f->rsa, KV_KEY_RSA_2048, &f->arena);
    soft_key_make(&f->ec, KV_KEY_P256, &f->arena);
    f->ders[0] = soft_certificate(&f->rsa, &rsa, SOFT_NOW_MS, &f->arena).der;
    f->ders[1] = soft_certificate(&f->ec, &ec, SOFT_NOW_MS, &f->arena).der;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    soft_key_cleanup(&f->rsa);
    soft_key_cleanup(&f->ec);
    kv_arena_cleanup(&f->arena);
    test_free(f);
    return 0;
}

static PKCS12 *parse(const kv_secret_buf *pfx)
{
    const unsigned char *at = pfx->data;
    PKCS12 *file = d2i_PKCS12(NULL, &at, (long)pfx->len);

    assert_non_null(file);
    assert_ptr_equal(at, pfx->data + pfx->len);
    return file;
}

static void assert_opens(const kv_secret_buf *pfx, const char *password, EVP_PKEY *expected,
                         int others)
{
    PKCS12 *file = parse(pfx);
    STACK_OF(X509) *rest = NULL;
    EVP_PKEY *key = NULL;
    X509 *leaf = NULL;

    assert_int_equal(PKCS12_parse(file, password, &key, &leaf, &rest), 1);
    assert_non_null(key);
    assert_non_null(leaf);
    assert_int_equal(EVP_PKEY_eq(key, expected), 1);
    assert_int_equal(X509_check_private_key(leaf, key), 1);
    assert_int_equal(rest ? sk_X509_num(rest) : 0, others);
    sk_X509_pop_free(rest, X509_free);
    X509_free(leaf);
    EVP_PKEY_free(key);
    PKCS12_free(file);
}

static void opens_without_a_password(void **state)
{
    fixture *f = *state;
    kv_slice chain[] = { f->ders[1], f->ders[0] };
    kv_x509_pfx in = { .chain = { .items = chain, .count = 2 }, .key = f->ec.pkcs8 };
    KV_AUTO(kv_secret_buf) pfx = KV_SECRET_NONE;
    kv_error err = { 0 };

    assert_kv_ok(kv_x509_pfx_write(&in, &pfx, &err));
    assert_opens(&pfx, "", f->ec.pair, 1);
    assert_opens(&pfx, NULL, f->ec.pair, 1);
}

static void opens_with_its_password_only(void **state)
{
    static const char password[] = "correct horse \303\274 battery";
    fixture *f = *state;
    kv_x509_pfx in = { .chain = { .items = f->ders, .count = 1 },
                       .key = f->rsa.pkcs8,
                       .password = kv_slice_text(password) };
    KV_AUTO(kv_secret_buf) pfx = KV_SECRET_NONE;
    kv_error err = { 0 };
    PKCS12 *file;

    assert_kv_ok(kv_x509_pfx_write(&in, &pfx, &err));
    assert_opens(&pfx, password, f->rsa.pair, 0);
    file = parse(&pfx);
    assert_int_equal(PKCS12_verify_mac(file, password, -1), 1);
    assert_int_equal(PKCS12_verify_mac(file, "correct horse", -1), 0);
    assert_int_equal(PKCS12_verify_mac(file, "", 0), 0);
    assert_int_equal(PKCS12_verify_mac(file, NULL, 0), 0);
    ERR_clear_error();
    PKCS12_free(file);
}

static void uses_modern_algorithms(void **state)
{
    fixture *f = *state;
    kv_x509_pfx in = { .chain = { .items = f->ders, .count = 1 },
                       .key = f->rsa.pkcs8,
                       .password = KV_SLICE("secret") };
    KV_AUTO(kv_secret_buf) pfx = KV_SECRET_NONE;
    kv_error err = { 0 };
    char text[8192], path[256];

    assert_kv_ok(kv_x509_pfx_write(&in, &pfx, &err));
    soft_file("a.pfx", kv_secret_buf_slice(&pfx), path);
    assert_int_equal(soft_run((const char *[]){ "openssl", "pkcs12", "-in", path, "-info", "-noout",
                                                "-passin", "pass:secret", NULL },
                              text, sizeof(text)),
                     0);
    assert_non_null(strstr(text, "MAC: sha256, Iteration 100000"));
    assert_non_null(strstr(text, "Shrouded Keybag: PBES2, PBKDF2, AES-256-CBC, Iteration 100000, "
                                 "PRF hmacWithSHA256"));
    assert_non_null(strstr(text, "PKCS7 Encrypted data: PBES2, PBKDF2, AES-256-CBC"));
    assert_null(strstr(text, "3DES"));
    assert_null(strstr(text, "RC2"));
    soft_file_remove(path);
}

static void the_openssl_tool_opens_it(void **state)
{
    fixture *f = *state;
    kv_x509_pfx in = { .chain = { .items = f->ders + 1, .count = 1 },
                       .key = f->ec.pkcs8,
                       .friendly_name = KV_SLICE("my certificate") };
    kv_error err = { 0 };
    char text[8192], path[256];

    for (int with = 0; with < 2; with++) {
        KV_AUTO(kv_secret_buf) pfx = KV_SECRET_NONE;
        const char *right = with ? "pass:secret" : "pass:";

        in.password = with ? KV_SLICE("secret") : KV_SLICE_NONE;
        assert_kv_ok(kv_x509_pfx_write(&in, &pfx, &err));
        soft_file("a.pfx", kv_secret_buf_slice(&pfx), path);
        assert_int_equal(soft_run((const char *[]){ "openssl", "pkcs12", "-in", path, "-nodes",
                                                    "-passin", right, NULL },
                                  text, sizeof(text)),
                         0);
        assert_non_null(strstr(text, "-----BEGIN PRIVATE KEY-----"));
        assert_non_null(strstr(text, "-----BEGIN CERTIFICATE-----"));
        assert_non_null(strstr(text, "friendlyName: my certificate"));
        assert_int_not_equal(soft_run((const char *[]){ "openssl", "pkcs12", "-in", path, "-nodes",
                                                        "-passin", "pass:wrong", NULL },
                                      text, sizeof(text)),
                             0);
        assert_null(strstr(text, "PRIVATE KEY"));
        soft_file_remove(path);
    }
}

static void holds_certificates_alone(void **state)
{
    fixture *f = *state;
    kv_error err = { 0 };

    for (size_t count = 1; count <= 2; count++) {
        kv_x509_pfx in = { .chain = { .items = f->ders, .count = count } };
        KV_AUTO(kv_secret_buf) pfx = KV_SECRET_NONE;
        STACK_OF(X509) *rest = NULL;
        EVP_PKEY *key = NULL;
        X509 *leaf = NULL;
        PKCS12 *file;

        assert_kv_ok(kv_x509_pfx_write(&in, &pfx, &err));
        file = parse(&pfx);
        assert_int_equal(PKCS12_parse(file, "", &key, &leaf, &rest), 1);
        assert_null(key);
        assert_int_equal(sk_X509_num(rest), count);
        sk_X509_pop_free(rest, X509_free);
        X509_free(leaf);
        PKCS12_free(file);
    }
}

static void bad_input_is_refused(void **state)
{
    fixture *f = *state;
    kv_x509_pfx good = { .chain = { .items = f->ders, .count = 1 }, .key = f->rsa.pkcs8 };
    KV_AUTO(kv_secret_buf) pfx = KV_SECRET_NONE;
    kv_slice broken[] = { f->ders[0], KV_SLICE("no certificate") };
    char longest[KV_X509_PFX_PASSWORD_MAX + 1];
    kv_error err = { 0 };
    kv_x509_pfx in = good;

    memset(longest, 'a', sizeof(longest));
    in.password = kv_slice_of(longest, sizeof(longest));
    assert_kv_fails(KV_BAD_REQUEST, kv_x509_pfx_write(&in, &pfx, &err));
    assert_string_equal(err.field, "password");
    in.password = KV_SLICE("a\0b");
    assert_kv_fails(KV_BAD_REQUEST, kv_x509_pfx_write(&in, &pfx, &err));
    assert_string_equal(err.field, "password");
    in.password = KV_SLICE("\377");
    assert_kv_fails(KV_BAD_REQUEST, kv_x509_pfx_write(&in, &pfx, &err));

    in = good;
    in.friendly_name = KV_SLICE("a\nb");
    assert_kv_fails(KV_BAD_REQUEST, kv_x509_pfx_write(&in, &pfx, &err));
    assert_string_equal(err.field, "friendly_name");

    in = good;
    in.key = f->ec.pkcs8;
    assert_kv_fails(KV_INTERNAL, kv_x509_pfx_write(&in, &pfx, &err));
    in.key = KV_SLICE("no key");
    assert_kv_fails(KV_INTERNAL, kv_x509_pfx_write(&in, &pfx, &err));

    in = good;
    in.chain.count = 0;
    assert_kv_fails(KV_BAD_REQUEST, kv_x509_pfx_write(&in, &pfx, &err));
    in.chain = (kv_x509_list){ .items = broken, .count = 2 };
    assert_kv_fails(KV_BAD_REQUEST, kv_x509_pfx_write(&in, &pfx, &err));
    in.chain = (kv_x509_list){ .items = broken + 1, .count = 1 };
    assert_kv_fails(KV_BAD_REQUEST, kv_x509_pfx_write(&in, &pfx, &err));
    assert_null(pfx.data);
}

static void takes_the_longest_password(void **state)
{
    fixture *f = *state;
    char longest[KV_X509_PFX_PASSWORD_MAX + 1] = { 0 };
    kv_x509_pfx in = { .chain = { .items = f->ders, .count = 1 }, .key = f->rsa.pkcs8 };
    KV_AUTO(kv_secret_buf) pfx = KV_SECRET_NONE;
    kv_error err = { 0 };

    memset(longest, 'a', KV_X509_PFX_PASSWORD_MAX);
    in.password = kv_slice_text(longest);
    assert_kv_ok(kv_x509_pfx_write(&in, &pfx, &err));
    assert_opens(&pfx, longest, f->rsa.pair, 0);
}

static int nid_of_key(PKCS12 *file, int *iterations)
{
    STACK_OF(PKCS7) *safes = PKCS12_unpack_authsafes(file);
    int nid = NID_undef;

    for (int i = 0; i < sk_PKCS7_num(safes); i++) {
        PKCS7 *safe = sk_PKCS7_value(safes, i);
        STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
        const X509_ALGOR *algorithm = NULL;
        PBEPARAM *parameters;

        if (!PKCS7_type_is_data(safe))
            continue;
        bags = PKCS12_unpack_p7data(safe);
        X509_SIG_get0(PKCS12_SAFEBAG_get0_pkcs8(sk_PKCS12_SAFEBAG_value(bags, 0)), &algorithm,
                      NULL);
        nid = OBJ_obj2nid(algorithm->algorithm);
        parameters = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), algorithm->parameter);
        *iterations = parameters ? (int)ASN1_INTEGER_get(parameters->iter) : 0;
        PBEPARAM_free(parameters);
        sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
    }
    sk_PKCS7_pop_free(safes, PKCS7_free);
    return nid;
}

static void old_clients_get_old_algorithms(void **state)
{
    fixture *f = *state;
    kv_x509_pfx in = { .chain = { .items = f->ders, .count = 1 },
                       .key = f->rsa.pkcs8,
                       .password = KV_SLICE("secret"),
                       .for_old_clients = true };
    KV_AUTO(kv_secret_buf) pfx = KV_SECRET_NONE;
    const ASN1_INTEGER *mac_iterations = NULL;
    const X509_ALGOR *mac = NULL;
    int iterations = 0;
    kv_error err = { 0 };
    PKCS12 *file;

    assert_kv_ok(kv_x509_pfx_write(&in, &pfx, &err));
    assert_opens(&pfx, "secret", f->rsa.pair, 0);
    file = parse(&pfx);
    PKCS12_get0_mac(NULL, &mac, NULL, &mac_iterations, file);
    assert_int_equal(OBJ_obj2nid(mac->algorithm), NID_sha1);
    assert_int_equal(ASN1_INTEGER_get(mac_iterations), 2000);
    assert_int_equal(nid_of_key(file, &iterations), NID_pbe_WithSHA1And3_Key_TripleDES_CBC);
    assert_int_equal(iterations, 2000);
    PKCS12_free(file);
}

/* Of all certificates in the file, the key's or not. */
static void assert_first_certificate(const kv_secret_buf *pfx, kv_slice expected)
{
    PKCS12 *file = parse(pfx);
    STACK_OF(PKCS7) *safes = PKCS12_unpack_authsafes(file);
    STACK_OF(PKCS12_SAFEBAG) *bags = PKCS12_unpack_p7encdata(sk_PKCS7_value(safes, 0), "", 0);
    X509 *first = PKCS12_SAFEBAG_get1_cert(sk_PKCS12_SAFEBAG_value(bags, 0));
    unsigned char *der = NULL;
    int len = i2d_X509(first, &der);

    assert_slice_equal(expected, kv_slice_of(der, (size_t)len));
    OPENSSL_free(der);
    X509_free(first);
    sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
    sk_PKCS7_pop_free(safes, PKCS7_free);
    PKCS12_free(file);
}

static void writes_the_order_that_is_asked_for(void **state)
{
    fixture *f = *state;
    kv_slice chain[] = { f->ders[1], f->ders[0] };
    kv_x509_pfx in = { .chain = { .items = chain, .count = 2 },
                       .key = f->rsa.pkcs8,
                       .keep_order = true };
    KV_AUTO(kv_secret_buf) pfx = KV_SECRET_NONE;
    kv_error err = { 0 };

    assert_kv_ok(kv_x509_pfx_write(&in, &pfx, &err));
    assert_opens(&pfx, "", f->rsa.pair, 1);
    assert_first_certificate(&pfx, f->ders[1]);
    in.keep_order = false;
    assert_kv_fails(KV_INTERNAL, kv_x509_pfx_write(&in, &pfx, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_without_a_password),
        cmocka_unit_test(opens_with_its_password_only),
        cmocka_unit_test(uses_modern_algorithms),
        cmocka_unit_test(the_openssl_tool_opens_it),
        cmocka_unit_test(holds_certificates_alone),
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(takes_the_longest_password),
        cmocka_unit_test(old_clients_get_old_algorithms),
        cmocka_unit_test(writes_the_order_that_is_asked_for),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
