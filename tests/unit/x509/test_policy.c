/* test_policy.c - the defaults of policies, and one failing policy for every rule. */
#include "server/x509/policy.h"

#include <stdio.h>

#include "tests/support/kv_cmocka.h"

static const kv_slice one_name[] = { KV_SLICE("www.example.com") };

/* What a caller sends who says as little as possible. */
static kv_x509_policy least(void)
{
    return (kv_x509_policy){ .x509_props = { .subject = KV_SLICE("CN=www.example.com") } };
}

static kv_x509_policy complete(void)
{
    kv_x509_policy policy = least();

    policy.x509_props.sans.dns_names = (kv_x509_list){ .items = one_name, .count = 1 };
    policy.issuer.name = KV_SLICE("Self");
    kv_x509_policy_defaults(&policy);
    return policy;
}

static void fills_the_defaults(void **state)
{
    kv_x509_policy policy = least();

    (void)state;
    kv_x509_policy_defaults(&policy);
    assert_slice_equal(KV_SLICE("RSA"), policy.key_props.kty);
    assert_int_equal(policy.key_props.key_size, 2048);
    assert_int_equal(policy.key_props.crv.len, 0);
    assert_false(policy.key_props.exportable);
    assert_false(policy.key_props.reuse_key);
    assert_slice_equal(KV_SLICE("application/x-pkcs12"), policy.content_type);
    assert_slice_equal(KV_SLICE("CN=www.example.com"), policy.x509_props.subject);
    assert_int_equal(policy.x509_props.ekus.count, 2);
    assert_slice_equal(KV_SLICE("1.3.6.1.5.5.7.3.1"), policy.x509_props.ekus.items[0]);
    assert_slice_equal(KV_SLICE("1.3.6.1.5.5.7.3.2"), policy.x509_props.ekus.items[1]);
    assert_int_equal(policy.x509_props.key_usage,
                     KV_X509_DIGITAL_SIGNATURE | KV_X509_KEY_ENCIPHERMENT);
    assert_int_equal(policy.x509_props.validity_months, 12);
    assert_slice_equal(KV_SLICE("Unknown"), policy.issuer.name);
    assert_int_equal(policy.lifetime_action_count, 1);
    assert_int_equal(policy.lifetime_actions[0].action, KV_X509_EMAIL_CONTACTS);
    assert_int_equal(policy.lifetime_actions[0].lifetime_percentage, 80);
    assert_int_equal(kv_x509_policy_key_kind(&policy), KV_KEY_RSA_2048);
}

static void renews_by_default_where_somebody_can(void **state)
{
    kv_x509_policy policy = complete();

    (void)state;
    assert_int_equal(policy.lifetime_actions[0].action, KV_X509_AUTO_RENEW);
    assert_int_equal(policy.lifetime_actions[0].lifetime_percentage, 80);
}

static void fills_the_defaults_of_ec_keys(void **state)
{
    static const struct {
        const char *crv;
        uint32_t size;
        kv_key_kind kind;
    } rows[] = {
        { "", 0, KV_KEY_P256 },      { "", 256, KV_KEY_P256 },    { "", 384, KV_KEY_P384 },
        { "", 521, KV_KEY_P521 },    { "P-256", 0, KV_KEY_P256 }, { "P-384", 384, KV_KEY_P384 },
        { "P-521", 0, KV_KEY_P521 },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_arena arena = KV_ARENA(64 * 1024);
        kv_x509_policy policy = least();
        kv_error err = { 0 };

        policy.key_props.kty = KV_SLICE("EC");
        policy.key_props.crv = kv_slice_text(rows[i].crv);
        policy.key_props.key_size = rows[i].size;
        kv_x509_policy_defaults(&policy);
        assert_int_equal(kv_x509_policy_key_kind(&policy), rows[i].kind);
        assert_int_equal(policy.key_props.key_size, kv_key_kind_of(rows[i].kind)->bits);
        assert_int_equal(policy.x509_props.key_usage, KV_X509_DIGITAL_SIGNATURE);
        assert_kv_ok(kv_x509_policy_check(&arena, &policy, &err));
        kv_arena_cleanup(&arena);
    }
}

static void fills_the_defaults_of_authorities(void **state)
{
    kv_x509_policy policy = least();

    (void)state;
    policy.x509_props.ca = true;
    kv_x509_policy_defaults(&policy);
    assert_int_equal(policy.x509_props.ekus.count, 0);
    assert_int_equal(policy.x509_props.key_usage,
                     KV_X509_DIGITAL_SIGNATURE | KV_X509_KEY_CERT_SIGN | KV_X509_CRL_SIGN);
}

static void changes_nothing_that_was_given(void **state)
{
    static const kv_slice code_signing[] = { KV_SLICE("1.3.6.1.5.5.7.3.3") };
    static const kv_x509_lifetime_action mail = { .action = KV_X509_EMAIL_CONTACTS,
                                                  .days_before_expiry = 10 };
    kv_x509_policy policy = {
        .key_props = { .kty = KV_SLICE("EC-HSM"), .key_size = 384, .crv = KV_SLICE("P-384") },
        .content_type = KV_SLICE("application/x-pem-file"),
        .x509_props = { .subject = KV_SLICE("CN=a"),
                        .ekus = { .items = code_signing, .count = 1 },
                        .key_usage = KV_X509_NON_REPUDIATION,
                        .validity_months = 3 },
        .lifetime_actions = &mail,
        .lifetime_action_count = 1,
        .issuer = { .name = KV_SLICE("Self") },
    };
    kv_x509_policy before = policy;

    (void)state;
    kv_x509_policy_defaults(&policy);
    assert_memory_equal(&before, &policy, sizeof(policy));
}

/* ---- one change each that makes a good policy bad ---- */

#define LIST(list, ...)                                                                          \
    do {                                                                                         \
        static const kv_slice texts_[] = { __VA_ARGS__ };                                        \
        (list) = (kv_x509_list){ .items = texts_, .count = sizeof(texts_) / sizeof(texts_[0]) }; \
    } while (0)

static void unknown_kty(kv_x509_policy *p)
{
    p->key_props.kty = KV_SLICE("oct");
}

static void kty_in_lower_case(kv_x509_policy *p)
{
    p->key_props.kty = KV_SLICE("rsa");
}

static void small_rsa(kv_x509_policy *p)
{
    p->key_props.key_size = 1024;
}

static void rsa_on_a_curve(kv_x509_policy *p)
{
    p->key_props.crv = KV_SLICE("P-256");
}

static void ec_of_no_size(kv_x509_policy *p)
{
    p->key_props =
        (kv_x509_key_props){ .kty = KV_SLICE("EC"), .key_size = 2048, .crv = KV_SLICE_NONE };
}

static void ec_of_another_size(kv_x509_policy *p)
{
    p->key_props =
        (kv_x509_key_props){ .kty = KV_SLICE("EC"), .key_size = 384, .crv = KV_SLICE("P-256") };
}

static void koblitz_curve(kv_x509_policy *p)
{
    p->key_props =
        (kv_x509_key_props){ .kty = KV_SLICE("EC"), .key_size = 256, .crv = KV_SLICE("P-256K") };
}

static void exportable_rsa_hsm(kv_x509_policy *p)
{
    p->key_props.kty = KV_SLICE("RSA-HSM");
    p->key_props.exportable = true;
}

static void exportable_ec_hsm(kv_x509_policy *p)
{
    p->key_props = (kv_x509_key_props){
        .kty = KV_SLICE("EC-HSM"), .key_size = 256, .crv = KV_SLICE("P-256"), .exportable = true
    };
}

static void unknown_content_type(kv_x509_policy *p)
{
    p->content_type = KV_SLICE("application/pkix-cert");
}

static void long_subject(kv_x509_policy *p)
{
    static const char text[] =
        "OU=0123456789012345678901234567890123456789, OU=0123456789012345678901234567890123456789, "
        "OU=0123456789012345678901234567890123456789, OU=0123456789012345678901234567890123456789, "
        "OU=012345678901234567";

    p->x509_props.subject = kv_slice_text(text);
}

static void subject_not_a_name(kv_x509_policy *p)
{
    p->x509_props.subject = KV_SLICE("www.example.com");
}

static void no_name_at_all(kv_x509_policy *p)
{
    p->x509_props.subject = KV_SLICE_NONE;
    p->x509_props.sans = (kv_x509_sans){ 0 };
}

static void blank_subject(kv_x509_policy *p)
{
    p->x509_props.subject = KV_SLICE("  ");
    p->x509_props.sans = (kv_x509_sans){ 0 };
}

static void nameless_authority(kv_x509_policy *p)
{
    p->x509_props.subject = KV_SLICE_NONE;
    p->x509_props.ca = true;
    p->x509_props.key_usage = KV_X509_KEY_CERT_SIGN;
}

static void bad_dns_name(kv_x509_policy *p)
{
    LIST(p->x509_props.sans.dns_names, KV_SLICE("www.example.com"), KV_SLICE("*.com"));
}

static void empty_dns_name(kv_x509_policy *p)
{
    LIST(p->x509_props.sans.dns_names, KV_SLICE(""));
}

static void bad_email(kv_x509_policy *p)
{
    LIST(p->x509_props.sans.emails, KV_SLICE("nobody"));
}

static void bad_upn(kv_x509_policy *p)
{
    LIST(p->x509_props.sans.upns, KV_SLICE("nobody"));
}

static void bad_uri(kv_x509_policy *p)
{
    LIST(p->x509_props.sans.uris, KV_SLICE("example.com/path"));
}

static void bad_ip(kv_x509_policy *p)
{
    LIST(p->x509_props.sans.ip_addresses, KV_SLICE("10.0.0.300"));
}

static void long_uri(kv_x509_policy *p)
{
    static const char text[KV_X509_URI_MAX + 2] = "urn:";
    static const kv_slice names[] = { { (const uint8_t *)text, sizeof(text) - 1 } };

    p->x509_props.sans.uris = (kv_x509_list){ .items = names, .count = 1 };
}

static void many_names(kv_x509_policy *p)
{
    static const kv_slice names[KV_X509_SANS_MAX];

    p->x509_props.sans.emails = (kv_x509_list){ .items = names, .count = KV_X509_SANS_MAX };
}

static void absurdly_many_names(kv_x509_policy *p)
{
    p->x509_props.sans.emails = (kv_x509_list){ .items = one_name, .count = SIZE_MAX };
    p->x509_props.sans.uris = (kv_x509_list){ .items = one_name, .count = SIZE_MAX };
}

static void bad_eku(kv_x509_policy *p)
{
    LIST(p->x509_props.ekus, KV_SLICE("1.3.6.1.5.5.7.3.1"), KV_SLICE("serverAuth"));
}

static void repeated_eku(kv_x509_policy *p)
{
    LIST(p->x509_props.ekus, KV_SLICE("1.3.6.1.5.5.7.3.1"), KV_SLICE("1.3.6.1.5.5.7.3.1"));
}

static void many_ekus(kv_x509_policy *p)
{
    p->x509_props.ekus.count = KV_X509_EKUS_MAX + 1;
}

static void unknown_key_usage(kv_x509_policy *p)
{
    p->x509_props.key_usage |= 1 << 9;
}

static void authority_that_cannot_sign(kv_x509_policy *p)
{
    p->x509_props.ca = true;
}

static void no_validity(kv_x509_policy *p)
{
    p->x509_props.validity_months = 0;
}

static void long_validity(kv_x509_policy *p)
{
    p->x509_props.validity_months = KV_X509_VALIDITY_MONTHS_MAX + 1;
}

static void no_issuer_name(kv_x509_policy *p)
{
    p->issuer.name = KV_SLICE("my issuer");
}

static void long_cty(kv_x509_policy *p)
{
    static const char text[KV_X509_CTY_MAX + 1] = { 0 };

    p->issuer.cty = kv_slice_of(text, sizeof(text));
}

static void unprintable_cty(kv_x509_policy *p)
{
    p->issuer.cty = KV_SLICE("OV\nSSL");
}

#define ACTIONS(p, ...)                                                        \
    do {                                                                       \
        static const kv_x509_lifetime_action actions_[] = { __VA_ARGS__ };     \
        (p)->lifetime_actions = actions_;                                      \
        (p)->lifetime_action_count = sizeof(actions_) / sizeof((actions_)[0]); \
    } while (0)

static void three_actions(kv_x509_policy *p)
{
    ACTIONS(p, { KV_X509_AUTO_RENEW, 80, 0 }, { KV_X509_EMAIL_CONTACTS, 80, 0 },
            { KV_X509_EMAIL_CONTACTS, 90, 0 });
}

static void unknown_action(kv_x509_policy *p)
{
    ACTIONS(p, { KV_X509_ACTION_NONE, 80, 0 });
}

static void repeated_action(kv_x509_policy *p)
{
    ACTIONS(p, { KV_X509_EMAIL_CONTACTS, 80, 0 }, { KV_X509_EMAIL_CONTACTS, 90, 0 });
}

static void renewal_by_nobody(kv_x509_policy *p)
{
    p->issuer.name = KV_SLICE("unknown"); /* in any case */
    ACTIONS(p, { KV_X509_AUTO_RENEW, 80, 0 });
}

static void no_trigger(kv_x509_policy *p)
{
    ACTIONS(p, { KV_X509_AUTO_RENEW, 0, 0 });
}

static void two_triggers(kv_x509_policy *p)
{
    ACTIONS(p, { KV_X509_AUTO_RENEW, 80, 10 });
}

static void late_percentage(kv_x509_policy *p)
{
    ACTIONS(p, { KV_X509_AUTO_RENEW, 100, 0 });
}

static void early_days(kv_x509_policy *p)
{
    p->x509_props.validity_months = 36;
    ACTIONS(p, { KV_X509_AUTO_RENEW, 80, 0 }, { KV_X509_EMAIL_CONTACTS, 0, 973 });
}

typedef struct bad_row {
    void (*spoil)(kv_x509_policy *policy);
    const char *field;
} bad_row;

/* shape: table */
static const bad_row bad[] = {
    { unknown_kty, "policy.key_props.kty" },
    { kty_in_lower_case, "policy.key_props.kty" },
    { small_rsa, "policy.key_props.key_size" },
    { rsa_on_a_curve, "policy.key_props.crv" },
    { ec_of_no_size, "policy.key_props.key_size" },
    { ec_of_another_size, "policy.key_props.key_size" },
    { koblitz_curve, "policy.key_props.crv" },
    { exportable_rsa_hsm, "policy.key_props.exportable" },
    { exportable_ec_hsm, "policy.key_props.exportable" },
    { unknown_content_type, "policy.secret_props.content_type" },
    { long_subject, "policy.x509_props.subject" },
    { subject_not_a_name, "policy.x509_props.subject" },
    { no_name_at_all, "policy.x509_props.subject" },
    { blank_subject, "policy.x509_props.subject" },
    { nameless_authority, "policy.x509_props.subject" },
    { bad_dns_name, "policy.x509_props.sans.dns_names[1]" },
    { empty_dns_name, "policy.x509_props.sans.dns_names[0]" },
    { bad_email, "policy.x509_props.sans.emails[0]" },
    { bad_upn, "policy.x509_props.sans.upns[0]" },
    { bad_uri, "policy.x509_props.sans.uris[0]" },
    { bad_ip, "policy.x509_props.sans.ip_addresses[0]" },
    { long_uri, "policy.x509_props.sans.uris[0]" },
    { many_names, "policy.x509_props.sans" },
    { absurdly_many_names, "policy.x509_props.sans" },
    { bad_eku, "policy.x509_props.ekus[1]" },
    { repeated_eku, "policy.x509_props.ekus[1]" },
    { many_ekus, "policy.x509_props.ekus" },
    { unknown_key_usage, "policy.x509_props.key_usage" },
    { authority_that_cannot_sign, "policy.x509_props.key_usage" },
    { no_validity, "policy.x509_props.validity_months" },
    { long_validity, "policy.x509_props.validity_months" },
    { no_issuer_name, "policy.issuer.name" },
    { long_cty, "policy.issuer.cty" },
    { unprintable_cty, "policy.issuer.cty" },
    { three_actions, "policy.lifetime_actions" },
    { unknown_action, "policy.lifetime_actions[0].action_type" },
    { repeated_action, "policy.lifetime_actions[1].action_type" },
    { renewal_by_nobody, "policy.lifetime_actions[0].action_type" },
    { no_trigger, "policy.lifetime_actions[0].trigger" },
    { two_triggers, "policy.lifetime_actions[0].trigger" },
    { late_percentage, "policy.lifetime_actions[0].trigger.lifetime_percentage" },
    { early_days, "policy.lifetime_actions[1].trigger.days_before_expiry" },
};

static void names_the_field_of_every_broken_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        kv_arena arena = KV_ARENA(64 * 1024);
        kv_x509_policy policy = complete();
        kv_error err = { 0 };

        assert_kv_ok(kv_x509_policy_check(&arena, &policy, &err));
        bad[i].spoil(&policy);
        if (kv_x509_policy_check(&arena, &policy, &err) != KV_BAD_REQUEST)
            fail_msg("row %zu (%s) was taken", i, bad[i].field);
        assert_string_equal(err.field, bad[i].field);
        assert_true(strlen(err.message) > 0 && strlen(err.message) < sizeof(err.message) - 1);
        kv_arena_cleanup(&arena);
    }
}

static void takes_values_at_their_bounds(void **state)
{
    static const kv_x509_lifetime_action actions[] = { { KV_X509_EMAIL_CONTACTS, 0, 972 },
                                                       { KV_X509_AUTO_RENEW, 99, 0 } };
    kv_slice names[KV_X509_SANS_MAX];
    kv_arena arena = KV_ARENA(64 * 1024);
    kv_x509_policy policy = complete();
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(names); i++)
        names[i] = KV_SLICE("www.example.com");
    policy.x509_props.subject = KV_SLICE_NONE;
    policy.x509_props.sans.dns_names = (kv_x509_list){ .items = names, .count = KV_COUNT(names) };
    policy.x509_props.validity_months = 36;
    policy.x509_props.key_usage = KV_X509_KEY_USAGE_ALL;
    policy.lifetime_actions = actions;
    policy.lifetime_action_count = 2;
    policy.key_props.kty = KV_SLICE("RSA-HSM");
    policy.key_props.key_size = 4096;
    assert_kv_ok(kv_x509_policy_check(&arena, &policy, &err));

    policy.lifetime_actions = actions + 1;
    policy.lifetime_action_count = 1;
    policy.x509_props.validity_months = 1200;
    assert_kv_ok(kv_x509_policy_check(&arena, &policy, &err));
    kv_arena_cleanup(&arena);
}

/* 200 characters are more bytes than that. */
static void counts_the_subject_in_characters(void **state)
{
    char text[512];
    size_t len = 0;
    kv_arena arena = KV_ARENA(64 * 1024);
    kv_x509_policy policy = complete();
    kv_error err = { 0 };

    (void)state;
    for (size_t unit = 0; unit < 4; unit++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%sOU=", unit ? "," : "");
        for (size_t i = 0; i < 46; i++, len += 2)
            memcpy(text + len, "\303\274", 2);
    }
    assert_int_equal(len, 4 * (3 + 92) + 3);
    memcpy(text + len, ",O=", 3);
    policy.x509_props.subject = kv_slice_of(text, len); /* 4 * 49 + 3 = 199 characters */
    assert_kv_ok(kv_x509_policy_check(&arena, &policy, &err));
    memcpy(text + len, "yz", 2);
    policy.x509_props.subject.len = len + 1;
    assert_kv_ok(kv_x509_policy_check(&arena, &policy, &err));
    policy.x509_props.subject.len = len + 2;
    assert_kv_fails(KV_BAD_REQUEST, kv_x509_policy_check(&arena, &policy, &err));
    kv_arena_cleanup(&arena);
}

static void refuses_an_explicit_zero(void **state)
{
    kv_arena arena = KV_ARENA(64 * 1024);
    kv_x509_policy policy = least();
    kv_error err = { 0 };

    (void)state;
    policy.x509_props.validity_months_given = true;
    kv_x509_policy_defaults(&policy);
    assert_kv_fails(KV_BAD_REQUEST, kv_x509_policy_check(&arena, &policy, &err));
    assert_string_equal(err.field, "policy.x509_props.validity_months");
    kv_arena_cleanup(&arena);
}

static void spells_key_usages(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KV_X509_KEY_USAGE_COUNT; i++)
        assert_int_equal(kv_x509_key_usage_bit(kv_slice_text(kv_x509_key_usage_name(i))), 1 << i);
    assert_int_equal(kv_x509_key_usage_bit(KV_SLICE("cRLSign")), KV_X509_CRL_SIGN);
    assert_int_equal(kv_x509_key_usage_bit(KV_SLICE("crlSign")), 0);
    assert_string_equal(kv_x509_key_usage_name(KV_X509_KEY_USAGE_COUNT), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_the_defaults),
        cmocka_unit_test(renews_by_default_where_somebody_can),
        cmocka_unit_test(fills_the_defaults_of_ec_keys),
        cmocka_unit_test(fills_the_defaults_of_authorities),
        cmocka_unit_test(changes_nothing_that_was_given),
        cmocka_unit_test(names_the_field_of_every_broken_rule),
        cmocka_unit_test(takes_values_at_their_bounds),
        cmocka_unit_test(counts_the_subject_in_characters),
        cmocka_unit_test(refuses_an_explicit_zero),
        cmocka_unit_test(spells_key_usages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
