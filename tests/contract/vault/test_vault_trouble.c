/* test_vault_trouble.c - what is not the fault of a certificate keeps it from its renewal for a
 * while at most.
 */
#include <stdio.h>

#include "tests/contract/vault/acts.h"

#define DAY INT64_C(86400000)

enum { STEPS_MAX = 2000 };

static house *start(void)
{
    house *h = house_new(false);
    kv_error err = { 0 };

    assert_kv_ok(act_make_vault(h, &err));
    return h;
}

static unsigned versions(house *h)
{
    return house_count(h, "SELECT count(*) FROM certificate_versions");
}

/* As the server's thread does, until that moment. */
static kv_status live_until(house *h, int64_t until, kv_error *err)
{
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        int64_t next = 0;

        KV_TRY(kv_vault_step_renewal(h->vault, &next, err));
        if (!next || next > until) {
            atomic_store(&h->now_ms, until);
            return KV_OK;
        }
        if (next > atomic_load(&h->now_ms))
            atomic_store(&h->now_ms, next);
    }
    return kv_fail(err, KV_INTERNAL, "there is no end of steps");
}

static void the_store_goes_away(house *h, void *context)
{
    (void)context;
    atomic_store(&h->dead, true);
}

/* Neither the version nor the failure could be stored, and nobody starts the server again. */
static void an_operation_that_could_not_even_fail_is_not_for_ever(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_certificate(h, "c", "Self", false, NULL, &err));
    house_meanwhile(h, &kv_table_certificate_versions, 1, the_store_goes_away, NULL);
    assert_kv_fails(KV_UNAVAILABLE, live_until(h, HOUSE_NOW_MS + 311 * DAY, &err));
    atomic_store(&h->dead, false);
    assert_int_equal(house_count(h, "SELECT count(*) FROM operations WHERE state = 'working'"), 1);
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 312 * DAY, &err));
    assert_int_equal(versions(h), 2);
    /* The key that was of no use goes with the next start. */
    assert_kv_ok(house_restart(h, &err));
    house_assert_tidy(h);
    house_free(h);
}

/* Vaults with tags, more than a step has memory for, and ours is the last by its name. */
static void there_may_be_any_number_of_vaults(void **state)
{
    enum { ROWS = 100, CHANGES = 12, TAGS = 8000 };
    static char tags[TAGS + 1];
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_certificate(h, "c", "Self", false, NULL, &err));
    memset(tags, ' ', TAGS);
    for (unsigned i = 0; i < CHANGES; i++) {
        KV_AUTO(kv_arena) arena = KV_ARENA(1 << 20);
        static kv_vault_row rows[ROWS];
        static char names[ROWS][16];
        kv_change change = { 0 };

        assert_kv_ok(kv_change_room(&change, &arena, ROWS, &err));
        for (unsigned k = 0; k < ROWS; k++) {
            (void)snprintf(names[k], sizeof(names[k]), "other-%02u-%03u", i, k);
            rows[k] = (kv_vault_row){ .name = kv_slice_text(names[k]),
                                      .uid = kv_slice_of(names[k], KV_PRINCIPAL_ID_BYTES),
                                      .display_name = kv_slice_text(names[k]),
                                      .tags = kv_slice_of(tags, TAGS) };
            assert_kv_ok(kv_change_insert(&change, &kv_table_vaults, &rows[k], &err));
        }
        assert_kv_ok(kv_records_seal(h->records, &change, &arena, &err));
        assert_kv_ok(kv_records_apply(h->records, &change, NULL, &err));
    }
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 311 * DAY, &err));
    assert_int_equal(versions(h), 2);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operation_that_could_not_even_fail_is_not_for_ever),
        cmocka_unit_test(there_may_be_any_number_of_vaults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
