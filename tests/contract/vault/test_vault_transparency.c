/* test_vault_transparency.c - a certificate that an authority sends is judged by the logs that are
 * known: told, refused, or said to be unchecked. */
#include "server/x509/known_logs.h"
#include "tests/contract/vault/scripted_issuer.h"
#include "tests/unit/x509/logs.h"

/* As operations answer it. */
enum { NOT_EXPECTED, SUFFICIENT, INSUFFICIENT, UNCHECKED };

static kv_certificate_operation drive(house *h)
{
    kv_certificate_pending_get_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, "c") };
    kv_certificate_operation out;
    kv_error err = { 0 };

    assert_kv_ok(scripted_drive(h, &err));
    assert_kv_ok(HOUSE_DO(h, kv_certificate_pending_get, &in, &out));
    return out;
}

static kv_certificate_operation order(house *h)
{
    kv_error err = { 0 };

    assert_kv_ok(act_make_certificate(h, "c", "Scripted", false, NULL, &err));
    return drive(h);
}

static house *start(kv_x509_lint_scope trust)
{
    static const kv_slice every = { (const uint8_t *)"*", 1 };
    kv_issuer_set_in rules = { .target = act_target(KV_COLLECTION_CERTIFICATES, ""),
                               .provider = KV_SLICE("Scripted"),
                               .trust = trust,
                               .has_domains = true,
                               .domains = { .items = &every, .count = 1 } };
    house *h = house_new(false);
    kv_issuer_bundle set;
    kv_error err = { 0 };

    rules.target.issuer = KV_SLICE("Scripted");
    scripted_join(h);
    assert_kv_ok(act_make_vault(h, &err));
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_set, &rules, &set));
    return h;
}

/* From now on the server has a list of one log. */
static void know_a_log(house *h)
{
    test_log log = { .name = "Ant 2026", .operator_name = "Ant", .state = "usable" };
    kv_log_list *list;
    kv_error err = { 0 };

    test_log_make(&log, KV_KEY_P256, &h->arena);
    assert_kv_ok(kv_log_list_parse(test_log_list(&log, 1, &h->arena), &list, &err));
    soft_key_cleanup(&log.key);
    assert_kv_ok(kv_known_logs_new(&h->known_logs, &err));
    kv_known_logs_set(h->known_logs, list);
    assert_kv_ok(house_restart(h, &err));
}

static void end(house *h)
{
    struct kv_known_logs *known = h->known_logs;

    house_assert_tidy(h);
    house_free(h);
    kv_known_logs_free(known);
}

/* The policy wants it from now on, or does not. */
static void want(house *h, bool wanted)
{
    kv_certificate_policy_update_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, "c") };
    kv_certificate_policy_bundle out;
    kv_error err = { 0 };

    in.policy.issuer.cert_transparency_given = true;
    in.policy.issuer.cert_transparency = wanted;
    assert_kv_ok(HOUSE_DO(h, kv_certificate_policy_update, &in, &out));
}

static kv_certificate_operation renew(house *h)
{
    kv_error err = { 0 };

    assert_kv_ok(act_renew(h, "c", NULL, &err));
    return drive(h);
}

static bool says(const kv_certificate_operation *operation, const char *words)
{
    for (size_t i = 0; i < operation->warnings.count; i++) {
        kv_slice text = operation->warnings.items[i];

        if (memmem(text.data, text.len, words, strlen(words)))
            return true;
    }
    return false;
}

static void of_a_public_issuer_it_is_told(void **state)
{
    house *h = start(KV_X509_LINT_PUBLIC);
    kv_certificate_operation operation = order(h);

    (void)state;
    assert_slice_equal(KV_SLICE("completed"), operation.status);
    assert_int_equal(operation.transparency, NOT_EXPECTED);
    assert_false(says(&operation, "cert_transparency"));
    know_a_log(h);
    operation = renew(h);
    assert_slice_equal(KV_SLICE("completed"), operation.status);
    assert_int_equal(operation.transparency, INSUFFICIENT);
    assert_true(says(&operation, "cert_transparency: the certificate has no timestamps of logs"));
    end(h);
}

static void of_a_private_issuer_nothing_is_expected(void **state)
{
    house *h = start(KV_X509_LINT_PRIVATE);
    kv_certificate_operation operation;

    (void)state;
    know_a_log(h);
    operation = order(h);
    assert_slice_equal(KV_SLICE("completed"), operation.status);
    assert_int_equal(operation.transparency, NOT_EXPECTED);
    assert_false(says(&operation, "cert_transparency"));
    end(h);
}

static void a_policy_that_wants_it_takes_nothing_less(void **state)
{
    house *h = start(KV_X509_LINT_PRIVATE);
    kv_certificate_operation operation = order(h);
    static const char rule[] = "it breaks the rule cert_transparency: the certificate has no";

    (void)state;
    want(h, true);
    operation = renew(h);
    assert_slice_equal(KV_SLICE("completed"), operation.status);
    assert_int_equal(operation.transparency, UNCHECKED);
    assert_true(says(&operation, "cert_transparency: it could not be checked"));
    know_a_log(h);
    operation = renew(h);
    assert_slice_equal(KV_SLICE("failed"), operation.status);
    assert_slice_equal(KV_SLICE("CertificateNotAccepted"), operation.error_code);
    assert_non_null(
        memmem(operation.error_message.data, operation.error_message.len, rule, sizeof(rule) - 1));
    assert_int_equal(operation.transparency, NOT_EXPECTED);
    assert_int_equal(house_count(h, "SELECT count(*) FROM certificate_versions"), 2);
    want(h, false);
    operation = renew(h);
    assert_slice_equal(KV_SLICE("completed"), operation.status);
    assert_int_equal(operation.transparency, NOT_EXPECTED);
    end(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_public_issuer_it_is_told),
        cmocka_unit_test(of_a_private_issuer_nothing_is_expected),
        cmocka_unit_test(a_policy_that_wants_it_takes_nothing_less),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
