/* test_dns_persist.c - the record that has to stand: who is called how in it, until when, and what
 * must not get into a zone. */
#include <stdio.h>

#include "server/challenge/dns.h"
#include "tests/support/kv_cmocka.h"

#define NOW_S   INT64_C(1767225600)
#define ACCOUNT "https://ca.example/acct/1"

typedef struct bench {
    kv_arena arena;
    kv_challenge_task task;
} bench;

static int begin(void **state)
{
    bench *at = test_malloc(sizeof(*at));

    at->arena = KV_ARENA(64 * 1024);
    at->task = (kv_challenge_task){
        .name = KV_SLICE("www.example.org"),
        .account_uri = KV_SLICE(ACCOUNT),
        .directory = KV_SLICE("https://ca.example/directory"),
        .authority_domain = KV_SLICE("ca.example"),
        .now_ms = NOW_S * 1000,
        .arena = &at->arena,
    };
    *state = at;
    return 0;
}

static int end(void **state)
{
    bench *at = *state;

    kv_arena_cleanup(&at->arena);
    test_free(at);
    return 0;
}

static void assert_value(bench *at, const char *value)
{
    kv_error err = { 0 };
    kv_slice text;

    assert_kv_ok(kv_dns_persist_value(&at->task, &text, &err));
    assert_slice_equal(kv_slice_text(value), text);
}

/* Neither printed nor ordered with. */
static void assert_refused(bench *at, const char *why)
{
    kv_error err = { 0 };
    kv_slice text;

    assert_kv_fails(KV_PRECONDITION, kv_dns_persist_value(&at->task, &text, &err));
    assert_non_null(strstr(err.message, why));
    assert_kv_fails(KV_PRECONDITION, kv_challenge_dns_persist.present(NULL, &at->task, &err));
    assert_kv_fails(KV_PRECONDITION, kv_challenge_dns_persist.instruct(&at->task, &text, &err));
}

static void it_names_authority_and_account(void **state)
{
    bench *at = *state;
    kv_error err = { 0 };
    kv_dns_record record;
    kv_slice text;

    assert_kv_ok(kv_dns_persist_record(&at->task, &record, &err));
    assert_string_equal(record.name, "_validation-persist.www.example.org.");
    assert_string_equal(record.value, "ca.example; accounturi=" ACCOUNT);
    at->task.wildcard = true;
    assert_value(at, "ca.example; accounturi=" ACCOUNT "; policy=wildcard");
    assert_kv_ok(kv_challenge_dns_persist.instruct(&at->task, &text, &err));
    assert_slice_equal(
        KV_SLICE("this record has to stand: _validation-persist.www.example.org. TXT "
                 "\"ca.example; accounturi=" ACCOUNT "; policy=wildcard\""),
        text);
    assert_kv_ok(kv_challenge_dns_persist.present(NULL, &at->task, &err));
    assert_kv_ok(kv_challenge_dns_persist.clean(NULL, &at->task, &err));
    at->task.account_uri = KV_SLICE_NONE;
    assert_refused(at, "not known yet");
}

static void the_account_is_called_as_the_challenge_says(void **state)
{
    bench *at = *state;

    at->task.account_offered = KV_SLICE("https://CA.example/other/name/of/it");
    assert_value(at, "ca.example; accounturi=https://CA.example/other/name/of/it");
    /* The challenge knows better than the directory. */
    at->task.account_hash_prefix = KV_SLICE("https://ca.example/account-hash/");
    at->task.thumbprint = KV_SLICE("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_value(at, "ca.example; accounturi=https://CA.example/other/name/of/it");
}

/* An authority could else have somebody publish an account of its own at another authority. */
static void an_account_of_another_host_is_not_named(void **state)
{
    static const char *const foreign[] = {
        "https://trusted.example/acct/666",
        "https://ca.example:444/acct/1",
        "https://ca.example.evil.test/acct/1",
        "http://ca.example/acct/1",
        "https://ca.exampl/acct/1",
        "https://ca.example",
    };
    bench *at = *state;

    for (size_t i = 0; i < KV_COUNT(foreign); i++) {
        at->task.account_offered = kv_slice_text(foreign[i]);
        assert_refused(at, "another host");
    }
    at->task.account_offered = KV_SLICE_NONE;
    at->task.account_uri = KV_SLICE("https://trusted.example/acct/666");
    assert_refused(at, "another host");
}

/* The vectors of draft-ietf-acme-dns-persist-02, section 10.2. */
static void the_account_is_hashed_where_the_directory_says_so(void **state)
{
    bench *at = *state;

    at->task.name = KV_SLICE("example.com");
    at->task.authority_domain = KV_SLICE("authority.example");
    at->task.account_uri = KV_SLICE("https://ca.example/acct/123");
    at->task.thumbprint = KV_SLICE("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    at->task.account_hash_prefix = KV_SLICE("https://ca.example/account-hash/");
    assert_value(at, "authority.example; accounturi=https://ca.example/account-hash/"
                     "sha-256/5SQm7n6tPh2-PlLbCKGnViTXX5z19SCN4cPGQHSk-kw");
    at->task.name = KV_SLICE_NONE;
    assert_value(at, "authority.example; accounturi=https://ca.example/account-hash/"
                     "sha-256/NpDnSwUthQK8zCgFdefYxAdAVPnygMLbs9US6oO-5ug");
    at->task.name = KV_SLICE("example.com");
    at->task.account_hash_prefix = KV_SLICE("https://ca.example/a;b/");
    assert_refused(at, "no URL");
}

static void it_stands_until_its_end(void **state)
{
    bench *at = *state;

    at->task.settings = KV_SLICE("{\"type\":\"dns-persist-01\",\"persistUntil\":1767229200}");
    at->task.wildcard = true;
    assert_value(at,
                 "ca.example; accounturi=" ACCOUNT "; policy=wildcard; persistUntil=1767229200");
    at->task.now_ms = INT64_C(1767229200) * 1000 - 9 * 60 * 1000;
    assert_refused(at, "end in a moment by persistUntil=1767229200");
    at->task.now_ms = INT64_C(1767229200) * 1000;
    assert_refused(at, "have ended by persistUntil=1767229200");
}

static void a_long_record_is_several_texts(void **state)
{
    char url[400] = "https://ca.example/";
    bench *at = *state;
    kv_error err = { 0 };
    kv_slice text;
    const char *second;

    memset(url + strlen(url), 'x', sizeof(url) - strlen(url) - 1);
    url[sizeof(url) - 1] = 0;
    at->task.account_uri = kv_slice_text(url);
    assert_kv_ok(kv_challenge_dns_persist.instruct(&at->task, &text, &err));
    second = strstr((const char *)text.data, "\" \"");
    assert_non_null(second);
    assert_ptr_equal(memchr(text.data, '"', text.len), second - 256);
    assert_null(strstr(second + 3, "\" \""));
}

/* Who copies the record into a zone must not copy what the authority smuggled into its name. */
static void it_has_no_parameters_of_the_authority(void **state)
{
    static const char *const domains[] = { "ca.example; accounturi=https://thief.example/1",
                                           "ca.example\" \"x", "ca example", "ca.example.", "\\" };
    static const char *const accounts[] = { "https://ca.example/1;policy=wildcard",
                                            "https://ca.example/1\" \"x", "https://ca.example/1 2",
                                            "https://ca.example/\\",
                                            "https://ca.example/\xc3\xa4" };
    bench *at = *state;

    for (size_t i = 0; i < KV_COUNT(accounts); i++) {
        at->task.account_offered = kv_slice_text(accounts[i]);
        assert_refused(at, "no URL");
    }
    for (size_t i = 0; i < KV_COUNT(domains); i++) {
        at->task.authority_domain = kv_slice_text(domains[i]);
        assert_refused(at, "domain is none");
    }
}

static void settings_are_the_end_alone(void **state)
{
    static const char *const good[] = {
        "", "{\"type\":\"dns-persist-01\"}",
        "{\"type\":\"dns-persist-01\",\"persistUntil\":1767229200}"
    };
    static const char *const bad[] = {
        "{\"type\":\"dns-persist-01\",\"persistUntil\":0}",
        "{\"type\":\"dns-persist-01\",\"persistUntil\":-5}",
        "{\"type\":\"dns-persist-01\",\"persistUntil\":\"1767229200\"}",
        "{\"type\":\"dns-persist-01\",\"persistUntil\":1.5}",
        "{\"type\":\"dns-persist-01\",\"persistUntil\":18446744073709551616}",
        "{\"type\":\"dns-persist-01\",\"policy\":\"wildcard\"}",
        "[]",
        "{",
    };
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(good); i++)
        assert_kv_ok(kv_challenge_dns_persist.check(kv_slice_text(good[i]), NULL, &err));
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        assert_kv_fails(KV_BAD_REQUEST,
                        kv_challenge_dns_persist.check(kv_slice_text(bad[i]), NULL, &err));
        assert_string_equal(err.field, "settings");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_names_authority_and_account, begin, end),
        cmocka_unit_test_setup_teardown(the_account_is_called_as_the_challenge_says, begin, end),
        cmocka_unit_test_setup_teardown(an_account_of_another_host_is_not_named, begin, end),
        cmocka_unit_test_setup_teardown(the_account_is_hashed_where_the_directory_says_so, begin,
                                        end),
        cmocka_unit_test_setup_teardown(it_stands_until_its_end, begin, end),
        cmocka_unit_test_setup_teardown(a_long_record_is_several_texts, begin, end),
        cmocka_unit_test_setup_teardown(it_has_no_parameters_of_the_authority, begin, end),
        cmocka_unit_test(settings_are_the_end_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
