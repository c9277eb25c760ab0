/* test_vault_deletion.c - deleting, recovering and purging, one by one, by schedule and by the
 * vault.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/contract/vault/acts.h"

enum { DAY_MS = 86400000 };

static int stop(void **state)
{
    house_assert_tidy(*state);
    house_free(*state);
    return 0;
}

static const kv_collection all[] = { KV_COLLECTION_KEYS, KV_COLLECTION_SECRETS,
                                     KV_COLLECTION_CERTIFICATES };

static void make(house *h, kv_collection collection, const char *name)
{
    kv_error err = { 0 };

    if (collection == KV_COLLECTION_KEYS)
        assert_kv_ok(act_make_key(h, name, NULL, &err));
    else if (collection == KV_COLLECTION_SECRETS)
        assert_kv_ok(act_set_secret(h, name, KV_SLICE("value"), NULL, &err));
    else
        assert_kv_ok(act_make_certificate(h, name, "Self", true, NULL, &err));
}

static void every_collection_deletes_recovers_and_purges(void **state)
{
    house *h = *state;
    kv_error err = { 0 };

    for (size_t i = 0; i < KV_COUNT(all); i++) {
        kv_collection of = all[i];

        make(h, of, "x");
        assert_kv_fails(KV_NOT_FOUND, act_purge(h, of, "x", &err));
        assert_kv_fails(KV_NOT_FOUND, act_recover(h, of, "x", &err));
        assert_kv_ok(act_delete(h, of, "X", &err));
        assert_kv_fails(KV_NOT_FOUND, act_delete(h, of, "x", &err));
        assert_int_equal(err.reason, KV_REASON_SOFT_DELETED);
        assert_kv_ok(act_recover(h, of, "x", &err));
        assert_kv_fails(KV_NOT_FOUND, act_recover(h, of, "x", &err));
        assert_kv_ok(act_delete(h, of, "x", &err));
        assert_kv_ok(house_restart(h, &err));
        assert_int_equal(h->reconciled.purges_finished, 0);
        assert_kv_ok(act_purge(h, of, "x", &err));
        assert_kv_fails(KV_NOT_FOUND, act_purge(h, of, "x", &err));
        assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 0);
        assert_int_equal(house_count(h, "SELECT count(*) FROM objects"), 0);
        assert_int_equal(house_count(h, "SELECT (SELECT count(*) FROM key_versions) +"
                                        " (SELECT count(*) FROM secret_versions) +"
                                        " (SELECT count(*) FROM certificate_versions) +"
                                        " (SELECT count(*) FROM policies) +"
                                        " (SELECT count(*) FROM operations)"),
                         0);
        /* The name is free. */
        make(h, of, "x");
        assert_kv_ok(act_delete(h, of, "x", &err));
        assert_kv_ok(act_purge(h, of, "x", &err));
    }
}

static void the_schedule_purges_after_the_retention(void **state)
{
    house *h = *state;
    unsigned purged = 0;
    kv_error err = { 0 };

    for (size_t i = 0; i < KV_COUNT(all); i++) {
        char name[8];

        (void)snprintf(name, sizeof(name), "x%zu", i);
        make(h, all[i], name);
        assert_kv_ok(act_delete(h, all[i], name, &err));
    }
    make(h, KV_COLLECTION_KEYS, "stays");
    h->now_ms += INT64_C(90) * DAY_MS - 1;
    assert_kv_ok(kv_vault_purge_due(h->vault, &purged, &err));
    assert_int_equal(purged, 0);
    h->now_ms += 1;
    assert_kv_ok(kv_vault_purge_due(h->vault, &purged, &err));
    assert_int_equal(purged, 3);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 1);
    assert_kv_ok(act_sign(h, "stays", KV_SLICE_NONE, &err));

    assert_kv_ok(act_delete_vault(h, &err));
    h->now_ms += INT64_C(91) * DAY_MS;
    assert_kv_ok(kv_vault_purge_due(h->vault, &purged, &err));
    assert_int_equal(purged, 1);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 0);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_SYSTEM), 0);
    assert_int_equal(house_count(h, "SELECT count(*) FROM vaults"), 0);
}

/* More than one call's memory could hold, were it all kept until the end. */
static void a_name_with_many_large_versions_goes_in_one_call(void **state)
{
    enum { VERSIONS = 700, VALUE = 25 * 1024 };
    house *h = *state;
    uint8_t *value = calloc(1, VALUE);
    kv_error err = { 0 };

    assert_non_null(value);
    assert_true((size_t)VERSIONS * VALUE > HOUSE_MEMORY);
    for (int i = 0; i < VERSIONS; i++)
        assert_kv_ok(act_set_secret(h, "s", kv_slice_of(value, VALUE), NULL, &err));
    free(value);
    assert_kv_ok(act_delete(h, KV_COLLECTION_SECRETS, "s", &err));
    assert_kv_ok(act_purge(h, KV_COLLECTION_SECRETS, "s", &err));
    assert_int_equal(house_count(h, "SELECT count(*) FROM secret_versions"), 0);
}

static void fill(house *h, unsigned objects)
{
    char name[16];

    for (unsigned i = 0; i < objects; i++) {
        (void)snprintf(name, sizeof(name), "n%u", i);
        make(h,
             i % 10 == 0 ? KV_COLLECTION_CERTIFICATES
                         : (i % 2 ? KV_COLLECTION_KEYS : KV_COLLECTION_SECRETS),
             name);
    }
}

static void a_full_vault_goes_in_one_call(void **state)
{
    enum { OBJECTS = 120 };
    house *h = *state;
    kv_error err = { 0 };

    fill(h, OBJECTS);
    assert_true(house_keys_on_token(h, KV_DUTY_KEYS) > OBJECTS / 2);
    assert_kv_ok(act_delete_vault(h, &err));
    assert_kv_ok(act_purge_vault(h, &err));
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 0);
    assert_int_equal(house_count(h, "SELECT count(*) FROM objects"), 0);
    assert_kv_ok(act_make_vault(h, &err));
    make(h, KV_COLLECTION_KEYS, "n1");
}

/* A purge that a kill interrupts anywhere is finished by the next start. */
static void an_interrupted_purge_of_a_vault_is_finished(void **state)
{
    static const unsigned after[] = { 1, 2, 5, 11, 23 };
    house *h = *state;
    kv_error err = { 0 };

    for (size_t i = 0; i < KV_COUNT(after); i++) {
        fill(h, 12);
        assert_kv_ok(act_delete_vault(h, &err));
        house_die_after(h, after[i], HOUSE_KEYS_STAY);
        assert_kv_fails(KV_UNAVAILABLE, act_purge_vault(h, &err));
        assert_kv_ok(house_restart(h, &err));
        assert_int_equal(h->reconciled.purges_finished, 1);
        house_assert_tidy(h);
        assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 0);
        assert_int_equal(house_count(h, "SELECT count(*) FROM vaults"), 0);
        assert_kv_ok(act_make_vault(h, &err));
    }
}

static void purge_protection_leaves_it_to_time(void **state)
{
    house *h = *state;
    kv_vault_patch_in patch = { .target = { .vault = KV_SLICE(ACT_VAULT) },
                                .has_purge_protection = true,
                                .purge_protection = true };
    kv_vault_bundle bundle;
    unsigned purged = 0;
    kv_error err = { 0 };

    make(h, KV_COLLECTION_KEYS, "x");
    assert_kv_ok(HOUSE_DO(h, kv_vault_patch, &patch, &bundle));
    patch.purge_protection = false;
    assert_kv_fails(KV_PRECONDITION, HOUSE_DO(h, kv_vault_patch, &patch, &bundle));
    assert_kv_ok(act_delete(h, KV_COLLECTION_KEYS, "x", &err));
    assert_kv_fails(KV_PRECONDITION, act_purge(h, KV_COLLECTION_KEYS, "x", &err));
    assert_int_equal(err.reason, KV_REASON_PURGE_PROTECTED);
    assert_kv_ok(act_delete_vault(h, &err));
    assert_kv_fails(KV_PRECONDITION, act_purge_vault(h, &err));
    assert_int_equal(err.reason, KV_REASON_PURGE_PROTECTED);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 1);
    h->now_ms += INT64_C(90) * DAY_MS;
    assert_kv_ok(kv_vault_purge_due(h->vault, &purged, &err));
    assert_true(purged > 0);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 0);
}

int main(void)
{
#define ON(test) cmocka_unit_test_setup_teardown(test, act_start, stop)
    const struct CMUnitTest tests[] = {
        ON(every_collection_deletes_recovers_and_purges),
        ON(the_schedule_purges_after_the_retention),
        ON(a_name_with_many_large_versions_goes_in_one_call),
        ON(a_full_vault_goes_in_one_call),
        ON(an_interrupted_purge_of_a_vault_is_finished),
        ON(purge_protection_leaves_it_to_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
