/* test_grants_tamper.c - whoever edits the database gets a refusal, not a role. */
#include <unistd.h>

#include "tests/contract/auth/auth_fixture.h"

typedef struct scene {
    made_certificate *certificate;
    kv_principal app;
    kv_principal other;
    kv_caller caller;
} scene;

/* An app that reads keys in v, another principal, both with a role. */
static scene set_scene(auth_fixture *fixture)
{
    scene made = { .certificate = fixture_self_signed("app") };
    kv_error err = { 0 };

    made.app = fixture_principal(fixture, "App", made.certificate);
    made.other = fixture_principal(fixture, "Other", NULL);
    (void)fixture_assign(fixture, made.app.id, KV_ROLE_CERTIFICATE_READER, "/vaults/v");
    (void)fixture_assign(fixture, made.other.id, KV_ROLE_CRYPTO_USER, "/vaults/w");
    assert_kv_ok(fixture_sign_in(fixture, made.certificate, KV_ROLE_CERTIFICATE_READER, "/vaults/v",
                                 NULL, &made.caller, &err));
    return made;
}

#define APP "(SELECT id FROM principals WHERE name = 'App')"

static const char *const edits[] = {
    "UPDATE assignments SET role = 'crypto-user' WHERE principal_id = " APP,
    "UPDATE assignments SET scope = '/' WHERE principal_id = " APP,
    "UPDATE assignments SET ends_at = 1 WHERE principal_id = " APP,
    "UPDATE assignments SET created = created + 1 WHERE principal_id = " APP,
    "UPDATE assignments SET created_by = x'00' WHERE principal_id = " APP,
    "UPDATE assignments SET id = x'00000000000000000000000000000001' WHERE principal_id = " APP,
    "DELETE FROM assignments WHERE principal_id = " APP,
    /* Somebody else's role, moved. */
    "UPDATE assignments SET principal_id = " APP " WHERE principal_id <> " APP
    " AND role = 'crypto-user'",
    "UPDATE principals SET epoch = epoch + 1 WHERE name = 'App'",
    "UPDATE principals SET disabled = 1 WHERE name = 'App'",
    "UPDATE principals SET name = 'Apple' WHERE name = 'App'",
    "UPDATE principals SET home_vault = 'v' WHERE name = 'App'",
    "UPDATE principals SET grants_digest = x'00' WHERE name = 'App'",
    "UPDATE principals SET generation = generation + 1 WHERE name = 'App'",
    "UPDATE credentials SET not_after = 0 WHERE principal_id = " APP,
    "UPDATE credentials SET match = 'sha256:00' WHERE principal_id = " APP,
    "UPDATE credentials SET principal_id = (SELECT id FROM principals WHERE name = 'Other')"
    " WHERE principal_id = " APP,
    "DELETE FROM credentials WHERE principal_id = " APP,
};

/* An edit under a running server gives nothing; the next change of the principal sees it, and so
 * does the next start. */
static void check_edit(const char *edit)
{
    void *state;
    auth_fixture *fixture;
    kv_principal out;
    kv_caller admin;
    kv_access_work work;
    kv_error err = { 0 };
    scene made;

    assert_int_equal(auth_fixture_setup(&state), 0);
    fixture = state;
    made = set_scene(fixture);
    admin = fixture_admin(fixture);
    work = fixture_work(fixture, &admin);
    fixture_sql(fixture, edit);

    assert_kv_ok(fixture_permit(fixture, &made.caller, KV_MAY_KEYS_READ, "v", KV_COLLECTION_KEYS,
                                "k", &err));
    assert_kv_fails(KV_DENIED, fixture_permit(fixture, &made.caller, KV_MAY_KEYS_SIGN, "v",
                                              KV_COLLECTION_KEYS, "k", &err));
    if (kv_access_revoke_all(&work, made.app.id, &out, &err) != KV_INTERNAL ||
        err.reason != KV_REASON_INTEGRITY)
        fail_msg("%s: a change is made on edited rows", edit);
    if (auth_fixture_reopen(fixture, &err) != KV_INTERNAL || err.reason != KV_REASON_INTEGRITY)
        fail_msg("%s: the server starts with edited rows", edit);
    free_certificate(made.certificate);
    assert_int_equal(auth_fixture_teardown(&state), 0);
}

static void every_edit_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(edits); i++)
        check_edit(edits[i]);
}

/* A row that was true once: its seal still holds, the principal's digest does not. */
static void a_removed_credential_cannot_be_put_back(void **state)
{
    auth_fixture *fixture = *state;
    scene made = set_scene(fixture);
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_access_page page = { 0 };
    kv_credential_list list;
    kv_error err = { 0 };

    fixture_sql(fixture, "CREATE TABLE saved AS SELECT * FROM credentials;"
                         "UPDATE saved SET created = created");
    assert_kv_ok(kv_access_list_credentials(&work, made.app.id, KV_SLICE_NONE, &page, &list, &err));
    assert_kv_ok(kv_access_remove_credential(&work, list.items[0].id, &err));
    assert_kv_ok(auth_fixture_reopen(fixture, &err));
    fixture_sql(fixture, "INSERT OR IGNORE INTO credentials SELECT * FROM saved");
    assert_kv_fails(KV_INTERNAL, auth_fixture_reopen(fixture, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    free_certificate(made.certificate);
}

static void a_removed_assignment_cannot_be_put_back(void **state)
{
    auth_fixture *fixture = *state;
    scene made = set_scene(fixture);
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_access_page page = { 0 };
    kv_assignment_list list;
    kv_error err = { 0 };

    fixture_sql(fixture, "CREATE TABLE saved AS SELECT * FROM assignments;"
                         "UPDATE saved SET created = created");
    assert_kv_ok(kv_access_list_assignments(&work, made.app.id, KV_SLICE_NONE, &page, &list, &err));
    assert_kv_ok(kv_access_remove_assignment(&work, list.items[0].id, &err));
    assert_kv_ok(auth_fixture_reopen(fixture, &err));
    fixture_sql(fixture, "INSERT OR IGNORE INTO assignments SELECT * FROM saved");
    assert_kv_fails(KV_INTERNAL, auth_fixture_reopen(fixture, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    free_certificate(made.certificate);
}

/* Edited in the instant of a change: the principal is refused, others are not, and it comes back
 * when its rows are what they were. */
static void a_principal_whose_rows_break_is_refused_until_they_hold(void **state)
{
    auth_fixture *fixture = *state;
    scene made = set_scene(fixture);
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_principal_update rename = { .id = made.app.id, .has_name = true, .name = KV_SLICE("App2") };
    kv_principal out;
    kv_caller caller;
    kv_error err = { 0 };

    fixture->sabotage =
        "UPDATE assignments SET role = 'crypto-user' WHERE role = 'certificate-reader'";
    assert_kv_ok(kv_access_update_principal(&work, &rename, &out, &err));
    assert_kv_fails(KV_INTERNAL, fixture_permit(fixture, &made.caller, KV_MAY_KEYS_READ, "v",
                                                KV_COLLECTION_KEYS, "k", &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    assert_kv_fails(KV_INTERNAL,
                    fixture_identify(fixture, made.certificate, KV_SLICE_NONE, &caller, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    assert_kv_ok(
        fixture_permit(fixture, &admin, KV_MAY_ACCESS_READ, "", KV_COLLECTION_NONE, "", &err));
    fixture_sql(fixture, "UPDATE assignments SET role = 'certificate-reader'"
                         " WHERE principal_id = (SELECT id FROM principals WHERE name = 'App2')");
    (void)usleep(1100 * 1000);
    /* This call still finds it broken, and has it read again. */
    assert_kv_fails(KV_INTERNAL,
                    fixture_identify(fixture, made.certificate, KV_SLICE_NONE, &caller, &err));
    assert_kv_ok(fixture_identify(fixture, made.certificate, KV_SLICE_NONE, &caller, &err));
    assert_kv_ok(fixture_permit(fixture, &made.caller, KV_MAY_KEYS_READ, "v", KV_COLLECTION_KEYS,
                                "k", &err));
    free_certificate(made.certificate);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, auth_fixture_setup, auth_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_edit_is_refused),
        TEST(a_removed_credential_cannot_be_put_back),
        TEST(a_removed_assignment_cannot_be_put_back),
        TEST(a_principal_whose_rows_break_is_refused_until_they_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
