/* test_short_token.c - a role token by its digest: for its certificate, once it was shown whole,
 * and never for longer or for more than the whole one.
 */
#include "server/store/schema.h"
#include "tests/contract/auth/auth_fixture.h"

/* By both forms, with the same answer. */
static void refused(auth_fixture *fixture, const fixture_app *made, kv_status status,
                    kv_reason reason)
{
    kv_error err;

    assert_kv_fails(status, fixture_sign(fixture, made, made->token, &err));
    assert_int_equal(err.reason, reason);
    assert_kv_fails(status, fixture_sign(fixture, made, made->digest, &err));
    assert_int_equal(err.reason, reason);
}

static void invalid(auth_fixture *fixture, const fixture_app *made, kv_slice credential)
{
    kv_error err;

    assert_kv_fails(KV_UNAUTHENTICATED, fixture_sign(fixture, made, credential, &err));
    assert_int_equal(err.reason, KV_REASON_TOKEN_INVALID);
}

static void stands_for_the_whole_token(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    kv_caller whole, by_digest;
    kv_error err = { 0 };

    assert_kv_ok(fixture_identify(fixture, made.certificate, made.token, &whole, &err));
    assert_kv_ok(fixture_identify(fixture, made.certificate, made.digest, &by_digest, &err));
    assert_true(by_digest.tokened);
    assert_slice_equal(whole.scope, by_digest.scope);
    assert_memory_equal(whole.jti, by_digest.jti, sizeof(whole.jti));
    assert_int_equal(by_digest.expires_ms, whole.expires_ms);
    assert_int_equal(by_digest.role_count, 1);
    assert_kv_ok(fixture_sign(fixture, &made, made.digest, &err));
    free_certificate(made.certificate);
}

static void is_not_known_before_the_whole_one(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    kv_error err = { 0 };

    /* A restart forgets. */
    assert_kv_ok(auth_fixture_reopen(fixture, &err));
    invalid(fixture, &made, made.digest);
    assert_kv_ok(fixture_sign(fixture, &made, made.token, &err));
    assert_kv_ok(fixture_sign(fixture, &made, made.digest, &err));
    free_certificate(made.certificate);
}

static void is_of_no_use_with_another_certificate(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    fixture_app thief = fixture_make_app(fixture, "Thief");

    invalid(fixture, &thief, made.digest);
    /* Not even after the thief has shown the whole one, which was refused. */
    invalid(fixture, &thief, made.token);
    invalid(fixture, &thief, made.digest);
    free_certificate(made.certificate);
    free_certificate(thief.certificate);
}

static void a_token_that_was_refused_is_not_remembered(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    kv_slice forged;
    kv_error err = { 0 };

    assert_kv_ok(kv_arena_copy(&fixture->arena, made.token, &forged, &err));
    ((uint8_t *)(uintptr_t)forged.data)[forged.len / 2] ^= 1;
    invalid(fixture, &made, forged);
    invalid(fixture, &made, fixture_short_form(fixture, forged));
    free_certificate(made.certificate);
}

static void malformed_ones_are_refused(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    static const char *const wrong[] = {
        "~",
        "~~",
        "~AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "~AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "~AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "~AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+",
        "~AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    };

    for (size_t i = 0; i < KV_COUNT(wrong); i++)
        invalid(fixture, &made, kv_slice_text(wrong[i]));
    free_certificate(made.certificate);
}

static void ends_with_the_token(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");

    fixture->now_ms += KV_ROLE_TOKEN_TTL_DEFAULT_MS;
    refused(fixture, &made, KV_UNAUTHENTICATED, KV_REASON_TOKEN_EXPIRED);
    free_certificate(made.certificate);
}

static void is_revoked_with_the_token(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_error err = { 0 };

    assert_kv_ok(
        kv_access_revoke_token(&work, kv_slice_of(made.caller.jti, sizeof(made.caller.jti)), &err));
    refused(fixture, &made, KV_UNAUTHENTICATED, KV_REASON_TOKEN_REVOKED);
    free_certificate(made.certificate);
}

static void ends_with_all_tokens_of_the_principal(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_principal after;
    kv_error err = { 0 };

    assert_kv_ok(kv_access_revoke_all(&work, made.principal.id, &after, &err));
    refused(fixture, &made, KV_UNAUTHENTICATED, KV_REASON_TOKEN_REVOKED);
    free_certificate(made.certificate);
}

static void gives_no_more_than_the_grants_that_are_left(void **state)
{
    auth_fixture *fixture = *state;
    fixture_app made = fixture_make_app(fixture, "App");
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_error err = { 0 };

    assert_kv_ok(kv_access_remove_assignment(&work, made.assignment.id, &err));
    refused(fixture, &made, KV_DENIED, KV_REASON_PERMISSION_MISSING);
    free_certificate(made.certificate);
}

#define SHORT(name) cmocka_unit_test_setup_teardown(name, auth_fixture_setup, auth_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHORT(stands_for_the_whole_token),
        SHORT(is_not_known_before_the_whole_one),
        SHORT(is_of_no_use_with_another_certificate),
        SHORT(a_token_that_was_refused_is_not_remembered),
        SHORT(malformed_ones_are_refused),
        SHORT(ends_with_the_token),
        SHORT(is_revoked_with_the_token),
        SHORT(ends_with_all_tokens_of_the_principal),
        SHORT(gives_no_more_than_the_grants_that_are_left),
    };

    return cmocka_run_group_tests_name("short token", tests, NULL, NULL);
}
