/* test_acme_settings.c - what an issuer object of provider ACME may say, and which names of a
 * policy it is asked for. */
#include "server/issuer/acme_visit.h"

#include <stdio.h>

#include "server/x509/bundle.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/soft_key.h"

#define MUST "\"directory\":\"https://ca.test/dir\",\"terms_agreed\":true"

static int open_arena(void **state)
{
    static kv_arena arena;

    arena = KV_ARENA(1 << 20);
    *state = &arena;
    return 0;
}

static int close_arena(void **state)
{
    kv_arena_cleanup(*state);
    return 0;
}

static void settings_are_read(void **state)
{
    kv_acme_settings settings;
    kv_error err = { 0 };

    assert_kv_ok(kv_acme_settings_read(*state, KV_SLICE("{" MUST "}"), &settings, &err));
    assert_string_equal(settings.directory, "https://ca.test/dir");
    assert_int_equal(settings.proof_count, 3);
    assert_slice_equal(KV_SLICE("http-01"), settings.proofs[0].type);
    assert_int_equal(settings.contact_count, 0);

    assert_kv_ok(kv_acme_settings_read(
        *state,
        KV_SLICE("{" MUST ",\"contacts\":[\"mailto:a@b.test\"],\"profile\":\"shortlived\","
                 "\"preferred_chain\":\"Root X1\",\"challenges\":[{\"type\":\"dns-01\",\"zone\":"
                 "\"b.test\"},\"http-01\"]}"),
        &settings, &err));
    assert_int_equal(settings.proof_count, 2);
    assert_slice_equal(KV_SLICE("dns-01"), settings.proofs[0].type);
    assert_slice_equal(KV_SLICE("{\"type\":\"dns-01\",\"zone\":\"b.test\"}"),
                       settings.proofs[0].settings);
    assert_int_equal(settings.proofs[1].settings.len, 0);
    assert_slice_equal(KV_SLICE("shortlived"), settings.profile);
    assert_slice_equal(KV_SLICE("Root X1"), settings.preferred_chain);
    assert_slice_equal(KV_SLICE("mailto:a@b.test"), settings.contacts[0]);
}

static void bad_settings_are_refused(void **state)
{
    static const struct {
        const char *json;
        const char *said;
    } cases[] = {
        { "", "directory" },
        { "[]", "directory" },
        { "{\"terms_agreed\":true}", "directory" },
        { "{\"directory\":\"http://ca.test/\",\"terms_agreed\":true}", "https" },
        { "{\"directory\":\"https://me@ca.test/\",\"terms_agreed\":true}", "https" },
        { "{\"directory\":7,\"terms_agreed\":true}", "https" },
        { "{\"directory\":\"https://ca.test/dir\"}", "terms_agreed" },
        { "{\"directory\":\"https://ca.test/dir\",\"terms_agreed\":\"yes\"}", "terms_agreed" },
        { "{" MUST ",\"contact\":[]}", "\"contact\"" },
        { "{" MUST ",\"contacts\":\"mailto:a@b.test\"}", "list" },
        { "{" MUST ",\"contacts\":[\"a@b.test\"]}", "mailto:" },
        { "{" MUST ",\"contacts\":[\"mailto:a@b.test?cc=c@d.test\"]}", "mailto:" },
        { "{" MUST ",\"contacts\":[\"mailto:a@b.test\\n\"]}", "mailto:" },
        { "{" MUST ",\"contacts\":[1]}", "mailto:" },
        { "{" MUST ",\"challenges\":[]}", "1 to 4" },
        { "{" MUST ",\"challenges\":{}}", "1 to 4" },
        { "{" MUST ",\"challenges\":[\"http-02\"]}", "http-01" },
        { "{" MUST ",\"challenges\":[{}]}", "http-01" },
        { "{" MUST ",\"challenges\":[\"http-01\",{\"type\":\"http-01\"}]}", "twice" },
        { "{" MUST ",\"profile\":\"\"}", "profile" },
        { "{" MUST ",\"profile\":[]}", "profile" },
        { "{" MUST ",\"preferred_chain\":\"a\\u0007\"}", "preferred_chain" },
    };

    for (size_t i = 0; i < KV_COUNT(cases); i++) {
        kv_acme_settings settings;
        kv_error err = { 0 };

        if (kv_acme_settings_read(*state, kv_slice_text(cases[i].json), &settings, &err) !=
            KV_BAD_REQUEST)
            fail_msg("%s", cases[i].json);
        assert_string_equal(err.field, "settings");
        if (!strstr(err.message, cases[i].said))
            fail_msg("%s: %s", cases[i].json, err.message);
    }
}

static void an_external_account_has_both_halves(void **state)
{
    static const kv_secret_buf some = { 0 };
    kv_issuer_account account = { .settings = KV_SLICE("{" MUST "}"),
                                  .account_id = KV_SLICE("kid-1") };
    kv_error err = { 0 };

    assert_kv_fails(KV_BAD_REQUEST, kv_acme_account_judge(&account, *state, &err));
    assert_string_equal(err.field, "credentials.pwd");
    account.credential = &some;
    assert_kv_ok(kv_acme_account_judge(&account, *state, &err));
    account.account_id = KV_SLICE_NONE;
    assert_kv_fails(KV_BAD_REQUEST, kv_acme_account_judge(&account, *state, &err));
    assert_string_equal(err.field, "credentials.account_id");
}

/* --- names --- */

static kv_status names_of(void **state, const char *subject, kv_x509_sans sans,
                          const kv_acme_name **names, size_t *count, kv_error *err)
{
    kv_x509_policy policy = { .x509_props = { .subject = kv_slice_text(subject), .sans = sans } };

    return kv_acme_names_of(*state, &policy, names, count, err);
}

static void each_name_is_ordered_once(void **state)
{
    const kv_slice dns[] = { KV_SLICE("WWW.a.test"), KV_SLICE("*.a.test"), KV_SLICE("www.A.test") };
    const kv_slice addresses[] = { KV_SLICE("192.0.2.1"), KV_SLICE("2001:DB8::1") };
    kv_x509_sans sans = { .dns_names = { dns, 3 }, .ip_addresses = { addresses, 2 } };
    const kv_acme_name *names;
    kv_error err = { 0 };
    size_t count;

    assert_kv_ok(names_of(state, "CN=a.test, O=Example", sans, &names, &count, &err));
    assert_int_equal(count, 5);
    assert_slice_equal(KV_SLICE("www.a.test"), names[0].value);
    assert_slice_equal(KV_SLICE("*.a.test"), names[1].value);
    assert_slice_equal(KV_SLICE("192.0.2.1"), names[2].value);
    assert_true(names[2].address);
    assert_slice_equal(KV_SLICE("2001:db8::1"), names[3].value);
    assert_slice_equal(KV_SLICE("a.test"), names[4].value);
    assert_false(names[4].address);
    assert_kv_ok(names_of(state, "CN=www.a.test", sans, &names, &count, &err));
    assert_int_equal(count, 4);
}

static void other_names_are_not_for_acme(void **state)
{
    const kv_slice one[] = { KV_SLICE("a@b.test") };
    kv_x509_sans emails = { .emails = { one, 1 } }, upns = { .upns = { one, 1 } }, none = { 0 };
    static kv_slice many[KV_ACME_NAMES_MOST + 1];
    static char texts[KV_ACME_NAMES_MOST + 1][16];
    const kv_acme_name *names;
    kv_error err = { 0 };
    size_t count;

    assert_kv_fails(KV_PRECONDITION, names_of(state, "CN=a.test", emails, &names, &count, &err));
    assert_kv_fails(KV_PRECONDITION, names_of(state, "CN=a.test", upns, &names, &count, &err));
    assert_kv_fails(KV_PRECONDITION, names_of(state, "O=a.test", none, &names, &count, &err));
    assert_kv_fails(KV_PRECONDITION,
                    names_of(state, "CN=Example Inc.", none, &names, &count, &err));
    assert_non_null(strstr(err.message, "Example Inc."));
    for (size_t i = 0; i < KV_COUNT(many); i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "n%zu.test", i);
        many[i] = kv_slice_text(texts[i]);
    }
    assert_kv_ok(names_of(state, "", (kv_x509_sans){ .dns_names = { many, KV_COUNT(many) - 1 } },
                          &names, &count, &err));
    assert_int_equal(count, KV_ACME_NAMES_MOST);
    assert_kv_fails(KV_PRECONDITION,
                    names_of(state, "", (kv_x509_sans){ .dns_names = { many, KV_COUNT(many) } },
                             &names, &count, &err));
}

/* --- chains --- */

static void a_chain_is_chosen_by_its_root(void **state)
{
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    kv_x509_built root;
    kv_x509_list chain = { 0 };
    kv_error err = { 0 };
    kv_slice pem;
    soft_key key;

    soft_key_make(&key, KV_KEY_P256, *state);
    root = soft_certificate(&key, &policy, SOFT_NOW_MS, *state);
    assert_kv_ok(kv_x509_chain_pem(*state, (kv_x509_list){ &root.der, 1 }, &pem, &err));
    assert_kv_ok(kv_acme_chain_read(*state, pem, &chain, &err));
    assert_int_equal(chain.count, 1);
    assert_slice_equal(root.der, chain.items[0]);
    assert_true(kv_acme_chain_ends_in(&chain, KV_SLICE("www.example.com")));
    assert_false(kv_acme_chain_ends_in(&chain, KV_SLICE("example.com")));
    assert_false(kv_acme_chain_ends_in(&chain, KV_SLICE("")));
    assert_kv_fails(KV_UNAVAILABLE, kv_acme_chain_read(*state, KV_SLICE(""), &chain, &err));
    assert_kv_fails(KV_UNAVAILABLE,
                    kv_acme_chain_read(*state, KV_SLICE("<html></html>"), &chain, &err));
    assert_kv_fails(KV_UNAVAILABLE,
                    kv_acme_chain_read(*state, kv_slice_of(pem.data, pem.len / 2), &chain, &err));
    soft_key_cleanup(&key);
}

#define SETTINGS_TEST(name) cmocka_unit_test_setup_teardown(name, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(settings_are_read),
        SETTINGS_TEST(bad_settings_are_refused),
        SETTINGS_TEST(an_external_account_has_both_halves),
        SETTINGS_TEST(each_name_is_ordered_once),
        SETTINGS_TEST(other_names_are_not_for_acme),
        SETTINGS_TEST(a_chain_is_chosen_by_its_root),
    };

    return cmocka_run_group_tests_name("acme_settings", tests, NULL, NULL);
}
