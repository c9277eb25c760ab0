/* test_self.c - issuer Self answers an order with a certificate at once. */
#include "server/issuer/issuer.h"

#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/soft_key.h"

typedef struct fixture {
    kv_arena arena;
    soft_key key;
    kv_x509_policy policy;
    kv_issuer_order order;
} fixture;

static int set_up(void **state)
{
    fixture *f = test_calloc(1, sizeof(*f));

    f->arena = KV_ARENA(1 << 20);
    soft_key_make(&f->key, KV_KEY_P256, &f->arena);
    f->policy = soft_policy(KV_KEY_P256);
    f->order = (kv_issuer_order){ .policy = &f->policy,
                                  .spki = f->key.spki,
                                  .signer = &f->key.signer,
                                  .now_ms = SOFT_NOW_MS,
                                  .arena = &f->arena };
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    soft_key_cleanup(&f->key);
    kv_arena_cleanup(&f->arena);
    test_free(f);
    return 0;
}

static void issues_at_once(void **state)
{
    fixture *f = *state;
    kv_issuer_answer answer;
    kv_x509_facts facts;
    kv_error err = { 0 };

    assert_kv_ok(kv_issuer_submit(kv_issuer_find(KV_SLICE("Self")), &f->order, &answer, &err));
    assert_int_equal(answer.state, KV_ISSUER_ISSUED);
    assert_int_equal(answer.chain.count, 1);
    assert_int_equal(answer.warnings.count, 0);
    assert_kv_ok(kv_x509_inspect(&f->arena, answer.chain.items[0], &facts, &err));
    assert_true(kv_x509_is_self_signed(answer.chain.items[0]));
    assert_slice_equal(f->key.spki, facts.spki);
    assert_slice_equal(KV_SLICE("CN=www.example.com"), facts.subject);
}

static void warns_over_90_days(void **state)
{
    static const struct {
        uint32_t months;
        size_t warnings;
    } rows[] = { { 1, 0 }, { 2, 0 }, { 3, 1 }, { 12, 1 } };
    fixture *f = *state;

    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_issuer_answer answer;
        kv_error err = { 0 };

        f->policy.x509_props.validity_months = rows[i].months;
        assert_kv_ok(kv_issuer_submit(kv_issuer_find(KV_SLICE("Self")), &f->order, &answer, &err));
        assert_int_equal(answer.state, KV_ISSUER_ISSUED);
        assert_int_equal(answer.warnings.count, rows[i].warnings);
        if (answer.warnings.count)
            assert_true(
                kv_slice_starts_with(answer.warnings.items[0], KV_SLICE("validity_self_signed: ")));
    }
}

static void passes_on_what_the_token_says(void **state)
{
    fixture *f = *state;
    kv_issuer_answer answer;
    kv_error err = { 0 };

    f->key.refuses = true;
    assert_kv_fails(KV_UNAVAILABLE,
                    kv_issuer_submit(kv_issuer_find(KV_SLICE("Self")), &f->order, &answer, &err));
    f->order.signer = NULL;
    assert_kv_fails(KV_INTERNAL,
                    kv_issuer_submit(kv_issuer_find(KV_SLICE("Self")), &f->order, &answer, &err));
}

static void an_interrupted_order_is_ordered_again(void **state)
{
    fixture *f = *state;
    kv_issuer_answer answer;
    kv_error err = { 0 };

    assert_kv_ok(kv_issuer_poll(kv_issuer_find(KV_SLICE("Self")), &f->order, &answer, &err));
    assert_int_equal(answer.state, KV_ISSUER_RETRYABLE);
    assert_kv_ok(kv_issuer_cancel(kv_issuer_find(KV_SLICE("Self")), &f->order, &answer, &err));
    assert_int_equal(answer.state, KV_ISSUER_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(issues_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(warns_over_90_days, set_up, tear_down),
        cmocka_unit_test_setup_teardown(passes_on_what_the_token_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_interrupted_order_is_ordered_again, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
