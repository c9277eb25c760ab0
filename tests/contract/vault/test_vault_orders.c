/* test_vault_orders.c - certificates from issuers that take their time, lose answers, refuse, or
 * send the wrong thing; and a server that dies in between: one certificate at the end, or a reason.
 */
#include "server/lifecycle/operation.h"
#include "tests/contract/vault/scripted_issuer.h"

enum { CHANGES_MAX = 40, MINUTE_MS = 60 * 1000 };

static house *start(void)
{
    house *h = house_new(false);
    kv_error err = { 0 };

    scripted_join(h);
    assert_kv_ok(act_make_vault(h, &err));
    return h;
}

static kv_status create(house *h, kv_certificate_operation *out, kv_error *err)
{
    return act_make_certificate(h, "c", "Scripted", false, out, err);
}

static kv_certificate_operation look(house *h)
{
    kv_certificate_pending_get_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, "c") };
    kv_certificate_operation out;
    kv_error err;

    assert_kv_ok(HOUSE_DO(h, kv_certificate_pending_get, &in, &out));
    return out;
}

static void assert_versions(house *h, unsigned count)
{
    assert_int_equal(house_count(h, "SELECT count(*) FROM certificate_versions"), count);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), count);
    assert_int_equal(house_count(h, "SELECT count(*) FROM operations WHERE worker <> x'' OR "
                                    "next_at <> 0 OR chain <> x''"),
                     0);
    house_assert_tidy(h);
}

static void pending_for_a_while_then_one_certificate(void **state)
{
    house *h = start();
    kv_certificate_operation operation;
    kv_error err = { 0 };

    (void)state;
    scripted.pending = 5;
    assert_kv_ok(create(h, &operation, &err));
    assert_slice_equal(KV_SLICE("inProgress"), operation.status);
    assert_true(operation.csr.len > 0);
    /* Nobody was asked in the caller's time. */
    assert_int_equal(scripted.submits, 0);
    assert_kv_fails(KV_PRECONDITION, create(h, NULL, &err));
    assert_kv_ok(scripted_drive(h, &err));
    operation = look(h);
    assert_slice_equal(KV_SLICE("completed"), operation.status);
    assert_int_equal(scripted.submits, 1);
    assert_int_equal(scripted.polls, 6);
    assert_int_equal(scripted.fetches, 1);
    /* It came when the issuer had said, not before. */
    assert_true(h->now_ms >= HOUSE_NOW_MS + 1000 + 5 * 30000);
    assert_versions(h, 1);
    assert_kv_ok(act_sign(h, "c", KV_SLICE_NONE, &err));
    house_free(h);
}

static void a_certificate_at_once(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    scripted.deed = SCRIPT_AT_ONCE;
    assert_kv_ok(create(h, NULL, &err));
    assert_kv_ok(scripted_drive(h, &err));
    assert_int_equal(scripted.polls, 0);
    assert_versions(h, 1);
    house_free(h);
}

static void a_lost_answer_is_no_second_order(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    scripted.silences = 4;
    assert_kv_ok(create(h, NULL, &err));
    assert_kv_ok(scripted_drive(h, &err));
    assert_int_equal(scripted.submits, 5);
    assert_int_equal(scripted.orders, 1);
    /* And it was not asked again and again: 1, 2, 4 and 8 minutes, a fifth less at most. */
    assert_true(h->now_ms >= HOUSE_NOW_MS + 12 * MINUTE_MS - 1);
    assert_versions(h, 1);
    house_free(h);
}

static void a_failed_order_is_followed_by_another(void **state)
{
    house *h = start();
    kv_certificate_operation operation;
    kv_error err = { 0 };
    int64_t next_at = 0;

    (void)state;
    scripted.failures = 2;
    scripted.pending = 0;
    assert_kv_ok(create(h, NULL, &err));
    assert_kv_ok(kv_vault_step_operation(h->vault, &next_at, &err));
    atomic_fetch_add(&h->now_ms, 1000);
    assert_kv_ok(kv_vault_step_operation(h->vault, &next_at, &err));
    /* The issuer's own words, while it goes on. */
    operation = look(h);
    assert_slice_equal(KV_SLICE("inProgress"), operation.status);
    assert_slice_equal(KV_SLICE("urn:dns"), operation.error_code);
    assert_slice_equal(KV_SLICE("no TXT record for c.example"), operation.error_message);
    assert_kv_ok(scripted_drive(h, &err));
    operation = look(h);
    assert_slice_equal(KV_SLICE("completed"), operation.status);
    assert_int_equal(operation.error_code.len, 0);
    assert_int_equal(scripted.orders, 3);
    assert_versions(h, 1);
    house_free(h);
}

static void orders_have_a_limit(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    scripted.failures = 1000;
    scripted.pending = 0;
    assert_kv_ok(create(h, NULL, &err));
    assert_kv_ok(scripted_drive(h, &err));
    assert_slice_equal(KV_SLICE("failed"), look(h).status);
    assert_int_equal(scripted.orders, KV_OPERATION_ORDERS);
    assert_versions(h, 0);
    house_free(h);
}

static void expect_failure(script_deed deed, const char *code, const char *words)
{
    house *h = start();
    kv_certificate_operation operation;
    kv_error err = { 0 };

    scripted.deed = deed;
    assert_kv_ok(create(h, NULL, &err));
    assert_kv_ok(scripted_drive(h, &err));
    operation = look(h);
    assert_slice_equal(KV_SLICE("failed"), operation.status);
    assert_slice_equal(kv_slice_text(code), operation.error_code);
    if (!memmem(operation.error_message.data, operation.error_message.len, words, strlen(words)))
        fail_msg("%.*s", KV_SLICE_ARG(operation.error_message));
    assert_int_equal(scripted.orders, 1);
    assert_versions(h, 0);
    /* And the next one works. */
    scripted.deed = SCRIPT_ISSUE;
    assert_kv_ok(act_renew(h, "c", NULL, &err));
    assert_kv_ok(scripted_drive(h, &err));
    assert_slice_equal(KV_SLICE("completed"), look(h).status);
    assert_versions(h, 1);
    house_free(h);
}

static void what_is_refused_or_wrong_is_final(void **state)
{
    (void)state;
    expect_failure(SCRIPT_REFUSE, "urn:caa", "CAA forbids c.example");
    expect_failure(SCRIPT_WRONG_KEY, "CertificateNotAccepted", "key");
    expect_failure(SCRIPT_WRONG_KEY, "CertificateNotAccepted", " and the SHA-256 ");
    expect_failure(SCRIPT_GARBAGE, "CertificateNotAccepted", "");
}

static kv_status cancel(house *h, kv_certificate_operation *out, kv_error *why)
{
    kv_certificate_pending_update_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, "c") };
    kv_error err;
    kv_status status = HOUSE_DO(h, kv_certificate_pending_update, &in, out);

    *why = err;
    return status;
}

static void a_cancellation_reaches_the_issuer(void **state)
{
    house *h = start();
    kv_certificate_operation operation;
    kv_error err = { 0 };

    (void)state;
    scripted.deed = SCRIPT_WAIT_FOREVER;
    scripted.pending = 1000;
    scripted.retry_ms = 0;
    assert_kv_ok(create(h, NULL, &err));
    assert_kv_ok(scripted_drive(h, &err));
    assert_slice_equal(KV_SLICE("on the desk"), look(h).status_details);
    assert_kv_ok(cancel(h, &operation, &err));
    assert_true(operation.cancellation_requested);
    assert_slice_equal(KV_SLICE("inProgress"), operation.status);
    assert_kv_ok(scripted_drive(h, &err));
    assert_slice_equal(KV_SLICE("cancelled"), look(h).status);
    assert_int_equal(scripted.cancels, 1);
    assert_true(scripted.cancelled[0] != '\0');
    assert_versions(h, 0);
    assert_kv_fails(KV_PRECONDITION, cancel(h, &operation, &err));
    house_free(h);
}

static void cancel_now(void *context)
{
    kv_certificate_operation operation;
    kv_error err;

    assert_kv_ok(cancel(context, &operation, &err));
}

static void a_cancellation_while_the_order_is_placed(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    scripted.meanwhile = cancel_now;
    scripted.context = h;
    assert_kv_ok(create(h, NULL, &err));
    assert_kv_ok(scripted_drive(h, &err));
    assert_slice_equal(KV_SLICE("cancelled"), look(h).status);
    /* The order that nobody here had heard of yet is the one that is cancelled. */
    assert_true(scripted.cancelled[0] != '\0');
    assert_versions(h, 0);
    house_free(h);
}

static void delete_now(void *context)
{
    house *h = context;
    kv_certificate_pending_delete_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, "c") };
    kv_certificate_operation out;
    kv_error err;

    assert_kv_ok(HOUSE_DO(h, kv_certificate_pending_delete, &in, &out));
}

static void a_deletion_while_the_order_is_placed(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    scripted.meanwhile = delete_now;
    scripted.context = h;
    assert_kv_ok(create(h, NULL, &err));
    assert_kv_ok(scripted_drive(h, &err));
    assert_versions(h, 0);
    assert_int_equal(house_count(h, "SELECT count(*) FROM operations"), 0);
    house_free(h);
}

/* The first worker hangs for longer than its claim; another does everything. */
static void work_now(void *context)
{
    house *h = context;
    kv_error err = { 0 };
    int64_t next_at = 0;

    assert_kv_ok(kv_vault_step_operation(h->vault, &next_at, &err));
    /* It is claimed: nothing to do for anybody else yet. */
    assert_true(next_at > h->now_ms);
    assert_int_equal(scripted.submits, 1);
    atomic_store(&h->now_ms, next_at);
    assert_kv_ok(scripted_drive(h, &err));
    assert_slice_equal(KV_SLICE("completed"), look(h).status);
}

static void a_worker_that_comes_back_late_changes_nothing(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    scripted.meanwhile = work_now;
    scripted.context = h;
    assert_kv_ok(create(h, NULL, &err));
    assert_kv_ok(scripted_drive(h, &err));
    assert_slice_equal(KV_SLICE("completed"), look(h).status);
    assert_int_equal(scripted.submits, 2);
    assert_int_equal(scripted.orders, 1);
    assert_versions(h, 1);
    house_free(h);
}

static void nobody_is_asked_for_a_deleted_certificate(void **state)
{
    house *h = start();
    kv_error err = { 0 };
    int64_t next_at = 0;

    (void)state;
    assert_kv_ok(create(h, NULL, &err));
    assert_kv_ok(act_delete(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_kv_ok(kv_vault_step_operation(h->vault, &next_at, &err));
    assert_int_equal(scripted.submits, 0);
    assert_kv_ok(act_recover(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    atomic_fetch_add(&h->now_ms, 61 * MINUTE_MS);
    assert_kv_ok(scripted_drive(h, &err));
    assert_versions(h, 1);
    assert_kv_ok(act_delete(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_kv_ok(act_purge(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_versions(h, 0);
    house_free(h);
}

/* Somebody edited a row in the database: it is not carried out, and those behind it are. */
static void a_row_that_cannot_be_trusted_stops_nobody(void **state)
{
    static const char *const edits[] = {
        "UPDATE operations SET attempts = attempts + 1 WHERE rowid = 1",
        "UPDATE operations SET next_at = 1 WHERE rowid = 1",
        "UPDATE operations SET seal = x'00' WHERE rowid = 1",
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(edits); i++) {
        house *h = start();
        kv_certificate_pending_get_in in = { .target =
                                                 act_target(KV_COLLECTION_CERTIFICATES, "first") };
        kv_certificate_operation broken;
        kv_error err = { 0 };

        assert_kv_ok(act_make_certificate(h, "first", "Scripted", false, NULL, &err));
        assert_kv_ok(create(h, NULL, &err));
        assert_int_equal(house_attack(h, edits[i]), 1);
        assert_kv_ok(scripted_drive(h, &err));
        assert_slice_equal(KV_SLICE("completed"), look(h).status);
        assert_int_equal(scripted.orders, 1);
        assert_kv_fails(KV_INTERNAL, HOUSE_DO(h, kv_certificate_pending_get, &in, &broken));
        house_free(h);
    }
}

/* Killed after each change of the store, whoever makes it: one certificate, from one order. */
static bool die_and_rise(house *h, unsigned n, bool exportable)
{
    kv_error err = { 0 };
    kv_status status;
    bool died;

    scripted_begin();
    house_die_after(h, n, HOUSE_KEYS_STAY);
    status = act_make_certificate(h, "c", "Scripted", exportable, NULL, &err);
    if (status == KV_OK)
        status = scripted_drive(h, &err);
    died = atomic_load(&h->dead);
    atomic_store(&h->dies_in, 0);
    assert_true(died || status == KV_OK);
    assert_kv_ok(house_restart(h, &err));
    /* What was claimed is due at once: no waiting for the end of the claim. */
    assert_int_equal(house_count(h, "SELECT count(*) FROM operations WHERE worker <> x''"), 0);
    assert_kv_ok(scripted_drive(h, &err));
    assert_slice_equal(KV_SLICE("completed"), look(h).status);
    assert_int_equal(scripted.orders, 1);
    assert_int_equal(house_count(h, "SELECT count(*) FROM certificate_versions"), 1);
    assert_kv_ok(act_sign(h, "c", KV_SLICE_NONE, &err));
    assert_kv_ok(act_delete(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_kv_ok(act_purge(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_versions(h, 0);
    return died;
}

static void death_in_every_state(void **state)
{
    house *h = start();

    (void)state;
    for (int exportable = 0; exportable < 2; exportable++) {
        unsigned n = 0;

        while (die_and_rise(h, ++n, exportable != 0))
            assert_true(n < CHANGES_MAX);
        /* begin, key, order, and claim and answer of submit, poll, fetch and finish */
        assert_true(n > 9);
    }
    house_free(h);
}

static unsigned changes(house *h)
{
    return house_count(h, "SELECT version FROM store_state");
}

static void a_question_costs_one_record(void **state)
{
    house *h = start();
    kv_error err = { 0 };
    int64_t next_at = 0;
    unsigned before;

    (void)state;
    scripted.pending = 3;
    assert_kv_ok(create(h, NULL, &err));
    assert_kv_ok(kv_vault_step_operation(h->vault, &next_at, &err));
    atomic_fetch_add(&h->now_ms, 1000);
    before = changes(h);
    assert_kv_ok(kv_vault_step_operation(h->vault, &next_at, &err));
    assert_int_equal(scripted.polls, 1);
    assert_int_equal(changes(h), before + 1);
    /* Nothing is due: nothing is written at all. */
    assert_kv_ok(kv_vault_step_operation(h->vault, &next_at, &err));
    assert_true(next_at > h->now_ms);
    assert_int_equal(changes(h), before + 1);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pending_for_a_while_then_one_certificate),
        cmocka_unit_test(a_certificate_at_once),
        cmocka_unit_test(a_lost_answer_is_no_second_order),
        cmocka_unit_test(a_failed_order_is_followed_by_another),
        cmocka_unit_test(orders_have_a_limit),
        cmocka_unit_test(what_is_refused_or_wrong_is_final),
        cmocka_unit_test(a_cancellation_reaches_the_issuer),
        cmocka_unit_test(a_cancellation_while_the_order_is_placed),
        cmocka_unit_test(a_deletion_while_the_order_is_placed),
        cmocka_unit_test(a_worker_that_comes_back_late_changes_nothing),
        cmocka_unit_test(a_row_that_cannot_be_trusted_stops_nobody),
        cmocka_unit_test(nobody_is_asked_for_a_deleted_certificate),
        cmocka_unit_test(death_in_every_state),
        cmocka_unit_test(a_question_costs_one_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
