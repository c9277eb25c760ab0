/* test_local_ca.c - issuer LocalCA signs what its authority may, and nothing else. */
#include "server/issuer/local_ca.h"

#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/pki.h"

#define SERVER_AUTH "1.3.6.1.5.5.7.3.1"
#define CLIENT_AUTH "1.3.6.1.5.5.7.3.2"
#define TEXTS(...)                                       \
    (kv_x509_list)                                       \
    {                                                    \
        .items = (const kv_slice[]){ __VA_ARGS__ },      \
        .count = KV_COUNT(((kv_slice[]){ __VA_ARGS__ })) \
    }

typedef struct fixture {
    pki pki;
    kv_x509_policy policy;
    kv_issuer_local local;
    kv_issuer_account account;
    kv_issuer_order order;
    unsigned reserved;
    bool cannot_reserve;
    kv_issuer_answer answer;
} fixture;

static kv_status reserve(void *context, kv_slice *serial, kv_error *err)
{
    static const uint8_t bytes[16] = { 0x41, 0x02, [15] = 0x09 };
    fixture *f = context;

    if (f->cannot_reserve)
        return kv_fail(err, KV_UNAVAILABLE, "the store is away");
    f->reserved++;
    *serial = kv_slice_of(bytes, sizeof(bytes));
    return KV_OK;
}

static int set_up(void **state)
{
    fixture *f = test_calloc(1, sizeof(*f));
    pki_spec long_lived;
    kv_slice *chain;

    pki_make(&f->pki);
    long_lived = pki_ca_spec(&f->pki);
    long_lived.from_days = -1;
    long_lived.to_days = 3000;
    f->pki.ca = pki_certificate(&long_lived, &f->pki.arena);
    chain = kv_arena_array(&f->pki.arena, 2, sizeof(*chain));
    chain[0] = f->pki.ca;
    chain[1] = f->pki.root;
    f->policy = soft_policy(KV_KEY_P256);
    f->policy.issuer.name = KV_SLICE("tls");
    f->local = (kv_issuer_local){ .chain = { .items = chain, .count = 2 },
                                  .signer = f->pki.ca_key.signer,
                                  .authority = { .crl_url = KV_SLICE("http://p.example/x.crl") },
                                  .max_months = 12,
                                  .reserve = reserve,
                                  .context = f };
    f->order = (kv_issuer_order){ .policy = &f->policy,
                                  .account = &f->account,
                                  .spki = f->pki.key.spki,
                                  .local = &f->local,
                                  .now_ms = SOFT_NOW_MS,
                                  .arena = &f->pki.arena };
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    pki_cleanup(&f->pki);
    test_free(f);
    return 0;
}

static kv_issuer_state submit(fixture *f)
{
    kv_error err = { 0 };

    assert_kv_ok(
        kv_issuer_submit(kv_issuer_find(KV_SLICE("LocalCA")), &f->order, &f->answer, &err));
    return f->answer.state;
}

static kv_x509_facts issued(fixture *f)
{
    kv_x509_facts facts;
    kv_error err = { 0 };

    assert_int_equal(submit(f), KV_ISSUER_ISSUED);
    assert_kv_ok(kv_x509_inspect(&f->pki.arena, f->answer.chain.items[0], &facts, &err));
    return facts;
}

static void refused(fixture *f, const char *code)
{
    assert_int_equal(submit(f), KV_ISSUER_REFUSED);
    assert_slice_equal(f->answer.code, kv_slice_text(code));
    assert_true(f->answer.details.len > 0);
    assert_int_equal(f->reserved, 0);
}

static void it_answers_with_the_whole_chain(void **state)
{
    fixture *f = *state;
    kv_x509_facts facts = issued(f);

    assert_int_equal(f->answer.chain.count, 3);
    assert_slice_equal(f->answer.chain.items[1], f->pki.ca);
    assert_slice_equal(f->answer.chain.items[2], f->pki.root);
    assert_slice_equal(facts.spki, f->pki.key.spki);
    assert_string_equal(facts.serial_hex.data, "41020000000000000000000000000009");
    assert_false(facts.is_ca);
    assert_int_equal(f->reserved, 1);
    assert_int_equal(f->pki.ca_key.signatures, 1);
}

static void the_type_decides_what_it_may_be_used_for(void **state)
{
    static const struct {
        const char *cty;
        uint32_t usage;
        const char *first;
        size_t count;
    } rows[] = {
        { "tls-server", KV_X509_DIGITAL_SIGNATURE, SERVER_AUTH, 1 },
        { "TLS-Client", KV_X509_DIGITAL_SIGNATURE, CLIENT_AUTH, 1 },
        { "tls-peer", KV_X509_DIGITAL_SIGNATURE, SERVER_AUTH, 2 },
        { "code-signing", KV_X509_DIGITAL_SIGNATURE, "1.3.6.1.5.5.7.3.3", 1 },
        { "email", KV_X509_DIGITAL_SIGNATURE | KV_X509_NON_REPUDIATION, "1.3.6.1.5.5.7.3.4", 1 },
    };
    fixture *f = *state;

    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_x509_facts facts;

        f->policy.issuer.cty = kv_slice_text(rows[i].cty);
        facts = issued(f);
        assert_int_equal(facts.key_usage, rows[i].usage);
        assert_int_equal(facts.ekus.count, rows[i].count);
        assert_slice_equal(facts.ekus.items[0], kv_slice_text(rows[i].first));
    }
    f->reserved = 0;
    f->policy.issuer.cty = KV_SLICE("tls");
    refused(f, "unknownProfile");
}

static void an_issuer_may_be_for_one_type(void **state)
{
    fixture *f = *state;
    kv_x509_facts facts;

    f->local.profile = KV_SLICE("tls-client");
    facts = issued(f);
    assert_slice_equal(facts.ekus.items[0], KV_SLICE(CLIENT_AUTH));
    f->policy.issuer.cty = KV_SLICE("TLS-CLIENT");
    facts = issued(f);
    assert_slice_equal(facts.ekus.items[0], KV_SLICE(CLIENT_AUTH));
    f->reserved = 0;
    f->policy.issuer.cty = KV_SLICE("tls-server");
    refused(f, "notAllowed");
}

static void usages_of_an_authority_are_never_given(void **state)
{
    fixture *f = *state;
    kv_x509_policy plain = f->policy;

    f->policy.x509_props.ekus = TEXTS(KV_SLICE(SERVER_AUTH), KV_SLICE("1.3.6.1.5.5.7.3.9"));
    refused(f, "notAllowed");
    f->policy.x509_props.ekus = TEXTS(KV_SLICE("2.5.29.37.0"));
    refused(f, "notAllowed");
    f->policy = plain;
    f->policy.x509_props.key_usage = KV_X509_DIGITAL_SIGNATURE | KV_X509_CRL_SIGN;
    refused(f, "notAllowed");
    f->policy.x509_props.key_usage = KV_X509_KEY_CERT_SIGN;
    refused(f, "notAllowed");
    f->policy = plain;
    f->policy.x509_props.ca = true;
    refused(f, "notAllowed");
}

/* By the authority's setting, by the type, and by its own end. */
static void the_end_is_cut(void **state)
{
    fixture *f = *state;
    const int64_t day = INT64_C(86400000);
    kv_x509_facts facts, of_ca;
    kv_error err = { 0 };

    f->policy.x509_props.validity_months = 120;
    facts = issued(f);
    assert_in_range(facts.not_after_ms, SOFT_NOW_MS + 360 * day, SOFT_NOW_MS + 367 * day);
    f->local.max_months = 24;
    f->policy.issuer.cty = KV_SLICE("tls-server");
    facts = issued(f);
    assert_in_range(facts.not_after_ms, SOFT_NOW_MS + 360 * day, SOFT_NOW_MS + 367 * day);
    f->policy.issuer.cty = KV_SLICE("tls-client");
    facts = issued(f);
    assert_in_range(facts.not_after_ms, SOFT_NOW_MS + 720 * day, SOFT_NOW_MS + 733 * day);
    f->policy.issuer.cty = KV_SLICE_NONE;
    f->local.max_months = 1200;
    f->policy.x509_props.validity_months = 1200;
    facts = issued(f);
    assert_kv_ok(kv_x509_inspect(&f->pki.arena, f->pki.ca, &of_ca, &err));
    assert_int_equal(facts.not_after_ms, of_ca.not_after_ms);
}

static void public_trust_has_rules_of_its_own(void **state)
{
    fixture *f = *state;
    kv_error err = { 0 };

    f->policy.issuer.cty = KV_SLICE("tls-server");
    f->policy.x509_props.validity_months = 12;
    (void)issued(f);
    f->account.trust = KV_X509_LINT_PUBLIC;
    assert_kv_fails(KV_BAD_REQUEST, kv_issuer_submit(kv_issuer_find(KV_SLICE("LocalCA")), &f->order,
                                                     &f->answer, &err));
    assert_non_null(strstr(err.message, "validity_max"));
}

static void what_fails_is_passed_on(void **state)
{
    fixture *f = *state;
    const kv_issuer *issuer = kv_issuer_find(KV_SLICE("LocalCA"));
    kv_error err = { 0 };

    f->cannot_reserve = true;
    assert_kv_fails(KV_UNAVAILABLE, kv_issuer_submit(issuer, &f->order, &f->answer, &err));
    assert_int_equal(f->pki.ca_key.signatures, 0);
    f->cannot_reserve = false;
    f->pki.ca_key.refuses = true;
    assert_kv_fails(KV_UNAVAILABLE, kv_issuer_submit(issuer, &f->order, &f->answer, &err));
    f->pki.ca_key.refuses = false;
    f->pki.ca_key.lies = true;
    assert_kv_fails(KV_INTERNAL, kv_issuer_submit(issuer, &f->order, &f->answer, &err));
    f->order.local = NULL;
    assert_kv_fails(KV_INTERNAL, kv_issuer_submit(issuer, &f->order, &f->answer, &err));
}

static void settings_are_texts_of_three_names(void **state)
{
    static const char *const wrong[] = {
        "[]",
        "{",
        "9",
        "{\"vault\":1}",
        "{\"vault\":\"\"}",
        "{\"authority\":null}",
        "{\"profile\":\"tls\"}",
        "{\"other\":\"x\"}",
        "{\"vault\":\"a\",\"vault\":\"b\"}",
    };
    fixture *f = *state;
    kv_local_ca_settings out;
    kv_error err = { 0 };

    assert_kv_ok(kv_local_ca_settings_read(KV_SLICE_NONE, &f->pki.arena, &out, &err));
    assert_int_equal(out.vault.len + out.authority.len + out.profile.len, 0);
    assert_kv_ok(kv_local_ca_settings_read(
        KV_SLICE("{\"vault\":\"pki\",\"authority\":\"tls\",\"profile\":\"tls-peer\"}"),
        &f->pki.arena, &out, &err));
    assert_slice_equal(out.vault, KV_SLICE("pki"));
    assert_slice_equal(out.authority, KV_SLICE("tls"));
    assert_slice_equal(out.profile, KV_SLICE("tls-peer"));
    for (size_t i = 0; i < KV_COUNT(wrong); i++) {
        assert_kv_fails(KV_BAD_REQUEST, kv_local_ca_settings_read(kv_slice_text(wrong[i]),
                                                                  &f->pki.arena, &out, &err));
        assert_string_equal(err.field, "settings");
        assert_int_equal(out.vault.len, 0);
    }
}

static void it_has_no_account(void **state)
{
    fixture *f = *state;
    const kv_issuer *issuer = kv_issuer_find(KV_SLICE("LocalCA"));
    static const kv_secret_buf some = { 0 };
    kv_error err = { 0 };

    assert_kv_ok(issuer->check_account(&f->account, &f->pki.arena, &err));
    f->account.credential = &some;
    assert_kv_fails(KV_BAD_REQUEST, issuer->check_account(&f->account, &f->pki.arena, &err));
    assert_string_equal(err.field, "credentials.pwd");
    f->account.account_id = KV_SLICE("7");
    assert_kv_fails(KV_BAD_REQUEST, issuer->check_account(&f->account, &f->pki.arena, &err));
    assert_string_equal(err.field, "credentials.account_id");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_answers_with_the_whole_chain),
        TEST(the_type_decides_what_it_may_be_used_for),
        TEST(an_issuer_may_be_for_one_type),
        TEST(usages_of_an_authority_are_never_given),
        TEST(the_end_is_cut),
        TEST(public_trust_has_rules_of_its_own),
        TEST(what_fails_is_passed_on),
        TEST(settings_are_texts_of_three_names),
        TEST(it_has_no_account),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
