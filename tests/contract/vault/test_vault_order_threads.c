/* test_vault_order_threads.c - several threads ask issuers, and one issuer hangs. */
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "server/store/schema.h"
#include "tests/contract/vault/scripted_issuer.h"

enum {
    THREADS = 4,
    HANGING = 40,
    PROMPT = 3,
    WAITS_MAX = 6000 /* of ten milliseconds */
};

typedef struct thread_set {
    house *h;
    pthread_t threads[THREADS];
    atomic_bool stop;
} thread_set;

static void *thread(void *argument)
{
    thread_set *set = argument;

    while (!atomic_load(&set->stop)) {
        struct timespec nap = { .tv_nsec = 1000 * 1000 };
        kv_error err = { 0 };
        int64_t next_at = 0;

        if (kv_vault_step_operation(set->h->vault, &next_at, &err) != KV_OK)
            fail_msg("%s %s", err.message, err.detail);
        if (!next_at || next_at > atomic_load(&set->h->now_ms))
            (void)nanosleep(&nap, NULL);
    }
    return NULL;
}

static void set_to_work(thread_set *set, house *h)
{
    *set = (thread_set){ .h = h };
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&set->threads[i], NULL, thread, set), 0);
}

static void let_rest(thread_set *set)
{
    atomic_store(&set->stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(set->threads[i], NULL);
}

static void wait_for_versions(house *h, unsigned count)
{
    for (unsigned i = 0; i < WAITS_MAX; i++) {
        struct timespec nap = { .tv_nsec = 10 * 1000 * 1000 };

        if (house_count(h, "SELECT count(*) FROM certificate_versions") >= count)
            return;
        (void)nanosleep(&nap, NULL);
    }
    fail_msg("fewer than %u certificates have come", count);
}

/* Forty wait for one that hangs, more than are looked at first; those of another go on. */
static void an_issuer_that_hangs_holds_only_its_share(void **state)
{
    house *h = house_new(false);
    thread_set set;
    kv_error err = { 0 };
    char name[16];

    (void)state;
    scripted_join(h);
    assert_kv_ok(act_make_vault(h, &err));
    scripted.deed = SCRIPT_HANG;
    for (unsigned i = 0; i < HANGING; i++) {
        (void)snprintf(name, sizeof(name), "hangs-%u", i);
        assert_kv_ok(act_make_certificate(h, name, "Scripted", false, NULL, &err));
    }
    set_to_work(&set, h);
    scripted_wait_for_hanging(2);
    for (unsigned i = 0; i < PROMPT; i++) {
        (void)snprintf(name, sizeof(name), "prompt-%u", i);
        assert_kv_ok(act_make_certificate(h, name, "Prompt", false, NULL, &err));
    }
    wait_for_versions(h, PROMPT);
    assert_int_equal(scripted.hanging_most, 2);
    scripted_let_go();
    let_rest(&set);
    scripted.deed = SCRIPT_ISSUE;
    assert_kv_ok(scripted_drive(h, &err));
    assert_int_equal(house_count(h, "SELECT count(*) FROM certificate_versions"), HANGING + PROMPT);
    house_assert_tidy(h);
    /* Nobody ordered twice. */
    assert_int_equal(scripted.orders, HANGING);
    house_free(h);
}

/* --- two who found the same row --- */

/* What another thread does between the moment in which a thread finds what is due and the one in
 * which it begins: all of it, once. */
static struct {
    house *h;
    const kv_table *table;
    unsigned index;
    kv_status (*step)(kv_vault *vault, int64_t *next_at, kv_error *err);
    unsigned scans; /* of that index */
} between;

static kv_status scan_and_be_overtaken(kv_store *store, const kv_scan *scan, kv_arena *arena,
                                       kv_rows *out, kv_error *err)
{
    kv_error other = { 0 };
    int64_t next_at = 0;

    KV_TRY(between.h->real_ops->scan(store, scan, arena, out, err));
    if (scan->table != between.table || scan->index != between.index || between.scans++)
        return KV_OK;
    assert_kv_ok_with(between.step(between.h->vault, &next_at, &other), &other);
    return KV_OK;
}

static void take_a_step_and_be_overtaken(house *h, const kv_table *table, unsigned index,
                                         kv_status (*step)(kv_vault *, int64_t *, kv_error *))
{
    kv_error err = { 0 };
    int64_t next_at = 0;

    between.h = h;
    between.table = table;
    between.index = index;
    between.step = step;
    between.scans = 0;
    h->ops.scan = scan_and_be_overtaken;
    assert_kv_ok(step(h->vault, &next_at, &err));
    h->ops.scan = h->real_ops->scan;
    assert_true(between.scans > 1);
}

static house *start(const char *issuer)
{
    house *h = house_new(false);
    kv_error err = { 0 };

    scripted_join(h);
    assert_kv_ok(act_make_vault(h, &err));
    scripted.life_ms = INT64_C(90) * 24 * 60 * 60 * 1000;
    assert_kv_ok(act_make_certificate(h, "web", issuer, false, NULL, &err));
    return h;
}

static void two_who_found_one_order_place_it_once(void **state)
{
    house *h = start("Scripted");
    kv_error err = { 0 };

    (void)state;
    take_a_step_and_be_overtaken(h, &kv_table_operations, 2, kv_vault_step_operation);
    assert_int_equal(scripted.submits, 1);
    assert_int_equal(scripted.orders, 1);
    assert_kv_ok(scripted_drive(h, &err));
    assert_int_equal(house_count(h, "SELECT count(*) FROM certificate_versions"), 1);
    assert_int_equal(scripted.submits, 1);
    house_assert_tidy(h);
    house_free(h);
}

static void two_who_found_one_certificate_ask_for_its_window_once(void **state)
{
    house *h = start("Hinting");
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(scripted_drive(h, &err));
    assert_int_equal(scripted.hints, 0);
    take_a_step_and_be_overtaken(h, &kv_table_renewals, 1, kv_vault_step_renewal);
    assert_int_equal(scripted.hints, 1);
    house_free(h);
}

static void two_who_found_one_renewal_begin_it_once(void **state)
{
    house *h = start("Scripted");
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(scripted_drive(h, &err));
    atomic_fetch_add(&h->now_ms, INT64_C(80) * 24 * 60 * 60 * 1000);
    take_a_step_and_be_overtaken(h, &kv_table_renewals, 1, kv_vault_step_renewal);
    assert_int_equal(house_count(h, "SELECT attempts FROM renewals"), 1);
    assert_kv_ok(scripted_drive(h, &err));
    assert_int_equal(house_count(h, "SELECT count(*) FROM certificate_versions"), 2);
    assert_int_equal(scripted.orders, 2);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_issuer_that_hangs_holds_only_its_share),
        cmocka_unit_test(two_who_found_one_order_place_it_once),
        cmocka_unit_test(two_who_found_one_certificate_ask_for_its_window_once),
        cmocka_unit_test(two_who_found_one_renewal_begin_it_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
