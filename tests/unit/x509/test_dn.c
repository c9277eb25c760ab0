/* test_dn.c - distinguished names: what is taken, how it is read, what is refused. */
#include "server/x509/dn.h"

#include <openssl/objects.h>

#include "tests/support/kv_cmocka.h"

typedef struct good_row {
    const char *text;
    size_t count;
    int nids[4];
    const char *values[4];
    bool joined[4];
} good_row;

/* shape: table */
static const good_row good[] = {
    { "", 0, { 0 }, { 0 }, { 0 } },
    { "   ", 0, { 0 }, { 0 }, { 0 } },
    { "CN=www.example.com", 1, { NID_commonName }, { "www.example.com" }, { 0 } },
    { "  cn = www.example.com  ", 1, { NID_commonName }, { "www.example.com" }, { 0 } },
    { "CN=a,O=b,C=CH",
      3,
      { NID_commonName, NID_organizationName, NID_countryName },
      { "a", "b", "CH" },
      { 0 } },
    { "CN=a , O=b", 2, { NID_commonName, NID_organizationName }, { "a", "b" }, { 0 } },
    { "CN=a+UID=b, O=c",
      3,
      { NID_commonName, NID_userId, NID_organizationName },
      { "a", "b", "c" },
      { false, true, false } },
    { "O=Example\\, Inc.", 1, { NID_organizationName }, { "Example, Inc." }, { 0 } },
    { "O=\"Example, Inc.\", C=US",
      2,
      { NID_organizationName, NID_countryName },
      { "Example, Inc.", "US" },
      { 0 } },
    { "O=\"a \\\"b\\\"\"", 1, { NID_organizationName }, { "a \"b\"" }, { 0 } },
    { "O=a\\+b\\\\c\\;\\<\\>\\=", 1, { NID_organizationName }, { "a+b\\c;<>=" }, { 0 } },
    { "O=a=b", 1, { NID_organizationName }, { "a=b" }, { 0 } },
    { "O=\\#a", 1, { NID_organizationName }, { "#a" }, { 0 } },
    { "O=\\ a\\ ", 1, { NID_organizationName }, { " a " }, { 0 } },
    { "O=a  b  ", 1, { NID_organizationName }, { "a  b" }, { 0 } },
    { "O=Z\\C3\\BCrich", 1, { NID_organizationName }, { "Z\303\274rich" }, { 0 } },
    { "O=Z\303\274rich", 1, { NID_organizationName }, { "Z\303\274rich" }, { 0 } },
    { "O=\346\227\245\346\234\254",
      1,
      { NID_organizationName },
      { "\346\227\245\346\234\254" },
      { 0 } },
    { "DC=example,DC=com",
      2,
      { NID_domainComponent, NID_domainComponent },
      { "example", "com" },
      { 0 } },
    { "OU=a,OU=b",
      2,
      { NID_organizationalUnitName, NID_organizationalUnitName },
      { "a", "b" },
      { 0 } },
    { "E=a@example.com", 1, { NID_pkcs9_emailAddress }, { "a@example.com" }, { 0 } },
    { "S=Bern", 1, { NID_stateOrProvinceName }, { "Bern" }, { 0 } },
};

static void reads_what_is_well_formed(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(good); i++) {
        kv_arena arena = KV_ARENA(64 * 1024);
        kv_error err = { 0 };
        kv_x509_dn dn;

        assert_kv_ok(kv_x509_dn_parse(&arena, kv_slice_text(good[i].text), "subject", &dn, &err));
        if (dn.count != good[i].count)
            fail_msg("'%s' has %zu attributes", good[i].text, dn.count);
        for (size_t j = 0; j < dn.count; j++) {
            assert_int_equal(dn.items[j].nid, good[i].nids[j]);
            assert_slice_equal(kv_slice_text(good[i].values[j]), dn.items[j].value);
            assert_int_equal(dn.items[j].same_rdn, good[i].joined[j]);
        }
        kv_arena_cleanup(&arena);
    }
}

typedef struct bad_row {
    const char *text;
    const char *says; /* part of the message */
} bad_row;

#define TEN "0123456789"

/* shape: table */
static const bad_row bad[] = {
    { "www.example.com", "type=value" },
    { "=a", "type=value" },
    { "CN", "type=value" },
    { ",CN=a", "type=value" },
    { "CN=a,", "type=value" },
    { "CN=a,,O=b", "type=value" },
    { "CN=a+", "type=value" },
    { "CN=", "no value for CN" },
    { "CN=,O=b", "no value for CN" },
    { "CN=\"\"", "no value for CN" },
    { "CN=   ", "no value for CN" },
    { "XX=a", "unknown attribute type at byte 0" },
    { "CN=a, 2.5.4.3=b", "unknown attribute type at byte 6" },
    { "CN=a;O=b", "character ;" },
    { "CN=a<b", "character <" },
    { "CN=a>b", "character >" },
    { "CN=a\"b\"", "character \"" },
    { "CN=#0403", "hexadecimal value" },
    { "CN=a\\", "followed by" },
    { "CN=a\\x", "followed by" },
    { "CN=a\\4", "followed by" },
    { "CN=\"a", "never closed" },
    { "CN=\"a\"b", "after a quoted value" },
    { "CN=a\\00b", "control characters" },
    { "CN=a\nb", "control characters" },
    { "CN=a\\0Ab", "control characters" },
    { "CN=\\ff", "not UTF-8" },
    { "CN=\300\200", "not UTF-8" },
    { "CN=a,CN=b", "more than one CN" },
    { "C=CH,C=DE", "more than one C" },
    { "ST=a,S=b", "more than one S" },
    { "C=CHE", "two letters" },
    { "C=1A", "two letters" },
    { "CN=" TEN TEN TEN TEN TEN TEN "01234", "longer than 64" },
    { "DC=\303\274", "not ASCII" },
    { "serialNumber=a_b", "not letters" },
};

static void refuses_what_is_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        kv_arena arena = KV_ARENA(64 * 1024);
        kv_error err = { 0 };
        kv_x509_dn dn;
        kv_status status =
            kv_x509_dn_parse(&arena, kv_slice_text(bad[i].text), "policy.x", &dn, &err);

        if (status != KV_BAD_REQUEST)
            fail_msg("'%s' was taken", bad[i].text);
        if (!strstr(err.message, bad[i].says))
            fail_msg("'%s': '%s' does not say '%s'", bad[i].text, err.message, bad[i].says);
        assert_string_equal(err.field, "policy.x");
        kv_arena_cleanup(&arena);
    }
}

static void takes_the_longest_value_in_characters(void **state)
{
    kv_arena arena = KV_ARENA(64 * 1024);
    kv_error err = { 0 };
    char text[200] = "CN=";
    kv_x509_dn dn;

    (void)state;
    for (size_t i = 0; i < 64; i++)
        memcpy(text + 3 + 2 * i, "\303\274", 2);
    assert_kv_ok(kv_x509_dn_parse(&arena, kv_slice_of(text, 3 + 128), "subject", &dn, &err));
    assert_int_equal(dn.items[0].value.len, 128);
    text[131] = 'x';
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_x509_dn_parse(&arena, kv_slice_of(text, 3 + 129), "subject", &dn, &err));
    kv_arena_cleanup(&arena);
}

static void bounds_the_number_of_attributes(void **state)
{
    kv_arena arena = KV_ARENA(64 * 1024);
    kv_error err = { 0 };
    char text[5 * (KV_X509_ATTRIBUTES_MAX + 1)];
    kv_x509_dn dn;

    (void)state;
    for (size_t i = 0; i <= KV_X509_ATTRIBUTES_MAX; i++)
        memcpy(text + 5 * i, "OU=a,", 5);
    assert_kv_ok(kv_x509_dn_parse(&arena, kv_slice_of(text, 5 * KV_X509_ATTRIBUTES_MAX - 1),
                                  "subject", &dn, &err));
    assert_int_equal(dn.count, KV_X509_ATTRIBUTES_MAX);
    assert_kv_fails(KV_BAD_REQUEST, kv_x509_dn_parse(&arena, kv_slice_of(text, sizeof(text) - 1),
                                                     "subject", &dn, &err));
    kv_arena_cleanup(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_well_formed),
        cmocka_unit_test(refuses_what_is_not),
        cmocka_unit_test(takes_the_longest_value_in_characters),
        cmocka_unit_test(bounds_the_number_of_attributes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
