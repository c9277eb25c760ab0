/* test_vault_purge.c - a vault goes with all that is in it and all that was granted in it, whenever
 * the server dies or stops meanwhile.
 */
#include <pthread.h>
#include <stdio.h>

#include "server/vault/access.h"
#include "server/vault/objects.h"
#include "tests/contract/vault/house.h"

enum { GRANTS = 10, KEYS = 3, CHANGES_MAX = 200, RACES = 10 };

static kv_target in_shop(kv_collection collection, const char *name)
{
    return (kv_target){ .vault = KV_SLICE("Shop"),
                        .collection = collection,
                        .name = kv_slice_text(name) };
}

/* The access administrator with a role token, as dispatch would have found them out. */
static kv_caller administrator(house *h)
{
    kv_role role = KV_ROLE_ACCESS_ADMINISTRATOR;
    kv_role_token_issue_in in = { .request = {
                                      .roles = &role, .role_count = 1, .scope = KV_SLICE("/") } };
    kv_role_token_bundle token;
    house_job job;
    kv_caller caller;
    kv_error err = { 0 };

    house_begin(h, &job);
    assert_kv_ok(kv_auth_identify(h->auth, h->admin->sha256, der_of(h->admin), KV_SLICE_NONE,
                                  h->now_ms, &h->arena, &job.caller, &err));
    assert_kv_ok(kv_role_token_issue(h->vault, &job.work, &in, &token, &err));
    assert_kv_ok(kv_auth_identify(h->auth, h->admin->sha256, der_of(h->admin), token.issued.token,
                                  h->now_ms, &h->arena, &caller, &err));
    house_end(h, &job, KV_OK);
    return caller;
}

static void grant(house *h, const kv_caller *admin, kv_slice principal_id, const char *scope)
{
    kv_role_assign_in in = { .assignment = { .principal_id = principal_id,
                                             .role = KV_ROLE_READER,
                                             .scope = kv_slice_text(scope) } };
    kv_assigned made;
    house_job job;
    kv_error err = { 0 };

    house_begin(h, &job);
    job.caller = *admin;
    assert_kv_ok(kv_role_assign(h->vault, &job.work, &in, &made, &err));
    house_end(h, &job, KV_OK);
}

static kv_slice make_principal(house *h, const kv_caller *admin, const char *name)
{
    kv_principal_create_in in = { .principal = { .name = kv_slice_text(name),
                                                 .kind = KV_PRINCIPAL_SERVICE } };
    kv_principal made;
    kv_slice id;
    house_job job;
    kv_error err = { 0 };

    house_begin(h, &job);
    job.caller = *admin;
    assert_kv_ok(kv_principal_create(h->vault, &job.work, &in, &made, &err));
    house_end(h, &job, KV_OK);
    assert_kv_ok(kv_arena_copy(&h->arena, made.id, &id, &err));
    return id;
}

static void fill_shop(house *h)
{
    kv_vault_put_in put = { .target = in_shop(KV_COLLECTION_NONE, "") };
    kv_vault_bundle vault;
    kv_secret_set_in set = { .target = in_shop(KV_COLLECTION_SECRETS, "s"),
                             .value = KV_SLICE("value") };
    kv_secret_bundle secret;
    kv_error err = { 0 };

    assert_kv_ok(HOUSE_DO(h, kv_vault_put, &put, &vault));
    assert_kv_ok(HOUSE_DO(h, kv_secret_set, &set, &secret));
    for (unsigned i = 0; i < KEYS; i++) {
        char name[8];
        kv_key_create_in create = { .kty = KV_KEY_TYPE_EC };
        kv_key_bundle key;

        (void)snprintf(name, sizeof(name), "k%u", i);
        create.target = in_shop(KV_COLLECTION_KEYS, name);
        assert_kv_ok(HOUSE_DO(h, kv_key_create, &create, &key));
    }
}

static void delete_shop(house *h)
{
    kv_vault_delete_in in = { .target = in_shop(KV_COLLECTION_NONE, "") };
    kv_vault_bundle out;
    kv_error err = { 0 };

    assert_kv_ok(HOUSE_DO(h, kv_vault_delete, &in, &out));
}

static kv_status purge_shop(house *h, kv_error *err_out)
{
    kv_vault_purge_in in = { .target = in_shop(KV_COLLECTION_NONE, "") };
    kv_nothing_out out;
    kv_error err = { 0 };
    kv_status status = HOUSE_DO(h, kv_vault_purge, &in, &out);

    *err_out = err;
    return status;
}

static void assert_gone(house *h)
{
    house_assert_tidy(h);
    assert_int_equal(house_count(h, "SELECT count(*) FROM vaults"), 0);
    assert_int_equal(house_count(h, "SELECT count(*) FROM objects"), 0);
    assert_int_equal(
        house_count(h, "SELECT count(*) FROM token_objects WHERE length(owner_uid) > 0"), 0);
    assert_int_equal(house_count(h, "SELECT count(*) FROM key_uses"), 0);
    assert_int_equal(
        house_count(h, "SELECT count(*) FROM assignments WHERE scope || '/' LIKE '/vaults/shop/%'"),
        0);
    assert_int_equal(
        house_count(h, "SELECT count(*) FROM assignments WHERE scope = '/vaults/shopping'"), 1);
}

static void dies_after_every_change_and_goes_on(void **state)
{
    house *h = house_new(false);
    kv_caller admin = administrator(h);
    kv_slice app = make_principal(h, &admin, "app");
    bool died = true;

    (void)state;
    grant(h, &admin, app, "/vaults/shopping");
    for (unsigned n = 1; died; n++) {
        kv_error err = { 0 };

        assert_true(n < CHANGES_MAX);
        fill_shop(h);
        admin = administrator(h);
        for (unsigned i = 0; i < GRANTS; i++) {
            char scope[48];

            (void)snprintf(scope, sizeof(scope), "/vaults/Shop/keys/k%u", i);
            grant(h, &admin, app, scope);
        }
        delete_shop(h);
        house_die_after(h, n, HOUSE_KEYS_STAY);
        (void)purge_shop(h, &err);
        died = atomic_load(&h->dead);
        atomic_store(&h->dies_in, 0);
        assert_kv_ok(house_restart(h, &err));
        if (house_count(h, "SELECT count(*) FROM vaults"))
            fail_msg("after %u changes the purge was not finished", n);
        assert_gone(h);
    }
    house_free(h);
}

static void stops_with_the_server_and_goes_on(void **state)
{
    house *h = house_new(false);
    kv_caller admin = administrator(h);
    unsigned purged = 0;
    kv_error err = { 0 };

    (void)state;
    grant(h, &admin, make_principal(h, &admin, "app"), "/vaults/shopping");
    fill_shop(h);
    delete_shop(h);
    assert_false(kv_vault_owes_purge(h->vault));
    kv_vault_stop(h->vault);
    assert_kv_fails(KV_CANCELLED, purge_shop(h, &err));
    assert_true(kv_vault_owes_purge(h->vault));
    assert_kv_fails(KV_CANCELLED, kv_vault_purge_due(h->vault, &purged, &err));
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), KEYS);
    assert_kv_ok(house_restart(h, &err));
    assert_false(kv_vault_owes_purge(h->vault));
    assert_gone(h);
    house_free(h);
}

/* Who stores the first version of an object just after the vault was marked takes it back. */
static void a_key_made_under_the_purge_goes_again(void **state)
{
    house *h = house_new(false);
    kv_caller admin = administrator(h);
    kv_target target = in_shop(KV_COLLECTION_KEYS, "k1");
    kv_vault_row vault_row;
    kv_object_row object;
    house_job job;
    kv_error err = { 0 };

    (void)state;
    grant(h, &admin, make_principal(h, &admin, "app"), "/vaults/shopping");
    fill_shop(h);
    house_begin(h, &job);
    assert_kv_ok(kv_find_object(h->vault, &job.work, &target, &vault_row, &object, &err));
    assert_kv_ok(kv_object_keep(h->vault, &job.work, &vault_row, &object, &err));
    delete_shop(h);
    /* A deleted vault keeps what is in it. */
    assert_kv_ok(kv_object_keep(h->vault, &job.work, &vault_row, &object, &err));
    kv_vault_stop(h->vault);
    assert_kv_fails(KV_CANCELLED, purge_shop(h, &err));
    assert_kv_fails(KV_NOT_FOUND, kv_object_keep(h->vault, &job.work, &vault_row, &object, &err));
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), KEYS - 1);
    house_end(h, &job, KV_OK);
    assert_kv_ok(house_restart(h, &err));
    assert_gone(h);
    house_free(h);
}

typedef struct schedule {
    kv_vault *vault;
    atomic_bool stop;
    kv_status failed;
} schedule;

static void *keep_purging(void *context)
{
    schedule *of = context;

    while (!atomic_load(&of->stop)) {
        unsigned purged = 0;
        kv_error err = { 0 };
        kv_status status = kv_vault_purge_due(of->vault, &purged, &err);

        if (status != KV_OK)
            of->failed = status;
    }
    return NULL;
}

/* The schedule finishes what it finds marked, also what somebody waits for just now. */
static void a_caller_and_the_schedule_may_purge_the_same(void **state)
{
    house *h = house_new(false);
    kv_caller admin = administrator(h);
    kv_slice app = make_principal(h, &admin, "app");
    kv_key_purge_in one = { .target = in_shop(KV_COLLECTION_KEYS, "k0") };
    schedule of = { .vault = h->vault };
    kv_status status = KV_OK;
    kv_error err = { 0 };
    pthread_t thread;

    (void)state;
    grant(h, &admin, app, "/vaults/shopping");
    assert_int_equal(pthread_create(&thread, NULL, keep_purging, &of), 0);
    for (unsigned round = 0; round < RACES && status == KV_OK; round++) {
        kv_key_delete_in in = { .target = one.target };
        kv_key_bundle gone;
        kv_nothing_out nothing;

        fill_shop(h);
        grant(h, &admin, app, "/vaults/Shop/keys/k1");
        assert_kv_ok(HOUSE_DO(h, kv_key_delete, &in, &gone));
        status = HOUSE_DO(h, kv_key_purge, &one, &nothing);
        delete_shop(h);
        if (status == KV_OK)
            status = purge_shop(h, &err);
    }
    atomic_store(&of.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_kv_ok(status);
    assert_int_equal(of.failed, KV_OK);
    assert_gone(h);
    house_free(h);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(dies_after_every_change_and_goes_on),
        cmocka_unit_test(stops_with_the_server_and_goes_on),
        cmocka_unit_test(a_key_made_under_the_purge_goes_again),
        cmocka_unit_test(a_caller_and_the_schedule_may_purge_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
