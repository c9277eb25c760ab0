/* test_unknown.c - issuer Unknown waits for somebody to bring the certificate. */
#include "server/issuer/issuer.h"

#include "server/x509/request.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/soft_key.h"

static void waits_for_a_merge(void **state)
{
    const kv_issuer *issuer = kv_issuer_find(KV_SLICE("Unknown"));
    kv_arena arena = KV_ARENA(1 << 20);
    kv_x509_policy policy = soft_policy(KV_KEY_P256);
    kv_issuer_order order = { .policy = &policy, .now_ms = SOFT_NOW_MS, .arena = &arena };
    kv_issuer_answer answer;
    kv_error err = { 0 };
    soft_key key;

    (void)state;
    soft_key_make(&key, KV_KEY_P256, &arena);
    order.spki = key.spki;
    assert_kv_fails(KV_INTERNAL, kv_issuer_submit(issuer, &order, &answer, &err));
    assert_kv_ok(kv_x509_request_build(&arena, &policy, key.spki, &key.signer, &order.csr, &err));

    assert_kv_ok(kv_issuer_submit(issuer, &order, &answer, &err));
    assert_int_equal(answer.state, KV_ISSUER_PENDING);
    assert_int_equal(answer.retry_ms, 0);
    assert_int_equal(answer.chain.count, 0);
    assert_slice_equal(
        KV_SLICE("Pending certificate created. Please Perform Merge to complete the request."),
        answer.details);
    assert_kv_ok(kv_issuer_poll(issuer, &order, &answer, &err));
    assert_int_equal(answer.state, KV_ISSUER_PENDING);
    assert_kv_ok(kv_issuer_cancel(issuer, &order, &answer, &err));
    assert_int_equal(answer.state, KV_ISSUER_CANCELLED);
    assert_kv_fails(KV_UNSUPPORTED, kv_issuer_fetch(issuer, &order, &answer, &err));
    soft_key_cleanup(&key);
    kv_arena_cleanup(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(waits_for_a_merge) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
