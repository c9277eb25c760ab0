/* test_cli_message.c - messages from text and JSON, and back. */
#include "client/cli/message.h"

#include <stdlib.h>

#include <keyvault/v1/access.pb-c.h>
#include <keyvault/v1/certificates.pb-c.h>
#include <keyvault/v1/keys.pb-c.h>

#include "client/keyvault.h"
#include "tests/support/kv_cmocka.h"

static Keyvault__V1__CreateCertificateRequest *new_request(void)
{
    return (void *)kv_message_new(&keyvault__v1__create_certificate_request__descriptor);
}

static void sets_fields_deep_inside(void **state)
{
    Keyvault__V1__CreateCertificateRequest *request = new_request();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_message_set(&request->base, "name", "web", &err));
    assert_kv_ok(kv_message_set(&request->base, "policy.x509_props.subject", "CN=a", &err));
    assert_kv_ok(kv_message_set(&request->base, "policy.x509_props.sans.dns_names", "a", &err));
    assert_kv_ok(kv_message_set(&request->base, "policy.x509_props.sans.dns_names", "b", &err));
    assert_kv_ok(kv_message_set(&request->base, "policy.key_props.exportable", "true", &err));
    assert_kv_ok(kv_message_set(&request->base, "policy.key_props.crv", "P-256", &err));
    assert_kv_ok(kv_message_set(&request->base, "tags", "team=web=shop", &err));
    assert_string_equal(request->name, "web");
    assert_string_equal(request->policy->x509_props->subject, "CN=a");
    assert_int_equal(request->policy->x509_props->sans->n_dns_names, 2);
    assert_string_equal(request->policy->x509_props->sans->dns_names[1], "b");
    assert_int_equal(request->policy->key_props->has_exportable_case,
                     KEYVAULT__V1__KEY_PROPERTIES__HAS_EXPORTABLE_EXPORTABLE);
    assert_true(request->policy->key_props->exportable);
    assert_int_equal(request->policy->key_props->crv, KEYVAULT__V1__CURVE__CURVE_P256);
    assert_string_equal(request->tags[0]->name, "team");
    assert_string_equal(request->tags[0]->value, "web=shop");
    keyvault_message_free(request);
}

static void sets_bytes_of_a_oneof(void **state)
{
    Keyvault__V1__SignRequest *request =
        (void *)kv_message_new(&keyvault__v1__sign_request__descriptor);
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_message_set_bytes(&request->base, "digest", KV_SLICE("abc"), &err));
    assert_int_equal(request->input_case, KEYVAULT__V1__SIGN_REQUEST__INPUT_DIGEST);
    assert_int_equal(request->digest.len, 3);
    assert_kv_ok(kv_message_set_bytes(&request->base, "digest", KV_SLICE("defg"), &err));
    assert_int_equal(request->digest.len, 4);
    keyvault_message_free(request);
}

typedef struct wrong {
    const char *path, *text;
} wrong;

static void refuses_what_does_not_fit(void **state)
{
    static const wrong wrongs[] = {
        { "nmae", "x" },
        { "name.first", "x" },
        { "policy.x509_props.validity_months", "-1" },
        { "policy.x509_props.validity_months", "12x" },
        { "policy.x509_props.validity_months", "4294967296" },
        { "policy.x509_props.validity_months", "" },
        { "policy.key_props.exportable", "maybe" },
        { "policy.key_props.kty", "DSA" },
        { "policy.key_props", "x" },
        { "tags", "novalue" },
        { "tags", "=x" },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(wrongs); i++) {
        Keyvault__V1__CreateCertificateRequest *request = new_request();
        kv_error err = { 0 };

        assert_kv_fails(KV_BAD_REQUEST,
                        kv_message_set(&request->base, wrongs[i].path, wrongs[i].text, &err));
        assert_true(err.field[0] != '\0');
        keyvault_message_free(request);
    }
}

static void reads_enumerations_as_people_write_them(void **state)
{
    static const struct {
        const ProtobufCEnumDescriptor *type;
        const char *text;
        int value;
    } rows[] = {
        { &keyvault__v1__role__descriptor, "certificate-officer", 4 },
        { &keyvault__v1__role__descriptor, "ROLE_CERTIFICATE_OFFICER", 4 },
        { &keyvault__v1__key_type__descriptor, "rsa", 2 },
        { &keyvault__v1__key_type__descriptor, "EC-HSM", 1 },
        { &keyvault__v1__curve__descriptor, "P-521", 3 },
        { &keyvault__v1__key_usage__descriptor, "digitalSignature", 1 },
        { &keyvault__v1__key_usage__descriptor, "cRLSign", 7 },
        { &keyvault__v1__key_operation__descriptor, "wrapKey", 5 },
        { &keyvault__v1__signature_algorithm__descriptor, "ps256", 4 },
        { &keyvault__v1__chain_format__descriptor, "pkcs7", 3 },
    };
    int value;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        assert_true(kv_enum_parse(rows[i].type, rows[i].text, &value));
        assert_int_equal(value, rows[i].value);
    }
    assert_false(kv_enum_parse(&keyvault__v1__role__descriptor, "officer", &value));
    assert_false(kv_enum_parse(&keyvault__v1__role__descriptor, "", &value));
}

static void reads_bytes_in_hexadecimal_and_base64(void **state)
{
    static const char *const spellings[] = { "deadbeef00", "DE:AD:BE:EF:00",
                                             "3q2+7wA=", "3q2-7wA" };
    const uint8_t expected[] = { 0xde, 0xad, 0xbe, 0xef, 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(spellings); i++) {
        KV_AUTO(kv_arena) arena = KV_ARENA(1024);
        kv_slice bytes;
        kv_error err = { 0 };

        assert_kv_ok(kv_bytes_parse(&arena, spellings[i], &bytes, &err));
        assert_slice_equal(kv_slice_of(expected, sizeof(expected)), bytes);
    }
}

static void prints_and_reads_the_same_json(void **state)
{
    static const char policy[] =
        "{\"keyProps\": {\"kty\": \"KEY_TYPE_EC\", \"crv\": \"CURVE_P256\", \"exportable\": false},"
        " \"x509Props\": {\"subject\": \"CN=a\", \"sans\": {\"dnsNames\": [\"a\", \"b\"]},"
        " \"keyUsage\": [\"KEY_USAGE_DIGITAL_SIGNATURE\"], \"validityMonths\": 3},"
        " \"lifetimeActions\": [{\"trigger\": {\"lifetimePercentage\": 80},"
        " \"actionType\": \"LIFETIME_ACTION_TYPE_AUTO_RENEW\"}]}";
    json_t *first = json_loads(policy, 0, NULL), *printed, *again;
    ProtobufCMessage *one = kv_message_new(&keyvault__v1__certificate_policy__descriptor);
    ProtobufCMessage *two = kv_message_new(&keyvault__v1__certificate_policy__descriptor);
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_message_read_json(one, first, &err));
    printed = kv_message_json(one);
    assert_int_equal(json_integer_value(
                         json_object_get(json_object_get(printed, "x509Props"), "validityMonths")),
                     3);
    assert_kv_ok(kv_message_read_json(two, printed, &err));
    again = kv_message_json(two);
    assert_true(json_equal(printed, again));
    json_decref(first);
    json_decref(printed);
    json_decref(again);
    keyvault_message_free(one);
    keyvault_message_free(two);
}

static void refuses_json_that_is_no_such_message(void **state)
{
    static const char *const wrongs[] = { "[]",
                                          "{\"nope\": 1}",
                                          "{\"x509Props\": 3}",
                                          "{\"x509Props\": {\"subject\": 3.5}}",
                                          "{\"x509Props\": {\"ekus\": \"1.2\"}}",
                                          "{\"keyProps\": {\"kty\": [1]}}" };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(wrongs); i++) {
        json_t *json = json_loads(wrongs[i], 0, NULL);
        ProtobufCMessage *policy = kv_message_new(&keyvault__v1__certificate_policy__descriptor);
        kv_error err = { 0 };

        assert_non_null(json);
        assert_kv_fails(KV_BAD_REQUEST, kv_message_read_json(policy, json, &err));
        json_decref(json);
        keyvault_message_free(policy);
    }
}

/* A broken server's: the field is there all the same. */
static void text_that_is_no_utf8_is_told(void **state)
{
    char *names[] = { (char *)(uintptr_t) "ok", (char *)(uintptr_t) "a\xff\xc3" };
    Keyvault__V1__SubjectAlternativeNames sans = KEYVAULT__V1__SUBJECT_ALTERNATIVE_NAMES__INIT;
    json_t *json;
    const json_t *list;

    (void)state;
    sans.dns_names = names;
    sans.n_dns_names = KV_COUNT(names);
    json = kv_message_json(&sans.base);
    list = json_object_get(json, "dnsNames");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_string_value(json_array_get(list, 1)), "a??");
    json_decref(json);
}

static void tells_numbers_and_falsehood_but_not_what_is_empty(void **state)
{
    Keyvault__V1__KeyBundle bundle = KEYVAULT__V1__KEY_BUNDLE__INIT;
    json_t *json = kv_message_json(&bundle.base);

    (void)state;
    assert_true(json_is_false(json_object_get(json, "managed")));
    assert_int_equal(json_integer_value(json_object_get(json, "keySize")), 0);
    assert_true(json_is_array(json_object_get(json, "keyOps")));
    assert_null(json_object_get(json, "spki"));
    assert_null(json_object_get(json, "id"));
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_fields_deep_inside),
        cmocka_unit_test(sets_bytes_of_a_oneof),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(reads_enumerations_as_people_write_them),
        cmocka_unit_test(reads_bytes_in_hexadecimal_and_base64),
        cmocka_unit_test(prints_and_reads_the_same_json),
        cmocka_unit_test(refuses_json_that_is_no_such_message),
        cmocka_unit_test(text_that_is_no_utf8_is_told),
        cmocka_unit_test(tells_numbers_and_falsehood_but_not_what_is_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
