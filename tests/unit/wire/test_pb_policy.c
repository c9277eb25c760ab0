/* test_pb_policy.c - a policy goes in, comes out, and is the same. */
#include "keyvault/v1/certificates.pb-c.h"
#include "server/vault/messages/messages_certificates.h"
#include "server/wire/pb.h"
#include "tests/support/kv_cmocka.h"

enum { ROOM = 1024 * 1024 };

typedef struct full_policy {
    Keyvault__V1__CertificatePolicy policy;
    Keyvault__V1__KeyProperties key;
    Keyvault__V1__SecretProperties secret;
    Keyvault__V1__X509Properties x509;
    Keyvault__V1__SubjectAlternativeNames sans;
    Keyvault__V1__BasicConstraints constraints;
    Keyvault__V1__LifetimeAction actions[2];
    Keyvault__V1__LifetimeTrigger triggers[2];
    Keyvault__V1__LifetimeAction *action_list[2];
    Keyvault__V1__IssuerParameters issuer;
    Keyvault__V1__KeyUsage usages[2];
    char *dns_names[2];
    char *emails[1];
    char *upns[1];
    char *uris[1];
    char *ips[1];
    char *ekus[1];
} full_policy;

static void fill_x509(full_policy *p)
{
    keyvault__v1__x509_properties__init(&p->x509);
    keyvault__v1__subject_alternative_names__init(&p->sans);
    keyvault__v1__basic_constraints__init(&p->constraints);
    p->x509.subject = "CN=www.example.org";
    p->dns_names[0] = "www.example.org";
    p->dns_names[1] = "*.example.org";
    p->sans.dns_names = p->dns_names;
    p->sans.n_dns_names = 2;
    p->emails[0] = "a@example.org";
    p->sans.emails = p->emails;
    p->sans.n_emails = 1;
    p->upns[0] = "a@corp.example";
    p->sans.upns = p->upns;
    p->sans.n_upns = 1;
    p->uris[0] = "urn:x:1";
    p->sans.uris = p->uris;
    p->sans.n_uris = 1;
    p->ips[0] = "192.0.2.1";
    p->sans.ip_addresses = p->ips;
    p->sans.n_ip_addresses = 1;
    p->x509.sans = &p->sans;
    p->ekus[0] = "1.3.6.1.5.5.7.3.1";
    p->x509.ekus = p->ekus;
    p->x509.n_ekus = 1;
    p->usages[0] = KEYVAULT__V1__KEY_USAGE__KEY_USAGE_DIGITAL_SIGNATURE;
    p->usages[1] = KEYVAULT__V1__KEY_USAGE__KEY_USAGE_DECIPHER_ONLY;
    p->x509.key_usage = p->usages;
    p->x509.n_key_usage = 2;
    p->x509.has_validity_months_case =
        KEYVAULT__V1__X509_PROPERTIES__HAS_VALIDITY_MONTHS_VALIDITY_MONTHS;
    p->x509.validity_months = 3;
    p->x509.basic_constraints = &p->constraints;
}

static void fill_actions(full_policy *p)
{
    for (size_t i = 0; i < 2; i++) {
        keyvault__v1__lifetime_action__init(&p->actions[i]);
        keyvault__v1__lifetime_trigger__init(&p->triggers[i]);
        p->actions[i].trigger = &p->triggers[i];
        p->action_list[i] = &p->actions[i];
    }
    p->actions[0].action_type = KEYVAULT__V1__LIFETIME_ACTION_TYPE__LIFETIME_ACTION_TYPE_AUTO_RENEW;
    p->triggers[0].has_lifetime_percentage_case =
        KEYVAULT__V1__LIFETIME_TRIGGER__HAS_LIFETIME_PERCENTAGE_LIFETIME_PERCENTAGE;
    p->triggers[0].lifetime_percentage = 75;
    p->actions[1].action_type =
        KEYVAULT__V1__LIFETIME_ACTION_TYPE__LIFETIME_ACTION_TYPE_EMAIL_CONTACTS;
    p->triggers[1].has_days_before_expiry_case =
        KEYVAULT__V1__LIFETIME_TRIGGER__HAS_DAYS_BEFORE_EXPIRY_DAYS_BEFORE_EXPIRY;
    p->triggers[1].days_before_expiry = 15;
    p->policy.lifetime_actions = p->action_list;
    p->policy.n_lifetime_actions = 2;
}

static void fill(full_policy *p)
{
    keyvault__v1__certificate_policy__init(&p->policy);
    keyvault__v1__key_properties__init(&p->key);
    keyvault__v1__secret_properties__init(&p->secret);
    keyvault__v1__issuer_parameters__init(&p->issuer);
    p->key.kty = KEYVAULT__V1__KEY_TYPE__KEY_TYPE_EC;
    p->key.crv = KEYVAULT__V1__CURVE__CURVE_P521;
    p->key.key_size = 521;
    p->key.has_exportable_case = KEYVAULT__V1__KEY_PROPERTIES__HAS_EXPORTABLE_EXPORTABLE;
    p->key.exportable = true;
    p->key.has_reuse_key_case = KEYVAULT__V1__KEY_PROPERTIES__HAS_REUSE_KEY_REUSE_KEY;
    p->secret.content_type = "application/x-pem-file";
    fill_x509(p);
    fill_actions(p);
    p->issuer.name = "Self";
    p->issuer.cty = "OV-SSL";
    p->issuer.has_cert_transparency_case =
        KEYVAULT__V1__ISSUER_PARAMETERS__HAS_CERT_TRANSPARENCY_CERT_TRANSPARENCY;
    p->issuer.cert_transparency = true;
    p->policy.key_props = &p->key;
    p->policy.secret_props = &p->secret;
    p->policy.x509_props = &p->x509;
    p->policy.issuer = &p->issuer;
}

static void read_policy(kv_arena *arena, Keyvault__V1__CertificatePolicy *policy,
                        kv_certificate_create_in *in)
{
    Keyvault__V1__CreateCertificateRequest m = KEYVAULT__V1__CREATE_CERTIFICATE_REQUEST__INIT;
    uint8_t *bytes;
    kv_error err = { 0 };

    m.vault = "v";
    m.name = "web";
    m.policy = policy;
    bytes = kv_arena_alloc(arena, protobuf_c_message_get_packed_size(&m.base));
    assert_non_null(bytes);
    assert_kv_ok(kv_pb_read_certificate_create(
        kv_slice_of(bytes, protobuf_c_message_pack(&m.base, bytes)), arena, in, &err));
}

static void a_full_policy_arrives(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ROOM);
    full_policy full;
    kv_certificate_create_in in = { 0 };
    const kv_x509_policy *got = &in.policy;

    (void)state;
    fill(&full);
    read_policy(&arena, &full.policy, &in);
    assert_true(in.has_policy);
    assert_slice_equal(KV_SLICE("EC"), got->key_props.kty);
    assert_slice_equal(KV_SLICE("P-521"), got->key_props.crv);
    assert_int_equal(got->key_props.key_size, 521);
    assert_true(got->key_props.exportable_given && got->key_props.exportable);
    assert_true(got->key_props.reuse_key_given && !got->key_props.reuse_key);
    assert_slice_equal(KV_SLICE(KV_X509_CONTENT_PEM), got->content_type);
    assert_slice_equal(KV_SLICE("CN=www.example.org"), got->x509_props.subject);
    assert_int_equal(got->x509_props.sans.dns_names.count, 2);
    assert_slice_equal(KV_SLICE("*.example.org"), got->x509_props.sans.dns_names.items[1]);
    assert_slice_equal(KV_SLICE("a@example.org"), got->x509_props.sans.emails.items[0]);
    assert_slice_equal(KV_SLICE("a@corp.example"), got->x509_props.sans.upns.items[0]);
    assert_slice_equal(KV_SLICE("urn:x:1"), got->x509_props.sans.uris.items[0]);
    assert_slice_equal(KV_SLICE("192.0.2.1"), got->x509_props.sans.ip_addresses.items[0]);
    assert_slice_equal(KV_SLICE("1.3.6.1.5.5.7.3.1"), got->x509_props.ekus.items[0]);
    assert_int_equal(got->x509_props.key_usage, KV_X509_DIGITAL_SIGNATURE | KV_X509_DECIPHER_ONLY);
    assert_true(got->x509_props.validity_months_given);
    assert_int_equal(got->x509_props.validity_months, 3);
    assert_true(got->x509_props.ca_given && !got->x509_props.ca);
    assert_int_equal(got->lifetime_action_count, 2);
    assert_int_equal(got->lifetime_actions[0].action, KV_X509_AUTO_RENEW);
    assert_int_equal(got->lifetime_actions[0].lifetime_percentage, 75);
    assert_int_equal(got->lifetime_actions[1].action, KV_X509_EMAIL_CONTACTS);
    assert_int_equal(got->lifetime_actions[1].days_before_expiry, 15);
    assert_slice_equal(KV_SLICE("Self"), got->issuer.name);
    assert_slice_equal(KV_SLICE("OV-SSL"), got->issuer.cty);
    assert_true(got->issuer.cert_transparency_given && got->issuer.cert_transparency);
}

static void what_was_not_said_is_absent(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ROOM);
    Keyvault__V1__CertificatePolicy empty = KEYVAULT__V1__CERTIFICATE_POLICY__INIT;
    kv_certificate_create_in none = { 0 }, in = { 0 };

    (void)state;
    read_policy(&arena, NULL, &none);
    assert_false(none.has_policy);
    read_policy(&arena, &empty, &in);
    assert_true(in.has_policy);
    assert_int_equal(in.policy.key_props.kty.len, 0);
    assert_false(in.policy.key_props.exportable_given);
    assert_false(in.policy.x509_props.validity_months_given);
    assert_false(in.policy.x509_props.ca_given);
    assert_int_equal(in.policy.lifetime_action_count, 0);
    assert_int_equal(in.policy.issuer.name.len, 0);
    assert_false(in.policy.issuer.cert_transparency_given);
}

static void a_policy_goes_out_as_it_came(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ROOM);
    full_policy full;
    kv_certificate_create_in in = { 0 };
    kv_certificate_policy_bundle out = { .enabled = true, .created = 1700000000999 };
    Keyvault__V1__CertificatePolicyBundle expected = KEYVAULT__V1__CERTIFICATE_POLICY_BUNDLE__INIT;
    uint8_t *bytes;
    kv_error err = { 0 };
    kv_slice body;

    (void)state;
    fill(&full);
    read_policy(&arena, &full.policy, &in);
    out.policy = in.policy;
    assert_kv_ok(kv_pb_write_certificate_policy_bundle(&out, &arena, &body, &err));
    expected.policy = &full.policy;
    expected.enabled = true;
    expected.created = 1700000000;
    bytes = kv_arena_alloc(&arena, protobuf_c_message_get_packed_size(&expected.base));
    assert_non_null(bytes);
    assert_slice_equal(kv_slice_of(bytes, protobuf_c_message_pack(&expected.base, bytes)), body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_policy_arrives),
        cmocka_unit_test(what_was_not_said_is_absent),
        cmocka_unit_test(a_policy_goes_out_as_it_came),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
