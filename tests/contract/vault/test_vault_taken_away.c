/* test_vault_taken_away.c - what an administrator takes away while the server renews has not
 * failed; what has failed is told once.
 */
#include "tests/contract/vault/scripted_issuer.h"

#define MINUTE INT64_C(60000)
#define DAY    (24 * 60 * MINUTE)

enum { STEPS_MAX = 2000 };

#define FAILURES "SELECT count(*) FROM events WHERE type = 'KeyVault.CertificateRenewalFailed'"

static house *start(const char *issuer)
{
    house *h = house_new(false);
    kv_error err = { 0 };

    scripted_join(h);
    assert_kv_ok(act_make_vault(h, &err));
    assert_kv_ok(act_make_certificate(h, "c", issuer, true, NULL, &err));
    return h;
}

static int64_t earlier(int64_t a, int64_t b)
{
    if (!a || !b)
        return a ? a : b;
    return a < b ? a : b;
}

/* As the server's threads do, until that moment. How many versions there are then. */
static unsigned live_until(house *h, int64_t until)
{
    kv_error err = { 0 };

    for (unsigned i = 0; i < STEPS_MAX; i++) {
        int64_t renewal_at = 0;
        int64_t order_at = 0;
        int64_t next;

        assert_kv_ok(kv_vault_step_renewal(h->vault, &renewal_at, &err));
        assert_kv_ok(kv_vault_step_operation(h->vault, &order_at, &err));
        next = earlier(renewal_at, order_at);
        if (!next || next > until)
            break;
        if (next > atomic_load(&h->now_ms))
            atomic_store(&h->now_ms, next);
    }
    atomic_store(&h->now_ms, until);
    return house_count(h, "SELECT count(*) FROM certificate_versions");
}

static void they_delete_the_operation(house *h, void *context)
{
    kv_certificate_pending_delete_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, "c") };
    kv_certificate_operation out;
    kv_error err;

    (void)context;
    assert_kv_ok(HOUSE_DO(h, kv_certificate_pending_delete, &in, &out));
}

static void they_delete_the_certificate(house *h, void *context)
{
    kv_error err = { 0 };

    (void)context;
    assert_kv_ok(act_delete(h, KV_COLLECTION_CERTIFICATES, "c", &err));
}

/* The time of a renewal's first attempt is 292 days, and up to 18 more, away. */
static void an_operation_that_is_deleted_has_not_failed(void **state)
{
    house *h = start("Self");

    (void)state;
    house_meanwhile(h, &kv_table_certificate_versions, 1, they_delete_the_operation, NULL);
    /* The plan stands: the next attempt comes when it would have come after a failure. */
    assert_int_equal(live_until(h, HOUSE_NOW_MS + 311 * DAY), 2);
    assert_null(h->meanwhile.table);
    assert_int_equal(house_count(h, FAILURES), 0);
    assert_int_equal(house_count(h, "SELECT count(*) FROM operations"), 1);
    house_assert_tidy(h);
    house_free(h);
}

static void a_certificate_that_is_deleted_has_not_failed(void **state)
{
    house *h = start("Self");
    kv_error err = { 0 };

    (void)state;
    house_meanwhile(h, &kv_table_operations, 1, they_delete_the_certificate, NULL);
    assert_int_equal(live_until(h, HOUSE_NOW_MS + 311 * DAY), 1);
    assert_null(h->meanwhile.table);
    assert_int_equal(house_count(h, FAILURES), 0);
    house_assert_tidy(h);
    assert_kv_ok(act_recover(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_int_equal(live_until(h, HOUSE_NOW_MS + 312 * DAY), 2);
    assert_int_equal(house_count(h, FAILURES), 0);
    house_assert_tidy(h);
    house_free(h);
}

static void it_is_deleted(void *context)
{
    they_delete_the_certificate(context, NULL);
}

/* The authority outside refuses what nobody wants any more. */
static void a_refusal_for_a_deleted_certificate_is_told_nobody(void **state)
{
    house *h = start("Scripted");

    (void)state;
    scripted.deed = SCRIPT_AT_ONCE;
    assert_int_equal(live_until(h, HOUSE_NOW_MS + MINUTE), 1);
    scripted.deed = SCRIPT_REFUSE;
    scripted.refusing = it_is_deleted;
    scripted.context = h;
    assert_int_equal(live_until(h, HOUSE_NOW_MS + 400 * DAY), 1);
    assert_null(scripted.refusing);
    assert_int_equal(house_count(h, FAILURES), 0);
    assert_int_equal(house_count(h, "SELECT count(*) FROM operations WHERE state = 'failed'"), 1);
    house_assert_tidy(h);
    house_free(h);
}

static void what_failed_is_told_once(void **state)
{
    house *h = start("Self");

    (void)state;
    atomic_store(&h->now_ms, HOUSE_NOW_MS + 289 * DAY);
    kv_fake_fail("C_GenerateKeyPair", CKR_DEVICE_MEMORY, 1);
    assert_int_equal(live_until(h, HOUSE_NOW_MS + 311 * DAY), 2);
    assert_int_equal(house_count(h, FAILURES), 1);
    house_assert_tidy(h);
    house_free(h);
}

/* As whoever finds it stranded does, or deletes it and asks anew. */
static void another_takes_its_place(house *h, void *context)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 20);
    kv_operation_row from = { 0 };
    kv_scan scan = { .table = &kv_table_operations, .from = &from, .limit = 1 };
    kv_operation_row *row;
    kv_change change = { 0 };
    kv_error err = { 0 };
    kv_rows rows;

    (void)context;
    assert_kv_ok(kv_records_scan(h->records, &scan, &arena, &rows, &err));
    assert_int_equal(rows.count, 1);
    row = rows.rows;
    row->request_id = KV_SLICE("another");
    assert_kv_ok(kv_change_update(&change, &kv_table_operations, row, &err));
    assert_kv_ok(kv_records_seal(h->records, &change, &arena, &err));
    assert_kv_ok(kv_records_apply(h->records, &change, NULL, &err));
}

static void the_operation_of_another_does_not_fail_with_it(void **state)
{
    house *h = start("Self");
    kv_error err = { 0 };

    (void)state;
    house_meanwhile(h, &kv_table_certificate_versions, 1, another_takes_its_place, NULL);
    assert_kv_fails(KV_NOT_FOUND, act_renew(h, "c", NULL, &err));
    assert_null(h->meanwhile.table);
    assert_int_equal(house_count(h, "SELECT count(*) FROM operations WHERE state = 'working'"), 1);
    assert_int_equal(house_count(h, FAILURES), 0);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operation_that_is_deleted_has_not_failed),
        cmocka_unit_test(a_certificate_that_is_deleted_has_not_failed),
        cmocka_unit_test(a_refusal_for_a_deleted_certificate_is_told_nobody),
        cmocka_unit_test(what_failed_is_told_once),
        cmocka_unit_test(the_operation_of_another_does_not_fail_with_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
