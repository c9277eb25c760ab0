/* test_vault_issuers.c - issuers of a vault: what is stored of them, and whom they serve with which
 * names.
 */
#include <stdio.h>

#include "server/vault/checks.h"
#include "server/vault/issuers/issuer_rules.h"
#include "server/vault/watch.h"
#include "tests/contract/vault/acts.h"

#define PASSWORD "a password of the authority"

static house *h;
static kv_error err;

static int start(void **state)
{
    (void)state;
    h = house_new(false);
    assert_kv_ok(act_make_vault(h, &err));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    house_free(h);
    return 0;
}

static kv_target target(const char *name)
{
    return (kv_target){ .vault = KV_SLICE(ACT_VAULT),
                        .collection = KV_COLLECTION_CERTIFICATES,
                        .issuer = kv_slice_text(name) };
}

static kv_issuer_set_in asked(const char *name, const char *provider, const kv_slice *domains,
                              size_t count)
{
    return (kv_issuer_set_in){ .target = target(name),
                               .provider = kv_slice_text(provider),
                               .has_domains = true,
                               .domains = { .items = domains, .count = count } };
}

static kv_status set(const kv_issuer_set_in *in, kv_issuer_bundle *out)
{
    kv_issuer_bundle ignored;

    return HOUSE_DO(h, kv_vault_issuer_set, in, out ? out : &ignored);
}

static kv_status get(const char *name, kv_issuer_bundle *out)
{
    kv_issuer_get_in in = { .target = target(name) };

    return HOUSE_DO(h, kv_vault_issuer_get, &in, out);
}

static kv_status take_away(const char *name)
{
    kv_issuer_delete_in in = { .target = target(name) };
    kv_issuer_bundle out;

    return HOUSE_DO(h, kv_vault_issuer_delete, &in, &out);
}

static kv_issuer_set_in account(const char *name)
{
    static const kv_slice domains[] = { { (const uint8_t *)".example.com", 12 },
                                        { (const uint8_t *)"192.0.2.0/24", 12 } };
    static const kv_issuer_admin admins[] = { { .first_name = { (const uint8_t *)"Ada", 3 },
                                                .email = { (const uint8_t *)"a@example.com",
                                                           13 } } };
    kv_issuer_set_in in = asked(name, HOUSE_PROVIDER, domains, 2);

    in.account_id = KV_SLICE("account-7");
    in.credential = KV_SLICE(PASSWORD);
    in.has_credential_expires = true;
    in.credential_expires = HOUSE_NOW_MS + 1000;
    in.settings = KV_SLICE("{\"directory\":\"https://ca.example\"}");
    in.trust = KV_X509_LINT_PUBLIC;
    in.has_organization = true;
    in.organization_id = KV_SLICE("org-1");
    in.admins = admins;
    in.admin_count = 1;
    return in;
}

/* --- what is stored --- */

static void an_issuer_comes_back_without_its_credential(void **state)
{
    kv_issuer_set_in in = account("Corp");
    kv_issuer_bundle out;

    (void)state;
    assert_kv_ok(set(&in, NULL));
    assert_kv_ok(get("cORP", &out));
    assert_slice_equal(out.name, KV_SLICE("Corp"));
    assert_slice_equal(out.provider, KV_SLICE(HOUSE_PROVIDER));
    assert_slice_equal(out.account_id, in.account_id);
    assert_slice_equal(out.settings, in.settings);
    assert_slice_equal(out.organization_id, in.organization_id);
    assert_int_equal(out.trust, KV_X509_LINT_PUBLIC);
    assert_int_equal(out.domains.count, 2);
    assert_slice_equal(out.domains.items[1], in.domains.items[1]);
    assert_int_equal(out.admin_count, 1);
    assert_slice_equal(out.admins[0].email, in.admins[0].email);
    assert_int_equal(out.requester_count, 0);
    assert_true(out.enabled && out.has_credential);
    assert_int_equal(out.credential_expires, in.credential_expires);
}

/* The bytes are not in the database, and whoever moves them to another row opens nothing. */
static void the_credential_is_bound_to_its_place(void **state)
{
    kv_issuer_set_in in = account("Corp");
    kv_x509_policy policy = { .issuer.name = KV_SLICE("corp"),
                              .x509_props.subject = KV_SLICE("CN=www.example.com") };
    KV_AUTO(kv_chosen_issuer) chosen = { 0 };
    kv_vault_row vault_row;
    house_job job;

    (void)state;
    assert_kv_ok(set(&in, NULL));
    assert_int_equal(
        house_count(h, "SELECT count(*) FROM issuers WHERE instr(credential, '" PASSWORD "')"), 0);
    house_begin(h, &job);
    assert_kv_ok(kv_find_vault(h->vault, &job.work, KV_SLICE(ACT_VAULT), &vault_row, &err));
    assert_kv_ok(
        kv_issuer_choose(h->vault, &job.work, &vault_row, &policy, KV_SLICE_NONE, &chosen, &err));
    assert_string_equal(chosen.issuer->provider, HOUSE_PROVIDER);
    assert_slice_equal(kv_secret_buf_slice(chosen.account.credential), KV_SLICE(PASSWORD));
    assert_slice_equal(chosen.account.account_id, KV_SLICE("account-7"));
    assert_int_equal(chosen.account.trust, KV_X509_LINT_PUBLIC);
    {
        kv_secret_version_row row = { 0 };
        kv_issuer_row stored;
        kv_secret_buf opened = KV_SECRET_NONE;
        bool exists;
        kv_box place;

        assert_kv_ok(kv_issuer_look_up(h->vault, &job.work, vault_row.uid, KV_SLICE("corp"),
                                       &stored, &exists, &err));
        row.key_id = stored.credential_key_id;
        row.ciphertext = stored.credential;
        place = kv_issuer_place(&stored);
        place.kind = KV_SLICE_NONE;
        assert_kv_fails(KV_INTERNAL, kv_box_open(h->vault, &job.work, &place, &row, &opened, &err));
        place = kv_issuer_place(&stored);
        place.name = KV_SLICE("other");
        assert_kv_fails(KV_INTERNAL, kv_box_open(h->vault, &job.work, &place, &row, &opened, &err));
    }
    house_end(h, &job, KV_OK);
}

static void an_update_leaves_what_it_does_not_say(void **state)
{
    kv_issuer_set_in in = account("Corp");
    kv_issuer_update_in change = { .target = target("corp"), .account_id = KV_SLICE("account-8") };
    kv_issuer_bundle out;

    (void)state;
    assert_kv_ok(set(&in, NULL));
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_update, &change, &out));
    assert_slice_equal(out.account_id, KV_SLICE("account-8"));
    assert_true(out.has_credential);
    assert_slice_equal(out.settings, in.settings);
    assert_int_equal(out.domains.count, 2);
    /* Setting it again replaces all of it. */
    in = asked("corp", HOUSE_PROVIDER, &KV_SLICE("*"), 1);
    assert_kv_ok(set(&in, &out));
    assert_false(out.has_credential);
    assert_int_equal(out.account_id.len, 0);
    assert_int_equal(out.credential_expires, 0);
}

static void refuses(kv_issuer_set_in in, const char *field)
{
    if (set(&in, NULL) != KV_BAD_REQUEST)
        fail_msg("%s was taken: %s", field, err.message);
    assert_string_equal(err.field, field);
}

static void what_does_not_fit_is_refused(void **state)
{
    static const char nines[5000] = { [0 ... 4998] = '9' };
    const kv_slice long_text = kv_slice_of(nines, sizeof(nines) - 1);
    kv_slice many[KV_ISSUER_RULES_MAX + 1];
    kv_issuer_set_in in;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(many); i++)
        many[i] = KV_SLICE("example.com");
    refuses(asked("", "Self", &KV_SLICE("*"), 1), "issuer");
    refuses(asked("a_b", HOUSE_PROVIDER, &KV_SLICE("*"), 1), "issuer");
    refuses(asked("corp", "", &KV_SLICE("*"), 1), "provider");
    refuses(asked("corp", "Nobody", &KV_SLICE("*"), 1), "provider");
    refuses(asked("corp", "Self", &KV_SLICE("*"), 1), "provider");
    refuses(asked("self", HOUSE_PROVIDER, &KV_SLICE("*"), 1), "provider");
    refuses(asked("corp", HOUSE_PROVIDER, NULL, 0), "allowed_domains.rules");
    refuses(asked("corp", HOUSE_PROVIDER, many, KV_COUNT(many)), "allowed_domains.rules");
    refuses(asked("corp", HOUSE_PROVIDER, &KV_SLICE("**.example.com"), 1),
            "allowed_domains.rules[0]");
    in = account("corp");
    in.settings = KV_SLICE("[1]");
    refuses(in, "settings");
    in.settings = KV_SLICE("{\"a\":1,\"a\":2}");
    refuses(in, "settings");
    in = account("corp");
    in.credential = long_text;
    refuses(in, "credentials.pwd");
    in = account("corp");
    in.account_id = long_text;
    refuses(in, "credentials.account_id");
    in = account("corp");
    in.organization_id = long_text;
    refuses(in, "org_details.id");
    in = account("corp");
    in.has_requesters = true;
    in.requesters = (kv_x509_list){ .items = &KV_SLICE("nobody"), .count = 1 };
    refuses(in, "allowed_requesters.principals[0]");
    in = account("self");
    in.provider = KV_SLICE("Self");
    refuses(in, "credentials.account_id");
    assert_int_equal(house_count(h, "SELECT count(*) FROM issuers"), 0);
}

static void a_vault_has_so_many_and_lists_them_page_by_page(void **state)
{
    kv_issuer_list_in ask = { .target = target(""), .page = { .size = 60 } };
    kv_issuer_set_in in;
    kv_issuer_list page;
    char name[16];

    (void)state;
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof(name), "ca-%02d", i);
        in = asked(name, HOUSE_PROVIDER, &KV_SLICE("*"), 1);
        assert_kv_ok(set(&in, NULL));
    }
    in = asked("one-more", HOUSE_PROVIDER, &KV_SLICE("*"), 1);
    assert_kv_fails(KV_BUSY, set(&in, NULL));
    assert_int_equal(err.reason, KV_REASON_LIMIT_REACHED);
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_list, &ask, &page));
    assert_int_equal(page.count, 60);
    ask.page.token = page.next_page_token;
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_list, &ask, &page));
    assert_int_equal(page.count, 40);
    assert_slice_equal(page.items[0].name, KV_SLICE("ca-60"));
    assert_int_equal(page.next_page_token.len, 0);
    ask.page.token = KV_SLICE("not a name");
    assert_kv_fails(KV_BAD_REQUEST, HOUSE_DO(h, kv_vault_issuer_list, &ask, &page));
}

/* --- whom it serves --- */

static kv_status create_dns(const char *name, const char *issuer, const char *dns)
{
    kv_slice dns_name = kv_slice_text(dns);
    kv_certificate_create_in in = {
        .target = act_target(KV_COLLECTION_CERTIFICATES, name),
        .has_policy = true,
        .policy = { .key_props = { .kty = KV_SLICE("EC") },
                    .x509_props = { .sans.dns_names = { .items = &dns_name, .count = 1 } },
                    .issuer = { .name = kv_slice_text(issuer) } },
    };
    kv_certificate_operation out;

    return HOUSE_DO(h, kv_certificate_create, &in, &out);
}

static void rules_bind_the_issuers_that_are_always_there(void **state)
{
    kv_issuer_set_in in = asked("Self", "self", &KV_SLICE("*.example.com"), 1);

    (void)state;
    assert_kv_ok(create_dns("before", "Self", "www.example.org"));
    assert_kv_ok(set(&in, NULL));
    assert_kv_ok(create_dns("good", "self", "www.example.com"));
    assert_kv_fails(KV_DENIED, create_dns("bad", "Self", "www.example.org"));
    assert_int_equal(err.reason, KV_REASON_ISSUER_RULES);
    assert_non_null(strstr(err.message, "www.example.org"));
    assert_int_equal(house_count(h, "SELECT count(*) FROM objects WHERE name = 'bad'"), 0);
    /* A renewal by the stored policy is bound as well. */
    assert_kv_fails(KV_DENIED, act_renew(h, "before", NULL, &err));
    assert_kv_ok(take_away("self"));
    assert_kv_ok(act_renew(h, "before", NULL, &err));
    assert_kv_ok(create_dns("bad", "Self", "www.example.org"));
    house_assert_tidy(h);
}

static void rules_bind_what_is_brought(void **state)
{
    kv_issuer_set_in in = asked("Unknown", "Unknown", &KV_SLICE("elsewhere.example"), 1);

    (void)state;
    assert_kv_ok(create_dns("c", "Unknown", "www.example.com"));
    assert_kv_ok(set(&in, NULL));
    assert_kv_fails(KV_DENIED, act_merge(h, "c", &err));
    assert_kv_ok(take_away("Unknown"));
    /* Now it is looked at: it has not got the name. */
    assert_kv_fails(KV_BAD_REQUEST, act_merge(h, "c", &err));
    assert_string_equal(err.field, "x5c");
}

static void names_that_nobody_asked_for_are_bound_too(void **state)
{
    kv_issuer_set_in in = asked("Unknown", "Unknown", &KV_SLICE("c.example"), 1);

    (void)state;
    assert_kv_ok(set(&in, NULL));
    assert_kv_ok(act_make_certificate(h, "c", "Unknown", false, NULL, &err));
    assert_kv_fails(KV_DENIED, act_merge_named(h, "c", "DNS:c.example,DNS:bank.example", &err));
    assert_int_equal(err.reason, KV_REASON_ISSUER_RULES);
    assert_non_null(strstr(err.message, "bank.example"));
    /* A name of a kind that no rule speaks of. */
    assert_kv_fails(KV_DENIED, act_merge_named(h, "c", "RID:1.2.3.4", &err));
    assert_int_equal(err.reason, KV_REASON_ISSUER_RULES);
    assert_int_equal(house_count(h, "SELECT count(*) FROM certificate_versions"), 0);
    assert_kv_ok(act_merge_named(h, "c", "DNS:c.example", &err));
    house_assert_tidy(h);
}

static void only_those_who_are_named_may_request(void **state)
{
    kv_issuer_set_in in = asked("Self", "Self", &KV_SLICE("*"), 1);
    kv_slice reader = KV_SLICE("READER"), root = KV_SLICE("Root");
    kv_issuer_bundle out;

    (void)state;
    /* Somebody else is there; the acts are root's. */
    assert_kv_fails(KV_NOT_FOUND, act_get_secret(h, "none", KV_SLICE_NONE, NULL, &err));
    in.has_requesters = true;
    in.requesters = (kv_x509_list){ .items = &reader, .count = 1 };
    assert_kv_ok(set(&in, &out));
    assert_int_equal(out.requester_count, 1);
    assert_slice_equal(out.requesters[0].name, KV_SLICE("reader"));
    assert_int_equal(out.requesters[0].id.len, 32);
    assert_kv_fails(KV_DENIED, create_dns("c", "Self", "www.example.com"));
    assert_int_equal(err.reason, KV_REASON_ISSUER_RULES);
    in.requesters = (kv_x509_list){ .items = &out.requesters[0].id, .count = 1 };
    assert_kv_ok(set(&in, &out));
    assert_int_equal(out.requester_count, 1);
    assert_kv_fails(KV_DENIED, create_dns("c", "Self", "www.example.com"));
    in.requesters = (kv_x509_list){ .items = &root, .count = 1 };
    assert_kv_ok(set(&in, &out));
    assert_kv_ok(create_dns("c", "Self", "www.example.com"));
    in.requesters.count = 0;
    assert_kv_ok(set(&in, &out));
    assert_kv_ok(create_dns("c", "Self", "www.example.com"));
}

static void a_disabled_or_missing_issuer_is_said_so(void **state)
{
    kv_issuer_set_in in = account("corp");

    (void)state;
    assert_kv_fails(KV_BAD_REQUEST, create_dns("c", "corp", "www.example.com"));
    assert_string_equal(err.field, "policy.issuer.name");
    in.has_enabled = true;
    assert_kv_ok(set(&in, NULL));
    assert_kv_fails(KV_PRECONDITION, create_dns("c", "corp", "www.example.com"));
    assert_int_equal(err.reason, KV_REASON_DISABLED);
    assert_int_equal(house_count(h, "SELECT count(*) FROM objects"), 0);
}

static void an_issuer_that_waits_gets_its_account(void **state)
{
    kv_issuer_set_in in = account("corp");

    (void)state;
    assert_kv_ok(set(&in, NULL));
    assert_kv_fails(KV_DENIED, create_dns("c", "corp", "www.example.org"));
    assert_kv_ok(create_dns("c", "corp", "www.example.com"));
    assert_int_equal(house_count(h, "SELECT count(*) FROM operations WHERE state = 'pending'"), 1);
    house_assert_tidy(h);
}

/* --- checks and expiry --- */

static void the_authority_is_asked_about_the_credential(void **state)
{
    kv_issuer_set_in in = account("corp");
    kv_issuer_check_in ask = { .target = target("corp") };
    kv_issuer_checked out;

    (void)state;
    assert_kv_fails(KV_NOT_FOUND, HOUSE_DO(h, kv_vault_issuer_check, &ask, &out));
    assert_kv_ok(set(&in, NULL));
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_check, &ask, &out));
    assert_true(out.accepted);
    assert_int_equal(out.credential_expires, in.credential_expires);
    in.credential = KV_SLICE("wrong");
    assert_kv_ok(set(&in, NULL));
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_check, &ask, &out));
    assert_false(out.accepted);
    assert_slice_equal(out.details, KV_SLICE("the account is closed"));
    ask.target = target("self");
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_check, &ask, &out));
    assert_true(out.accepted);
}

static void credentials_that_end_are_found(void **state)
{
    static const struct {
        const char *name;
        int64_t expires;
    } some[] = { { "late", 90 }, { "never", 0 }, { "gone", -1 }, { "soon", 10 } };
    kv_checks checks;
    house_job job;
    kv_rows rows;
    const kv_issuer_row *found;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(some); i++) {
        kv_issuer_set_in in = account(some[i].name);

        in.credential_expires = some[i].expires ? HOUSE_NOW_MS + some[i].expires * KV_DAY_MS : 0;
        assert_kv_ok(set(&in, NULL));
    }
    house_begin(h, &job);
    assert_kv_ok(kv_issuers_expiring(h->vault, &job.work, HOUSE_NOW_MS + (int64_t)30 * KV_DAY_MS,
                                     &rows, &err));
    checks = (kv_checks){ .arena = job.work.arena, .time_ms = HOUSE_NOW_MS };
    assert_kv_ok(kv_issuers_check(h->vault, &job.work, &checks, &err));
    assert_int_equal(checks.count, 2);
    assert_int_equal(checks.items[0].result, KV_CHECK_ERROR);
    assert_int_equal(checks.items[1].result, KV_CHECK_WARNING);
    assert_non_null(memmem(checks.items[1].what.data, checks.items[1].what.len, "'soon'", 6));
    assert_kv_ok(kv_vault_watch_issuers(h->vault, &err));
    house_end(h, &job, KV_OK);
    found = rows.rows;
    assert_int_equal(rows.count, 2);
    assert_slice_equal(found[0].name, KV_SLICE("gone"));
    assert_slice_equal(found[1].name, KV_SLICE("soon"));
}

static void it_goes_with_its_vault(void **state)
{
    kv_issuer_set_in in = account("corp");

    (void)state;
    assert_kv_ok(set(&in, NULL));
    assert_kv_ok(act_delete_vault(h, &err));
    assert_int_equal(house_count(h, "SELECT count(*) FROM issuers"), 1);
    assert_kv_ok(act_purge_vault(h, &err));
    assert_int_equal(house_count(h, "SELECT count(*) FROM issuers"), 0);
    house_assert_tidy(h);
}

/* Whoever edits the rules in the database gets a refusal, not a certificate. */
static void the_database_does_not_decide(void **state)
{
    kv_issuer_set_in in = asked("Self", "Self", &KV_SLICE("example.com"), 1);

    (void)state;
    assert_kv_ok(set(&in, NULL));
    assert_int_equal(house_attack(h, "UPDATE issuers SET domains = '[\"*\"]'"), 1);
    assert_kv_fails(KV_INTERNAL, create_dns("c", "Self", "www.example.org"));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_issuer_comes_back_without_its_credential),
        TEST(the_credential_is_bound_to_its_place),
        TEST(an_update_leaves_what_it_does_not_say),
        TEST(what_does_not_fit_is_refused),
        TEST(a_vault_has_so_many_and_lists_them_page_by_page),
        TEST(rules_bind_the_issuers_that_are_always_there),
        TEST(rules_bind_what_is_brought),
        TEST(names_that_nobody_asked_for_are_bound_too),
        TEST(only_those_who_are_named_may_request),
        TEST(a_disabled_or_missing_issuer_is_said_so),
        TEST(an_issuer_that_waits_gets_its_account),
        TEST(the_authority_is_asked_about_the_credential),
        TEST(credentials_that_end_are_found),
        TEST(it_goes_with_its_vault),
        TEST(the_database_does_not_decide),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
