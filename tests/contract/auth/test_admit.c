/* test_admit.c - the gate before the object is loaded: what a certificate's grant reaches. */
#include "server/store/schema.h"
#include "tests/contract/auth/auth_fixture.h"

static void insert(auth_fixture *fixture, const kv_table *table, void *row)
{
    kv_change change = { 0 };
    kv_error err = { 0 };

    assert_kv_ok(kv_change_insert(&change, table, row, &err));
    assert_kv_ok(fixture_commit(fixture, &change, &err));
}

static void insert_object(auth_fixture *fixture, kv_collection collection, const char *name,
                          bool managed)
{
    kv_slice uid = kv_slice_of(kv_arena_alloc(&fixture->arena, 16), 16);
    kv_object_row row = { .vault_uid = KV_SLICE("0123456789abcdef"),
                          .collection = collection,
                          .name = kv_slice_text(name),
                          .uid = uid,
                          .managed = managed };

    memcpy((uint8_t *)uid.data, name, strlen(name));
    ((uint8_t *)uid.data)[15] = (uint8_t)collection;
    insert(fixture, &kv_table_objects, &row);
}

static kv_status admit(auth_fixture *fixture, const kv_caller *caller, kv_permission permission,
                       kv_collection collection, const char *name, kv_error *err)
{
    kv_resource resource = { .vault = KV_SLICE("V"),
                             .collection = collection,
                             .name = kv_slice_text(name) };

    return kv_auth_admit(fixture->auth, caller, permission, &resource, fixture->now_ms,
                         &fixture->arena, err);
}

/* A plain key that only has the name of the certificate is out of its grant's reach. */
static void admits_to_a_certificates_own_key_only(void **state)
{
    auth_fixture *fixture = *state;
    kv_vault_row vault = { .name = KV_SLICE("v"), .uid = KV_SLICE("0123456789abcdef") };
    made_certificate *certificate = fixture_self_signed("web");
    kv_principal principal = fixture_principal(fixture, "Web", certificate);
    kv_error err = { 0 };
    kv_caller caller;

    insert(fixture, &kv_table_vaults, &vault);
    insert_object(fixture, KV_COLLECTION_KEYS, "web", true);
    insert_object(fixture, KV_COLLECTION_KEYS, "plain", false);
    (void)fixture_assign(fixture, principal.id, KV_ROLE_CRYPTO_USER, "/vaults/v/certificates");
    assert_kv_ok(fixture_sign_in(fixture, certificate, KV_ROLE_CRYPTO_USER,
                                 "/vaults/v/certificates", NULL, &caller, &err));
    assert_kv_ok(admit(fixture, &caller, KV_MAY_KEYS_SIGN, KV_COLLECTION_KEYS, "Web", &err));
    assert_kv_fails(KV_DENIED,
                    admit(fixture, &caller, KV_MAY_KEYS_SIGN, KV_COLLECTION_KEYS, "plain", &err));
    assert_int_equal(err.reason, KV_REASON_PERMISSION_MISSING);
    /* What is not there is refused alike. */
    assert_kv_fails(KV_DENIED,
                    admit(fixture, &caller, KV_MAY_KEYS_SIGN, KV_COLLECTION_KEYS, "none", &err));
    assert_string_equal(err.message, "keys/sign is needed on /vaults/V/keys/none");
    assert_kv_fails(KV_DENIED,
                    admit(fixture, &caller, KV_MAY_KEYS_SIGN, KV_COLLECTION_KEYS, "", &err));
    assert_kv_fails(KV_DENIED,
                    admit(fixture, &caller, KV_MAY_KEYS_CREATE, KV_COLLECTION_KEYS, "web", &err));
    /* An edited row gives nothing. */
    fixture_sql(fixture, "UPDATE objects SET managed = 1 WHERE name = 'plain'");
    assert_kv_fails(KV_INTERNAL,
                    admit(fixture, &caller, KV_MAY_KEYS_SIGN, KV_COLLECTION_KEYS, "plain", &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    free_certificate(certificate);
}

static void admits_by_a_grant_on_the_key_itself(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *certificate = fixture_self_signed("app");
    kv_principal principal = fixture_principal(fixture, "App", certificate);
    kv_error err = { 0 };
    kv_caller caller;

    (void)fixture_assign(fixture, principal.id, KV_ROLE_CRYPTO_USER, "/vaults/v");
    assert_kv_ok(fixture_sign_in(fixture, certificate, KV_ROLE_CRYPTO_USER, "/vaults/v", NULL,
                                 &caller, &err));
    /* No row is needed: whether the key is there is not the gate's business. */
    assert_kv_ok(admit(fixture, &caller, KV_MAY_KEYS_SIGN, KV_COLLECTION_KEYS, "any", &err));
    assert_int_equal(err.status, KV_OK);
    fixture->now_ms += KV_ROLE_TOKEN_TTL_DEFAULT_MS;
    assert_kv_fails(KV_UNAUTHENTICATED,
                    admit(fixture, &caller, KV_MAY_KEYS_SIGN, KV_COLLECTION_KEYS, "any", &err));
    free_certificate(certificate);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, auth_fixture_setup, auth_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(admits_to_a_certificates_own_key_only),
        TEST(admits_by_a_grant_on_the_key_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
