/* test_issuers.c - the table of issuers, and what happens where a row has no function. */
#include "server/issuer/issuer.h"

#include "server/base/text.h"
#include "tests/support/kv_cmocka.h"

static void every_row_is_complete_and_found(void **state)
{
    (void)state;
    assert_int_equal(kv_issuers_count, 4);
    for (size_t i = 0; i < kv_issuers_count; i++) {
        const kv_issuer *issuer = kv_issuers[i];

        assert_non_null(issuer->provider);
        assert_non_null(issuer->submit);
        assert_non_null(issuer->poll);
        assert_non_null(issuer->cancel);
        assert_ptr_equal(kv_issuer_find(kv_slice_text(issuer->provider)), issuer);
        for (size_t j = 0; j < i; j++)
            assert_false(kv_text_equal_nocase(kv_slice_text(issuer->provider),
                                              kv_slice_text(kv_issuers[j]->provider)));
    }
}

static void names_are_found_in_any_case(void **state)
{
    (void)state;
    assert_ptr_equal(kv_issuer_find(KV_SLICE("self")), kv_issuer_find(KV_SLICE("Self")));
    assert_ptr_equal(kv_issuer_find(KV_SLICE("UNKNOWN")), kv_issuer_find(KV_SLICE("Unknown")));
    assert_null(kv_issuer_find(KV_SLICE("")));
    assert_null(kv_issuer_find(KV_SLICE("Sel")));
    assert_null(kv_issuer_find(KV_SLICE("DigiCert")));
}

static void only_self_renews_alone(void **state)
{
    (void)state;
    assert_true(kv_issuer_find(KV_SLICE("Self"))->auto_renew);
    assert_false(kv_issuer_find(KV_SLICE("Unknown"))->auto_renew);
}

static void what_a_row_lacks_is_not_supported(void **state)
{
    const kv_issuer nobody = { .provider = "Nobody" };
    const kv_issuer_account account = { 0 };
    kv_issuer_order order = { .account = &account };
    kv_issuer_window window = { .from_ms = 1, .until_ms = 1, .retry_ms = 1 };
    kv_issuer_answer answer;
    kv_slice record;
    kv_error err = { 0 };

    (void)state;
    assert_kv_fails(KV_UNSUPPORTED, kv_issuer_submit(&nobody, &order, &answer, &err));
    assert_non_null(strstr(err.message, "Nobody"));
    assert_kv_fails(KV_UNSUPPORTED, kv_issuer_poll(&nobody, &order, &answer, &err));
    assert_kv_fails(KV_UNSUPPORTED, kv_issuer_fetch(&nobody, &order, &answer, &err));
    assert_kv_fails(KV_UNSUPPORTED, kv_issuer_cancel(&nobody, &order, &answer, &err));
    assert_kv_fails(KV_UNSUPPORTED, kv_issuer_revoke(&nobody, &order, KV_ISSUER_SUPERSEDED, &err));
    assert_kv_fails(KV_UNSUPPORTED,
                    kv_issuer_check_credentials(&nobody, &account, NULL, kv_deadline_in_ms(1000),
                                                &record, &err));
    assert_kv_ok(kv_issuer_renewal_hint(&nobody, &order, &window, &err));
    assert_int_equal(window.from_ms, 0);
    assert_int_equal(window.until_ms, 0);
}

static kv_status half_an_answer(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    (void)order;
    out->state = KV_ISSUER_ISSUED;
    return kv_fail(err, KV_UNAVAILABLE, "the line was cut");
}

static void a_failed_step_leaves_the_answer_alone(void **state)
{
    const kv_issuer flaky = { .provider = "Flaky", .submit = half_an_answer };
    kv_issuer_order order = { 0 };
    kv_issuer_answer answer = { .state = KV_ISSUER_CANCELLED };
    kv_error err = { 0 };

    (void)state;
    assert_kv_fails(KV_UNAVAILABLE, kv_issuer_submit(&flaky, &order, &answer, &err));
    assert_int_equal(answer.state, KV_ISSUER_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_complete_and_found),
        cmocka_unit_test(names_are_found_in_any_case),
        cmocka_unit_test(only_self_renews_alone),
        cmocka_unit_test(what_a_row_lacks_is_not_supported),
        cmocka_unit_test(a_failed_step_leaves_the_answer_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
