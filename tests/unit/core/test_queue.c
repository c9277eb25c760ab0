/* test_queue.c - bounded, fair, and taken in batches. */
#include "server/core/queue.h"

#include <pthread.h>

#include "tests/support/kv_cmocka.h"

enum { CAPACITY = 8 };

static int make(void **state)
{
    kv_error err;

    assert_kv_ok(kv_queue_new(CAPACITY, (kv_queue **)state, &err));
    return 0;
}

static int drop(void **state)
{
    kv_queue_free(*state);
    return 0;
}

static kv_task task_of(char principal)
{
    kv_task task = { 0 };

    task.key[0] = (uint8_t)principal;
    return task;
}

static kv_status offer(void **state, kv_task *task, kv_error *err)
{
    return kv_queue_offer(*state, task, err);
}

static void principals_are_served_in_turn(void **state)
{
    const char order[] = "aaabbc", turn[] = "abcaba";
    kv_task tasks[6];
    kv_error err;

    for (size_t i = 0; i < 6; i++) {
        tasks[i] = task_of(order[i]);
        assert_kv_ok(offer(state, &tasks[i], &err));
    }
    for (size_t i = 0; i < 6; i++) {
        kv_task *task = kv_queue_take(*state, 100);

        assert_int_equal(task->key[0], turn[i]);
        assert_null(task->next);
    }
}

static void one_principal_stays_in_order(void **state)
{
    kv_task tasks[3];
    kv_task *got;
    kv_error err;

    for (size_t i = 0; i < 3; i++) {
        tasks[i] = task_of('a');
        assert_kv_ok(offer(state, &tasks[i], &err));
    }
    got = kv_queue_take(*state, 1);
    for (size_t i = 0; i < 3; i++, got = got->next)
        assert_ptr_equal(got, &tasks[i]);
    assert_null(got);
}

static void a_worker_takes_its_share(void **state)
{
    kv_task tasks[5];
    size_t count = 0;
    kv_error err;

    for (size_t i = 0; i < 5; i++) {
        tasks[i] = task_of((char)('a' + i));
        assert_kv_ok(offer(state, &tasks[i], &err));
    }
    for (kv_task *task = kv_queue_take(*state, 2); task; task = task->next)
        count++;
    assert_int_equal(count, 3); /* ceil(5 / 2) */
    assert_int_equal(kv_queue_length(*state), 2);
}

static void taking_at_once_does_not_wait(void **state)
{
    kv_task tasks[3];
    kv_error err;

    assert_null(kv_queue_take_now(*state, 2));
    for (size_t i = 0; i < KV_COUNT(tasks); i++) {
        tasks[i] = task_of((char)('a' + i));
        assert_kv_ok(offer(state, &tasks[i], &err));
    }
    assert_ptr_equal(kv_queue_take_now(*state, 2), &tasks[0]); /* two of them */
    assert_ptr_equal(kv_queue_take_now(*state, 2), &tasks[2]);
    assert_null(kv_queue_take_now(*state, 2));
}

static void a_batch_is_at_most_sixteen(void **state)
{
    static kv_task tasks[40];
    kv_queue *queue;
    size_t count = 0;
    kv_error err;

    (void)state;
    assert_kv_ok(kv_queue_new(40, &queue, &err));
    for (size_t i = 0; i < 40; i++) {
        tasks[i] = task_of((char)i);
        assert_kv_ok(kv_queue_offer(queue, &tasks[i], &err));
    }
    for (kv_task *task = kv_queue_take(queue, 1); task; task = task->next)
        count++;
    assert_int_equal(count, KV_QUEUE_BATCH);
    kv_queue_free(queue);
}

static void a_full_queue_says_when_to_come_back(void **state)
{
    kv_task tasks[CAPACITY + 1];
    kv_error err;

    for (size_t i = 0; i < CAPACITY; i++) {
        tasks[i] = task_of((char)('a' + i));
        assert_kv_ok(offer(state, &tasks[i], &err));
    }
    tasks[CAPACITY] = task_of('z');
    assert_kv_fails(KV_BUSY, offer(state, &tasks[CAPACITY], &err));
    assert_true(err.retry_ms > 0);
}

static void one_principal_cannot_fill_it(void **state)
{
    kv_task tasks[CAPACITY], other = task_of('b');
    kv_error err;
    size_t taken = 0;

    for (size_t i = 0; i < CAPACITY; i++) {
        tasks[i] = task_of('a');
        if (offer(state, &tasks[i], &err) == KV_OK)
            taken++;
    }
    assert_int_equal(taken, CAPACITY * 3 / 4);
    assert_kv_ok(offer(state, &other, &err));
}

static void what_is_put_back_goes_first(void **state)
{
    kv_task tasks[3];
    kv_error err;

    for (size_t i = 0; i < 3; i++) {
        tasks[i] = task_of('a');
        assert_kv_ok(offer(state, &tasks[i], &err));
    }
    kv_queue_put_back(*state, kv_queue_take(*state, 2)); /* two of them */
    assert_int_equal(kv_queue_length(*state), 3);
    assert_ptr_equal(kv_queue_take(*state, 3), &tasks[0]);
    assert_ptr_equal(kv_queue_take(*state, 2), &tasks[1]);
    assert_ptr_equal(kv_queue_take(*state, 1), &tasks[2]);
}

static void a_closed_queue_is_emptied_first(void **state)
{
    kv_task task = task_of('a'), late = task_of('b');
    kv_error err;

    assert_kv_ok(offer(state, &task, &err));
    kv_queue_close(*state);
    assert_true(kv_queue_closed(*state));
    assert_kv_fails(KV_UNAVAILABLE, offer(state, &late, &err));
    assert_ptr_equal(kv_queue_take(*state, 1), &task);
    assert_null(kv_queue_take(*state, 1));
}

static void *take(void *queue)
{
    return kv_queue_take(queue, 1);
}

static void a_waiting_worker_is_woken(void **state)
{
    kv_task task = task_of('a');
    pthread_t worker;
    kv_error err;
    void *got;

    assert_int_equal(pthread_create(&worker, NULL, take, *state), 0);
    assert_kv_ok(offer(state, &task, &err));
    (void)pthread_join(worker, &got);
    assert_ptr_equal(got, &task);

    assert_int_equal(pthread_create(&worker, NULL, take, *state), 0);
    kv_queue_close(*state);
    (void)pthread_join(worker, &got);
    assert_null(got);
}

#define QUEUE(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE(principals_are_served_in_turn),   QUEUE(one_principal_stays_in_order),
        QUEUE(a_worker_takes_its_share),        QUEUE(taking_at_once_does_not_wait),
        QUEUE(a_batch_is_at_most_sixteen),      QUEUE(a_full_queue_says_when_to_come_back),
        QUEUE(one_principal_cannot_fill_it),    QUEUE(what_is_put_back_goes_first),
        QUEUE(a_closed_queue_is_emptied_first), QUEUE(a_waiting_worker_is_woken),
    };

    return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
