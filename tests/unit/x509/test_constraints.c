/* test_constraints.c - name constraints: what can be one, and what they allow, as OpenSSL sees it.
 */
#include <openssl/x509v3.h>

#include "server/x509/certificate.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/pki.h"

#define LIST(...)                                                              \
    (kv_x509_list)                                                             \
    {                                                                          \
        .items = (const kv_slice[]){ __VA_ARGS__ },                            \
        .count = sizeof((const kv_slice[]){ __VA_ARGS__ }) / sizeof(kv_slice), \
    }
#define S(text) KV_SLICE(text)

typedef struct fixture {
    kv_arena arena;
    soft_key ca_key, key;
} fixture;

static int set_up(void **state)
{
    fixture *f = test_calloc(1, sizeof(*f));

    f->arena = KV_ARENA(8 << 20);
    soft_key_make(&f->ca_key, KV_KEY_P256, &f->arena);
    soft_key_make(&f->key, KV_KEY_P256, &f->arena);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    soft_key_cleanup(&f->ca_key);
    soft_key_cleanup(&f->key);
    kv_arena_cleanup(&f->arena);
    test_free(f);
    return 0;
}

static kv_slice authority(fixture *f, const kv_x509_constraints *constraints)
{
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    kv_x509_authority extras = { .constraints = constraints };
    kv_x509_build in = { .policy = &policy,
                         .spki = f->ca_key.spki,
                         .signer = f->ca_key.signer,
                         .authority = &extras,
                         .now_ms = SOFT_NOW_MS,
                         .scope = KV_X509_LINT_PRIVATE };
    kv_x509_built built = { 0 };
    kv_error err = { 0 };

    policy.x509_props.subject = S("CN=Authority");
    policy.x509_props.sans = (kv_x509_sans){ 0 };
    policy.x509_props.ekus = (kv_x509_list){ 0 };
    policy.x509_props.ca = true;
    policy.x509_props.key_usage = KV_X509_KEY_CERT_SIGN | KV_X509_CRL_SIGN;
    assert_kv_ok(kv_x509_constraints_check(&f->arena, constraints, &err));
    assert_kv_ok(kv_x509_certificate_build(&f->arena, &in, &built, &err));
    return built.der;
}

static kv_status issue(fixture *f, kv_slice issuer, kv_x509_list above, kv_slice subject,
                       const kv_x509_sans *sans)
{
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    kv_x509_build in = { .policy = &policy,
                         .spki = f->key.spki,
                         .signer = f->ca_key.signer,
                         .issuer = issuer,
                         .above = above,
                         .now_ms = SOFT_NOW_MS,
                         .scope = KV_X509_LINT_PRIVATE };
    kv_x509_built built = { 0 };
    kv_error err = { 0 };

    policy.x509_props.subject = subject;
    policy.x509_props.sans = *sans;
    return kv_x509_certificate_build(&f->arena, &in, &built, &err);
}

static void names_are_allowed_or_not(void **state)
{
    const kv_x509_constraints constraints = {
        .permitted = { .dns_names = LIST(S("example.org")),
                       .ip_ranges = LIST(S("10.0.0.0/9"), S("2001:db8::/33")),
                       .emails = LIST(S("example.org"), S(".example.net")),
                       .directory_names = LIST(S("O=Example,C=CH")) },
        .excluded = { .dns_names = LIST(S("secret.example.org")),
                      .ip_ranges = LIST(S("10.1.2.0/24")) },
    };
    const struct {
        kv_slice subject;
        kv_x509_sans sans;
        bool allowed;
    } cases[] = {
        { S("CN=a,O=Example,C=CH"), { .dns_names = LIST(S("example.org")) }, true },
        { S("CN=a,O=Example,C=CH"), { .dns_names = LIST(S("a.b.example.org")) }, true },
        { S("CN=a,O=Example,C=CH"), { .dns_names = LIST(S("badexample.org")) }, false },
        { S("CN=a,O=Example,C=CH"), { .dns_names = LIST(S("example.com")) }, false },
        { S("CN=a,O=Example,C=CH"), { .dns_names = LIST(S("a.secret.example.org")) }, false },
        { S("CN=a,O=Example,C=CH"),
          { .dns_names = LIST(S("www.example.org"), S("www.example.com")) },
          false },
        { S("CN=a,O=Example,C=CH"), { .ip_addresses = LIST(S("10.127.255.255")) }, true },
        { S("CN=a,O=Example,C=CH"), { .ip_addresses = LIST(S("10.128.0.0")) }, false },
        { S("CN=a,O=Example,C=CH"), { .ip_addresses = LIST(S("10.1.2.3")) }, false },
        { S("CN=a,O=Example,C=CH"), { .ip_addresses = LIST(S("2001:db8:7fff::1")) }, true },
        { S("CN=a,O=Example,C=CH"), { .ip_addresses = LIST(S("2001:db8:8000::1")) }, false },
        { S("CN=a,O=Example,C=CH"), { .emails = LIST(S("a@example.org")) }, true },
        { S("CN=a,O=Example,C=CH"), { .emails = LIST(S("a@b.example.org")) }, false },
        { S("CN=a,O=Example,C=CH"), { .emails = LIST(S("a@b.example.net")) }, true },
        { S("CN=a,O=Other,C=CH"), { .dns_names = LIST(S("example.org")) }, false },
        { S("CN=www.example.com,O=Example,C=CH"), { .dns_names = { 0 } }, false },
        { S(""), { .dns_names = LIST(S("www.example.org")) }, true },
        /* A kind that nothing is said of. */
        { S("CN=a,O=Example,C=CH"), { .upns = LIST(S("a@example.com")) }, true },
    };
    fixture *f = *state;
    kv_slice constrained = authority(f, &constraints);
    kv_slice free_one = authority(f, &(kv_x509_constraints){ 0 });
    kv_x509_list nobody = { 0 };
    kv_x509_list above = { .items = &constrained, .count = 1 };

    for (size_t i = 0; i < KV_COUNT(cases); i++) {
        kv_status expected = cases[i].allowed ? KV_OK : KV_PRECONDITION;

        if (issue(f, constrained, nobody, cases[i].subject, &cases[i].sans) != expected)
            fail_msg("case %zu: the issuer decides otherwise", i);
        /* Those above an issuer without constraints count as much. */
        if (issue(f, free_one, above, cases[i].subject, &cases[i].sans) != expected)
            fail_msg("case %zu: those above decide otherwise", i);
        if (issue(f, free_one, nobody, cases[i].subject, &cases[i].sans) != KV_OK)
            fail_msg("case %zu: nobody forbids it", i);
    }
}

static void nothing_is_signed_that_is_not_allowed(void **state)
{
    const kv_x509_constraints constraints = { .permitted.dns_names = LIST(S("example.org")) };
    const kv_x509_sans sans = { .dns_names = LIST(S("www.example.com")) };
    fixture *f = *state;
    kv_slice issuer = authority(f, &constraints);
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    kv_x509_build in = { .policy = &policy,
                         .spki = f->key.spki, /* and a signer that would crash */
                         .issuer = issuer,
                         .now_ms = SOFT_NOW_MS,
                         .scope = KV_X509_LINT_PRIVATE };
    kv_x509_built built = { 0 };
    kv_error err = { 0 };

    policy.x509_props.sans = sans;
    assert_kv_fails(KV_PRECONDITION, kv_x509_certificate_build(&f->arena, &in, &built, &err));
    assert_non_null(strstr(err.message, "name constraints"));
}

static void the_extension_is_critical(void **state)
{
    const kv_x509_constraints constraints = { .excluded.emails = LIST(S("a@example.org")) };
    fixture *f = *state;
    kv_slice der = authority(f, &constraints);
    const unsigned char *at = der.data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.len);
    int critical = 0;
    NAME_CONSTRAINTS *found = X509_get_ext_d2i(certificate, NID_name_constraints, &critical, NULL);

    assert_non_null(found);
    assert_int_equal(critical, 1);
    assert_null(found->permittedSubtrees);
    assert_int_equal(sk_GENERAL_SUBTREE_num(found->excludedSubtrees), 1);
    NAME_CONSTRAINTS_free(found);
    X509_free(certificate);
}

static void what_cannot_be_a_constraint_says_where(void **state)
{
    const struct {
        kv_x509_subtrees trees;
        const char *field;
    } cases[] = {
        { { .dns_names = LIST(S("a.b"), S("*.a.b")) }, "dns_names[1]" },
        { { .dns_names = LIST(S("")) }, "dns_names[0]" },
        { { .dns_names = LIST(S("10.0.0.1")) }, "dns_names[0]" },
        { { .ip_ranges = LIST(S("10.0.0.0")) }, "ip_ranges[0]" },
        { { .ip_ranges = LIST(S("10.0.0.0/33")) }, "ip_ranges[0]" },
        { { .ip_ranges = LIST(S("10.0.0.0/")) }, "ip_ranges[0]" },
        { { .ip_ranges = LIST(S("10.0.0.1/8")) }, "ip_ranges[0]" },
        { { .ip_ranges = LIST(S("/8")) }, "ip_ranges[0]" },
        { { .ip_ranges = LIST(S("2001:db8::/129")) }, "ip_ranges[0]" },
        { { .emails = LIST(S("a@")) }, "emails[0]" },
        { { .emails = LIST(S(".")) }, "emails[0]" },
        { { .directory_names = LIST(S("")) }, "directory_names[0]" },
        { { .directory_names = LIST(S("nonsense")) }, "directory_names[0]" },
    };
    fixture *f = *state;

    for (size_t i = 0; i < KV_COUNT(cases); i++) {
        const kv_x509_constraints sides[] = { { .permitted = cases[i].trees },
                                              { .excluded = cases[i].trees } };

        for (size_t side = 0; side < KV_COUNT(sides); side++) {
            kv_error err = { 0 };

            if (kv_x509_constraints_check(&f->arena, &sides[side], &err) != KV_BAD_REQUEST ||
                !strstr(err.field, cases[i].field) ||
                !strstr(err.field, side ? "excluded" : "permitted"))
                fail_msg("case %zu: %s: %s", i, err.field, err.message);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(names_are_allowed_or_not),
        TEST(nothing_is_signed_that_is_not_allowed),
        TEST(the_extension_is_critical),
        TEST(what_cannot_be_a_constraint_says_where),
    };

    return cmocka_run_group_tests_name("constraints", tests, NULL, NULL);
}
