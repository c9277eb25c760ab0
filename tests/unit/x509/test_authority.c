/* test_authority.c - what an issuer writes into certificates, and path lengths. */
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "server/x509/certificate.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/pki.h"

enum { OUTPUT_MAX = 4096, LONG_URL = 1 << 20 };

typedef struct fixture {
    kv_arena arena;
    soft_key root_key, ca_key, key;
    kv_slice root;
} fixture;

static kv_x509_policy ca_policy(kv_slice subject)
{
    kv_x509_policy policy = soft_policy(KV_KEY_P256);

    policy.x509_props.subject = subject;
    policy.x509_props.sans = (kv_x509_sans){ 0 };
    policy.x509_props.ekus = (kv_x509_list){ 0 };
    policy.x509_props.ca = true;
    policy.x509_props.key_usage = KV_X509_KEY_CERT_SIGN | KV_X509_CRL_SIGN;
    return policy;
}

static kv_x509_build of(const kv_x509_policy *policy, const soft_key *key, const soft_key *signer,
                        kv_slice issuer, const kv_x509_authority *authority)
{
    return (kv_x509_build){ .policy = policy,
                            .spki = key->spki,
                            .signer = signer->signer,
                            .issuer = issuer,
                            .authority = authority,
                            .now_ms = SOFT_NOW_MS,
                            .scope = KV_X509_LINT_PRIVATE };
}

static kv_slice make(fixture *f, const kv_x509_build *in)
{
    kv_x509_built built = { 0 };
    kv_error err = { 0 };

    assert_kv_ok(kv_x509_certificate_build(&f->arena, in, &built, &err));
    return built.der;
}

static kv_slice make_root(fixture *f, bool limited, unsigned length)
{
    kv_x509_policy policy = ca_policy(KV_SLICE("CN=Example Root"));
    kv_x509_authority authority = { .path_limited = limited, .path_length = length };
    kv_x509_build in = of(&policy, &f->root_key, &f->root_key, KV_SLICE_NONE, &authority);

    return make(f, &in);
}

static int set_up(void **state)
{
    fixture *f = test_calloc(1, sizeof(*f));

    f->arena = KV_ARENA(4 << 20);
    soft_key_make(&f->root_key, KV_KEY_P256, &f->arena);
    soft_key_make(&f->ca_key, KV_KEY_P256, &f->arena);
    soft_key_make(&f->key, KV_KEY_P256, &f->arena);
    f->root = make_root(f, true, 1);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    soft_key_cleanup(&f->root_key);
    soft_key_cleanup(&f->ca_key);
    soft_key_cleanup(&f->key);
    kv_arena_cleanup(&f->arena);
    test_free(f);
    return 0;
}

static int openssl(const char *const *argv, kv_slice pem, char *text)
{
    const char *all[16];
    char path[256];
    size_t count = 0;
    int status;

    soft_file("in.pem", pem, path);
    while (argv[count]) {
        all[count] = argv[count][0] == '@' ? path : argv[count];
        count++;
    }
    all[count] = NULL;
    status = soft_run(all, text, OUTPUT_MAX);
    soft_file_remove(path);
    return status;
}

static void openssl_reads_what_was_written(void **state)
{
    fixture *f = *state;
    const kv_slice policies[] = { KV_SLICE("2.23.140.1.2.1"), KV_SLICE("1.3.6.1.4.1.99999.1") };
    const kv_x509_authority authority = {
        .crl_url = KV_SLICE("http://ca.example.com/1.crl"),
        .ocsp_url = KV_SLICE("http://ocsp.example.com/"),
        .issuer_url = KV_SLICE("http://ca.example.com/1.cer"),
        .policies = { .items = policies, .count = 2 },
    };
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    kv_x509_build in = of(&policy, &f->key, &f->root_key, f->root, &authority);
    char text[OUTPUT_MAX];

    assert_int_equal(
        openssl((const char *[]){ "openssl", "x509", "-noout", "-text", "-in", "@", NULL },
                pki_pem("CERTIFICATE", make(f, &in), &f->arena), text),
        0);
    assert_non_null(strstr(text, "URI:http://ca.example.com/1.crl\n"));
    assert_non_null(strstr(text, "OCSP - URI:http://ocsp.example.com/\n"));
    assert_non_null(strstr(text, "CA Issuers - URI:http://ca.example.com/1.cer\n"));
    assert_non_null(strstr(text, "Policy: 2.23.140.1.2.1\n"));
    assert_non_null(strstr(text, "Policy: 1.3.6.1.4.1.99999.1\n"));
    assert_non_null(strstr(text, "CA:FALSE"));
}

static void without_an_authority_nothing_is_written(void **state)
{
    fixture *f = *state;
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    kv_x509_build in = of(&policy, &f->key, &f->root_key, f->root, NULL);
    char text[OUTPUT_MAX];

    assert_int_equal(
        openssl((const char *[]){ "openssl", "x509", "-noout", "-text", "-in", "@", NULL },
                pki_pem("CERTIFICATE", make(f, &in), &f->arena), text),
        0);
    assert_null(strstr(text, "URI:"));
    assert_null(strstr(text, "Policy:"));
}

static long path_length(kv_slice der)
{
    const unsigned char *at = der.data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.len);
    long length;

    assert_non_null(certificate);
    length = X509_get_pathlen(certificate);
    X509_free(certificate);
    return length;
}

/* Root (1), CA (0), leaf: the chain that the path lengths allow is one that OpenSSL takes. */
static void path_lengths_go_down(void **state)
{
    fixture *f = *state;
    kv_x509_policy below = ca_policy(KV_SLICE("CN=Example CA")), leaf = soft_policy(KV_KEY_P256);
    kv_x509_authority none_below = { .path_limited = true };
    kv_x509_build in = of(&below, &f->ca_key, &f->root_key, f->root, &none_below);
    kv_slice parts[3], ca = make(f, &in);
    char text[OUTPUT_MAX];

    assert_int_equal(path_length(f->root), 1);
    assert_int_equal(path_length(ca), 0);
    in = of(&leaf, &f->key, &f->ca_key, ca, NULL);
    parts[0] = pki_pem("CERTIFICATE", make(f, &in), &f->arena);
    parts[1] = pki_pem("CERTIFICATE", ca, &f->arena);
    parts[2] = pki_pem("CERTIFICATE", f->root, &f->arena);
    assert_int_equal(openssl((const char *[]){ "openssl", "verify", "-x509_strict", "-attime",
                                               "1795176000", "-CAfile", "@", "@", NULL },
                             pki_join(&f->arena, parts, 3), text),
                     0);
}

static void refused(fixture *f, const kv_x509_build *in, kv_status status, const char *field)
{
    unsigned before = f->root_key.signatures + f->ca_key.signatures;
    kv_x509_built built = { 0 };
    kv_error err = { 0 };

    assert_kv_fails(status, kv_x509_certificate_build(&f->arena, in, &built, &err));
    assert_int_equal(f->root_key.signatures + f->ca_key.signatures, before);
    assert_int_equal(built.der.len, 0);
    if (field)
        assert_string_equal(err.field, field);
}

static void no_ca_stands_below_path_length_zero(void **state)
{
    fixture *f = *state;
    kv_x509_policy below = ca_policy(KV_SLICE("CN=Example CA"));
    kv_x509_authority same = { .path_limited = true, .path_length = 1 };
    kv_x509_build in = of(&below, &f->ca_key, &f->root_key, f->root, &same);

    refused(f, &in, KV_BAD_REQUEST, "authority.path_length");
    f->root = make_root(f, true, 0);
    in = of(&below, &f->ca_key, &f->root_key, f->root, NULL);
    refused(f, &in, KV_PRECONDITION, NULL);
    f->root = make_root(f, false, 0);
    assert_int_equal(path_length(f->root), -1);
    in = of(&below, &f->ca_key, &f->root_key, f->root, &same);
    assert_int_equal(path_length(make(f, &in)), 1);
}

static void bad_members_cost_no_signature(void **state)
{
    fixture *f = *state;
    const kv_slice twice[] = { KV_SLICE("1.2.3"), KV_SLICE("1.2.3") };
    const kv_slice wrong = KV_SLICE("1.2.x");
    char *nines = test_malloc(LONG_URL);
    const struct {
        kv_x509_authority authority;
        const char *field;
    } rows[] = {
        { { .crl_url = KV_SLICE("https://ca.example.com/") }, "authority.crl_url" },
        { { .crl_url = KV_SLICE("ldap://ca.example.com/") }, "authority.crl_url" },
        { { .ocsp_url = KV_SLICE("http://a b/") }, "authority.ocsp_url" },
        { { .issuer_url = KV_SLICE("http://") }, "authority.issuer_url" },
        { { .issuer_url = kv_slice_of(nines, LONG_URL) }, "authority.issuer_url" },
        { { .policies = { .items = twice, .count = 2 } }, "authority.policies" },
        { { .policies = { .items = &wrong, .count = 1 } }, "authority.policies" },
        { { .policies = { .items = twice, .count = 17 } }, "authority.policies" },
        { { .path_limited = true }, "authority.path_length" },
    };
    kv_x509_policy policy = soft_policy(KV_KEY_P256);

    memset(nines, '9', LONG_URL);
    memcpy(nines, "http://9/", 9);
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_x509_build in = of(&policy, &f->key, &f->root_key, f->root, &rows[i].authority);

        refused(f, &in, KV_BAD_REQUEST, rows[i].field);
    }
    test_free(nines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(openssl_reads_what_was_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_an_authority_nothing_is_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(path_lengths_go_down, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_ca_stands_below_path_length_zero, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_members_cost_no_signature, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
