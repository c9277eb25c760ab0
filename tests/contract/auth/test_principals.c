/* test_principals.c - principals, management certificates and their limits, the first start. */
#include <stdio.h>

#include "tests/contract/auth/auth_fixture.h"

static kv_status create(auth_fixture *fixture, const kv_caller *admin, const char *name,
                        kv_principal_kind kind, kv_principal *out, kv_error *err)
{
    kv_access_work work = fixture_work(fixture, admin);
    kv_principal_new in = { .name = kv_slice_text(name), .kind = kind };

    return kv_access_create_principal(&work, &in, out, err);
}

static kv_status pin(auth_fixture *fixture, const kv_caller *admin, kv_slice principal_id,
                     const char *vault, const made_certificate *certificate, kv_credential *out,
                     kv_error *err)
{
    kv_access_work work = fixture_work(fixture, admin);
    kv_certificate_new in = { .principal_id = principal_id,
                              .vault = kv_slice_text(vault),
                              .certificate = der_of(certificate) };

    return kv_access_add_certificate(&work, &in, out, err);
}

static void makes_finds_renames_and_deletes(void **state)
{
    auth_fixture *fixture = *state;
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_principal made, found;
    kv_principal_update rename = { .has_name = true, .name = KV_SLICE("Billing 2") };
    kv_error err = { 0 };

    assert_kv_ok(create(fixture, &admin, "Billing", KV_PRINCIPAL_SERVICE, &made, &err));
    assert_int_equal(made.id.len, KV_PRINCIPAL_ID_BYTES);
    assert_true(made.enabled);
    assert_kv_ok(kv_access_get_principal(&work, made.id, &found, &err));
    assert_slice_equal(KV_SLICE("Billing"), found.name);
    assert_kv_fails(KV_EXISTS, create(fixture, &admin, "BILLING", KV_PRINCIPAL_USER, &found, &err));
    rename.id = made.id;
    assert_kv_ok(kv_access_update_principal(&work, &rename, &found, &err));
    assert_slice_equal(KV_SLICE("Billing 2"), found.name);
    assert_kv_ok(create(fixture, &admin, "billing", KV_PRINCIPAL_USER, &found, &err));
    rename.name = KV_SLICE("Billing");
    assert_kv_fails(KV_EXISTS, kv_access_update_principal(&work, &rename, &found, &err));
    assert_kv_ok(kv_access_delete_principal(&work, made.id, &err));
    assert_kv_fails(KV_NOT_FOUND, kv_access_get_principal(&work, made.id, &found, &err));
    assert_kv_fails(KV_NOT_FOUND, kv_access_delete_principal(&work, made.id, &err));
}

static void checks_names_and_kinds(void **state)
{
    static const char *const bad[] = { "", " x", "x ", "a\nb", "a\x7f", "\xff" };
    auth_fixture *fixture = *state;
    kv_caller admin = fixture_admin(fixture);
    char longest[KV_ACCESS_NAME_MAX + 2] = { 0 };
    kv_principal out;
    kv_error err = { 0 };

    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        assert_kv_fails(KV_BAD_REQUEST,
                        create(fixture, &admin, bad[i], KV_PRINCIPAL_USER, &out, &err));
        assert_string_equal(err.field, "display_name");
    }
    memset(longest, 'x', KV_ACCESS_NAME_MAX + 1);
    assert_kv_fails(KV_BAD_REQUEST,
                    create(fixture, &admin, longest, KV_PRINCIPAL_USER, &out, &err));
    longest[KV_ACCESS_NAME_MAX] = '\0';
    assert_kv_ok(create(fixture, &admin, longest, KV_PRINCIPAL_USER, &out, &err));
    assert_kv_fails(KV_BAD_REQUEST, create(fixture, &admin, "x", (kv_principal_kind)0, &out, &err));
    assert_string_equal(err.field, "kind");
}

static void lists_by_name_page_by_page(void **state)
{
    auth_fixture *fixture = *state;
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_access_page page = { .size = 2 };
    kv_principal_list list;
    kv_principal out;
    char seen[64] = "";
    kv_error err = { 0 };

    assert_kv_ok(create(fixture, &admin, "c", KV_PRINCIPAL_USER, &out, &err));
    assert_kv_ok(create(fixture, &admin, "A", KV_PRINCIPAL_USER, &out, &err));
    assert_kv_ok(create(fixture, &admin, "b", KV_PRINCIPAL_USER, &out, &err));
    do {
        assert_kv_ok(kv_access_list_principals(&work, &page, &list, &err));
        for (unsigned i = 0; i < list.count; i++)
            snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%.*s,",
                     KV_SLICE_ARG(list.items[i].name));
        page.token = list.next;
    } while (page.token.len > 0);
    assert_string_equal(seen, "A,b,c,Root,");
    page.size = KV_ACCESS_PAGE_MAX + 1;
    assert_kv_fails(KV_BAD_REQUEST, kv_access_list_principals(&work, &page, &list, &err));
    assert_string_equal(err.field, "page_size");
}

static void too_much_to_delete_at_once_is_said(void **state)
{
    auth_fixture *fixture = *state;
    kv_principal app = fixture_principal(fixture, "App", NULL);
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_assignment last = { 0 };
    char scope[32];
    kv_error err = { 0 };

    for (unsigned i = 0; i < 7; i++) {
        snprintf(scope, sizeof(scope), "/vaults/v%u", i);
        last = fixture_assign(fixture, app.id, KV_ROLE_READER, scope);
    }
    assert_kv_fails(KV_PRECONDITION, kv_access_delete_principal(&work, app.id, &err));
    assert_kv_ok(kv_access_remove_assignment(&work, last.id, &err));
    assert_kv_ok(kv_access_delete_principal(&work, app.id, &err));
}

/* --- management certificates --- */

static void a_management_certificate_counts_in_its_vault(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *certificate = fixture_self_signed("ops");
    made_certificate *other = fixture_self_signed("ops 2");
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_assignment_new in = { .role = KV_ROLE_CERTIFICATE_OFFICER, .scope = KV_SLICE("/vaults/V") };
    kv_principal ops, found;
    kv_assignment assignment;
    kv_credential credential;
    kv_caller caller;
    kv_error err = { 0 };

    assert_kv_ok(create(fixture, &admin, "Ops", KV_PRINCIPAL_MANAGEMENT, &ops, &err));
    in.principal_id = ops.id;
    /* No vault is known before the first certificate. */
    assert_kv_fails(KV_PRECONDITION, kv_access_assign_role(&work, &in, &assignment, &err));
    assert_kv_fails(KV_PRECONDITION,
                    pin(fixture, &admin, ops.id, "", certificate, &credential, &err));
    assert_kv_ok(pin(fixture, &admin, ops.id, "V", certificate, &credential, &err));
    assert_slice_equal(KV_SLICE("v"), credential.vault);
    assert_slice_equal(kv_slice_of(certificate->sha256, 32), credential.certificate_sha256);
    assert_slice_equal(fixture->admin_principal.id, credential.registered_by);
    assert_kv_ok(kv_access_get_principal(&work, ops.id, &found, &err));
    assert_slice_equal(KV_SLICE("v"), found.home_vault);
    assert_kv_fails(KV_PRECONDITION, pin(fixture, &admin, ops.id, "w", other, &credential, &err));
    assert_kv_ok(kv_access_assign_role(&work, &in, &assignment, &err));
    in.scope = KV_SLICE("/vaults/w");
    assert_kv_fails(KV_PRECONDITION, kv_access_assign_role(&work, &in, &assignment, &err));
    in.scope = KV_SLICE("/");
    assert_kv_fails(KV_PRECONDITION, kv_access_assign_role(&work, &in, &assignment, &err));

    assert_kv_ok(fixture_sign_in(fixture, certificate, KV_ROLE_CERTIFICATE_OFFICER, "/vaults/v",
                                 NULL, &caller, &err));
    assert_slice_equal(KV_SLICE("v"), caller.home_vault);
    assert_kv_ok(fixture_permit(fixture, &caller, KV_MAY_CERTIFICATES_CREATE, "v",
                                KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_kv_fails(KV_DENIED, fixture_permit(fixture, &caller, KV_MAY_CERTIFICATES_CREATE, "w",
                                              KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_kv_ok(kv_access_remove_credential(&work, credential.id, &err));
    assert_kv_fails(KV_UNAUTHENTICATED,
                    fixture_identify(fixture, certificate, KV_SLICE_NONE, &caller, &err));
    free_certificate(certificate);
    free_certificate(other);
}

static void refuses_certificates_that_cannot_be_used(void **state)
{
    auth_fixture *fixture = *state;
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    made_certificate *old = make_certificate(&(certificate_shape){
        .name = "old", .from_s = FIXTURE_NOW_S - 100, .until_s = FIXTURE_NOW_S - 2 });
    kv_principal app = fixture_principal(fixture, "App", NULL);
    kv_certificate_new in = { .principal_id = app.id, .certificate = KV_SLICE("nonsense") };
    uint8_t *longer = kv_arena_alloc(&fixture->arena, old->len + 1);
    kv_credential credential;
    kv_error err = { 0 };

    assert_kv_fails(KV_PRECONDITION, pin(fixture, &admin, app.id, "", old, &credential, &err));
    assert_int_equal(err.reason, KV_REASON_CERTIFICATE_EXPIRED);
    assert_kv_fails(KV_BAD_REQUEST, kv_access_add_certificate(&work, &in, &credential, &err));
    assert_string_equal(err.field, "certificate");
    /* One byte after the end is not the same certificate. */
    memcpy(longer, old->der, old->len);
    in.certificate = kv_slice_of(longer, old->len + 1);
    assert_kv_fails(KV_BAD_REQUEST, kv_access_add_certificate(&work, &in, &credential, &err));
    in.certificate = der_of(fixture->admin);
    assert_kv_fails(KV_EXISTS, kv_access_add_certificate(&work, &in, &credential, &err));
    in.vault = KV_SLICE("v/keys");
    assert_kv_fails(KV_BAD_REQUEST, kv_access_add_certificate(&work, &in, &credential, &err));
    assert_string_equal(err.field, "vault");
    in.vault = KV_SLICE("v");
    assert_kv_fails(KV_PRECONDITION, kv_access_add_certificate(&work, &in, &credential, &err));
    free_certificate(old);
}

static void an_expired_management_certificate_is_refused(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *certificate = fixture_self_signed("ops");
    kv_caller admin = fixture_admin(fixture);
    kv_credential credential;
    kv_principal ops;
    kv_caller caller;
    kv_error err = { 0 };

    assert_kv_ok(create(fixture, &admin, "Ops", KV_PRINCIPAL_MANAGEMENT, &ops, &err));
    assert_kv_ok(pin(fixture, &admin, ops.id, "v", certificate, &credential, &err));
    assert_kv_ok(fixture_identify(fixture, certificate, KV_SLICE_NONE, &caller, &err));
    fixture->now_ms = (FIXTURE_NOW_S + 86401) * 1000;
    assert_kv_fails(KV_UNAUTHENTICATED,
                    fixture_identify(fixture, certificate, KV_SLICE_NONE, &caller, &err));
    assert_int_equal(err.reason, KV_REASON_CERTIFICATE_EXPIRED);
    free_certificate(certificate);
}

static made_certificate *second_administrator(auth_fixture *fixture, kv_caller *out)
{
    made_certificate *certificate = fixture_self_signed("second");
    kv_principal second = fixture_principal(fixture, "Second", certificate);
    kv_error err = { 0 };

    (void)fixture_assign(fixture, second.id, KV_ROLE_ACCESS_ADMINISTRATOR, "/");
    assert_kv_ok(
        fixture_sign_in(fixture, certificate, KV_ROLE_ACCESS_ADMINISTRATOR, "/", NULL, out, &err));
    return certificate;
}

/* 60 certificates in each of the vaults `vault` and the like, by one administrator. */
static kv_credential fill(auth_fixture *fixture, const kv_caller *admin, const char *name,
                          const char *vault, unsigned count)
{
    kv_credential credential = { 0 };
    kv_principal ops;
    kv_error err = { 0 };

    assert_kv_ok(create(fixture, admin, name, KV_PRINCIPAL_MANAGEMENT, &ops, &err));
    for (unsigned i = 0; i < count; i++) {
        made_certificate *certificate = fixture_self_signed("ops");

        assert_kv_ok(pin(fixture, admin, ops.id, vault, certificate, &credential, &err));
        free_certificate(certificate);
    }
    return credential;
}

static void limits_management_certificates(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *one_more = fixture_self_signed("one more");
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_caller second;
    made_certificate *certificate = second_administrator(fixture, &second);
    kv_credential last, credential;
    kv_principal ops;
    kv_error err = { 0 };

    /* The administrator's hundred: 60 in v, 40 in w. */
    last = fill(fixture, &admin, "V ops", "v", 60);
    (void)fill(fixture, &admin, "W ops", "w", 40);
    assert_kv_ok(create(fixture, &admin, "V ops 2", KV_PRINCIPAL_MANAGEMENT, &ops, &err));
    assert_kv_fails(KV_PRECONDITION,
                    pin(fixture, &admin, ops.id, "v", one_more, &credential, &err));
    assert_int_equal(err.reason, KV_REASON_LIMIT_REACHED);
    assert_non_null(strstr(err.message, "another administrator can go on"));
    /* A co-administrator goes on, to the vault's hundred. */
    (void)fill(fixture, &second, "V ops 3", "v", 40);
    assert_kv_fails(KV_PRECONDITION,
                    pin(fixture, &second, ops.id, "v", one_more, &credential, &err));
    assert_int_equal(err.reason, KV_REASON_LIMIT_REACHED);
    assert_non_null(strstr(err.message, "the vault has 100"));
    /* What is removed makes room, for both. */
    assert_kv_ok(kv_access_remove_credential(&work, last.id, &err));
    assert_kv_ok(pin(fixture, &admin, ops.id, "v", one_more, &credential, &err));
    free_certificate(one_more);
    free_certificate(certificate);
}

static void lists_the_certificates_of_a_vault(void **state)
{
    auth_fixture *fixture = *state;
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_access_page page = { .size = 2 };
    kv_credential_list list;
    unsigned seen = 0;
    kv_error err = { 0 };

    (void)fill(fixture, &admin, "V ops", "v", 3);
    (void)fill(fixture, &admin, "V ops 2", "v", 2);
    (void)fill(fixture, &admin, "W ops", "w", 1);
    do {
        assert_kv_ok(
            kv_access_list_credentials(&work, KV_SLICE_NONE, KV_SLICE("V"), &page, &list, &err));
        for (unsigned i = 0; i < list.count; i++)
            assert_slice_equal(KV_SLICE("v"), list.items[i].vault);
        seen += list.count;
        page.token = list.next;
    } while (page.token.len > 0);
    assert_int_equal(seen, 5);
}

/* --- first start --- */

static void starts_once(void **state)
{
    auth_fixture *fixture = *state;
    kv_principal out;
    kv_error err = { 0 };

    assert_kv_fails(KV_PRECONDITION,
                    kv_auth_bootstrap(fixture->records, (kv_commit){ fixture_commit, fixture },
                                      der_of(fixture->admin), KV_SLICE("Again"), fixture->now_ms,
                                      &fixture->arena, &out, &err));
}

/* What was made is there, with its seals, after a restart. */
static void survives_a_restart(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *certificate = fixture_client(fixture, "app", "URI:urn:app");
    kv_principal app = fixture_principal(fixture, "App", certificate);
    kv_error err = { 0 };
    kv_caller caller;

    (void)fixture_assign(fixture, app.id, KV_ROLE_CRYPTO_USER, "/vaults/v");
    assert_kv_ok(auth_fixture_reopen(fixture, &err));
    assert_kv_ok(fixture_sign_in(fixture, certificate, KV_ROLE_CRYPTO_USER, "/vaults/v", NULL,
                                 &caller, &err));
    assert_slice_equal(app.id, kv_slice_of(caller.principal_id, 16));
    free_certificate(certificate);
}

/* --- role tokens --- */

static void checks_a_token_request(void **state)
{
    static const kv_role twice[] = { KV_ROLE_READER, KV_ROLE_READER };
    auth_fixture *fixture = *state;
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_role role = KV_ROLE_ACCESS_ADMINISTRATOR;
    kv_token_request request = { .roles = &role, .role_count = 1, .scope = KV_SLICE("/") };
    kv_token_issued issued;
    kv_error err = { 0 };

    request.ttl_ms = KV_ROLE_TOKEN_TTL_MAX_MS;
    assert_kv_ok(kv_access_issue_token(&work, &request, &issued, &err));
    assert_int_equal(issued.expires_ms, fixture->now_ms + KV_ROLE_TOKEN_TTL_MAX_MS);
    request.ttl_ms++;
    assert_kv_fails(KV_BAD_REQUEST, kv_access_issue_token(&work, &request, &issued, &err));
    assert_string_equal(err.field, "ttl_seconds");
    request.ttl_ms = KV_ROLE_TOKEN_TTL_MIN_MS - 1;
    assert_kv_fails(KV_BAD_REQUEST, kv_access_issue_token(&work, &request, &issued, &err));
    request.ttl_ms = 0;
    request.scope = KV_SLICE("");
    assert_kv_fails(KV_BAD_REQUEST, kv_access_issue_token(&work, &request, &issued, &err));
    assert_string_equal(err.field, "scope");
    request.scope = KV_SLICE("/");
    request.role_count = 0;
    assert_kv_fails(KV_BAD_REQUEST, kv_access_issue_token(&work, &request, &issued, &err));
    assert_string_equal(err.field, "roles");
    request.role_count = KV_ROLES_PER_TOKEN + 1;
    assert_kv_fails(KV_BAD_REQUEST, kv_access_issue_token(&work, &request, &issued, &err));
    request.roles = twice;
    request.role_count = 2;
    assert_kv_fails(KV_BAD_REQUEST, kv_access_issue_token(&work, &request, &issued, &err));
    /* Never beyond the certificate's own end. */
    request = (kv_token_request){
        .roles = &role, .role_count = 1, .scope = KV_SLICE("/"), .ttl_ms = KV_ROLE_TOKEN_TTL_MAX_MS
    };
    fixture->now_ms = (FIXTURE_NOW_S + 86400 - 600) * 1000;
    admin = fixture_admin(fixture);
    work = fixture_work(fixture, &admin);
    assert_kv_ok(kv_access_issue_token(&work, &request, &issued, &err));
    assert_int_equal(issued.expires_ms, (FIXTURE_NOW_S + 86401) * 1000);
    test_signer_break(fixture->signer, true);
    assert_kv_fails(KV_UNAVAILABLE, kv_access_issue_token(&work, &request, &issued, &err));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, auth_fixture_setup, auth_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(makes_finds_renames_and_deletes),
        TEST(checks_names_and_kinds),
        TEST(lists_by_name_page_by_page),
        TEST(too_much_to_delete_at_once_is_said),
        TEST(a_management_certificate_counts_in_its_vault),
        TEST(refuses_certificates_that_cannot_be_used),
        TEST(an_expired_management_certificate_is_refused),
        TEST(limits_management_certificates),
        TEST(lists_the_certificates_of_a_vault),
        TEST(starts_once),
        TEST(survives_a_restart),
        TEST(checks_a_token_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
