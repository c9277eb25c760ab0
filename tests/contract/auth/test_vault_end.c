/* test_vault_end.c - a new vault of an old name inherits nobody. */
#include <stdio.h>

#include "server/store/schema.h"
#include "tests/contract/auth/auth_fixture.h"

enum { STEPS_MOST = 100 };

/* All steps, in an arena each, as the purge does it; how many changes it took. */
static unsigned forget(auth_fixture *fixture, const char *vault)
{
    unsigned before = fixture->commits;
    unsigned steps = 0;
    bool more = true;

    while (more) {
        KV_AUTO(kv_arena) arena = KV_ARENA(1 << 20);
        kv_caller nobody = { 0 };
        kv_access_work work = fixture_work(fixture, &nobody);
        kv_error err = { 0 };

        work.arena = &arena;
        assert_kv_ok(kv_access_forget_vault(&work, kv_slice_text(vault), &more, &err));
        assert_true(++steps <= STEPS_MOST);
    }
    return fixture->commits - before;
}

static unsigned held(auth_fixture *fixture, kv_slice principal_id, const char *scope)
{
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_access_page page = { .size = KV_ACCESS_PAGE_MAX };
    kv_assignment_list list;
    kv_error err = { 0 };

    assert_kv_ok(
        kv_access_list_assignments(&work, principal_id, kv_slice_text(scope), &page, &list, &err));
    return list.count;
}

static kv_status may_get(auth_fixture *fixture, kv_caller *caller, const char *vault, kv_error *err)
{
    return fixture_permit(fixture, caller, KV_MAY_SECRETS_GET, vault, KV_COLLECTION_SECRETS, "s",
                          err);
}

static void grants_of_the_vault_end_and_others_stay(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *certificate = fixture_self_signed("app");
    kv_principal app = fixture_principal(fixture, "App", certificate);
    kv_caller in_old, in_other;
    kv_error err = { 0 };

    (void)fixture_assign(fixture, app.id, KV_ROLE_SECRETS_USER, "/vaults/Old");
    (void)fixture_assign(fixture, app.id, KV_ROLE_READER, "/vaults/old/keys");
    (void)fixture_assign(fixture, app.id, KV_ROLE_READER, "/vaults/old/keys/k");
    (void)fixture_assign(fixture, app.id, KV_ROLE_SECRETS_USER, "/vaults/old-er");
    (void)fixture_assign(fixture, app.id, KV_ROLE_READER, "/");
    assert_kv_ok(fixture_sign_in(fixture, certificate, KV_ROLE_SECRETS_USER, "/vaults/old", NULL,
                                 &in_old, &err));
    assert_kv_ok(fixture_sign_in(fixture, certificate, KV_ROLE_SECRETS_USER, "/vaults/old-er", NULL,
                                 &in_other, &err));
    assert_kv_ok(may_get(fixture, &in_old, "old", &err));

    assert_int_equal(forget(fixture, "old"), 1);

    /* At once, with the role token that was issued before. */
    assert_kv_fails(KV_DENIED, may_get(fixture, &in_old, "old", &err));
    assert_kv_ok(may_get(fixture, &in_other, "old-er", &err));
    assert_int_equal(held(fixture, app.id, "/vaults/old"), 0);
    assert_int_equal(held(fixture, app.id, "/vaults/old-er"), 1);
    assert_int_equal(held(fixture, app.id, "/"), 2);
    /* What is left is still proved by the principal's seal, also to a server that starts. */
    assert_kv_ok(auth_fixture_reopen(fixture, &err));
    assert_int_equal(held(fixture, app.id, "/"), 2);
    assert_int_equal(forget(fixture, "old"), 0);
    free_certificate(certificate);
}

/* More than one change holds; a crash between two steps is a call of forget() less. */
static void many_go_in_steps_that_a_crash_may_part(void **state)
{
    auth_fixture *fixture = *state;
    kv_principal app = fixture_principal(fixture, "App", NULL);
    kv_caller nobody = { 0 };
    kv_access_work work = fixture_work(fixture, &nobody);
    kv_error err = { 0 };
    bool more = false;

    for (int i = 0; i < 20; i++) {
        char scope[64];

        snprintf(scope, sizeof(scope), "/vaults/old/secrets/s%d", i);
        (void)fixture_assign(fixture, app.id, KV_ROLE_SECRETS_USER, scope);
    }
    assert_kv_ok(kv_access_forget_vault(&work, KV_SLICE("old"), &more, &err));
    assert_true(more);
    assert_int_equal(held(fixture, app.id, "/"), 13);
    assert_kv_ok(auth_fixture_reopen(fixture, &err));
    fixture->conflicts = 2;
    assert_int_equal(forget(fixture, "old"), 2 + 2);
    assert_int_equal(held(fixture, app.id, "/"), 0);
}

static kv_principal manager(auth_fixture *fixture, const char *name, const char *vault,
                            made_certificate *const *certificates, unsigned count)
{
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_principal_new in = { .name = kv_slice_text(name), .kind = KV_PRINCIPAL_MANAGEMENT };
    kv_principal principal;
    kv_error err = { 0 };

    assert_kv_ok(kv_access_create_principal(&work, &in, &principal, &err));
    for (unsigned i = 0; i < count; i++) {
        kv_certificate_new pin = { .principal_id = principal.id,
                                   .vault = kv_slice_text(vault),
                                   .certificate = der_of(certificates[i]) };
        kv_credential credential;

        assert_kv_ok(kv_access_add_certificate(&work, &pin, &credential, &err));
    }
    return principal;
}

static unsigned slots(auth_fixture *fixture, const char *owner)
{
    kv_slot_row from = { .owner = kv_slice_text(owner) };
    kv_scan scan = { .table = &kv_table_slots, .prefix = 1, .from = &from, .limit = 100 };
    kv_rows rows;
    kv_error err = { 0 };

    assert_kv_ok(kv_records_scan(fixture->records, &scan, &fixture->arena, &rows, &err));
    return rows.count;
}

static void management_certificates_go_with_their_slots(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *old[3], *other;
    kv_principal ops;
    kv_caller caller;
    kv_error err = { 0 };

    for (unsigned i = 0; i < 3; i++)
        old[i] = fixture_self_signed("ops");
    other = fixture_self_signed("other");
    ops = manager(fixture, "Ops", "old", old, 3);
    (void)manager(fixture, "Other", "other", &other, 1);
    (void)fixture_assign(fixture, ops.id, KV_ROLE_READER, "/vaults/old");
    assert_int_equal(slots(fixture, "vault:old"), 3);
    assert_kv_ok(fixture_identify(fixture, old[2], KV_SLICE_NONE, &caller, &err));

    (void)forget(fixture, "old");

    assert_int_equal(slots(fixture, "vault:old"), 0);
    assert_int_equal(slots(fixture, "vault:other"), 1);
    assert_int_equal(held(fixture, ops.id, "/"), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_kv_fails(KV_UNAUTHENTICATED,
                        fixture_identify(fixture, old[i], KV_SLICE_NONE, &caller, &err));
        free_certificate(old[i]);
    }
    assert_kv_ok(fixture_identify(fixture, other, KV_SLICE_NONE, &caller, &err));
    free_certificate(other);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(grants_of_the_vault_end_and_others_stay, auth_fixture_setup,
                                        auth_fixture_teardown),
        cmocka_unit_test_setup_teardown(many_go_in_steps_that_a_crash_may_part, auth_fixture_setup,
                                        auth_fixture_teardown),
        cmocka_unit_test_setup_teardown(management_certificates_go_with_their_slots,
                                        auth_fixture_setup, auth_fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
