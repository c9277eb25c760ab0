/* test_routes.c - every method has a row, and no row forgot anything. */
#include "server/core/route.h"

#include <stdio.h>
#include <string.h>

#include "keyvault/v1/access.pb-c.h"
#include "keyvault/v1/audit.pb-c.h"
#include "keyvault/v1/authorities.pb-c.h"
#include "keyvault/v1/certificates.pb-c.h"
#include "keyvault/v1/common.pb-c.h"
#include "keyvault/v1/contacts.pb-c.h"
#include "keyvault/v1/events.pb-c.h"
#include "keyvault/v1/issuers.pb-c.h"
#include "keyvault/v1/keys.pb-c.h"
#include "keyvault/v1/renewals.pb-c.h"
#include "keyvault/v1/secrets.pb-c.h"
#include "keyvault/v1/vaults.pb-c.h"
#include "keyvault/v1/webhooks.pb-c.h"
#include "server/auth/policy.h"
#include "server/vault/idempotency.h"
#include "server/vault/messages/messages_common.h"
#include "server/wire/pb.h"
#include "tests/support/kv_cmocka.h"

static const ProtobufCServiceDescriptor *const services[] = {
    &keyvault__v1__server_service__descriptor,
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
    &keyvault__v1__certificate_authority_service__descriptor,
};

static const kv_route *find(const char *pattern)
{
    const kv_route *found = NULL;

    for (size_t i = 0; i < kv_routes_count; i++)
        if (!strcmp(kv_routes[i].at[KV_DOOR_GRPC].pattern, pattern)) {
            assert_null(found);
            found = &kv_routes[i];
        }
    return found;
}

static void every_method_has_exactly_one_row(void **state)
{
    size_t methods = 0;

    (void)state;
    for (size_t s = 0; s < KV_COUNT(services); s++)
        for (unsigned m = 0; m < services[s]->n_methods; m++) {
            char path[256];

            (void)snprintf(path, sizeof(path), "/%s/%s", services[s]->name,
                           services[s]->methods[m].name);
            if (!find(path))
                fail_msg("no row for %s", path);
            methods++;
        }
    assert_int_equal(methods, kv_routes_count);
}

static void no_row_forgets_anything(void **state)
{
    (void)state;
    for (size_t i = 0; i < kv_routes_count; i++) {
        const kv_route *route = &kv_routes[i];

        if (!route->name || route->needs == KV_MAY_NOTHING || route->lane == KV_LANE_NONE ||
            route->lane == KV_LANE_HANDSHAKE || !route->run || route->in_size < sizeof(kv_target) ||
            !route->out_size || !route->at[KV_DOOR_GRPC].decode || !route->at[KV_DOOR_GRPC].encode)
            fail_msg("row %zu (%s) is not complete", i, route->name ? route->name : "?");
    }
}

static void every_row_is_spelled_as_the_door_spells_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < kv_routes_count; i++) {
        const kv_route *route = &kv_routes[i];
        const kv_spelled *at = &route->at[KV_DOOR_GRPC];
        const kv_pb_spelling *spelling = kv_pb_find(kv_slice_text(at->pattern));

        assert_non_null(spelling);
        assert_string_equal(spelling->operation, route->name);
        assert_true(spelling->decode == at->decode);
        assert_true(spelling->encode == at->encode);
        assert_int_equal(spelling->in_size, route->in_size);
        assert_int_equal(spelling->out_size, route->out_size);
        assert_int_equal(spelling->streams, route->streams);
    }
}

static void only_these_need_no_role(void **state)
{
    static const char *const known[] = { "WhoAmI", "RoleList", "AccessExplain",
                                         /* These ask for a role token themselves, and judge each
                                          * event by what it lets its bearer read. */
                                         "EventList", "EventWatch" };

    (void)state;
    for (size_t i = 0; i < kv_routes_count; i++) {
        const kv_route *route = &kv_routes[i];
        bool expected = false;

        for (size_t k = 0; k < KV_COUNT(known); k++)
            expected = expected || !strcmp(route->name, known[k]);
        assert_int_not_equal(route->needs, KV_MAY_BE_ANYONE);
        assert_int_equal(route->needs == KV_MAY_BE_KNOWN, expected);
        assert_int_equal(route->needs == KV_MAY_BE_PROVED, !strcmp(route->name, "RoleTokenIssue"));
    }
}

/* A change that is asked for again with its idempotency key is answered, not made again. */
static void every_change_can_be_answered_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < kv_routes_count; i++)
        if (kv_answers_again(kv_routes[i].name) != kv_routes[i].mutates)
            fail_msg("%s: %s", kv_routes[i].name,
                     kv_routes[i].mutates ? "no row in answer_again.c" : "a row in answer_again.c");
}

/* What makes a key, talks to somebody or takes several changes cannot simply run again. */
static void only_one_change_repeats(void **state)
{
    static const char *const never[] = {
        "Create", "Put",    "Purge", "KeyImport", "CertificateImport",
        "Renew",  "Rotate", "Roll",  "Test",      "WebhookSet"
    };

    (void)state;
    for (size_t i = 0; i < kv_routes_count; i++) {
        const kv_route *route = &kv_routes[i];

        assert_true(!route->repeats || (route->mutates && !route->streams));
        for (size_t k = 0; k < KV_COUNT(never) && route->repeats; k++)
            if (strstr(route->name, never[k]))
                fail_msg("%s repeats", route->name);
    }
}

static bool some_role_may(kv_permission permission)
{
    for (int role = KV_ROLE_NONE + 1; role < KV_ROLE_COUNT; role++)
        if (kv_role_may((kv_role)role, permission))
            return true;
    return false;
}

static void every_row_can_be_reached_by_some_role(void **state)
{
    (void)state;
    for (size_t i = 0; i < kv_routes_count; i++)
        if (kv_routes[i].needs != KV_MAY_BE_KNOWN && kv_routes[i].needs != KV_MAY_BE_PROVED &&
            !some_role_may(kv_routes[i].needs))
            fail_msg("no role may %s", kv_routes[i].name);
}

/* What takes private bytes through a call has its memory on the locked heap. */
static void private_bytes_travel_on_the_locked_heap(void **state)
{
    static const char *const secret[] = { "SecretSet",
                                          "SecretGet",
                                          "RoleTokenIssue",
                                          "KeyEncrypt",
                                          "KeyDecrypt",
                                          "KeyWrap",
                                          "KeyUnwrap",
                                          "KeyImport",
                                          "RandomBytesGet",
                                          "CertificateImport",
                                          "CertificateIssuerSet",
                                          "CertificateIssuerUpdate",
                                          "WebhookSet",
                                          "WebhookTest" };

    (void)state;
    for (size_t i = 0; i < kv_routes_count; i++) {
        bool expected = false;

        for (size_t k = 0; k < KV_COUNT(secret); k++)
            expected = expected || !strcmp(kv_routes[i].name, secret[k]);
        assert_int_equal(kv_routes[i].secret, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_has_exactly_one_row),
        cmocka_unit_test(no_row_forgets_anything),
        cmocka_unit_test(every_row_is_spelled_as_the_door_spells_it),
        cmocka_unit_test(only_these_need_no_role),
        cmocka_unit_test(every_row_can_be_reached_by_some_role),
        cmocka_unit_test(every_change_can_be_answered_again),
        cmocka_unit_test(only_one_change_repeats),
        cmocka_unit_test(private_bytes_travel_on_the_locked_heap),
    };

    return cmocka_run_group_tests_name("routes", tests, NULL, NULL);
}
