/* test_derive.c - policies read off certificates. */
#include "server/x509/derive.h"

#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/soft_key.h"

enum { SECOND_MS = 1000 };

static void counts_months_rounded_up(void **state)
{
    int64_t from = SOFT_NOW_MS, year = kv_x509_add_months(from, 12);

    (void)state;
    assert_int_equal(kv_x509_months_covering(from, year), 12);
    assert_int_equal(kv_x509_months_covering(from, year + SECOND_MS), 13);
    assert_int_equal(kv_x509_months_covering(from, year - SECOND_MS), 12);
    assert_int_equal(kv_x509_months_covering(from - 600 * SECOND_MS, year), 13);
    assert_int_equal(kv_x509_months_covering(from, from + SECOND_MS), 1);
    assert_int_equal(kv_x509_months_covering(from, from - SECOND_MS), 1);
    assert_int_equal(kv_x509_months_covering(from, INT64_C(253402300799000)),
                     KV_X509_VALIDITY_MONTHS_MAX);
}

static void derives_for(kv_key_kind kind, const char *kty, uint32_t size, const char *crv)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 20);
    kv_x509_policy asked = soft_policy(kind), got;
    kv_x509_derive how = { .exportable = true, .content_type = KV_SLICE(KV_X509_CONTENT_PEM) };
    soft_key key;
    kv_x509_built built;
    kv_error err = { 0 };

    soft_key_make(&key, kind, &arena);
    built = soft_certificate(&key, &asked, SOFT_NOW_MS, &arena);
    kv_x509_policy_derive(&built.facts, &how, &got);
    assert_slice_equal(kv_slice_text(kty), got.key_props.kty);
    assert_slice_equal(kv_slice_text(crv), got.key_props.crv);
    assert_int_equal(got.key_props.key_size, size);
    assert_true(got.key_props.exportable);
    assert_false(got.key_props.reuse_key);
    assert_slice_equal(KV_SLICE("CN=www.example.com"), got.x509_props.subject);
    assert_int_equal(got.x509_props.sans.dns_names.count, 1);
    assert_int_equal(got.x509_props.key_usage, asked.x509_props.key_usage);
    assert_int_equal(got.x509_props.ekus.count, 2);
    /* Two months and ten minutes. */
    assert_int_equal(got.x509_props.validity_months, 3);
    assert_false(got.x509_props.ca);
    assert_true(kv_x509_policy_issuer_is(&got, KV_X509_ISSUER_UNKNOWN));
    assert_int_equal(got.lifetime_action_count, 1);
    assert_int_equal(got.lifetime_actions[0].action, KV_X509_EMAIL_CONTACTS);
    assert_int_equal(got.lifetime_actions[0].lifetime_percentage, 80);
    assert_slice_equal(KV_SLICE(KV_X509_CONTENT_PEM), got.content_type);
    assert_kv_ok(kv_x509_policy_check(&arena, &got, &err));
    assert_int_equal(kv_x509_policy_key_kind(&got), kind);
    soft_key_cleanup(&key);
}

static void derives_what_can_be_requested_again(void **state)
{
    (void)state;
    derives_for(KV_KEY_RSA_2048, "RSA", 2048, "");
    derives_for(KV_KEY_P256, "EC", 256, "P-256");
    derives_for(KV_KEY_P384, "EC", 384, "P-384");
    derives_for(KV_KEY_P521, "EC", 521, "P-521");
}

static void leaves_empty_what_is_absent(void **state)
{
    kv_x509_facts facts = { .key_kind = KV_KEY_P256, .key_bits = 256, .is_ca = true };
    kv_x509_derive how = { .content_type = KV_SLICE(KV_X509_CONTENT_PKCS12) };
    kv_x509_policy got;

    (void)state;
    kv_x509_policy_derive(&facts, &how, &got);
    assert_int_equal(got.x509_props.ekus.count, 0);
    assert_int_equal(got.x509_props.key_usage, 0);
    assert_true(got.x509_props.ca);
    assert_false(got.key_props.exportable);
    assert_true(got.key_props.exportable_given);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_months_rounded_up),
        cmocka_unit_test(derives_what_can_be_requested_again),
        cmocka_unit_test(leaves_empty_what_is_absent),
    };

    return cmocka_run_group_tests_name("derive", tests, NULL, NULL);
}
