/* test_vault_policies.c - a policy comes out of the store as it went in, every member of it. */
#include "server/vault/certificates/certificate_rules.h"
#include "tests/support/kv_cmocka.h"

static kv_arena arena;
static kv_work work = { .arena = &arena };

static int stop(void **state)
{
    (void)state;
    kv_arena_cleanup(&arena);
    return 0;
}

static int start(void **state)
{
    (void)state;
    arena = KV_ARENA(4 << 20);
    return 0;
}

static void assert_lists_equal(const kv_x509_list *a, const kv_x509_list *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++)
        assert_slice_equal(a->items[i], b->items[i]);
}

static void assert_policies_equal(const kv_x509_policy *a, const kv_x509_policy *b)
{
    assert_slice_equal(a->key_props.kty, b->key_props.kty);
    assert_int_equal(a->key_props.key_size, b->key_props.key_size);
    assert_slice_equal(a->key_props.crv, b->key_props.crv);
    assert_int_equal(a->key_props.exportable, b->key_props.exportable);
    assert_int_equal(a->key_props.reuse_key, b->key_props.reuse_key);
    assert_slice_equal(a->content_type, b->content_type);
    assert_slice_equal(a->x509_props.subject, b->x509_props.subject);
    assert_lists_equal(&a->x509_props.sans.emails, &b->x509_props.sans.emails);
    assert_lists_equal(&a->x509_props.sans.dns_names, &b->x509_props.sans.dns_names);
    assert_lists_equal(&a->x509_props.sans.upns, &b->x509_props.sans.upns);
    assert_lists_equal(&a->x509_props.sans.uris, &b->x509_props.sans.uris);
    assert_lists_equal(&a->x509_props.sans.ip_addresses, &b->x509_props.sans.ip_addresses);
    assert_lists_equal(&a->x509_props.ekus, &b->x509_props.ekus);
    assert_int_equal(a->x509_props.key_usage, b->x509_props.key_usage);
    assert_int_equal(a->x509_props.validity_months, b->x509_props.validity_months);
    assert_int_equal(a->x509_props.ca, b->x509_props.ca);
    assert_int_equal(a->lifetime_action_count, b->lifetime_action_count);
    for (size_t i = 0; i < a->lifetime_action_count; i++) {
        const kv_x509_lifetime_action *x = &a->lifetime_actions[i], *y = &b->lifetime_actions[i];

        assert_int_equal(x->action, y->action);
        assert_int_equal(x->lifetime_percentage, y->lifetime_percentage);
        assert_int_equal(x->days_before_expiry, y->days_before_expiry);
    }
    assert_slice_equal(a->issuer.name, b->issuer.name);
    assert_slice_equal(a->issuer.cty, b->issuer.cty);
    assert_int_equal(a->issuer.cert_transparency, b->issuer.cert_transparency);
}

static void assert_round_trip(const kv_x509_policy *policy)
{
    kv_x509_policy back;
    kv_slice stored, again;
    kv_error err = { 0 };

    assert_kv_ok(kv_policy_store(&work, policy, &stored, &err));
    assert_kv_ok(kv_policy_load(&work, stored, &back, &err));
    assert_policies_equal(policy, &back);
    /* And the stored form is one of its own: the same bytes again. */
    assert_kv_ok(kv_policy_store(&work, &back, &again, &err));
    assert_slice_equal(stored, again);
}

static const kv_slice texts[] = {
    { (const uint8_t *)"first", 5 },
    { (const uint8_t *)"second \"quoted\" \\ / \xc3\xa4", 22 },
};
static const kv_x509_list two = { texts, 2 };
static const kv_x509_lifetime_action actions[] = {
    { KV_X509_EMAIL_CONTACTS, 0, 30 },
    { KV_X509_AUTO_RENEW, 75, 0 },
};

/* No member has the value that an absent one would have. */
static kv_x509_policy full(void)
{
    return (kv_x509_policy){
        .key_props = { .kty = KV_SLICE("RSA"),
                       .key_size = 3072,
                       .crv = KV_SLICE("P-521"),
                       .exportable = true,
                       .exportable_given = true,
                       .reuse_key = true,
                       .reuse_key_given = true },
        .content_type = KV_SLICE(KV_X509_CONTENT_PEM),
        .x509_props = { .subject = KV_SLICE("CN=\xc3\xa4 \\, b,O=\"x\""),
                        .sans = { two, two, two, two, two },
                        .ekus = two,
                        .key_usage = KV_X509_KEY_USAGE_ALL,
                        .validity_months = 17,
                        .validity_months_given = true,
                        .ca = true,
                        .ca_given = true },
        .lifetime_actions = actions,
        .lifetime_action_count = 2,
        .issuer = { .name = KV_SLICE("Self"),
                    .cty = KV_SLICE("OV"),
                    .cert_transparency = true,
                    .cert_transparency_given = true },
    };
}

static void every_member_comes_back(void **state)
{
    kv_x509_policy policy = full();

    (void)state;
    assert_round_trip(&policy);
}

static void each_key_usage_comes_back_alone(void **state)
{
    kv_x509_policy policy = full();

    (void)state;
    for (unsigned bit = 0; bit < KV_X509_KEY_USAGE_COUNT; bit++) {
        policy.x509_props.key_usage = UINT32_C(1) << bit;
        assert_round_trip(&policy);
    }
    policy.x509_props.key_usage = 0;
    assert_round_trip(&policy);
}

static void each_list_comes_back_alone(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        kv_x509_policy policy = full();
        kv_x509_list *lists[] = {
            &policy.x509_props.sans.emails,       &policy.x509_props.sans.dns_names,
            &policy.x509_props.sans.upns,         &policy.x509_props.sans.uris,
            &policy.x509_props.sans.ip_addresses, &policy.x509_props.ekus,
        };

        for (int k = 0; k < 6; k++)
            if (k != i)
                *lists[k] = (kv_x509_list){ 0 };
        assert_round_trip(&policy);
    }
}

/* What defaults fill in is stored too, so a later change of a default changes no certificate. */
static void a_completed_policy_comes_back(void **state)
{
    static const char *const types[] = { "RSA", "EC" };
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(types); i++) {
        kv_x509_policy policy = { .key_props = { .kty = kv_slice_text(types[i]) },
                                  .x509_props = { .subject = KV_SLICE("CN=x") } };
        kv_vault_row vault = { .default_exportable = (int64_t)i };
        kv_x509_policy back;
        kv_slice stored;

        assert_kv_ok(kv_policy_complete(NULL, &work, &vault, &policy, &err));
        assert_round_trip(&policy);
        assert_kv_ok(kv_policy_store(&work, &policy, &stored, &err));
        assert_kv_ok(kv_policy_load(&work, stored, &back, &err));
        assert_int_equal(back.key_props.exportable, i == 1);
        assert_int_equal(back.x509_props.validity_months, KV_X509_VALIDITY_MONTHS_DEFAULT);
        assert_slice_equal(KV_SLICE(KV_X509_ISSUER_UNKNOWN), back.issuer.name);
    }
}

/* A row that passed its seal but makes no sense is our trouble, never a crash. */
static void nonsense_in_the_store_is_an_error(void **state)
{
    static const char *const stored[] = {
        "", "{", "[]", "1", "null", "\"x\"", "{\"key_props\":1}", "{\"x509_props\":{\"sans\":[]}}",
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(stored); i++) {
        kv_x509_policy policy;
        kv_error err = { 0 };
        kv_status status = kv_policy_load(&work, kv_slice_text(stored[i]), &policy, &err);

        if (i < 6 && status != KV_INTERNAL)
            fail_msg("'%s' is taken for a policy", stored[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_comes_back),
        cmocka_unit_test(each_key_usage_comes_back_alone),
        cmocka_unit_test(each_list_comes_back_alone),
        cmocka_unit_test(a_completed_policy_comes_back),
        cmocka_unit_test(nonsense_in_the_store_is_an_error),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
