/* test_certificate.c - certificates are what the policy says and what other verifiers accept. */
#include "server/x509/certificate.h"

#include <time.h>

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "server/x509/bundle.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/soft_key.h"

static const kv_key_kind kinds[] = { KV_KEY_RSA_2048, KV_KEY_RSA_3072, KV_KEY_RSA_4096,
                                     KV_KEY_P256,     KV_KEY_P384,     KV_KEY_P521 };

static X509 *parse(kv_slice der)
{
    const unsigned char *at = der.data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.len);

    assert_non_null(certificate);
    assert_ptr_equal(at, der.data + der.len);
    return certificate;
}

/* OpenSSL's own chain building, as strict as it gets. */
static int verify(kv_slice root, kv_slice leaf, int64_t now_ms)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509 *trusted = parse(root), *judged = parse(leaf);
    int result;

    assert_int_equal(X509_STORE_add_cert(store, trusted), 1);
    assert_int_equal(X509_STORE_CTX_init(context, store, judged, NULL), 1);
    X509_STORE_CTX_set_flags(context, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE |
                                          X509_V_FLAG_PARTIAL_CHAIN);
    X509_STORE_CTX_set_time(context, 0, (time_t)(now_ms / 1000));
    X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
    result = X509_verify_cert(context) == 1 ? 0 : X509_STORE_CTX_get_error(context);
    X509_free(judged);
    X509_free(trusted);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return result;
}

static void is_accepted_by_openssl_for_every_kind_of_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(kinds); i++) {
        kv_arena arena = KV_ARENA(1 << 20);
        kv_x509_policy policy = soft_policy(kinds[i]);
        char text[512], path[256];
        kv_error err = { 0 };
        kv_x509_built built;
        kv_slice pem;
        soft_key key;
        X509 *certificate;

        soft_key_make(&key, kinds[i], &arena);
        built = soft_certificate(&key, &policy, SOFT_NOW_MS, &arena);
        assert_int_equal(verify(built.der, built.der, SOFT_NOW_MS), X509_V_OK);
        assert_int_equal(key.signatures, 1);
        assert_true(kv_x509_is_self_signed(built.der));
        assert_int_equal(built.facts.key_kind, kinds[i]);
        certificate = parse(built.der);
        assert_int_equal(X509_check_host(certificate, "www.example.com", 0, 0, NULL), 1);
        assert_int_equal(X509_get_version(certificate), X509_VERSION_3);
        X509_free(certificate);

        assert_kv_ok(kv_x509_chain_pem(&arena, (kv_x509_list){ .items = &built.der, .count = 1 },
                                       &pem, &err));
        soft_file("leaf.pem", pem, path);
        assert_int_equal(
            soft_run((const char *[]){ "openssl", "verify", "-x509_strict", "-check_ss_sig",
                                       "-attime", "1795176000", "-purpose", "sslserver", "-CAfile",
                                       path, path, NULL },
                     text, sizeof(text)),
            0);
        soft_file_remove(path);
        soft_key_cleanup(&key);
        kv_arena_cleanup(&arena);
    }
}

static void signs_with_the_hash_that_fits_the_key(void **state)
{
    static const struct {
        kv_key_kind kind;
        const char *alg;
        size_t digest_len;
        const char *name;
    } rows[] = {
        { KV_KEY_RSA_2048, "RS256", 32, "sha256WithRSAEncryption" },
        { KV_KEY_P256, "ES256", 32, "ecdsa-with-SHA256" },
        { KV_KEY_P384, "ES384", 48, "ecdsa-with-SHA384" },
        { KV_KEY_P521, "ES512", 64, "ecdsa-with-SHA512" },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_arena arena = KV_ARENA(1 << 20);
        kv_x509_policy policy = soft_policy(rows[i].kind);
        kv_x509_built built;
        soft_key key;

        soft_key_make(&key, rows[i].kind, &arena);
        built = soft_certificate(&key, &policy, SOFT_NOW_MS, &arena);
        assert_string_equal(key.last_alg, rows[i].alg);
        assert_int_equal(key.last_digest_len, rows[i].digest_len);
        assert_slice_equal(kv_slice_text(rows[i].name), built.facts.signature_algorithm);
        soft_key_cleanup(&key);
        kv_arena_cleanup(&arena);
    }
}

static void has_what_the_policy_says(void **state)
{
    static const kv_slice dns[] = { KV_SLICE("a.example.com"), KV_SLICE("*.b.example.com") };
    static const kv_slice mail[] = { KV_SLICE("a@example.com") };
    static const kv_slice upn[] = { KV_SLICE("j\303\274rg@corp.example") };
    static const kv_slice uri[] = { KV_SLICE("spiffe://example.com/a") };
    static const kv_slice ip[] = { KV_SLICE("192.0.2.1"), KV_SLICE("2001:db8::1") };
    static const kv_slice ekus[] = { KV_SLICE("1.3.6.1.5.5.7.3.3"), KV_SLICE("1.2.3.4.5") };
    kv_arena arena = KV_ARENA(1 << 20);
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    kv_x509_built built;
    kv_x509_facts *facts = &built.facts;
    soft_key key;

    (void)state;
    soft_key_make(&key, KV_KEY_P256, &arena);
    policy.x509_props.subject = KV_SLICE("CN=J\303\274rg\\, a+UID=1, OU=x, O=\"E, I\", C=CH");
    policy.x509_props.sans = (kv_x509_sans){ .emails = { .items = mail, .count = 1 },
                                             .dns_names = { .items = dns, .count = 2 },
                                             .upns = { .items = upn, .count = 1 },
                                             .uris = { .items = uri, .count = 1 },
                                             .ip_addresses = { .items = ip, .count = 2 } };
    policy.x509_props.ekus = (kv_x509_list){ .items = ekus, .count = 2 };
    policy.x509_props.key_usage =
        KV_X509_DIGITAL_SIGNATURE | KV_X509_KEY_AGREEMENT | KV_X509_DECIPHER_ONLY;
    built = soft_certificate(&key, &policy, SOFT_NOW_MS, &arena);

    assert_slice_equal(KV_SLICE("UID=1+CN=J\303\274rg\\, a,OU=x,O=E\\, I,C=CH"), facts->subject);
    assert_slice_equal(facts->subject, facts->issuer);
    assert_slice_equal(KV_SLICE("J\303\274rg, a"), facts->common_name);
    assert_int_equal(facts->sans.dns_names.count, 2);
    assert_slice_equal(dns[0], facts->sans.dns_names.items[0]);
    assert_slice_equal(dns[1], facts->sans.dns_names.items[1]);
    assert_slice_equal(mail[0], facts->sans.emails.items[0]);
    assert_slice_equal(upn[0], facts->sans.upns.items[0]);
    assert_slice_equal(uri[0], facts->sans.uris.items[0]);
    assert_slice_equal(ip[0], facts->sans.ip_addresses.items[0]);
    assert_slice_equal(ip[1], facts->sans.ip_addresses.items[1]);
    assert_false(facts->san_critical);
    assert_int_equal(facts->ekus.count, 2);
    assert_slice_equal(ekus[0], facts->ekus.items[0]);
    assert_slice_equal(ekus[1], facts->ekus.items[1]);
    assert_int_equal(facts->key_usage, policy.x509_props.key_usage);
    assert_false(facts->is_ca);
    assert_slice_equal(key.spki, facts->spki);
    assert_int_equal(facts->subject_key_id.len, 20);
    assert_slice_equal(facts->subject_key_id, facts->authority_key_id);
    assert_int_equal(facts->serial_hex.len, 32);
    assert_int_equal(facts->not_before_ms, SOFT_NOW_MS - 600 * 1000);
    assert_int_equal(facts->not_after_ms, kv_x509_add_months(SOFT_NOW_MS, 2));
    soft_key_cleanup(&key);
    kv_arena_cleanup(&arena);
}

static void criticality_is_as_it_should_be(void **state)
{
    static const struct {
        int nid;
        int critical;
    } rows[] = { { NID_basic_constraints, 1 },      { NID_key_usage, 1 },
                 { NID_ext_key_usage, 0 },          { NID_subject_alt_name, 1 },
                 { NID_subject_key_identifier, 0 }, { NID_authority_key_identifier, 0 } };
    kv_arena arena = KV_ARENA(1 << 20);
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    X509 *certificate;
    soft_key key;

    (void)state;
    soft_key_make(&key, KV_KEY_P256, &arena);
    policy.x509_props.subject = KV_SLICE_NONE;
    certificate = parse(soft_certificate(&key, &policy, SOFT_NOW_MS, &arena).der);
    assert_int_equal(X509_get_ext_count(certificate), (int)KV_COUNT(rows));
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        int at = X509_get_ext_by_NID(certificate, rows[i].nid, -1);

        assert_true(at >= 0);
        assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(certificate, at)),
                         rows[i].critical);
    }
    X509_free(certificate);
    soft_key_cleanup(&key);
    kv_arena_cleanup(&arena);
}

static void serials_are_positive_and_differ(void **state)
{
    kv_arena arena = KV_ARENA(4 << 20);
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    kv_slice last = KV_SLICE_NONE;
    soft_key key;

    (void)state;
    soft_key_make(&key, KV_KEY_P256, &arena);
    for (size_t i = 0; i < 20; i++) {
        kv_slice serial = soft_certificate(&key, &policy, SOFT_NOW_MS, &arena).facts.serial_hex;

        assert_int_equal(serial.len, 32);
        assert_true(serial.data[0] >= '4' && serial.data[0] <= '7');
        assert_false(kv_slice_equal(serial, last));
        last = serial;
    }
    soft_key_cleanup(&key);
    kv_arena_cleanup(&arena);
}

static void lives_past_2050(void **state)
{
    kv_arena arena = KV_ARENA(1 << 20);
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    kv_x509_built built;
    X509 *certificate;
    soft_key key;

    (void)state;
    soft_key_make(&key, KV_KEY_P256, &arena);
    policy.x509_props.validity_months = 1200;
    built = soft_certificate(&key, &policy, SOFT_NOW_MS, &arena);
    assert_int_equal(built.facts.not_after_ms, kv_x509_add_months(SOFT_NOW_MS, 1200));
    certificate = parse(built.der);
    assert_int_equal(ASN1_STRING_type(X509_get0_notBefore(certificate)), V_ASN1_UTCTIME);
    assert_int_equal(ASN1_STRING_type(X509_get0_notAfter(certificate)), V_ASN1_GENERALIZEDTIME);
    X509_free(certificate);
    soft_key_cleanup(&key);
    kv_arena_cleanup(&arena);
}

static kv_x509_policy ca_policy(void)
{
    kv_x509_policy policy = { .key_props = { .kty = KV_SLICE("EC"), .crv = KV_SLICE("P-384") },
                              .x509_props = { .subject = KV_SLICE("CN=Test CA, C=CH"),
                                              .validity_months = 12,
                                              .ca = true },
                              .issuer = { .name = KV_SLICE("Self") } };

    kv_x509_policy_defaults(&policy);
    return policy;
}

static void a_ca_signs_others(void **state)
{
    kv_arena arena = KV_ARENA(1 << 20);
    kv_x509_policy ca = ca_policy(), policy = soft_policy(KV_KEY_RSA_2048);
    kv_x509_built root, leaf = { 0 };
    kv_error err = { 0 };
    soft_key ca_key, key;
    kv_x509_build in;

    (void)state;
    soft_key_make(&ca_key, KV_KEY_P384, &arena);
    soft_key_make(&key, KV_KEY_RSA_2048, &arena);
    root = soft_certificate(&ca_key, &ca, SOFT_NOW_MS, &arena);
    assert_true(root.facts.is_ca);
    policy.x509_props.validity_months = 24; /* longer than the CA lives */
    in = (kv_x509_build){ .policy = &policy,
                          .spki = key.spki,
                          .signer = ca_key.signer,
                          .issuer = root.der,
                          .serial = KV_SLICE("\x01\x02\x03\x04\x05\x06\x07\x08\x09"),
                          .now_ms = SOFT_NOW_MS,
                          .scope = KV_X509_LINT_PRIVATE };
    assert_kv_ok(kv_x509_certificate_build(&arena, &in, &leaf, &err));
    assert_int_equal(verify(root.der, leaf.der, SOFT_NOW_MS), X509_V_OK);
    assert_slice_equal(root.facts.subject, leaf.facts.issuer);
    assert_slice_equal(root.facts.subject_key_id, leaf.facts.authority_key_id);
    assert_false(kv_slice_equal(leaf.facts.subject_key_id, leaf.facts.authority_key_id));
    assert_int_equal(leaf.facts.not_after_ms, root.facts.not_after_ms);
    assert_slice_equal(KV_SLICE("010203040506070809"), leaf.facts.serial_hex);
    assert_slice_equal(KV_SLICE("ecdsa-with-SHA384"), leaf.facts.signature_algorithm);
    assert_false(leaf.facts.self_issued);
    assert_int_equal(key.signatures, 0);
    soft_key_cleanup(&key);
    soft_key_cleanup(&ca_key);
    kv_arena_cleanup(&arena);
}

static void an_issuer_must_be_a_valid_ca(void **state)
{
    kv_arena arena = KV_ARENA(1 << 20);
    kv_x509_policy ca = ca_policy(), policy = soft_policy(KV_KEY_P256);
    kv_x509_built root, other, out = { 0 };
    kv_error err = { 0 };
    soft_key ca_key, key;
    kv_x509_build in;

    (void)state;
    soft_key_make(&ca_key, KV_KEY_P384, &arena);
    soft_key_make(&key, KV_KEY_P256, &arena);
    root = soft_certificate(&ca_key, &ca, SOFT_NOW_MS, &arena);
    other = soft_certificate(&key, &policy, SOFT_NOW_MS, &arena);
    in = (kv_x509_build){ .policy = &policy,
                          .spki = key.spki,
                          .signer = key.signer,
                          .issuer = other.der,
                          .now_ms = SOFT_NOW_MS,
                          .scope = KV_X509_LINT_PRIVATE };
    assert_kv_fails(KV_PRECONDITION, kv_x509_certificate_build(&arena, &in, &out, &err));
    in.issuer = root.der;
    in.signer = ca_key.signer;
    in.now_ms = root.facts.not_after_ms;
    assert_kv_fails(KV_PRECONDITION, kv_x509_certificate_build(&arena, &in, &out, &err));
    in.now_ms = root.facts.not_before_ms - 1;
    assert_kv_fails(KV_PRECONDITION, kv_x509_certificate_build(&arena, &in, &out, &err));
    in.issuer = KV_SLICE("not a certificate");
    assert_kv_fails(KV_BAD_REQUEST, kv_x509_certificate_build(&arena, &in, &out, &err));
    assert_int_equal(out.der.len, 0);
    soft_key_cleanup(&key);
    soft_key_cleanup(&ca_key);
    kv_arena_cleanup(&arena);
}

static void a_bad_serial_is_refused(void **state)
{
    static const kv_slice serials[] = {
        KV_SLICE("\x00\x01\x02\x03\x04\x05\x06\x07\x08"),
        KV_SLICE("\xff\x01\x02\x03\x04\x05\x06\x07\x08"),
        KV_SLICE("\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
                 "\x01"),
        KV_SLICE("\x01"), /* the lint wants eight bytes */
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(serials); i++) {
        kv_arena arena = KV_ARENA(1 << 20);
        kv_x509_policy policy = soft_policy(KV_KEY_P256);
        kv_x509_built out = { 0 };
        kv_error err = { 0 };
        soft_key key;
        kv_x509_build in;

        soft_key_make(&key, KV_KEY_P256, &arena);
        in = (kv_x509_build){ .policy = &policy,
                              .spki = key.spki,
                              .signer = key.signer,
                              .serial = serials[i],
                              .now_ms = SOFT_NOW_MS,
                              .scope = KV_X509_LINT_PRIVATE };
        assert_kv_fails(KV_BAD_REQUEST, kv_x509_certificate_build(&arena, &in, &out, &err));
        assert_int_equal(key.signatures, 0);
        soft_key_cleanup(&key);
        kv_arena_cleanup(&arena);
    }
}

static void nothing_comes_out_when_signing_fails(void **state)
{
    static const kv_key_kind some[] = { KV_KEY_RSA_2048, KV_KEY_P256, KV_KEY_P384, KV_KEY_P521 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(some); i++) {
        kv_arena arena = KV_ARENA(1 << 20);
        kv_x509_policy policy = soft_policy(some[i]);
        kv_x509_built out = { 0 };
        kv_error err = { 0 };
        soft_key key;
        kv_x509_build in;

        soft_key_make(&key, some[i], &arena);
        in = (kv_x509_build){ .policy = &policy,
                              .spki = key.spki,
                              .signer = key.signer,
                              .now_ms = SOFT_NOW_MS,
                              .scope = KV_X509_LINT_PRIVATE };
        key.lies = true;
        assert_kv_fails(KV_INTERNAL, kv_x509_certificate_build(&arena, &in, &out, &err));
        key.refuses = true;
        assert_kv_fails(KV_UNAVAILABLE, kv_x509_certificate_build(&arena, &in, &out, &err));
        assert_string_equal(err.message, "the token is out of reach");
        assert_int_equal(out.der.len, 0);
        soft_key_cleanup(&key);
        kv_arena_cleanup(&arena);
    }
}

static void another_kind_of_key_is_refused(void **state)
{
    kv_arena arena = KV_ARENA(1 << 20);
    kv_x509_policy policy = soft_policy(KV_KEY_P384);
    kv_x509_built out = { 0 };
    kv_error err = { 0 };
    soft_key key;
    kv_x509_build in;

    (void)state;
    soft_key_make(&key, KV_KEY_P256, &arena);
    in = (kv_x509_build){ .policy = &policy,
                          .spki = key.spki,
                          .signer = key.signer,
                          .now_ms = SOFT_NOW_MS,
                          .scope = KV_X509_LINT_PRIVATE };
    assert_kv_fails(KV_INTERNAL, kv_x509_certificate_build(&arena, &in, &out, &err));
    assert_int_equal(key.signatures, 0);
    soft_key_cleanup(&key);
    kv_arena_cleanup(&arena);
}

/* The public scope has errors that a private issuer only warns of. */
static void lint_errors_cost_no_signature(void **state)
{
    kv_arena arena = KV_ARENA(1 << 20);
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    kv_x509_built out = { 0 };
    kv_error err = { 0 };
    soft_key key;
    kv_x509_build in;

    (void)state;
    soft_key_make(&key, KV_KEY_P256, &arena);
    policy.x509_props.validity_months = 12;
    in = (kv_x509_build){ .policy = &policy,
                          .spki = key.spki,
                          .signer = key.signer,
                          .now_ms = SOFT_NOW_MS,
                          .scope = KV_X509_LINT_PUBLIC };
    assert_kv_fails(KV_BAD_REQUEST, kv_x509_certificate_build(&arena, &in, &out, &err));
    assert_non_null(strstr(err.message, "eku_client"));
    assert_int_equal(key.signatures, 0);
    in.scope = KV_X509_LINT_PRIVATE;
    assert_kv_ok(kv_x509_certificate_build(&arena, &in, &out, &err));
    assert_int_equal(out.findings.count, 1);
    assert_string_equal(out.findings.items[0]->id, "validity_self_signed");
    soft_key_cleanup(&key);
    kv_arena_cleanup(&arena);
}

static void a_full_arena_is_an_error(void **state)
{
    kv_arena keys = KV_ARENA(1 << 20);
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    kv_error err = { 0 };
    soft_key key;
    bool done = false;

    (void)state;
    soft_key_make(&key, KV_KEY_P256, &keys);
    for (size_t room = 0; !done; room += 256) {
        kv_arena arena = KV_ARENA(room);
        kv_x509_build in = { .policy = &policy,
                             .spki = key.spki,
                             .signer = key.signer,
                             .now_ms = SOFT_NOW_MS,
                             .scope = KV_X509_LINT_PRIVATE };
        kv_x509_built out = { 0 };
        kv_status status = kv_x509_certificate_build(&arena, &in, &out, &err);

        assert_true(status == KV_OK || status == KV_BUSY);
        done = status == KV_OK;
        assert_true(room < 64 * 1024);
        kv_arena_cleanup(&arena);
    }
    soft_key_cleanup(&key);
    kv_arena_cleanup(&keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_accepted_by_openssl_for_every_kind_of_key),
        cmocka_unit_test(signs_with_the_hash_that_fits_the_key),
        cmocka_unit_test(has_what_the_policy_says),
        cmocka_unit_test(criticality_is_as_it_should_be),
        cmocka_unit_test(serials_are_positive_and_differ),
        cmocka_unit_test(lives_past_2050),
        cmocka_unit_test(a_ca_signs_others),
        cmocka_unit_test(an_issuer_must_be_a_valid_ca),
        cmocka_unit_test(a_bad_serial_is_refused),
        cmocka_unit_test(nothing_comes_out_when_signing_fails),
        cmocka_unit_test(another_kind_of_key_is_refused),
        cmocka_unit_test(lint_errors_cost_no_signature),
        cmocka_unit_test(a_full_arena_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
