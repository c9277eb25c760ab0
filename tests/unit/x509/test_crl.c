/* test_crl.c - revocation lists: what they say, and that OpenSSL's verifier obeys them. */
#include "server/x509/crl.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/pki.h"

#define DAY_MS INT64_C(86400000)
#define SHARD  "http://crl.example.com/ca/7.crl"

enum { OUTPUT_MAX = 4096 };

typedef struct fixture {
    kv_arena arena;
    soft_key key;
    kv_slice ca;
    kv_x509_crl_build in;
} fixture;

static kv_slice make_ca(soft_key *key, kv_key_kind kind, uint32_t usage, kv_arena *arena)
{
    kv_x509_policy policy = soft_policy(kind);

    policy.x509_props.subject = KV_SLICE("CN=Example CA");
    policy.x509_props.sans = (kv_x509_sans){ 0 };
    policy.x509_props.ekus = (kv_x509_list){ 0 };
    policy.x509_props.ca = true;
    policy.x509_props.key_usage = usage;
    return soft_certificate(key, &policy, SOFT_NOW_MS, arena).der;
}

static void prepare(fixture *f, kv_key_kind kind)
{
    *f = (fixture){ .arena = KV_ARENA(1 << 22) };
    soft_key_make(&f->key, kind, &f->arena);
    f->ca = make_ca(&f->key, kind, KV_X509_KEY_CERT_SIGN | KV_X509_CRL_SIGN, &f->arena);
    f->in = (kv_x509_crl_build){ .issuer = f->ca,
                                 .signer = f->key.signer,
                                 .number = 1,
                                 .now_ms = SOFT_NOW_MS,
                                 .next_ms = SOFT_NOW_MS + 7 * DAY_MS };
}

static void finish(fixture *f)
{
    soft_key_cleanup(&f->key);
    kv_arena_cleanup(&f->arena);
}

static int set_up(void **state)
{
    fixture *f = test_calloc(1, sizeof(*f));

    prepare(f, KV_KEY_P256);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    finish(*state);
    test_free(*state);
    return 0;
}

static X509_CRL *build(fixture *f)
{
    kv_error err = { 0 };
    kv_slice der = KV_SLICE_NONE;
    const unsigned char *at;
    X509_CRL *crl;

    assert_kv_ok(kv_x509_crl_build_der(&f->arena, &f->in, &der, &err));
    at = der.data;
    crl = d2i_X509_CRL(NULL, &at, (long)der.len);
    assert_non_null(crl);
    assert_ptr_equal(at, der.data + der.len);
    return crl;
}

static void refuses(fixture *f, kv_status status, const char *field)
{
    kv_error err = { 0 };
    kv_slice der = KV_SLICE_NONE;
    unsigned before = f->key.signatures;

    assert_kv_fails(status, kv_x509_crl_build_der(&f->arena, &f->in, &der, &err));
    assert_int_equal(der.len, 0);
    assert_int_equal(f->key.signatures, before);
    if (field)
        assert_string_equal(err.field, field);
}

static long reason_of(const X509_REVOKED *entry)
{
    ASN1_ENUMERATED *value = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, NULL, NULL);
    long reason = value ? ASN1_ENUMERATED_get(value) : -1;

    ASN1_ENUMERATED_free(value);
    return reason;
}

static void says_what_it_was_told(void **state)
{
    fixture *f = *state;
    const kv_x509_revoked revoked[] = {
        { .serial = KV_SLICE("\x40\x02"),
          .revoked_ms = SOFT_NOW_MS - DAY_MS,
          .reason = 1,
          .invalid_since = SOFT_NOW_MS - 2 * DAY_MS },
        { .serial = KV_SLICE("\x07"), .revoked_ms = SOFT_NOW_MS },
        { .serial = KV_SLICE("\x40\x01"), .revoked_ms = SOFT_NOW_MS, .reason = 4 },
    };
    STACK_OF(X509_REVOKED) *all;
    ASN1_INTEGER *number;
    X509_CRL *crl;

    f->in.revoked = revoked;
    f->in.count = KV_COUNT(revoked);
    f->in.number = UINT64_C(0x100000001);
    crl = build(f);
    assert_int_equal(X509_CRL_get_version(crl), X509_CRL_VERSION_2);
    number = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
    assert_true(ASN1_INTEGER_get(number) == INT64_C(0x100000001));
    ASN1_INTEGER_free(number);
    assert_true(X509_CRL_get_ext_by_NID(crl, NID_authority_key_identifier, -1) >= 0);
    assert_int_equal(X509_CRL_get_ext_by_NID(crl, NID_issuing_distribution_point, -1), -1);
    all = X509_CRL_get_REVOKED(crl);
    assert_int_equal(sk_X509_REVOKED_num(all), 3);
    assert_int_equal(reason_of(sk_X509_REVOKED_value(all, 0)), -1);
    assert_int_equal(reason_of(sk_X509_REVOKED_value(all, 1)), 4);
    assert_int_equal(reason_of(sk_X509_REVOKED_value(all, 2)), 1);
    assert_int_equal(
        ASN1_INTEGER_get(X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(all, 2))), 0x4002);
    assert_int_equal(
        X509_REVOKED_get_ext_by_NID(sk_X509_REVOKED_value(all, 1), NID_invalidity_date, -1), -1);
    assert_int_equal(
        X509_REVOKED_get_ext_by_NID(sk_X509_REVOKED_value(all, 2), NID_invalidity_date, -1), 1);
    X509_CRL_free(crl);
}

static void a_shard_names_its_distribution_point(void **state)
{
    fixture *f = *state;
    ISSUING_DIST_POINT *scope;
    GENERAL_NAME *name;
    X509_CRL *crl;
    int critical = 0;

    f->in.shard = KV_SLICE(SHARD);
    crl = build(f);
    scope = X509_CRL_get_ext_d2i(crl, NID_issuing_distribution_point, &critical, NULL);
    assert_non_null(scope);
    assert_int_equal(critical, 1);
    name = sk_GENERAL_NAME_value(scope->distpoint->name.fullname, 0);
    assert_string_equal((const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
                        SHARD);
    ISSUING_DIST_POINT_free(scope);
    X509_CRL_free(crl);
}

static kv_slice make_leaf(fixture *f, kv_key_kind kind, kv_slice serial)
{
    kv_x509_policy policy = soft_policy(kind);
    kv_x509_build in = { .policy = &policy,
                         .signer = f->key.signer,
                         .issuer = f->ca,
                         .serial = serial,
                         .now_ms = SOFT_NOW_MS,
                         .scope = KV_X509_LINT_PRIVATE };
    kv_x509_built built;
    kv_error err = { 0 };
    soft_key key;

    soft_key_make(&key, kind, &f->arena);
    in.spki = key.spki;
    assert_kv_ok(kv_x509_certificate_build(&f->arena, &in, &built, &err));
    soft_key_cleanup(&key);
    return built.der;
}

static int verify(fixture *f, kv_slice leaf, kv_slice crl, char *text)
{
    char ca_path[256], leaf_path[256], crl_path[256];
    const char *argv[] = { "openssl",  "verify",     "-x509_strict", "-crl_check",
                           "-attime",  "1795176000", "-CAfile",      ca_path,
                           "-CRLfile", crl_path,     leaf_path,      NULL };
    int status;

    soft_file("ca.pem", pki_pem("CERTIFICATE", f->ca, &f->arena), ca_path);
    soft_file("leaf.pem", pki_pem("CERTIFICATE", leaf, &f->arena), leaf_path);
    soft_file("list.pem", pki_pem("X509 CRL", crl, &f->arena), crl_path);
    status = soft_run(argv, text, OUTPUT_MAX);
    soft_file_remove(ca_path);
    soft_file_remove(leaf_path);
    soft_file_remove(crl_path);
    return status;
}

/* Every kind of key; a list of the same certificates before and after one of them is revoked. */
static void openssl_obeys_it(void **state)
{
    static const kv_key_kind kinds[] = { KV_KEY_P256, KV_KEY_P384, KV_KEY_P521, KV_KEY_RSA_2048 };
    const kv_slice good = KV_SLICE("\x40\x41\x42\x43\x44\x45\x46\x47\x48");
    const kv_slice bad = KV_SLICE("\x50\x51\x52\x53\x54\x55\x56\x57\x58");
    const kv_x509_revoked revoked = { .serial = bad, .revoked_ms = SOFT_NOW_MS, .reason = 1 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(kinds); i++) {
        kv_slice crl = KV_SLICE_NONE;
        char text[OUTPUT_MAX];
        kv_error err = { 0 };
        fixture f;

        prepare(&f, kinds[i]);
        assert_kv_ok(kv_x509_crl_build_der(&f.arena, &f.in, &crl, &err));
        assert_int_equal(verify(&f, make_leaf(&f, kinds[i], bad), crl, text), 0);
        f.in.revoked = &revoked;
        f.in.count = 1;
        assert_kv_ok(kv_x509_crl_build_der(&f.arena, &f.in, &crl, &err));
        assert_int_equal(verify(&f, make_leaf(&f, kinds[i], good), crl, text), 0);
        assert_int_not_equal(verify(&f, make_leaf(&f, kinds[i], bad), crl, text), 0);
        assert_non_null(strstr(text, "certificate revoked"));
        finish(&f);
    }
}

static void bad_entries_cost_no_signature(void **state)
{
    static const struct {
        kv_x509_revoked entry;
        const char *field;
    } rows[] = {
        { { .serial = { 0 }, .revoked_ms = 1 }, "revoked.serial" },
        { { .serial = { (const uint8_t *)"\0\1", 2 }, .revoked_ms = 1 }, "revoked.serial" },
        { { .serial = { (const uint8_t *)"\x80", 1 }, .revoked_ms = 1 }, "revoked.serial" },
        { { .serial = { (const uint8_t *)"123456789012345678901", 21 }, .revoked_ms = 1 },
          "revoked.serial" },
        { { .serial = { (const uint8_t *)"1", 1 } }, "revoked.revoked_ms" },
        { { .serial = { (const uint8_t *)"1", 1 }, .revoked_ms = SOFT_NOW_MS + 1 },
          "revoked.revoked_ms" },
        { { .serial = { (const uint8_t *)"1", 1 }, .revoked_ms = 1, .reason = -1 },
          "revoked.reason" },
        { { .serial = { (const uint8_t *)"1", 1 }, .revoked_ms = 1, .reason = 6 },
          "revoked.reason" },
        { { .serial = { (const uint8_t *)"1", 1 }, .revoked_ms = 1, .reason = 8 },
          "revoked.reason" },
        { { .serial = { (const uint8_t *)"1", 1 }, .revoked_ms = 1, .reason = 11 },
          "revoked.reason" },
        { { .serial = { (const uint8_t *)"1", 1 }, .revoked_ms = 1, .invalid_since = 2 },
          "revoked.invalid_since" },
    };
    fixture *f = *state;

    f->in.count = 1;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        f->in.revoked = &rows[i].entry;
        refuses(f, KV_BAD_REQUEST, rows[i].field);
    }
}

static void a_serial_stands_once(void **state)
{
    const kv_x509_revoked twice[] = {
        { .serial = KV_SLICE("\x40\x01"), .revoked_ms = 1000 },
        { .serial = KV_SLICE("\x41"), .revoked_ms = 1000 },
        { .serial = KV_SLICE("\x40\x01"), .revoked_ms = 2000 },
    };
    fixture *f = *state;

    f->in.revoked = twice;
    f->in.count = 3;
    refuses(f, KV_BAD_REQUEST, "revoked.serial");
}

static void bad_lists_cost_no_signature(void **state)
{
    fixture *f = *state;
    kv_x509_crl_build good = f->in;

    f->in.number = 0;
    refuses(f, KV_BAD_REQUEST, "number");
    f->in = good;
    f->in.next_ms = f->in.now_ms;
    refuses(f, KV_BAD_REQUEST, "next_ms");
    f->in = good;
    f->in.shard = KV_SLICE("https://crl.example.com/");
    refuses(f, KV_BAD_REQUEST, "shard");
    f->in.shard = KV_SLICE("http://crl.example.com/a b");
    refuses(f, KV_BAD_REQUEST, "shard");
}

static void only_a_valid_ca_may_sign(void **state)
{
    fixture *f = *state;
    kv_x509_policy leaf = soft_policy(KV_KEY_P256);
    kv_x509_crl_build good = f->in;

    f->in.issuer = soft_certificate(&f->key, &leaf, SOFT_NOW_MS, &f->arena).der;
    refuses(f, KV_PRECONDITION, NULL);
    f->in.issuer = make_ca(&f->key, KV_KEY_P256, KV_X509_KEY_CERT_SIGN, &f->arena);
    refuses(f, KV_PRECONDITION, NULL);
    f->in = good;
    f->in.now_ms += 80 * DAY_MS;
    f->in.next_ms += 80 * DAY_MS;
    refuses(f, KV_PRECONDITION, NULL);
    f->in = good;
    f->in.issuer = KV_SLICE("no certificate");
    refuses(f, KV_BAD_REQUEST, NULL);
}

static void a_lying_or_absent_token_gives_no_list(void **state)
{
    fixture *f = *state;
    kv_slice der = KV_SLICE_NONE;
    kv_error err = { 0 };

    f->key.lies = true;
    assert_kv_fails(KV_INTERNAL, kv_x509_crl_build_der(&f->arena, &f->in, &der, &err));
    f->key.lies = false;
    f->key.refuses = true;
    err = (kv_error){ 0 };
    assert_kv_fails(KV_UNAVAILABLE, kv_x509_crl_build_der(&f->arena, &f->in, &der, &err));
    assert_int_equal(der.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(says_what_it_was_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_shard_names_its_distribution_point, set_up, tear_down),
        cmocka_unit_test(openssl_obeys_it),
        cmocka_unit_test_setup_teardown(bad_entries_cost_no_signature, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_serial_stands_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_lists_cost_no_signature, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_a_valid_ca_may_sign, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lying_or_absent_token_gives_no_list, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
