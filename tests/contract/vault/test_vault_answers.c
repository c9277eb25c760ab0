/* test_vault_answers.c - certificates that come from issuers are held to the rules of the issuer's
 * object, the names in them and the lint. */
#include "tests/contract/vault/scripted_issuer.h"

/* What an object says of the issuer "Scripted". */
static kv_issuer_set_in rules_for(const kv_slice *domain)
{
    kv_issuer_set_in rules = { .target = act_target(KV_COLLECTION_CERTIFICATES, ""),
                               .provider = KV_SLICE("Scripted"),
                               .has_domains = true,
                               .domains = { .items = domain, .count = 1 } };

    rules.target.issuer = KV_SLICE("Scripted");
    return rules;
}

static house *start(const kv_issuer_set_in *rules)
{
    house *h = house_new(false);
    kv_issuer_bundle set;
    kv_error err = { 0 };

    scripted_join(h);
    assert_kv_ok(act_make_vault(h, &err));
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_set, rules, &set));
    assert_int_equal(set.strict_lint, rules->strict_lint);
    return h;
}

/* An order of a certificate with these names, until nothing is due any more. */
static kv_certificate_operation order(house *h, const char *names)
{
    kv_certificate_pending_get_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, "c") };
    kv_certificate_operation out;
    kv_error err = { 0 };

    scripted.names = names;
    assert_kv_ok(act_make_certificate(h, "c", "Scripted", false, NULL, &err));
    assert_kv_ok(scripted_drive(h, &err));
    assert_kv_ok(HOUSE_DO(h, kv_certificate_pending_get, &in, &out));
    return out;
}

static void assert_versions(house *h, unsigned count)
{
    assert_int_equal(house_count(h, "SELECT count(*) FROM certificate_versions"), count);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), count);
    house_assert_tidy(h);
}

static void has_words(kv_slice text, const char *words)
{
    if (!memmem(text.data, text.len, words, strlen(words)))
        fail_msg("'%s' is not in '%.*s'", words, KV_SLICE_ARG(text));
}

static void update(house *h, kv_issuer_update_in *rules, bool strict)
{
    kv_issuer_bundle set;
    kv_error err = { 0 };

    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_update, rules, &set));
    assert_int_equal(set.strict_lint, strict);
}

static void what_breaks_a_rule_is_taken_or_not(void **state)
{
    static const kv_slice every = { (const uint8_t *)"*", 1 };
    kv_issuer_set_in rules = rules_for(&every);
    kv_certificate_operation operation;
    house *h;

    (void)state;
    rules.has_strict_lint = rules.strict_lint = true;
    h = start(&rules);
    operation = order(h, "DNS:c_1.example");
    assert_slice_equal(KV_SLICE("failed"), operation.status);
    assert_slice_equal(KV_SLICE("CertificateNotAccepted"), operation.error_code);
    has_words(operation.error_message, "it breaks the rule san_syntax: a DNS name has");
    /* It can be revoked by whoever reads this. */
    has_words(operation.error_message, "; the certificate has the serial number ");
    has_words(operation.error_message, " and the SHA-256 ");
    assert_int_equal(scripted.orders, 1);
    assert_versions(h, 0);
    /* What is not said stays. */
    rules.has_strict_lint = false;
    update(h, &rules, true);
    rules.has_strict_lint = true;
    rules.strict_lint = false;
    update(h, &rules, false);
    operation = order(h, "DNS:c_1.example");
    assert_slice_equal(KV_SLICE("completed"), operation.status);
    assert_true(operation.warnings.count > 0);
    assert_versions(h, 1);
    house_free(h);
}

/* An authority adds a name that its rules do not allow: nothing comes of it. */
static void a_name_nobody_asked_for(void **state)
{
    static const kv_slice one = { (const uint8_t *)"c.example", 9 };
    kv_issuer_set_in rules = rules_for(&one);
    house *h = start(&rules);

    (void)state;
    assert_slice_equal(KV_SLICE("failed"), order(h, "DNS:c.example,DNS:bank.example").status);
    assert_int_equal(scripted.orders, 1);
    assert_versions(h, 0);
    assert_slice_equal(KV_SLICE("completed"), order(h, "DNS:c.example").status);
    assert_versions(h, 1);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_breaks_a_rule_is_taken_or_not),
        cmocka_unit_test(a_name_nobody_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
