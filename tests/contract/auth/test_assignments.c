/* test_assignments.c - who may hand out what: separation of duty, self-grants, the last
 * administrator, lists. */
#include <stdio.h>

#include "server/auth/policy.h"
#include "tests/contract/auth/auth_fixture.h"

static kv_status assign(auth_fixture *fixture, const kv_caller *caller, kv_slice principal_id,
                        kv_role role, const char *scope, kv_assignment *out, kv_error *err)
{
    kv_access_work work = fixture_work(fixture, caller);
    kv_assignment_new in = { .principal_id = principal_id,
                             .role = role,
                             .scope = kv_slice_text(scope) };

    return kv_access_assign_role(&work, &in, out, err);
}

/* How two scopes can lie to each other, and whether that is an overlap. */
static const struct {
    const char *a;
    const char *b;
    bool overlap;
} relations[] = {
    { "/vaults/v", "/vaults/v", true },
    { "/", "/vaults/v", true },
    { "/vaults/v/keys/k", "/", true },
    { "/vaults/v/certificates", "/vaults/v/secrets", true },
    { "/vaults/v/certificates/k", "/vaults/v/secrets/k", true },
    { "/vaults/v/certificates", "/vaults/v/keys/k", true },
    { "/vaults/v/certificates/k", "/vaults/v/secrets/l", false },
    { "/vaults/v", "/vaults/w", false },
};

/* Each pair of roles with each relation, through the operation itself. One principal is reused: the
 * first assignment is made, the second tried, both removed. */
static void check_pair(auth_fixture *fixture, const kv_caller *admin, kv_slice id, kv_role a,
                       kv_role b)
{
    kv_access_work work = fixture_work(fixture, admin);

    for (size_t i = 0; i < KV_COUNT(relations); i++) {
        kv_assignment first, second;
        kv_error err = { 0 };
        bool refuse = kv_roles_exclude(a, b) && relations[i].overlap;
        kv_status status;

        assert_kv_ok(assign(fixture, admin, id, a, relations[i].a, &first, &err));
        status = assign(fixture, admin, id, b, relations[i].b, &second, &err);
        if (status != (refuse ? KV_DENIED : KV_OK))
            fail_msg("%s on %s, %s on %s: %s", kv_role_name(a), relations[i].a, kv_role_name(b),
                     relations[i].b, kv_status_spelling(status)->name);
        if (refuse) {
            assert_int_equal(err.reason, KV_REASON_SEPARATION_OF_DUTY);
            assert_non_null(strstr(err.message, kv_role_name(a)));
        } else {
            assert_kv_ok(kv_access_remove_assignment(&work, second.id, &err));
        }
        assert_kv_ok(kv_access_remove_assignment(&work, first.id, &err));
    }
}

static void separation_holds_for_pairs_in_every_relation(void **state)
{
    static const kv_role roles[][2] = {
        { KV_ROLE_CERTIFICATE_OFFICER, KV_ROLE_CERTIFICATE_USER },
        { KV_ROLE_SECRETS_USER, KV_ROLE_CERTIFICATE_OFFICER },
        { KV_ROLE_AUDITOR, KV_ROLE_SECRETS_USER },
        { KV_ROLE_CRYPTO_OFFICER, KV_ROLE_CERTIFICATE_OFFICER },
    };
    auth_fixture *fixture = *state;
    kv_principal principal = fixture_principal(fixture, "App", NULL);
    kv_caller admin = fixture_admin(fixture);

    for (size_t i = 0; i < KV_COUNT(roles); i++)
        check_pair(fixture, &admin, principal.id, roles[i][0], roles[i][1]);
}

/* Every ordered pair of roles in one scope. */
static void separation_holds_for_every_pair(void **state)
{
    auth_fixture *fixture = *state;
    kv_principal principal = fixture_principal(fixture, "App", NULL);
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);

    for (unsigned a = KV_ROLE_NONE + 1; a < KV_ROLE_ADMINISTRATOR; a++) {
        kv_assignment first, second;
        kv_error err = { 0 };

        assert_kv_ok(assign(fixture, &admin, principal.id, (kv_role)a, "/vaults/v", &first, &err));
        for (unsigned b = KV_ROLE_NONE + 1; b < KV_ROLE_ADMINISTRATOR; b++) {
            kv_status want = a == b                                     ? KV_EXISTS
                             : kv_roles_exclude((kv_role)a, (kv_role)b) ? KV_DENIED
                                                                        : KV_OK;

            assert_int_equal(
                assign(fixture, &admin, principal.id, (kv_role)b, "/vaults/v", &second, &err),
                want);
            if (want == KV_OK)
                assert_kv_ok(kv_access_remove_assignment(&work, second.id, &err));
        }
        assert_kv_ok(kv_access_remove_assignment(&work, first.id, &err));
    }
}

static void an_ended_assignment_excludes_nothing(void **state)
{
    auth_fixture *fixture = *state;
    kv_principal principal = fixture_principal(fixture, "App", NULL);
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_assignment_new in = { .principal_id = principal.id,
                             .role = KV_ROLE_CRYPTO_OFFICER,
                             .scope = KV_SLICE("/vaults/v"),
                             .ends_ms = fixture->now_ms + 1000 };
    kv_assignment out;
    kv_error err = { 0 };

    assert_kv_ok(kv_access_assign_role(&work, &in, &out, &err));
    assert_kv_fails(KV_DENIED, assign(fixture, &admin, principal.id, KV_ROLE_CRYPTO_USER,
                                      "/vaults/v", &out, &err));
    fixture->now_ms += 1000;
    assert_kv_ok(
        assign(fixture, &admin, principal.id, KV_ROLE_CRYPTO_USER, "/vaults/v", &out, &err));
}

static void nobody_grants_to_themself(void **state)
{
    auth_fixture *fixture = *state;
    kv_caller admin = fixture_admin(fixture);
    kv_assignment out;
    kv_error err = { 0 };

    assert_kv_fails(KV_DENIED, assign(fixture, &admin, fixture->admin_principal.id, KV_ROLE_READER,
                                      "/vaults/v", &out, &err));
    assert_int_equal(err.reason, KV_REASON_SEPARATION_OF_DUTY);
    assert_string_equal(err.message, "nobody grants a role to themself");
}

static void only_an_access_administrator_grants(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *certificate = fixture_self_signed("officer");
    kv_principal officer = fixture_principal(fixture, "Officer", certificate);
    kv_principal app = fixture_principal(fixture, "App", NULL);
    kv_principal_new new_principal = { .name = KV_SLICE("X"), .kind = KV_PRINCIPAL_USER };
    kv_assignment out, granted;
    kv_principal principal;
    kv_caller caller;
    kv_error err = { 0 };
    kv_access_work work;

    granted = fixture_assign(fixture, officer.id, KV_ROLE_CERTIFICATE_OFFICER, "/");
    assert_kv_ok(fixture_sign_in(fixture, certificate, KV_ROLE_CERTIFICATE_OFFICER, "/", NULL,
                                 &caller, &err));
    work = fixture_work(fixture, &caller);
    assert_kv_fails(KV_DENIED, assign(fixture, &caller, app.id, KV_ROLE_READER, "/", &out, &err));
    assert_int_equal(err.reason, KV_REASON_PERMISSION_MISSING);
    assert_kv_fails(KV_DENIED, kv_access_remove_assignment(&work, granted.id, &err));
    assert_kv_fails(KV_DENIED, kv_access_create_principal(&work, &new_principal, &principal, &err));
    assert_kv_fails(KV_DENIED, kv_access_delete_principal(&work, app.id, &err));
    assert_kv_fails(KV_DENIED, kv_access_revoke_all(&work, app.id, &principal, &err));
    assert_kv_fails(KV_DENIED, kv_access_revoke_token(&work, kv_slice_of(caller.jti, 16), &err));
    free_certificate(certificate);
}

/* An access administrator of one vault grants there and nowhere else. */
static void an_administrator_of_a_vault_stays_in_it(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *certificate = fixture_self_signed("local");
    kv_principal local = fixture_principal(fixture, "Local", certificate);
    kv_principal app = fixture_principal(fixture, "App", NULL);
    kv_assignment out;
    kv_caller caller;
    kv_error err = { 0 };

    (void)fixture_assign(fixture, local.id, KV_ROLE_ACCESS_ADMINISTRATOR, "/vaults/v");
    assert_kv_ok(fixture_sign_in(fixture, certificate, KV_ROLE_ACCESS_ADMINISTRATOR, "/vaults/v",
                                 NULL, &caller, &err));
    assert_kv_ok(assign(fixture, &caller, app.id, KV_ROLE_READER, "/vaults/v/keys", &out, &err));
    assert_kv_fails(KV_DENIED,
                    assign(fixture, &caller, app.id, KV_ROLE_READER, "/vaults/w", &out, &err));
    assert_kv_fails(KV_DENIED, assign(fixture, &caller, app.id, KV_ROLE_READER, "/", &out, &err));
    free_certificate(certificate);
}

static void administrator_needs_separation_to_be_off(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *certificate = fixture_self_signed("laptop");
    kv_principal principal = fixture_principal(fixture, "Laptop", certificate);
    kv_caller admin = fixture_admin(fixture);
    kv_assignment out;
    kv_caller caller;
    kv_error err = { 0 };

    assert_kv_fails(KV_DENIED,
                    assign(fixture, &admin, principal.id, KV_ROLE_ADMINISTRATOR, "/", &out, &err));
    assert_int_equal(err.reason, KV_REASON_SEPARATION_OF_DUTY);
    fixture->separation = KV_SEPARATION_OFF;
    assert_kv_ok(auth_fixture_reopen(fixture, &err));
    assert_kv_ok(assign(fixture, &admin, principal.id, KV_ROLE_ADMINISTRATOR, "/", &out, &err));
    assert_kv_ok(assign(fixture, &admin, principal.id, KV_ROLE_CRYPTO_USER, "/", &out, &err));
    assert_kv_ok(assign(fixture, &admin, principal.id, KV_ROLE_CRYPTO_OFFICER, "/", &out, &err));
    assert_kv_ok(
        fixture_sign_in(fixture, certificate, KV_ROLE_ADMINISTRATOR, "/", NULL, &caller, &err));
    assert_kv_ok(
        fixture_permit(fixture, &caller, KV_MAY_KEYS_SIGN, "v", KV_COLLECTION_KEYS, "k", &err));
    /* Back to strict: what was assigned and issued meanwhile does not slip through. */
    fixture->separation = KV_SEPARATION_STRICT;
    assert_kv_ok(auth_fixture_reopen(fixture, &err));
    assert_kv_fails(KV_DENIED, fixture_permit(fixture, &caller, KV_MAY_KEYS_SIGN, "v",
                                              KV_COLLECTION_KEYS, "k", &err));
    assert_kv_fails(KV_DENIED, fixture_sign_in(fixture, certificate, KV_ROLE_ADMINISTRATOR, "/",
                                               NULL, &caller, &err));
    assert_kv_fails(KV_DENIED, fixture_sign_in(fixture, certificate, KV_ROLE_CRYPTO_USER, "/", NULL,
                                               &caller, &err));
    assert_int_equal(err.reason, KV_REASON_SEPARATION_OF_DUTY);
    free_certificate(certificate);
}

/* --- the last administrator --- */

static kv_assignment only_assignment(auth_fixture *fixture, kv_slice principal_id)
{
    kv_access_work work = fixture_work(fixture, NULL);
    kv_access_page page = { 0 };
    kv_assignment_list list;
    kv_error err = { 0 };

    assert_kv_ok(
        kv_access_list_assignments(&work, principal_id, KV_SLICE_NONE, &page, &list, &err));
    assert_int_equal(list.count, 1);
    return list.items[0];
}

static kv_slice only_credential(auth_fixture *fixture, kv_slice principal_id)
{
    kv_access_work work = fixture_work(fixture, NULL);
    kv_access_page page = { 0 };
    kv_credential_list list;
    kv_error err = { 0 };

    assert_kv_ok(
        kv_access_list_credentials(&work, principal_id, KV_SLICE_NONE, &page, &list, &err));
    assert_int_equal(list.count, 1);
    return list.items[0].id;
}

/* Tries all four ways to lose `id` as administrator; each must be refused. */
static void cannot_lose(auth_fixture *fixture, const kv_access_work *work, kv_slice id)
{
    kv_principal_update disable = { .id = id, .has_enabled = true, .enabled = false };
    kv_principal out;
    kv_error err = { 0 };

    assert_kv_fails(KV_PRECONDITION,
                    kv_access_remove_assignment(work, only_assignment(fixture, id).id, &err));
    assert_kv_fails(KV_PRECONDITION,
                    kv_access_remove_credential(work, only_credential(fixture, id), &err));
    assert_kv_fails(KV_PRECONDITION, kv_access_update_principal(work, &disable, &out, &err));
    assert_kv_fails(KV_PRECONDITION, kv_access_delete_principal(work, id, &err));
}

static void the_last_administrator_stays(void **state)
{
    auth_fixture *fixture = *state;
    kv_slice root = fixture->admin_principal.id;
    made_certificate *certificate = fixture_self_signed("second");
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_principal second;
    kv_assignment out, temporary;
    kv_assignment_new in;
    kv_caller caller;
    kv_error err = { 0 };

    cannot_lose(fixture, &work, root);
    /* Neither of these can take over: no certificate, one vault only, an end. */
    second = fixture_principal(fixture, "No certificate", NULL);
    out = fixture_assign(fixture, second.id, KV_ROLE_ACCESS_ADMINISTRATOR, "/");
    cannot_lose(fixture, &work, root);
    assert_kv_ok(kv_access_remove_assignment(&work, out.id, &err));
    second = fixture_principal(fixture, "Second", certificate);
    out = fixture_assign(fixture, second.id, KV_ROLE_ACCESS_ADMINISTRATOR, "/vaults/v");
    cannot_lose(fixture, &work, root);
    in = (kv_assignment_new){ .principal_id = second.id,
                              .role = KV_ROLE_ACCESS_ADMINISTRATOR,
                              .scope = KV_SLICE("/"),
                              .ends_ms = fixture->now_ms + 1000 };
    assert_kv_ok(kv_access_assign_role(&work, &in, &temporary, &err));
    cannot_lose(fixture, &work, root);
    assert_kv_ok(kv_access_remove_assignment(&work, temporary.id, &err));
    assert_kv_ok(kv_access_remove_assignment(&work, out.id, &err));
    /* This one can. */
    out = fixture_assign(fixture, second.id, KV_ROLE_ACCESS_ADMINISTRATOR, "/");
    assert_kv_ok(fixture_sign_in(fixture, certificate, KV_ROLE_ACCESS_ADMINISTRATOR, "/", NULL,
                                 &caller, &err));
    assert_kv_ok(kv_access_remove_assignment(&work, only_assignment(fixture, root).id, &err));
    work = fixture_work(fixture, &caller);
    cannot_lose(fixture, &work, second.id);
    free_certificate(certificate);
}

/* --- lists --- */

static void lists_page_by_page(void **state)
{
    auth_fixture *fixture = *state;
    kv_access_work work = fixture_work(fixture, NULL);
    kv_access_page page = { .size = 3 };
    kv_assignment_list list;
    unsigned seen = 0;
    kv_error err = { 0 };

    for (unsigned i = 0; i < 4; i++) {
        char name[16];
        kv_principal principal;

        snprintf(name, sizeof(name), "app %u", i);
        principal = fixture_principal(fixture, name, NULL);
        (void)fixture_assign(fixture, principal.id, KV_ROLE_READER, "/vaults/v");
        (void)fixture_assign(fixture, principal.id, KV_ROLE_CRYPTO_USER, "/vaults/v/keys");
    }
    do {
        assert_kv_ok(kv_access_list_assignments(&work, KV_SLICE_NONE, KV_SLICE("/vaults/v"), &page,
                                                &list, &err));
        assert_true(list.count <= 3);
        seen += list.count;
        page.token = list.next;
    } while (page.token.len > 0);
    assert_int_equal(seen, 8);
    page = (kv_access_page){ 0 };
    assert_kv_ok(kv_access_list_assignments(&work, KV_SLICE_NONE, KV_SLICE("/vaults/v/keys"), &page,
                                            &list, &err));
    assert_int_equal(list.count, 4);
    assert_int_equal(list.items[0].role, KV_ROLE_CRYPTO_USER);
    assert_slice_equal(fixture->admin_principal.id, list.items[0].created_by);
    assert_kv_ok(
        kv_access_list_assignments(&work, KV_SLICE_NONE, KV_SLICE_NONE, &page, &list, &err));
    assert_int_equal(list.count, 9);
    page.token = KV_SLICE("short");
    assert_kv_fails(KV_BAD_REQUEST, kv_access_list_assignments(&work, KV_SLICE_NONE, KV_SLICE_NONE,
                                                               &page, &list, &err));
    assert_string_equal(err.field, "page_token");
}

static void checks_a_request(void **state)
{
    auth_fixture *fixture = *state;
    kv_principal app = fixture_principal(fixture, "App", NULL);
    kv_caller admin = fixture_admin(fixture);
    uint8_t nobody[16] = { 0 };
    kv_assignment out;
    kv_error err = { 0 };

    assert_kv_fails(KV_BAD_REQUEST, assign(fixture, &admin, app.id, KV_ROLE_NONE, "/", &out, &err));
    assert_string_equal(err.field, "role");
    assert_kv_fails(KV_BAD_REQUEST,
                    assign(fixture, &admin, app.id, KV_ROLE_READER, "/vaults", &out, &err));
    assert_string_equal(err.field, "scope");
    assert_kv_fails(KV_BAD_REQUEST,
                    assign(fixture, &admin, KV_SLICE("x"), KV_ROLE_READER, "/", &out, &err));
    assert_string_equal(err.field, "principal_id");
    assert_kv_fails(KV_NOT_FOUND, assign(fixture, &admin, kv_slice_of(nobody, 16), KV_ROLE_READER,
                                         "/", &out, &err));
    assert_kv_ok(assign(fixture, &admin, app.id, KV_ROLE_READER, "/Vaults/V", &out, &err));
    assert_slice_equal(KV_SLICE("/vaults/v"), out.scope);
    assert_kv_fails(KV_EXISTS,
                    assign(fixture, &admin, app.id, KV_ROLE_READER, "/vaults/v", &out, &err));
}

static void gives_up_after_five_conflicts(void **state)
{
    auth_fixture *fixture = *state;
    kv_principal app = fixture_principal(fixture, "App", NULL);
    kv_caller admin = fixture_admin(fixture);
    kv_assignment out;
    kv_error err = { 0 };

    fixture->conflicts = 4;
    assert_kv_ok(assign(fixture, &admin, app.id, KV_ROLE_READER, "/", &out, &err));
    fixture->commits = 0;
    fixture->conflicts = 100;
    assert_kv_fails(KV_CONFLICT,
                    assign(fixture, &admin, app.id, KV_ROLE_CRYPTO_USER, "/", &out, &err));
    assert_int_equal(fixture->commits, 5);
}

static void limits_what_a_principal_holds(void **state)
{
    auth_fixture *fixture = *state;
    kv_principal app = fixture_principal(fixture, "App", NULL);
    kv_caller admin = fixture_admin(fixture);
    kv_assignment out;
    kv_error err = { 0 };
    char scope[32];

    for (unsigned i = 0; i < KV_ASSIGNMENTS_PER_PRINCIPAL; i++) {
        snprintf(scope, sizeof(scope), "/vaults/v%u", i);
        assert_kv_ok(assign(fixture, &admin, app.id, KV_ROLE_READER, scope, &out, &err));
    }
    assert_kv_fails(KV_PRECONDITION,
                    assign(fixture, &admin, app.id, KV_ROLE_READER, "/vaults/w", &out, &err));
    assert_int_equal(err.reason, KV_REASON_LIMIT_REACHED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, auth_fixture_setup, auth_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(separation_holds_for_pairs_in_every_relation),
        TEST(separation_holds_for_every_pair),
        TEST(an_ended_assignment_excludes_nothing),
        TEST(nobody_grants_to_themself),
        TEST(only_an_access_administrator_grants),
        TEST(an_administrator_of_a_vault_stays_in_it),
        TEST(administrator_needs_separation_to_be_off),
        TEST(the_last_administrator_stays),
        TEST(lists_page_by_page),
        TEST(checks_a_request),
        TEST(gives_up_after_five_conflicts),
        TEST(limits_what_a_principal_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
