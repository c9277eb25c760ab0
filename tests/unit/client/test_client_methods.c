/* test_client_methods.c - every method is found, and what its request touches. */
#include "client/methods.h"

#include <stdio.h>

#include <keyvault/v1/access.pb-c.h>
#include <keyvault/v1/audit.pb-c.h>
#include <keyvault/v1/authorities.pb-c.h>
#include <keyvault/v1/certificates.pb-c.h>
#include <keyvault/v1/contacts.pb-c.h>
#include <keyvault/v1/events.pb-c.h>
#include <keyvault/v1/issuers.pb-c.h>
#include <keyvault/v1/keys.pb-c.h>
#include <keyvault/v1/renewals.pb-c.h>
#include <keyvault/v1/secrets.pb-c.h>
#include <keyvault/v1/vaults.pb-c.h>
#include <keyvault/v1/webhooks.pb-c.h>

#include "server/core/route.h"
#include "tests/support/kv_cmocka.h"

static const ProtobufCServiceDescriptor *const services[] = {
    &keyvault__v1__vault_service__descriptor,
    &keyvault__v1__key_service__descriptor,
    &keyvault__v1__secret_service__descriptor,
    &keyvault__v1__certificate_service__descriptor,
    &keyvault__v1__issuer_service__descriptor,
    &keyvault__v1__contact_service__descriptor,
    &keyvault__v1__event_service__descriptor,
    &keyvault__v1__webhook_service__descriptor,
    &keyvault__v1__renewal_service__descriptor,
    &keyvault__v1__access_service__descriptor,
    &keyvault__v1__audit_service__descriptor,
    &keyvault__v1__server_service__descriptor,
    &keyvault__v1__certificate_authority_service__descriptor,
};

static void finds_every_method_of_the_proto_files(void **state)
{
    (void)state;
    for (size_t s = 0; s < KV_COUNT(services); s++)
        for (unsigned m = 0; m < services[s]->n_methods; m++) {
            const ProtobufCMethodDescriptor *method = &services[s]->methods[m];
            char path[128];
            kv_method found;

            (void)snprintf(path, sizeof(path), "/%s/%s", services[s]->name, method->name);
            assert_true(kv_method_find(path, &found));
            assert_ptr_equal(found.input, method->input);
            assert_ptr_equal(found.output, method->output);
        }
}

/* What may be sent twice is what the server says changes nothing. */
static void repeats_what_the_server_says_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < kv_routes_count; i++) {
        const char *path = kv_routes[i].at[KV_DOOR_GRPC].pattern;
        kv_method method;

        if (!path || !kv_method_find(path, &method))
            continue;
        if (method.repeatable && kv_routes[i].mutates)
            fail_msg("%s would be repeated, but changes something", path);
        if (!method.repeatable && !kv_routes[i].mutates)
            fail_msg("%s changes nothing, but would not be repeated", path);
    }
}

static void finds_nothing_else(void **state)
{
    static const char *const wrong[] = { "",
                                         "/",
                                         "keyvault.v1.KeyService/GetKey",
                                         "/keyvault.v1.KeyService",
                                         "/keyvault.v1.KeyService/",
                                         "/keyvault.v1.KeyService/getkey",
                                         "/keyvault.v1.KeyServic/GetKey" };
    kv_method method;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(wrong); i++)
        assert_false(kv_method_find(wrong[i], &method));
    assert_false(kv_method_find(NULL, &method));
}

static void knows_which_answer_with_streams(void **state)
{
    kv_method method;

    (void)state;
    assert_true(kv_method_find("/keyvault.v1.AuditService/SearchAudit", &method));
    assert_true(method.streams);
    assert_true(kv_method_find("/keyvault.v1.AuditService/ExportAudit", &method));
    assert_true(method.streams);
    assert_true(kv_method_find("/keyvault.v1.AuditService/GetAuditStatus", &method));
    assert_false(method.streams);
    assert_true(kv_method_find("/keyvault.v1.EventService/WatchEvents", &method));
    assert_true(method.streams);
}

static void assert_scope(const char *path, const ProtobufCMessage *request, const char *expected)
{
    char scope[KV_SCOPE_BYTES];
    kv_method method;

    assert_true(kv_method_find(path, &method));
    assert_true(kv_method_scope(&method, request, scope));
    assert_string_equal(scope, expected);
}

static char *text(const char *from)
{
    return (char *)(uintptr_t)from;
}

static void reads_the_scope_from_the_request(void **state)
{
    Keyvault__V1__GetKeyRequest key = KEYVAULT__V1__GET_KEY_REQUEST__INIT;
    Keyvault__V1__ListSecretsRequest secrets = KEYVAULT__V1__LIST_SECRETS_REQUEST__INIT;
    Keyvault__V1__GetCertificateRequest certificate = KEYVAULT__V1__GET_CERTIFICATE_REQUEST__INIT;
    Keyvault__V1__CreateVaultRequest create = KEYVAULT__V1__CREATE_VAULT_REQUEST__INIT;
    Keyvault__V1__GetVaultRequest get = KEYVAULT__V1__GET_VAULT_REQUEST__INIT;
    Keyvault__V1__ListCredentialsRequest list = KEYVAULT__V1__LIST_CREDENTIALS_REQUEST__INIT;

    Keyvault__V1__WatchEventsRequest watch = KEYVAULT__V1__WATCH_EVENTS_REQUEST__INIT;

    (void)state;
    assert_scope("/keyvault.v1.EventService/WatchEvents", &watch.base, "/");
    watch.vault = text("Shop");
    assert_scope("/keyvault.v1.EventService/WatchEvents", &watch.base, "/vaults/shop");
    watch.name = text("Web");
    assert_scope("/keyvault.v1.EventService/WatchEvents", &watch.base, "/vaults/shop");
    watch.collection = text("certificates");
    assert_scope("/keyvault.v1.EventService/WatchEvents", &watch.base,
                 "/vaults/shop/certificates/web");
    key.vault = text("Shop");
    key.name = text("Web");
    assert_scope("/keyvault.v1.KeyService/GetKey", &key.base, "/vaults/shop/keys/web");
    secrets.vault = text("shop");
    assert_scope("/keyvault.v1.SecretService/ListSecrets", &secrets.base, "/vaults/shop/secrets");
    certificate.vault = text("shop");
    certificate.by_case = KEYVAULT__V1__GET_CERTIFICATE_REQUEST__BY_X5T;
    assert_scope("/keyvault.v1.CertificateService/GetCertificate", &certificate.base,
                 "/vaults/shop/certificates");
    certificate.by_case = KEYVAULT__V1__GET_CERTIFICATE_REQUEST__BY_NAME;
    certificate.name = text("web");
    assert_scope("/keyvault.v1.CertificateService/GetCertificate", &certificate.base,
                 "/vaults/shop/certificates/web");
    create.vault = get.vault = list.vault = text("shop");
    assert_scope("/keyvault.v1.VaultService/CreateVault", &create.base, "/");
    assert_scope("/keyvault.v1.VaultService/GetVault", &get.base, "/vaults/shop");
    assert_scope("/keyvault.v1.AccessService/ListCredentials", &list.base, "/");
}

static void refuses_a_name_too_long_for_a_scope(void **state)
{
    char name[KV_SCOPE_BYTES + 1];
    char scope[KV_SCOPE_BYTES];
    Keyvault__V1__GetKeyRequest key = KEYVAULT__V1__GET_KEY_REQUEST__INIT;
    kv_method method;

    (void)state;
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    key.vault = text("shop");
    key.name = name;
    assert_true(kv_method_find("/keyvault.v1.KeyService/GetKey", &method));
    assert_false(kv_method_scope(&method, &key.base, scope));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_every_method_of_the_proto_files),
        cmocka_unit_test(repeats_what_the_server_says_changes_nothing),
        cmocka_unit_test(finds_nothing_else),
        cmocka_unit_test(knows_which_answer_with_streams),
        cmocka_unit_test(reads_the_scope_from_the_request),
        cmocka_unit_test(refuses_a_name_too_long_for_a_scope),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
