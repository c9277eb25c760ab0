/* test_permit.c - the rule: token, grants, epoch, revocation, scope, all at every call. */
#include <stdio.h>

#include "server/auth/policy.h"
#include "server/store/schema.h"
#include "tests/contract/auth/auth_fixture.h"

static kv_status sign(auth_fixture *fixture, const fixture_app *made, kv_error *err)
{
    return fixture_sign(fixture, made, made->token, err);
}

static void allows_what_the_role_may(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    kv_error err = { 0 };
    kv_slice roles;

    assert_kv_ok(sign(fixture, &made, &err));
    assert_true(made.caller.tokened);
    assert_slice_equal(KV_SLICE("/vaults/v"), made.caller.scope);
    assert_kv_ok(kv_caller_roles_text(&made.caller, &fixture->arena, &roles, &err));
    assert_slice_equal(KV_SLICE("crypto-user"), roles);
    assert_kv_fails(KV_DENIED, fixture_permit(fixture, &made.caller, KV_MAY_KEYS_CREATE, "v",
                                              KV_COLLECTION_KEYS, "k", &err));
    assert_int_equal(err.reason, KV_REASON_PERMISSION_MISSING);
    assert_string_equal(err.message, "keys/create is needed on /vaults/v/keys/k");
    assert_kv_fails(KV_DENIED, fixture_permit(fixture, &made.caller, KV_MAY_KEYS_SIGN, "w",
                                              KV_COLLECTION_KEYS, "k", &err));
    assert_kv_fails(KV_DENIED, fixture_permit(fixture, &made.caller, KV_MAY_KEYS_SIGN, "",
                                              KV_COLLECTION_NONE, "", &err));
    assert_kv_fails(KV_DENIED, fixture_permit(fixture, &made.caller, KV_MAY_NOTHING, "v",
                                              KV_COLLECTION_NONE, "", &err));
    free_certificate(made.certificate);
}

/* Every role, signed in, against every permission: gate and table agree. */
static void every_role_at_the_gate(void **state)
{
    auth_fixture *fixture = *state;

    for (unsigned role = KV_ROLE_NONE + 1; role < KV_ROLE_ADMINISTRATOR; role++) {
        made_certificate *certificate = fixture_self_signed("someone");
        char name[16];
        kv_error err = { 0 };
        kv_principal principal;
        kv_caller caller;

        snprintf(name, sizeof(name), "role %u", role);
        principal = fixture_principal(fixture, name, certificate);
        (void)fixture_assign(fixture, principal.id, (kv_role)role, "/vaults/v");
        assert_kv_ok(
            fixture_sign_in(fixture, certificate, (kv_role)role, "/vaults/v", NULL, &caller, &err));
        for (unsigned i = KV_MAY_BE_KNOWN + 1; i < KV_PERMISSION_COUNT; i++) {
            kv_status want = kv_role_may((kv_role)role, (kv_permission)i) ? KV_OK : KV_DENIED;

            assert_int_equal(fixture_permit(fixture, &caller, (kv_permission)i, "v",
                                            KV_COLLECTION_NONE, "", &err),
                             want);
            assert_int_equal(fixture_permit(fixture, &caller, (kv_permission)i, "w",
                                            KV_COLLECTION_NONE, "", &err),
                             KV_DENIED);
        }
        free_certificate(certificate);
    }
}

static void a_managed_secret_comes_with_its_certificate(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *certificate = fixture_self_signed("web");
    kv_principal principal = fixture_principal(fixture, "Web", certificate);
    kv_resource secret = { .vault = KV_SLICE("v"),
                           .collection = KV_COLLECTION_SECRETS,
                           .name = KV_SLICE("web"),
                           .managed = true };
    kv_error err = { 0 };
    kv_caller caller;

    (void)fixture_assign(fixture, principal.id, KV_ROLE_CERTIFICATE_USER,
                         "/vaults/v/certificates/web");
    assert_kv_ok(fixture_sign_in(fixture, certificate, KV_ROLE_CERTIFICATE_USER,
                                 "/vaults/v/certificates/web", NULL, &caller, &err));
    assert_kv_ok(kv_auth_permit(fixture->auth, &caller, KV_MAY_SECRETS_GET_MANAGED, &secret,
                                fixture->now_ms, &err));
    assert_kv_ok(kv_auth_permit(fixture->auth, &caller, KV_MAY_SECRETS_GET_ANY, &secret,
                                fixture->now_ms, &err));
    assert_kv_fails(KV_DENIED, kv_auth_permit(fixture->auth, &caller, KV_MAY_SECRETS_GET, &secret,
                                              fixture->now_ms, &err));
    secret.managed = false;
    assert_kv_fails(KV_DENIED, kv_auth_permit(fixture->auth, &caller, KV_MAY_SECRETS_GET_MANAGED,
                                              &secret, fixture->now_ms, &err));
    secret.managed = true;
    secret.name = KV_SLICE("other");
    assert_kv_fails(KV_DENIED, kv_auth_permit(fixture->auth, &caller, KV_MAY_SECRETS_GET_MANAGED,
                                              &secret, fixture->now_ms, &err));
    free_certificate(certificate);
}

static void needs_a_role_token(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    kv_resource server = { 0 };
    kv_caller nobody = { 0 };
    kv_error err = { 0 };
    kv_caller bare;

    assert_kv_ok(fixture_identify(fixture, made.certificate, KV_SLICE_NONE, &bare, &err));
    assert_kv_ok(
        kv_auth_permit(fixture->auth, &bare, KV_MAY_BE_KNOWN, &server, fixture->now_ms, &err));
    assert_kv_fails(KV_UNAUTHENTICATED, fixture_permit(fixture, &bare, KV_MAY_KEYS_SIGN, "v",
                                                       KV_COLLECTION_KEYS, "k", &err));
    assert_int_equal(err.reason, KV_REASON_TOKEN_INVALID);
    assert_kv_fails(KV_UNAUTHENTICATED, kv_auth_permit(fixture->auth, &nobody, KV_MAY_BE_KNOWN,
                                                       &server, fixture->now_ms, &err));
    assert_kv_ok(
        kv_auth_permit(fixture->auth, &nobody, KV_MAY_BE_ANYONE, &server, fixture->now_ms, &err));
    free_certificate(made.certificate);
}

static void another_certificate_cannot_use_it(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    fixture_app thief = fixture_make_app(fixture, "Thief");
    made_certificate *second = fixture_self_signed("App");
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_certificate_new pin = { .principal_id = made.principal.id, .certificate = der_of(second) };
    kv_credential credential;
    kv_error err = { 0 };
    kv_caller caller;

    assert_kv_fails(KV_UNAUTHENTICATED,
                    fixture_identify(fixture, thief.certificate, made.token, &caller, &err));
    assert_int_equal(err.reason, KV_REASON_TOKEN_INVALID);
    assert_true(caller.known); /* and the record can say who tried */
    assert_false(caller.tokened);
    /* Not even another certificate of the same principal. */
    assert_kv_ok(kv_access_add_certificate(&work, &pin, &credential, &err));
    assert_kv_fails(KV_UNAUTHENTICATED,
                    fixture_identify(fixture, second, made.token, &caller, &err));
    free_certificate(made.certificate);
    free_certificate(thief.certificate);
    free_certificate(second);
}

static void ends_in_time(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    kv_error err = { 0 };

    fixture->now_ms += KV_ROLE_TOKEN_TTL_DEFAULT_MS - 1;
    assert_kv_ok(sign(fixture, &made, &err));
    fixture->now_ms += 1;
    assert_kv_fails(KV_UNAUTHENTICATED, sign(fixture, &made, &err));
    assert_int_equal(err.reason, KV_REASON_TOKEN_EXPIRED);
    /* A stream that began in time is stopped too. */
    assert_kv_fails(KV_UNAUTHENTICATED, fixture_permit(fixture, &made.caller, KV_MAY_KEYS_SIGN, "v",
                                                       KV_COLLECTION_KEYS, "k", &err));
    assert_int_equal(err.reason, KV_REASON_TOKEN_EXPIRED);
    fixture->now_ms = FIXTURE_NOW_S * 1000 - 1;
    assert_kv_fails(KV_UNAUTHENTICATED, sign(fixture, &made, &err));
    assert_int_equal(err.reason, KV_REASON_TOKEN_INVALID);
    free_certificate(made.certificate);
}

/* Both on the very next call, and in the middle of a stream. */
static void refused(auth_fixture *fixture, const fixture_app *made, kv_status status,
                    kv_reason reason)
{
    kv_error err = { 0 };

    assert_kv_fails(status, sign(fixture, made, &err));
    assert_int_equal(err.reason, reason);
    assert_kv_fails(status, fixture_permit(fixture, &made->caller, KV_MAY_KEYS_SIGN, "v",
                                           KV_COLLECTION_KEYS, "k", &err));
    assert_int_equal(err.reason, reason);
}

static void a_removed_assignment_is_gone_at_once(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    fixture_app other = fixture_make_app(fixture, "Other");
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_error err = { 0 };

    assert_kv_ok(sign(fixture, &made, &err));
    assert_kv_ok(kv_access_remove_assignment(&work, made.assignment.id, &err));
    refused(fixture, &made, KV_DENIED, KV_REASON_PERMISSION_MISSING);
    assert_kv_ok(sign(fixture, &other, &err));
    assert_kv_fails(KV_NOT_FOUND, kv_access_remove_assignment(&work, made.assignment.id, &err));
    free_certificate(made.certificate);
    free_certificate(other.certificate);
}

static void a_revoked_token_is_gone_at_once(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_slice jti = kv_slice_of(made.caller.jti, sizeof(made.caller.jti));
    kv_error err = { 0 };
    fixture_app again = made;

    assert_kv_ok(kv_access_revoke_token(&work, jti, &err));
    refused(fixture, &made, KV_UNAUTHENTICATED, KV_REASON_TOKEN_REVOKED);
    assert_kv_ok(kv_access_revoke_token(&work, jti, &err)); /* twice is fine */
    /* Other tokens of the principal are not touched. */
    assert_kv_ok(fixture_sign_in(fixture, made.certificate, KV_ROLE_CRYPTO_USER, "/vaults/v",
                                 &again.token, &again.caller, &err));
    assert_kv_ok(sign(fixture, &again, &err));
    /* It stays so after a restart. */
    assert_kv_ok(auth_fixture_reopen(fixture, &err));
    refused(fixture, &made, KV_UNAUTHENTICATED, KV_REASON_TOKEN_REVOKED);
    assert_kv_ok(sign(fixture, &again, &err));
    free_certificate(made.certificate);
}

static void old_revocations_are_forgotten(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_revocation_row row = { .jti = kv_slice_of(made.caller.jti, sizeof(made.caller.jti)) };
    uint8_t other[16] = { 9 };
    kv_error err = { 0 };

    assert_kv_ok(kv_access_revoke_token(&work, row.jti, &err));
    assert_kv_ok(
        kv_records_get(fixture->records, &kv_table_revocations, &row, &fixture->arena, &err));
    fixture->now_ms += KV_ROLE_TOKEN_TTL_MAX_MS + 1;
    admin = fixture_admin(fixture);
    work = fixture_work(fixture, &admin);
    assert_kv_ok(kv_access_revoke_token(&work, kv_slice_of(other, sizeof(other)), &err));
    assert_kv_fails(KV_NOT_FOUND, kv_records_get(fixture->records, &kv_table_revocations, &row,
                                                 &fixture->arena, &err));
    free_certificate(made.certificate);
}

static void all_tokens_of_a_principal_end_at_once(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_principal after;
    kv_error err = { 0 };

    assert_kv_ok(kv_access_revoke_all(&work, made.principal.id, &after, &err));
    assert_int_equal(after.epoch, made.principal.epoch + 1);
    refused(fixture, &made, KV_UNAUTHENTICATED, KV_REASON_TOKEN_REVOKED);
    assert_kv_ok(fixture_sign_in(fixture, made.certificate, KV_ROLE_CRYPTO_USER, "/vaults/v",
                                 &made.token, &made.caller, &err));
    assert_kv_ok(sign(fixture, &made, &err));
    free_certificate(made.certificate);
}

static void a_removed_certificate_is_unknown_at_once(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_access_page page = { 0 };
    kv_credential_list list;
    kv_error err = { 0 };

    assert_kv_ok(
        kv_access_list_credentials(&work, made.principal.id, KV_SLICE_NONE, &page, &list, &err));
    assert_int_equal(list.count, 1);
    assert_kv_ok(kv_access_remove_credential(&work, list.items[0].id, &err));
    refused(fixture, &made, KV_UNAUTHENTICATED, KV_REASON_CERTIFICATE_UNKNOWN);
    free_certificate(made.certificate);
}

static void a_disabled_principal_is_refused_at_once(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_principal_update change = { .id = made.principal.id, .has_enabled = true };
    kv_principal after;
    kv_error err = { 0 };

    assert_kv_ok(kv_access_update_principal(&work, &change, &after, &err));
    assert_false(after.enabled);
    refused(fixture, &made, KV_DENIED, KV_REASON_DISABLED);
    change.enabled = true;
    assert_kv_ok(kv_access_update_principal(&work, &change, &after, &err));
    /* What was issued before does not come back to life. */
    refused(fixture, &made, KV_UNAUTHENTICATED, KV_REASON_TOKEN_REVOKED);
    free_certificate(made.certificate);
}

static void a_deleted_principal_is_unknown_at_once(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_error err = { 0 };

    assert_kv_ok(kv_access_delete_principal(&work, made.principal.id, &err));
    refused(fixture, &made, KV_UNAUTHENTICATED, KV_REASON_CERTIFICATE_UNKNOWN);
    free_certificate(made.certificate);
}

static void an_assignment_ends_on_its_date(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *certificate = fixture_self_signed("temp");
    kv_principal principal = fixture_principal(fixture, "Temp", certificate);
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_assignment_new in = { .principal_id = principal.id,
                             .role = KV_ROLE_CRYPTO_USER,
                             .scope = KV_SLICE("/vaults/v"),
                             .ends_ms = fixture->now_ms + 5000 };
    kv_assignment assignment;
    kv_error err = { 0 };
    kv_caller caller;

    assert_kv_ok(kv_access_assign_role(&work, &in, &assignment, &err));
    assert_kv_ok(fixture_sign_in(fixture, certificate, KV_ROLE_CRYPTO_USER, "/vaults/v", NULL,
                                 &caller, &err));
    fixture->now_ms += 4999;
    assert_kv_ok(
        fixture_permit(fixture, &caller, KV_MAY_KEYS_SIGN, "v", KV_COLLECTION_KEYS, "k", &err));
    fixture->now_ms += 1;
    assert_kv_fails(KV_DENIED, fixture_permit(fixture, &caller, KV_MAY_KEYS_SIGN, "v",
                                              KV_COLLECTION_KEYS, "k", &err));
    assert_kv_fails(KV_DENIED, fixture_sign_in(fixture, certificate, KV_ROLE_CRYPTO_USER,
                                               "/vaults/v", NULL, &caller, &err));
    in.ends_ms = fixture->now_ms;
    work = fixture_work(fixture, &admin);
    assert_kv_fails(KV_BAD_REQUEST, kv_access_assign_role(&work, &in, &assignment, &err));
    assert_string_equal(err.field, "expires");
    free_certificate(certificate);
}

/* A token cannot do more than its scope, though the principal could. */
static void the_scope_of_the_token_binds(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    kv_error err = { 0 };
    kv_caller narrow;

    assert_kv_ok(fixture_sign_in(fixture, made.certificate, KV_ROLE_CRYPTO_USER, "/vaults/v/keys/k",
                                 NULL, &narrow, &err));
    assert_kv_ok(
        fixture_permit(fixture, &narrow, KV_MAY_KEYS_SIGN, "v", KV_COLLECTION_KEYS, "k", &err));
    assert_kv_fails(KV_DENIED, fixture_permit(fixture, &narrow, KV_MAY_KEYS_SIGN, "v",
                                              KV_COLLECTION_KEYS, "l", &err));
    assert_kv_fails(KV_DENIED, fixture_sign_in(fixture, made.certificate, KV_ROLE_CRYPTO_USER, "/",
                                               NULL, &narrow, &err));
    assert_kv_fails(KV_DENIED, fixture_sign_in(fixture, made.certificate, KV_ROLE_CRYPTO_USER,
                                               "/vaults/w", NULL, &narrow, &err));
    assert_kv_fails(KV_DENIED, fixture_sign_in(fixture, made.certificate, KV_ROLE_CRYPTO_OFFICER,
                                               "/vaults/v", NULL, &narrow, &err));
    free_certificate(made.certificate);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, auth_fixture_setup, auth_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(allows_what_the_role_may),
        TEST(every_role_at_the_gate),
        TEST(a_managed_secret_comes_with_its_certificate),
        TEST(needs_a_role_token),
        TEST(another_certificate_cannot_use_it),
        TEST(ends_in_time),
        TEST(a_removed_assignment_is_gone_at_once),
        TEST(a_revoked_token_is_gone_at_once),
        TEST(old_revocations_are_forgotten),
        TEST(all_tokens_of_a_principal_end_at_once),
        TEST(a_removed_certificate_is_unknown_at_once),
        TEST(a_disabled_principal_is_refused_at_once),
        TEST(a_deleted_principal_is_unknown_at_once),
        TEST(an_assignment_ends_on_its_date),
        TEST(the_scope_of_the_token_binds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
