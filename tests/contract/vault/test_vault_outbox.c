/* test_vault_outbox.c - numbers given by many threads at once: a reader never passes one that is
 * still open, and everybody wakes.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "server/vault/events/event_outbox.h"
#include "tests/support/kv_cmocka.h"

enum { WRITERS = 4, CHANGES = 2000, NUMBERS = 4 * 2 * 2000 + 2 };

typedef struct shared {
    kv_outbox *outbox;
    atomic_bool closed[NUMBERS]; /* numbers start at 1: the clock stands at 0 */
    atomic_uint running;
} shared;

static void write_one(shared *with, unsigned events)
{
    kv_event_row rows[2] = { 0 };
    kv_change change = { 0 };
    kv_outbox_turn turn;
    kv_error err = { 0 };

    for (unsigned i = 0; i < events; i++)
        assert_kv_ok(kv_change_insert(&change, &kv_table_events, &rows[i], &err));
    kv_outbox_open(with->outbox, &change, 0, &turn);
    for (unsigned i = 0; i < events; i++)
        atomic_store(&with->closed[rows[i].sequence], true);
    kv_outbox_close(with->outbox, &turn);
}

static void *writer(void *argument)
{
    shared *with = argument;

    for (unsigned i = 0; i < CHANGES; i++)
        write_one(with, i % 3);
    atomic_fetch_sub(&with->running, 1);
    return NULL;
}

static void nothing_appears_behind_a_reader(void **state)
{
    static shared with;
    pthread_t threads[WRITERS];
    int64_t seen = 0;

    (void)state;
    with.outbox = kv_outbox_new(0);
    assert_non_null(with.outbox);
    atomic_init(&with.running, WRITERS);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, writer, &with), 0);
    while (atomic_load(&with.running)) {
        int64_t settled = kv_outbox_settled(with.outbox);

        assert_true(settled >= seen);
        for (; seen < settled; seen++)
            assert_true(atomic_load(&with.closed[seen + 1]));
    }
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(kv_outbox_settled(with.outbox), WRITERS * (CHANGES - 1));
    kv_outbox_free(with.outbox);
}

static void an_open_change_holds_readers_back(void **state)
{
    kv_outbox *outbox = kv_outbox_new(100);
    kv_event_row rows[2] = { 0 };
    kv_change changes[2] = { 0 };
    kv_outbox_turn turns[2];
    kv_error err = { 0 };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_kv_ok(kv_change_insert(&changes[i], &kv_table_events, &rows[i], &err));
        kv_outbox_open(outbox, &changes[i], 0, &turns[i]);
    }
    assert_int_equal(rows[0].sequence, 101);
    assert_int_equal(rows[1].sequence, 102);
    kv_outbox_close(outbox, &turns[1]);
    assert_int_equal(kv_outbox_settled(outbox), 100);
    assert_false(kv_outbox_wait(outbox, 100, NULL, kv_deadline_in_ms(1)));
    kv_outbox_close(outbox, &turns[0]);
    assert_int_equal(kv_outbox_settled(outbox), 102);
    assert_true(kv_outbox_wait(outbox, 100, NULL, kv_deadline_in_ms(60000)));
    /* At least the time in microseconds, so numbers of other servers fit in between. */
    changes[0].few[0].row = &rows[0];
    kv_outbox_open(outbox, &changes[0], 7000, &turns[0]);
    assert_int_equal(rows[0].sequence, 7000000);
    kv_outbox_close(outbox, &turns[0]);
    kv_outbox_free(outbox);
}

static void *wait_for_ever(void *argument)
{
    assert_false(kv_outbox_wait(argument, 100, NULL, kv_deadline_in_ms(600000)));
    return NULL;
}

static void a_stop_wakes_everybody(void **state)
{
    kv_outbox *outbox = kv_outbox_new(100);
    pthread_t threads[2];

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_ever, outbox), 0);
    kv_outbox_stop(outbox);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    kv_outbox_free(outbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_appears_behind_a_reader),
        cmocka_unit_test(an_open_change_holds_readers_back),
        cmocka_unit_test(a_stop_wakes_everybody),
    };

    return cmocka_run_group_tests_name("vault_outbox", tests, NULL, NULL);
}
