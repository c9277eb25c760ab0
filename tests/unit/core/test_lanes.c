/* test_lanes.c - workers per lane, and what happens when they hang. */
#include "server/core/lanes.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

#include "tests/support/kv_cmocka.h"

enum { STUCK_MS = 40, WAITS = 30000 /* of a millisecond */ };

/* A task that counts, or hangs until it is let go. */
typedef struct job {
    kv_task task;
    atomic_bool *hold;
    atomic_uint *held;
    atomic_uint *ran;
} job;

typedef struct scene {
    kv_lanes *lanes;
    atomic_bool hold;
    atomic_uint held; /* tasks that wait for `hold`, or have */
    atomic_uint ran;
    atomic_uint started, stopped;
} scene;

static void nap_ms(long ms)
{
    struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    (void)nanosleep(&time, NULL);
}

static void run(kv_task *task, kv_worker *worker)
{
    job *me = (job *)((char *)task - offsetof(job, task));

    (void)worker;
    if (me->hold)
        atomic_fetch_add(me->held, 1);
    while (me->hold && atomic_load(me->hold))
        nap_ms(1);
    atomic_fetch_add(me->ran, 1);
}

static void started(void *context, kv_lane lane, unsigned index)
{
    scene *it = context;

    assert_true(lane == KV_LANE_KEYS || lane == KV_LANE_SLOW);
    assert_true(index < 4);
    atomic_fetch_add(&it->started, 1);
}

static void stopped(void *context, kv_lane lane, unsigned index)
{
    scene *it = context;

    (void)lane;
    (void)index;
    atomic_fetch_add(&it->stopped, 1);
}

static int make(void **state)
{
    static scene it;
    const kv_lanes_config config = {
        .lane = { [KV_LANE_KEYS] = { .workers = 2, .queue = 64, .stuck_ms = STUCK_MS },
                  [KV_LANE_SLOW] = { .workers = 1, .queue = 2 } },
        .worker_start = started,
        .worker_stop = stopped,
        .context = &it,
    };
    kv_error err;

    it.lanes = NULL;
    atomic_store(&it.hold, false);
    atomic_store(&it.held, 0);
    atomic_store(&it.ran, 0);
    atomic_store(&it.started, 0);
    atomic_store(&it.stopped, 0);
    assert_kv_ok(kv_lanes_new(&config, &it.lanes, &err));
    *state = &it;
    return 0;
}

static int drop(void **state)
{
    scene *it = *state;

    atomic_store(&it->hold, false);
    kv_lanes_free(it->lanes);
    return atomic_load(&it->started) == atomic_load(&it->stopped) ? 0 : -1;
}

static kv_status offer(scene *it, kv_lane lane, job *one, bool held, kv_error *err)
{
    *one = (job){
        .task = { .run = run }, .hold = held ? &it->hold : NULL, .held = &it->held, .ran = &it->ran
    };
    return kv_lanes_offer(it->lanes, lane, &one->task, err);
}

static void wait_ran(scene *it, unsigned wanted)
{
    for (int i = 0; i < WAITS && atomic_load(&it->ran) < wanted; i++)
        nap_ms(1);
    assert_int_equal(atomic_load(&it->ran), wanted);
}

/* Until so many workers hang, and have done so for long enough. One may have taken two of the tasks
 * along: a tick gives the other back. */
static void wait_stuck(scene *it, unsigned wanted)
{
    for (int i = 0; i < WAITS && atomic_load(&it->held) < wanted; i++) {
        nap_ms(1);
        kv_lanes_tick(it->lanes);
    }
    assert_int_equal(atomic_load(&it->held), wanted);
    nap_ms(2 * STUCK_MS);
    kv_lanes_tick(it->lanes);
}

static void tasks_run(void **state)
{
    scene *it = *state;
    job jobs[20];
    kv_error err;

    for (size_t i = 0; i < KV_COUNT(jobs); i++)
        assert_kv_ok(offer(it, KV_LANE_KEYS, &jobs[i], false, &err));
    wait_ran(it, KV_COUNT(jobs));
}

static void no_lane_waits_behind_another(void **state)
{
    scene *it = *state;
    job hung, quick;
    kv_error err;

    atomic_store(&it->hold, true);
    assert_kv_ok(offer(it, KV_LANE_SLOW, &hung, true, &err));
    assert_kv_ok(offer(it, KV_LANE_KEYS, &quick, false, &err));
    wait_ran(it, 1);
    atomic_store(&it->hold, false);
    wait_ran(it, 2);
}

static void a_lane_without_workers_is_not_offered(void **state)
{
    scene *it = *state;
    job one;
    kv_error err;

    assert_kv_fails(KV_UNAVAILABLE, offer(it, KV_LANE_CA, &one, false, &err));
    assert_kv_fails(KV_UNAVAILABLE, offer(it, KV_LANE_NONE, &one, false, &err));
}

static void a_full_lane_is_busy(void **state)
{
    scene *it = *state;
    job jobs[8];
    kv_status last = KV_OK;
    kv_error err;

    atomic_store(&it->hold, true);
    for (size_t i = 0; i < KV_COUNT(jobs) && last == KV_OK; i++)
        last = offer(it, KV_LANE_SLOW, &jobs[i], true, &err);
    assert_int_equal(last, KV_BUSY);
    atomic_store(&it->hold, false);
    kv_lanes_stop(it->lanes);
}

static void stuck_workers_are_replaced_up_to_twice_the_size(void **state)
{
    scene *it = *state;
    job hung[4], quick, refused;
    kv_error err;

    atomic_store(&it->hold, true);
    for (size_t i = 0; i < 2; i++)
        assert_kv_ok(offer(it, KV_LANE_KEYS, &hung[i], true, &err));
    wait_stuck(it, 2);
    assert_kv_ok(offer(it, KV_LANE_KEYS, &quick, false, &err));
    wait_ran(it, 1); /* by a replacement */

    for (size_t i = 2; i < 4; i++)
        assert_kv_ok(offer(it, KV_LANE_KEYS, &hung[i], true, &err));
    wait_stuck(it, 4);
    assert_kv_fails(KV_UNAVAILABLE, offer(it, KV_LANE_KEYS, &refused, false, &err));
    assert_true(err.retry_ms > 0);

    atomic_store(&it->hold, false);
    wait_ran(it, 5);
    /* A task has run a moment before its worker is free. */
    for (int i = 0; i < WAITS && offer(it, KV_LANE_KEYS, &refused, false, &err) != KV_OK; i++) {
        nap_ms(1);
        kv_lanes_tick(it->lanes);
    }
    wait_ran(it, 6);
}

static void a_stuck_workers_other_tasks_are_rescued(void **state)
{
    scene *it = *state;
    job hung[2], behind[10];
    kv_error err;

    atomic_store(&it->hold, true);
    /* Two workers hang; what they took along must not wait for them. */
    for (size_t i = 0; i < 2; i++)
        assert_kv_ok(offer(it, KV_LANE_KEYS, &hung[i], true, &err));
    for (size_t i = 0; i < KV_COUNT(behind); i++)
        assert_kv_ok(offer(it, KV_LANE_KEYS, &behind[i], false, &err));
    wait_stuck(it, 2);
    wait_ran(it, KV_COUNT(behind));
    atomic_store(&it->hold, false);
    wait_ran(it, KV_COUNT(behind) + 2);
}

static void stopping_runs_what_is_queued(void **state)
{
    scene *it = *state;
    job jobs[30], late;
    kv_error err;

    for (size_t i = 0; i < KV_COUNT(jobs); i++)
        assert_kv_ok(offer(it, KV_LANE_KEYS, &jobs[i], false, &err));
    kv_lanes_stop(it->lanes);
    assert_int_equal(atomic_load(&it->ran), KV_COUNT(jobs));
    assert_kv_fails(KV_UNAVAILABLE, offer(it, KV_LANE_KEYS, &late, false, &err));
}

#define LANES(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LANES(tasks_run),
        LANES(no_lane_waits_behind_another),
        LANES(a_lane_without_workers_is_not_offered),
        LANES(a_full_lane_is_busy),
        LANES(stuck_workers_are_replaced_up_to_twice_the_size),
        LANES(a_stuck_workers_other_tasks_are_rescued),
        LANES(stopping_runs_what_is_queued),
    };

    return cmocka_run_group_tests_name("lanes", tests, NULL, NULL);
}
