/* test_store_threads.c - eight threads change, read and scan at once. */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/contract/store/store_fixture.h"

enum { THREADS = 8, ROUNDS = 25 };

static const kv_table *const counters = &kv_table_key_uses;

typedef struct crowd {
    store_fixture *fixture;
    atomic_uint conflicts;
    atomic_uint watched;
    atomic_uint failed;
} crowd;

typedef struct member {
    crowd *crowd;
    unsigned number;
    pthread_t thread;
} member;

/* One more in the counter that all share. */
static kv_status add_one(kv_records *records, kv_arena *arena, kv_slice request, kv_error *err)
{
    kv_key_use_row row = { .key_id = KV_SLICE("shared") };
    kv_change change = { .pending = { KV_SLICE("node"), request, KV_SLICE("record") } };

    KV_TRY(kv_records_get(records, counters, &row, arena, err));
    row.reserved++;
    KV_TRY(kv_change_update(&change, counters, &row, err));
    KV_TRY(kv_records_seal(records, &change, arena, err));
    return kv_records_apply(records, &change, NULL, err);
}

static kv_status add_own(kv_records *records, kv_arena *arena, unsigned number, kv_error *err)
{
    kv_change change = { 0 };

    KV_TRY(kv_change_insert(&change, &kv_table_vaults,
                            fixture_row(&kv_table_vaults, arena, number, 0), err));
    KV_TRY(kv_records_seal(records, &change, arena, err));
    return kv_records_apply(records, &change, NULL, err);
}

static kv_status one_round(member *self, unsigned round, kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(8 << 20);
    store_fixture *fixture = self->crowd->fixture;
    kv_scan scan = { .table = &kv_table_vaults, .limit = 100 };
    unsigned number = self->number * ROUNDS + round + 1;
    kv_rows rows;
    kv_slice request;
    kv_status status;

    KV_TRY(kv_arena_print(&arena, &request, err, "request %u", number));
    do {
        status = add_one(fixture->records, &arena, request, err);
        if (status == KV_CONFLICT)
            atomic_fetch_add(&self->crowd->conflicts, 1);
    } while (status == KV_CONFLICT);
    KV_TRY(status);
    KV_TRY(add_own(fixture->records, &arena, number, err));
    KV_TRY(kv_records_scan(fixture->records, &scan, &arena, &rows, err));
    return fixture->ops->pending_done(fixture->store, KV_SLICE("node"), &request, 1, err);
}

static void *work(void *argument)
{
    member *self = argument;
    kv_error err = { 0 };

    for (unsigned i = 0; i < ROUNDS; i++)
        if (one_round(self, i, &err) != KV_OK)
            atomic_fetch_add(&self->crowd->failed, 1);
    return NULL;
}

static void *sweep(void *argument)
{
    member *self = argument;
    kv_error err = { 0 };

    /* While others change rows: no false alarm. */
    for (unsigned i = 0; i < 3; i++)
        if (kv_records_sweep(self->crowd->fixture->records, NULL, &err) != KV_OK)
            atomic_fetch_add(&self->crowd->failed, 1);
    return NULL;
}

static void count_change(void *context, const kv_change *change)
{
    (void)change;
    atomic_fetch_add((atomic_uint *)context, 1);
}

static void loses_no_change(void **state)
{
    store_fixture *fixture = *state;
    crowd all = { .fixture = fixture };
    member members[THREADS + 1];
    kv_key_use_row shared = { .key_id = KV_SLICE("shared") };
    kv_store_state after;
    kv_pending_row *pending;
    unsigned count;
    kv_error err = { 0 };

    assert_kv_ok(fixture_insert(fixture, counters, &shared, &err));
    assert_kv_ok(kv_records_watch(fixture->records, count_change, &all.watched, &err));
    for (unsigned i = 0; i <= THREADS; i++) {
        members[i] = (member){ .crowd = &all, .number = i };
        assert_int_equal(
            pthread_create(&members[i].thread, NULL, i < THREADS ? work : sweep, &members[i]), 0);
    }
    for (unsigned i = 0; i <= THREADS; i++)
        assert_int_equal(pthread_join(members[i].thread, NULL), 0);

    assert_int_equal(all.failed, 0);
    assert_int_equal(all.watched, 2 * THREADS * ROUNDS);
    assert_kv_ok(kv_records_get(fixture->records, counters, &shared, &fixture->arena, &err));
    assert_int_equal(shared.reserved, THREADS * ROUNDS);
    assert_kv_ok(fixture->ops->state(fixture->store, &after, &err));
    assert_int_equal(after.version, 1 + 2 * THREADS * ROUNDS);
    assert_kv_ok(fixture->ops->pending(fixture->store, KV_SLICE("node"), &fixture->arena, &pending,
                                       &count, &err));
    assert_int_equal(count, 0);
    assert_kv_ok(kv_records_sweep(fixture->records, NULL, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(loses_no_change, fixture_open, fixture_close),
    };

    return cmocka_run_group_tests_name("store threads", tests, NULL, NULL);
}
