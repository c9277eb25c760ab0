/* test_vault_trouble.c - what is not the fault of a certificate keeps it from its renewal for a
 * while at most.
 */
#include <stdio.h>

#include "server/vault/errands.h"
#include "server/vault/vault_impl.h"
#include "tests/contract/vault/scripted_issuer.h"

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

/* Nor is it in the way of whoever wants the certificate gone, and no start makes it after that. */
static void what_it_was_for_can_be_deleted(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_certificate(h, "c", "Self", false, NULL, &err));
    house_meanwhile(h, &kv_table_certificate_versions, 1, the_store_goes_away, NULL);
    assert_kv_fails(KV_UNAVAILABLE, act_renew(h, "c", NULL, &err));
    atomic_store(&h->dead, false);
    assert_kv_fails(KV_PRECONDITION, act_delete(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    atomic_fetch_add(&h->now_ms, DAY);
    assert_kv_ok(act_delete(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_kv_ok(house_restart(h, &err));
    assert_int_equal(versions(h), 1);
    assert_int_equal(house_count(h, "SELECT count(*) FROM operations WHERE state = 'failed'"), 1);
    house_assert_tidy(h);
    assert_kv_ok(act_recover(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_kv_ok(act_renew(h, "c", NULL, &err));
    assert_int_equal(versions(h), 2);
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

/* Orders of one issuer; `chain`: bytes that each brings along. */
typedef struct orders {
    const char *issuer;
    unsigned count;
    int64_t next_at;
    size_t chain;
} orders;

static void insert_orders(house *h, unsigned number, const orders *of)
{
    enum { ROWS = 40, CHAIN = 16384 };
    static const uint8_t chain[CHAIN];
    static kv_operation_row rows[ROWS];
    static char uids[ROWS][32];
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 20);
    kv_change change = { 0 };
    kv_error err = { 0 };

    assert_true(of->count <= ROWS && of->chain <= CHAIN);
    assert_kv_ok(kv_change_room(&change, &arena, ROWS, &err));
    for (unsigned i = 0; i < of->count; i++) {
        (void)snprintf(uids[i], sizeof(uids[i]), "%05u row %05u", number, i);
        rows[i] = (kv_operation_row){ .object_uid = kv_slice_of(uids[i], KV_PRINCIPAL_ID_BYTES),
                                      .vault_uid = KV_SLICE("\0the first vault"),
                                      .state = KV_SLICE("pending"),
                                      .issuer = kv_slice_text(of->issuer),
                                      .issuer_lower = kv_slice_text(of->issuer),
                                      .next_at = of->next_at,
                                      .chain = kv_slice_of(chain, of->chain) };
        assert_kv_ok(kv_change_insert(&change, &kv_table_operations, &rows[i], &err));
    }
    assert_kv_ok(kv_records_seal(h->records, &change, &arena, &err));
    assert_kv_ok(kv_records_apply(h->records, &change, NULL, &err));
}

/* One has more orders than may be with it, and all others, more than a step has memory for, wait:
 * the last one's turn comes all the same. */
static void there_may_be_any_number_of_issuers(void **state)
{
    enum { ISSUERS = 100, EACH = 8, CROWD = 40 };
    house *h = start();
    kv_errand errand = { .vault_uid = KV_SLICE("\0the first vault"),
                         .issuer = KV_SLICE("full"),
                         .until_ms = INT64_MAX };
    int64_t next_at = 0;
    char name[16];
    kv_error err = { 0 };

    (void)state;
    scripted_join(h);
    assert_kv_ok(act_make_certificate(h, "c", "Scripted", false, NULL, &err));
    insert_orders(h, ISSUERS, &(orders){ "full", CROWD, 1000, 0 });
    errand.object_uid = KV_SLICE("one");
    assert_in_range(kv_errand_begin(h->vault->errands, &errand, 0), 0, KV_ERRANDS_MAX);
    errand.object_uid = KV_SLICE("two");
    assert_in_range(kv_errand_begin(h->vault->errands, &errand, 0), 0, KV_ERRANDS_MAX);
    for (unsigned i = 0; i < ISSUERS; i++) {
        (void)snprintf(name, sizeof(name), "issuer-%03u", i);
        insert_orders(h, i, &(orders){ name, EACH, HOUSE_NOW_MS + DAY, 12000 });
    }
    assert_kv_ok(kv_vault_step_operation(h->vault, &next_at, &err));
    assert_int_equal(scripted.submits, 1);
    house_free(h);
}

/* Nor when none of them can be had, as all places are taken. */
static void any_number_of_issuers_may_have_to_wait(void **state)
{
    enum { ISSUERS = 330, EACH = 8, NAME = 3000 };
    static char name[NAME + 1];
    house *h = start();
    int64_t next_at = 0;
    char digits[16];
    kv_error err = { 0 };

    (void)state;
    memset(name, 'x', NAME);
    for (unsigned i = 0; i < KV_ERRANDS_MAX; i++) {
        (void)snprintf(digits, sizeof(digits), "%03u", i);
        assert_true(kv_errand_begin(
                        h->vault->errands,
                        &(kv_errand){ .object_uid = kv_slice_text(digits), .until_ms = INT64_MAX },
                        0) >= 0);
    }
    for (unsigned i = 0; i < ISSUERS; i++) {
        (void)snprintf(digits, sizeof(digits), "%03u", i);
        memcpy(name, digits, 3);
        insert_orders(h, i, &(orders){ name, EACH, 1000, 0 });
    }
    assert_kv_ok(kv_vault_step_operation(h->vault, &next_at, &err));
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operation_that_could_not_even_fail_is_not_for_ever),
        cmocka_unit_test(what_it_was_for_can_be_deleted),
        cmocka_unit_test(there_may_be_any_number_of_vaults),
        cmocka_unit_test(there_may_be_any_number_of_issuers),
        cmocka_unit_test(any_number_of_issuers_may_have_to_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
