/* test_turn.c - first come, first served; bounded in time. */
#include "server/store/turn.h"

#include <stdatomic.h>
#include <unistd.h>

#include "tests/support/kv_cmocka.h"

enum { WAITERS = 5 };

typedef struct line {
    kv_turn turn;
    atomic_uint served;
    unsigned order[WAITERS];
} line;

typedef struct person {
    line *line;
    unsigned number;
    pthread_t thread;
} person;

static void *stand_in_line(void *argument)
{
    person *self = argument;

    if (kv_turn_take(&self->line->turn, kv_deadline_in_ms(10000))) {
        self->line->order[atomic_fetch_add(&self->line->served, 1)] = self->number;
        kv_turn_give(&self->line->turn);
    }
    return NULL;
}

static kv_turn_waiter *last_of(kv_turn *turn)
{
    kv_turn_waiter *last;

    pthread_mutex_lock(&turn->mutex);
    last = turn->last;
    pthread_mutex_unlock(&turn->mutex);
    return last;
}

static void serves_in_the_order_of_asking(void **state)
{
    line at = { 0 };
    person people[WAITERS];

    (void)state;
    kv_turn_init(&at.turn, 1);
    assert_true(kv_turn_take(&at.turn, kv_deadline_in_ms(0)));
    for (unsigned i = 0; i < WAITERS; i++) {
        kv_turn_waiter *before = last_of(&at.turn);

        people[i] = (person){ .line = &at, .number = i };
        assert_int_equal(pthread_create(&people[i].thread, NULL, stand_in_line, &people[i]), 0);
        while (last_of(&at.turn) == before)
            (void)usleep(1000);
    }
    kv_turn_give(&at.turn);
    for (unsigned i = 0; i < WAITERS; i++)
        assert_int_equal(pthread_join(people[i].thread, NULL), 0);
    for (unsigned i = 0; i < WAITERS; i++)
        assert_int_equal(at.order[i], i);
    kv_turn_destroy(&at.turn);
}

static void gives_up_at_the_deadline_and_leaves_the_line(void **state)
{
    kv_turn turn;

    (void)state;
    kv_turn_init(&turn, 2);
    assert_true(kv_turn_take(&turn, kv_deadline_in_ms(0)));
    assert_true(kv_turn_take(&turn, kv_deadline_in_ms(0)));
    assert_false(kv_turn_take(&turn, kv_deadline_in_ms(5)));
    assert_false(kv_turn_take(&turn, kv_deadline_in_ms(0)));
    kv_turn_give(&turn);
    assert_true(kv_turn_take(&turn, kv_deadline_in_ms(5)));
    kv_turn_give(&turn);
    kv_turn_give(&turn);
    kv_turn_destroy(&turn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves_in_the_order_of_asking),
        cmocka_unit_test(gives_up_at_the_deadline_and_leaves_the_line),
    };

    return cmocka_run_group_tests_name("turn", tests, NULL, NULL);
}
