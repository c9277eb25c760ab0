/* test_lint.c - every row of the lint is broken by one certificate and kept by another. */
#include "server/x509/lint.h"

#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/lint_samples.h"

static bool found(const kv_x509_facts *facts, kv_x509_lint_scope scope, const char *id,
                  kv_x509_lint_severity severity)
{
    kv_x509_findings findings;

    kv_x509_lint(facts, scope, &findings);
    for (size_t i = 0; i < findings.count; i++)
        if (strcmp(findings.items[i]->id, id) == 0 && findings.items[i]->severity == severity)
            return true;
    return false;
}

static void every_sample_is_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < lint_sample_count; i++) {
        kv_x509_facts spoilt = lint_good(), kept = lint_good();

        lint_samples[i].spoil(&spoilt);
        lint_samples[i].keep(&kept);
        if (!found(&spoilt, lint_samples[i].scope, lint_samples[i].id, lint_samples[i].severity))
            fail_msg("sample %zu does not break %s", i, lint_samples[i].id);
        if (found(&kept, lint_samples[i].scope, lint_samples[i].id, lint_samples[i].severity))
            fail_msg("sample %zu breaks %s", i, lint_samples[i].id);
    }
}

/* Each row of the lint must be the one that a sample here trips over. */
static void every_row_has_a_sample(void **state)
{
    (void)state;
    for (size_t i = 0; i < kv_x509_lint_rows_count; i++) {
        const kv_x509_lint_row *rule = &kv_x509_lint_rows[i];
        bool tripped = false;

        for (size_t j = 0; j < lint_sample_count && !tripped; j++) {
            kv_x509_facts facts = lint_good();
            kv_x509_findings findings;

            lint_samples[j].spoil(&facts);
            kv_x509_lint(&facts, lint_samples[j].scope, &findings);
            for (size_t k = 0; k < findings.count; k++)
                tripped =
                    tripped || (findings.items[k] == rule && !strcmp(rule->id, lint_samples[j].id));
        }
        if (!tripped)
            fail_msg("no sample for row %zu (%s)", i, rule->id);
    }
}

static void a_good_certificate_has_no_findings(void **state)
{
    kv_x509_facts facts = lint_good(), rsa = lint_good(), root = lint_good();
    kv_x509_findings findings;

    (void)state;
    lint_make_rsa(&rsa);
    lint_root_of_ten_years(&root);
    kv_x509_lint(&facts, PUBLIC, &findings);
    assert_int_equal(findings.count, 0);
    kv_x509_lint(&rsa, PUBLIC, &findings);
    assert_int_equal(findings.count, 0);
    kv_x509_lint(&root, PUBLIC, &findings);
    assert_int_equal(findings.count, 0);
    kv_x509_lint(&facts, PRIVATE, &findings);
    assert_int_equal(findings.count, 0);
    assert_int_equal(findings.errors, 0);
}

static void private_issuers_may_do_what_public_ones_may_not(void **state)
{
    kv_x509_facts facts = lint_good();
    kv_x509_findings findings;

    (void)state;
    lint_internal_host(&facts);
    lint_server_and_client(&facts);
    lint_live(&facts, NOW, 366, 0);
    kv_x509_lint(&facts, PRIVATE, &findings);
    assert_int_equal(findings.errors, 0);
    assert_int_equal(findings.count, 0);
    kv_x509_lint(&facts, PUBLIC, &findings);
    assert_int_equal(findings.errors, 3);
}

/* The day a limit begins, to the millisecond. */
static void limits_begin_on_their_day(void **state)
{
    static const struct {
        int64_t day;
        int64_t before, after; /* days allowed */
    } steps[] = { { 20527, 398, 200 }, { 20892, 200, 100 }, { 21623, 100, 47 } };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(steps); i++) {
        kv_x509_facts facts = lint_good();

        lint_live(&facts, DAYS(steps[i].day) - 1000, steps[i].before, 0);
        assert_false(found(&facts, PUBLIC, "validity_max", ERROR));
        lint_live(&facts, DAYS(steps[i].day), steps[i].before, 0);
        assert_true(found(&facts, PUBLIC, "validity_max", ERROR));
        lint_live(&facts, DAYS(steps[i].day), steps[i].after, 0);
        assert_false(found(&facts, PUBLIC, "validity_max", ERROR));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_is_judged),
        cmocka_unit_test(every_row_has_a_sample),
        cmocka_unit_test(a_good_certificate_has_no_findings),
        cmocka_unit_test(private_issuers_may_do_what_public_ones_may_not),
        cmocka_unit_test(limits_begin_on_their_day),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
