/* test_domains.c - the names an issuer may be used for, rule by rule. */
#include "server/issuer/domains.h"

#include "tests/support/kv_cmocka.h"

enum { NAME_MAX_BYTES = 1 << 20 };

static void rules_have_a_form(void **state)
{
    static const char *const good[] = {
        "example.com",  "localhost",     "*.example.com",
        ".example.com", ".com",          "192.0.2.7",
        "192.0.2.0/24", "0.0.0.0/0",     "2001:db8::/32",
        "2001:db8::1",  "::/0",          "alice@example.com",
        "@example.com", "@.example.com", "xn--bcher-kva.example",
    };
    static const char *const bad[] = {
        "",
        ".",
        "*",
        "*.com",
        "*.",
        "..example.com",
        "example.com.",
        "www.*.example.com",
        "w*.example.com",
        ".*.example.com",
        ("b\xc3\xbc"
         "cher.example"),
        "ex ample.com",
        "192.0.2.1/24",
        "192.0.2.0/33",
        "192.0.2.0/",
        "192.0.2.0/08",
        "192.0.2.0/-1",
        "192.0.2.0/1e1",
        "192.0.2.0/4294967296",
        "2001:db8::/129",
        "example.com/24",
        "@",
        "@.",
        "@*.example.com",
        "a@b@example.com",
        "alice@",
        "alice@.example.com",
        "https://example.com",
        "example.com:443",
    };
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(good); i++)
        assert_kv_ok(kv_issuer_domain_rule_check(kv_slice_text(good[i]), "rules[0]", &err));
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        err = (kv_error){ 0 };
        assert_kv_fails(KV_BAD_REQUEST,
                        kv_issuer_domain_rule_check(kv_slice_text(bad[i]), "rules[0]", &err));
        assert_string_equal(err.field, "rules[0]");
    }
}

typedef enum form { DNS, IP, EMAIL, UPN, URI, SUBJECT } form;

static kv_status ask(const char *rule, form kind, kv_slice name, kv_error *err)
{
    kv_arena arena = KV_ARENA(1 << 16);
    kv_slice text = kv_slice_text(rule);
    kv_x509_list rules = { .items = &text, .count = rule ? 1 : 0 };
    kv_x509_list one = { .items = &name, .count = 1 };
    kv_x509_sans sans = { 0 };
    kv_status status;

    if (kind == DNS)
        sans.dns_names = one;
    if (kind == IP)
        sans.ip_addresses = one;
    if (kind == EMAIL)
        sans.emails = one;
    if (kind == UPN)
        sans.upns = one;
    if (kind == URI)
        sans.uris = one;
    status =
        kv_issuer_domains_check(&arena, &rules, kind == SUBJECT ? name : KV_SLICE_NONE, &sans, err);
    kv_arena_cleanup(&arena);
    return status;
}

/* clang-format off */
/* shape: table */
static const struct row {
    const char *rule;
    form kind;
    const char *name;
    bool allowed;
} rows[] = {
    { "example.com", DNS, "example.com", true },
    { "example.com", DNS, "EXAMPLE.Com", true },
    { "Example.COM", DNS, "example.com", true },
    { "example.com", DNS, "example.com.", false },
    { "example.com", DNS, "www.example.com", false },
    { "example.com", DNS, "*.example.com", false },
    { "example.com", DNS, "badexample.com", false },
    { "example.com", DNS, "example.com.evil.test", false },
    { "example.com", DNS, "", false },
    { "*.example.com", DNS, "www.example.com", true },
    { "*.example.com", DNS, "*.example.com", true },
    { "*.example.com", DNS, "WWW.EXAMPLE.COM", true },
    { "*.example.com", DNS, "example.com", false },
    { "*.example.com", DNS, "a.b.example.com", false },
    { "*.example.com", DNS, "*.b.example.com", false },
    { "*.example.com", DNS, ".example.com", false },
    { "*.example.com", DNS, "badexample.com", false },
    { ".example.com", DNS, "www.example.com", true },
    { ".example.com", DNS, "a.b.c.example.com", true },
    { ".example.com", DNS, "*.example.com", true },
    { ".example.com", DNS, "*.b.example.com", true },
    { ".example.com", DNS, "example.com", false },
    { ".example.com", DNS, ".example.com", false },
    { ".example.com", DNS, "a..example.com", false },
    { ".example.com", DNS, "badexample.com", false },
    { ".example.com", DNS, "w*.example.com", false },
    { ".com", DNS, "*.com", false },
    { "xn--bcher-kva.example", DNS, "XN--BCHER-KVA.example", true },
    { "xn--bcher-kva.example", DNS, "b\xc3\xbc" "cher.example", false },
    { "b\xc3\xbc" "cher.example", DNS, "b\xc3\xbc" "cher.example", false },
    { "@example.com", DNS, "example.com", false },
    { "0.0.0.0/0", DNS, "example.com", false },
    { "192.0.2.7", DNS, "192.0.2.7", false },
    { "192.0.2.7", IP, "192.0.2.7", true },
    { "192.0.2.7", IP, "192.0.2.8", false },
    { "192.0.2.0/24", IP, "192.0.2.255", true },
    { "192.0.2.0/24", IP, "192.0.3.0", false },
    { "192.0.2.0/31", IP, "192.0.2.1", true },
    { "192.0.2.0/31", IP, "192.0.2.2", false },
    { "0.0.0.0/0", IP, "203.0.113.9", true },
    { "0.0.0.0/0", IP, "2001:db8::1", false },
    { "::/0", IP, "192.0.2.7", false },
    { "192.0.2.7", IP, "::ffff:192.0.2.7", false },
    { "2001:db8::/33", IP, "2001:db8:7fff::1", true },
    { "2001:db8::/33", IP, "2001:db8:8000::1", false },
    { "2001:DB8::1", IP, "2001:db8:0:0::1", true },
    { "192.0.2.1/24", IP, "192.0.2.1", false },
    { "192.0.2.0/24", IP, "192.0.2.0/24", false },
    { "example.com", IP, "192.0.2.7", false },
    { "alice@example.com", EMAIL, "alice@EXAMPLE.com", true },
    { "alice@example.com", EMAIL, "Alice@example.com", false },
    { "alice@example.com", EMAIL, "alice@www.example.com", false },
    { "@example.com", EMAIL, "bob@example.com", true },
    { "@example.com", EMAIL, "bob@mail.example.com", false },
    { "@example.com", EMAIL, "@example.com", false },
    { "@example.com", EMAIL, "bob@example.com@evil.test", false },
    { "@example.com", EMAIL, "bob@evil.test@example.com", false },
    { "@.example.com", EMAIL, "bob@mail.example.com", true },
    { "@.example.com", EMAIL, "bob@example.com", false },
    { "example.com", EMAIL, "bob@example.com", false },
    { ".example.com", EMAIL, "bob@mail.example.com", false },
    { "@example.com", UPN, "j\xc3\xbcrg@example.com", true },
    { "@example.com", UPN, "bob@evil.test", false },
    { "example.com", URI, "https://example.com/path?q#f", true },
    { "example.com", URI, "https://EXAMPLE.com:8443", true },
    { "example.com", URI, "https://user@example.com/", true },
    { "example.com", URI, "https://example.com@evil.test/", false },
    { "example.com", URI, "https://evil.test/example.com", false },
    { "example.com", URI, "https://evil.test?@example.com", false },
    { "example.com", URI, "https://evil.test#@example.com", false },
    { "example.com", URI, "https://example.com.evil.test/", false },
    { "example.com", URI, "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", false },
    { "example.com", URI, "mailto:bob@example.com", false },
    { "example.com", URI, "example.com", false },
    { ".example.com", URI, "spiffe://prod.example.com/web", true },
    { ".example.com", URI, "spiffe://example.com/web", false },
    { "192.0.2.0/24", URI, "https://192.0.2.9:1/", true },
    { "2001:db8::/32", URI, "https://[2001:db8::5]:1/", true },
    { "2001:db8::/32", URI, "https://[2001:db9::5]/", false },
    { "example.com", SUBJECT, "CN=example.com, O=Example", true },
    { "example.com", SUBJECT, "CN=evil.test, O=Example", false },
    { "example.com", SUBJECT, "CN=evil.test+OU=Example", false },
    { "example.com", SUBJECT, "E=bob@example.com, CN=example.com", false },
    { "@example.com", SUBJECT, "E=bob@example.com, CN=Bob", true },
    { "example.com", SUBJECT, "CN=evil.test.", false },
    { "example.com", SUBJECT, "CN=b\xc3\xbc" "cher.example", false },
    { "example.com", SUBJECT, "CN=*.example.com", false },
    { "example.com", SUBJECT, "CN=192.0.2.7", false },
    { "example.com", SUBJECT, "CN=2001:db8::1", false },
    { "example.com", SUBJECT, "CN=bob@example.com", false },
    { "@example.com", SUBJECT, "CN=bob@example.com", true },
    { "192.0.2.0/24", SUBJECT, "CN=192.0.2.7", true },
    { "example.com", SUBJECT, "CN=Alice Example, O=Example Inc.", true },
    { "example.com", SUBJECT, "CN=Alice", true },
    { NULL, SUBJECT, "CN=Alice", true },
    { NULL, DNS, "example.com", false },
    { NULL, IP, "192.0.2.7", false },
    { NULL, EMAIL, "bob@example.com", false },
    { NULL, UPN, "bob@example.com", false },
    { NULL, URI, "https://example.com", false },
};
/* clang-format on */

static void each_name_meets_its_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        kv_error err = { 0 };
        kv_status status = ask(row->rule, row->kind, kv_slice_text(row->name), &err);

        if (status != (row->allowed ? KV_OK : KV_DENIED))
            fail_msg("rule %s, name %s: %s", row->rule ? row->rule : "(none)", row->name,
                     err.message);
    }
}

static void every_name_must_be_allowed(void **state)
{
    kv_arena arena = KV_ARENA(1 << 16);
    kv_slice texts[] = { KV_SLICE("example.com"), KV_SLICE(".example.com") };
    kv_slice names[] = { KV_SLICE("example.com"), KV_SLICE("a.example.com"),
                         KV_SLICE("evil.test") };
    kv_x509_list rules = { .items = texts, .count = 2 };
    kv_x509_sans sans = { .dns_names = { .items = names, .count = 2 } };
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_issuer_domains_check(&arena, &rules, KV_SLICE_NONE, &sans, &err));
    sans.dns_names.count = 3;
    assert_kv_fails(KV_DENIED, kv_issuer_domains_check(&arena, &rules, KV_SLICE_NONE, &sans, &err));
    assert_non_null(strstr(err.message, "DNS name \"evil.test\""));
    kv_arena_cleanup(&arena);
}

static void a_nul_or_a_megabyte_is_no_name(void **state)
{
    static const form kinds[] = { DNS, IP, EMAIL, UPN, URI };
    char *nines = test_malloc(NAME_MAX_BYTES);
    kv_error err;

    (void)state;
    memset(nines, '9', NAME_MAX_BYTES);
    for (size_t i = 0; i < KV_COUNT(kinds); i++) {
        err = (kv_error){ 0 };
        assert_kv_fails(KV_DENIED,
                        ask(".example.com", kinds[i], kv_slice_of(nines, NAME_MAX_BYTES), &err));
        err = (kv_error){ 0 };
        assert_kv_fails(KV_DENIED,
                        ask(".example.com", kinds[i], KV_SLICE("evil.test\0.example.com"), &err));
    }
    err = (kv_error){ 0 };
    assert_kv_fails(KV_BAD_REQUEST, kv_issuer_domain_rule_check(kv_slice_of(nines, NAME_MAX_BYTES),
                                                                "rules[0]", &err));
    test_free(nines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_have_a_form),
        cmocka_unit_test(each_name_meets_its_rule),
        cmocka_unit_test(every_name_must_be_allowed),
        cmocka_unit_test(a_nul_or_a_megabyte_is_no_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
