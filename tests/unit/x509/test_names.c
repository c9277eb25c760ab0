/* test_names.c - the syntax of alternative names. */
#include "server/x509/names.h"

#include "tests/support/kv_cmocka.h"

typedef const char *problem_of(kv_slice name);

typedef struct row {
    problem_of *check;
    const char *name;
    bool good;
} row;

#define LABEL_63 "a23456789012345678901234567890123456789012345678901234567890123"

/* shape: table */
static const row rows[] = {
    { kv_x509_dns_name_problem, "www.example.com", true },
    { kv_x509_dns_name_problem, "localhost", true },
    { kv_x509_dns_name_problem, "xn--bcher-kva.example", true },
    { kv_x509_dns_name_problem, "1.example.com", true },
    { kv_x509_dns_name_problem, LABEL_63 ".example", true },
    { kv_x509_dns_name_problem, LABEL_63 "x.example", false },
    { kv_x509_dns_name_problem, LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63, false },
    { kv_x509_dns_name_problem, "*.example.com", true },
    { kv_x509_dns_name_problem, "*.com", false },
    { kv_x509_dns_name_problem, "*", false },
    { kv_x509_dns_name_problem, "*.", false },
    { kv_x509_dns_name_problem, "w*.example.com", false },
    { kv_x509_dns_name_problem, "*w.example.com", false },
    { kv_x509_dns_name_problem, "www.*.example.com", false },
    { kv_x509_dns_name_problem, "*.*.example.com", false },
    { kv_x509_dns_name_problem, "", false },
    { kv_x509_dns_name_problem, ".example.com", false },
    { kv_x509_dns_name_problem, "www..example.com", false },
    { kv_x509_dns_name_problem, "www.example.com.", false },
    { kv_x509_dns_name_problem, "-www.example.com", false },
    { kv_x509_dns_name_problem, "www-.example.com", false },
    { kv_x509_dns_name_problem, "a_b.example.com", false },
    { kv_x509_dns_name_problem, "a b.example.com", false },
    { kv_x509_dns_name_problem, "b\303\274cher.example", false },
    { kv_x509_dns_name_problem, "a,DNS:evil.example", false },
    { kv_x509_dns_name_problem, "192.0.2.1", false },
    { kv_x509_dns_name_problem, "2001:db8::1", false },

    { kv_x509_email_problem, "a.b+c@example.com", true },
    { kv_x509_email_problem, "a@localhost", true },
    { kv_x509_email_problem, "example.com", false },
    { kv_x509_email_problem, "@example.com", false },
    { kv_x509_email_problem, "a@", false },
    { kv_x509_email_problem, "a@b@example.com", false },
    { kv_x509_email_problem, ".a@example.com", false },
    { kv_x509_email_problem, "a.@example.com", false },
    { kv_x509_email_problem, "a..b@example.com", false },
    { kv_x509_email_problem, "a b@example.com", false },
    { kv_x509_email_problem, "a@*.example.com", false },
    { kv_x509_email_problem, "a\r\nBcc@example.com", false },
    { kv_x509_email_problem, LABEL_63 "ab@example.com", false },

    { kv_x509_upn_problem, "user@corp.example", true },
    { kv_x509_upn_problem, "j\303\274rg@corp", true },
    { kv_x509_upn_problem, "user", false },
    { kv_x509_upn_problem, "@corp", false },
    { kv_x509_upn_problem, "user@", false },
    { kv_x509_upn_problem, "user@a@b", false },
    { kv_x509_upn_problem, "a user@corp", false },
    { kv_x509_upn_problem, "user@corp\n", false },
    { kv_x509_upn_problem, "user@\377", false },

    { kv_x509_uri_problem, "https://example.com/path?a=b#c", true },
    { kv_x509_uri_problem, "spiffe://trust.domain/service", true },
    { kv_x509_uri_problem, "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", true },
    { kv_x509_uri_problem, "https://user@example.com:8443/", true },
    { kv_x509_uri_problem, "https://[2001:db8::1]:443/", true },
    { kv_x509_uri_problem, "https://a/%41", true },
    { kv_x509_uri_problem, "https://", false },
    { kv_x509_uri_problem, "https:///path", false },
    { kv_x509_uri_problem, "https://:443/", false },
    { kv_x509_uri_problem, "https://a:b/", false },
    { kv_x509_uri_problem, "https://[2001:db8::1/", false },
    { kv_x509_uri_problem, "https://[127.0.0.1]/", false },
    { kv_x509_uri_problem, "//example.com", false },
    { kv_x509_uri_problem, "/path", false },
    { kv_x509_uri_problem, "a:", false },
    { kv_x509_uri_problem, "1a:b", false },
    { kv_x509_uri_problem, "https://a/%4", false },
    { kv_x509_uri_problem, "https://a/%zz", false },
    { kv_x509_uri_problem, "https://a/ b", false },
    { kv_x509_uri_problem, "https://a/\303\274", false },

    { kv_x509_ip_problem, "192.0.2.1", true },
    { kv_x509_ip_problem, "2001:db8::1", true },
    { kv_x509_ip_problem, "::ffff:192.0.2.1", true },
    { kv_x509_ip_problem, "192.0.2", false },
    { kv_x509_ip_problem, "192.0.2.256", false },
    { kv_x509_ip_problem, "192.0.2.1/24", false },
    { kv_x509_ip_problem, "2001:db8::1%eth0", false },
    { kv_x509_ip_problem, "2001:db8:::1", false },
    { kv_x509_ip_problem, " 192.0.2.1", false },
    { kv_x509_ip_problem, "www.example.com", false },

    { kv_x509_oid_problem, "1.3.6.1.5.5.7.3.1", true },
    { kv_x509_oid_problem, "2.999", true },
    { kv_x509_oid_problem, "0.0", true },
    { kv_x509_oid_problem, "2.5.29.37.0", true },
    { kv_x509_oid_problem, "", false },
    { kv_x509_oid_problem, "1", false },
    { kv_x509_oid_problem, "3.1", false },
    { kv_x509_oid_problem, "1.40", false },
    { kv_x509_oid_problem, "1.3.", false },
    { kv_x509_oid_problem, ".1.3", false },
    { kv_x509_oid_problem, "1..3", false },
    { kv_x509_oid_problem, "1.03", false },
    { kv_x509_oid_problem, "1.3.-1", false },
    { kv_x509_oid_problem, "1.3.a", false },
    { kv_x509_oid_problem, "serverAuth", false },
    { kv_x509_oid_problem, "1.3.9999999999999999999999", false },
};

static void judges_every_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        const char *problem = rows[i].check(kv_slice_text(rows[i].name));

        if (!problem != rows[i].good)
            fail_msg("'%s': %s", rows[i].name, problem ? problem : "was taken");
        if (problem)
            assert_memory_equal(problem, "must ", 5);
    }
}

static void refuses_a_nul_byte(void **state)
{
    (void)state;
    assert_non_null(kv_x509_dns_name_problem(KV_SLICE("www.example.com\0.evil.example")));
    assert_non_null(kv_x509_email_problem(KV_SLICE("a@example.com\0.evil.example")));
    assert_non_null(kv_x509_upn_problem(KV_SLICE("a@example.com\0b")));
    assert_non_null(kv_x509_uri_problem(KV_SLICE("https://a/\0b")));
    assert_non_null(kv_x509_ip_problem(KV_SLICE("192.0.2.1\0")));
    assert_non_null(kv_x509_oid_problem(KV_SLICE("1.3\0")));
}

static void gives_the_bytes_of_addresses(void **state)
{
    static const uint8_t four[] = { 192, 0, 2, 1 };
    uint8_t bytes[16];

    (void)state;
    assert_int_equal(kv_x509_ip_bytes(KV_SLICE("192.0.2.1"), bytes), 4);
    assert_memory_equal(bytes, four, 4);
    assert_int_equal(kv_x509_ip_bytes(KV_SLICE("2001:db8::1"), bytes), 16);
    assert_int_equal(bytes[15], 1);
    assert_int_equal(kv_x509_ip_bytes(KV_SLICE("nothing"), bytes), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_every_name),
        cmocka_unit_test(refuses_a_nul_byte),
        cmocka_unit_test(gives_the_bytes_of_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
