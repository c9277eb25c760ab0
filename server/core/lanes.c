/* lanes.c - worker threads, and what happens when one does not come back. */
#include "server/core/lanes.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "server/base/clock.h"
#include "server/core/dispatch.h"

enum { DEFAULT_QUEUE = 1024, DEFAULT_STUCK_MS = 60000, RETRY_MS = 1000 };

typedef struct lane lane;

/* A place for one worker: the key for its pinned sessions. */
typedef struct seat {
    lane *lane;
    kv_worker worker;
    pthread_t thread;
    bool joinable; /* the thread has been started and not joined */

    /* Guarded by lane->mutex: */
    bool living;
    bool replaced;    /* another one has taken over: end after this task */
    int64_t since_us; /* the task it is in began then; 0: in none */
    kv_task *rest;    /* what it has taken and not begun */
} seat;

struct lane {
    const kv_lanes_config *config;
    kv_lane which;
    unsigned size; /* workers wanted; the seats are twice as many */
    int64_t stuck_us;
    kv_queue *queue;

    pthread_mutex_t mutex; /* guards all that follows and the marked parts of the seats */
    seat *seats;
    unsigned working; /* living and not replaced */
    bool stopping;

    atomic_bool stuck; /* nobody is left to replace with; read at each offer */
};

struct kv_lanes {
    kv_lanes_config config;
    lane lanes[KV_LANE_COUNT];
    bool stopped;
};

static const char *const names[KV_LANE_COUNT] = {
    [KV_LANE_NONE] = "none",           [KV_LANE_KEYS] = "keys",   [KV_LANE_CA] = "ca",
    [KV_LANE_SYSTEM] = "system",       [KV_LANE_STORE] = "store", [KV_LANE_SLOW] = "slow",
    [KV_LANE_HANDSHAKE] = "handshake",
};

const char *kv_lane_name(kv_lane which)
{
    return which < KV_LANE_COUNT ? names[which] : "none";
}

/* The next task of the batch, and the clock of the supervisor. NULL: nothing left for this one. */
static kv_task *next_task(seat *me)
{
    kv_task *task;

    pthread_mutex_lock(&me->lane->mutex);
    task = me->rest;
    if (task)
        me->rest = task->next;
    me->since_us = task ? kv_monotonic_us() : 0;
    pthread_mutex_unlock(&me->lane->mutex);
    return task;
}

static unsigned length_of(const kv_task *list)
{
    unsigned length = 0;

    for (; list; list = list->next)
        length++;
    return length;
}

static void run_batch(seat *me, kv_task *batch)
{
    lane *mine = me->lane;
    unsigned left = length_of(batch);
    kv_task *task;

    pthread_mutex_lock(&mine->mutex);
    me->rest = batch;
    pthread_mutex_unlock(&mine->mutex);

    for (; (task = next_task(me)); left--) {
        int64_t began_us = kv_monotonic_us();

        task->run(task, &me->worker);
        if (kv_dispatch_should_flush(&me->worker, began_us,
                                     left - 1 + kv_queue_length(mine->queue) / mine->size))
            kv_dispatch_flush(&me->worker);
    }
}

static bool is_brief(kv_lane which)
{
    return which == KV_LANE_KEYS || which == KV_LANE_CA || which == KV_LANE_SYSTEM;
}

/* While more waits, what is finished is gathered for a moment: the fewer and larger the groups that
 * the audit thread makes durable, the more of the processors is left. Not where the next task may
 * take long, not so much that the disk and the processors wait for each other
 * (kv_dispatch_should_flush()), and who has nothing to do hands over first. */
static kv_task *next_batch(seat *me)
{
    lane *mine = me->lane;
    kv_task *batch = is_brief(mine->which) ? kv_queue_take_now(mine->queue, mine->size) : NULL;

    if (batch)
        return batch;
    kv_dispatch_flush(&me->worker);
    return kv_queue_take(mine->queue, mine->size);
}

/* False when the worker must end. */
static bool wanted(seat *me)
{
    bool yes;

    pthread_mutex_lock(&me->lane->mutex);
    yes = !me->replaced;
    pthread_mutex_unlock(&me->lane->mutex);
    return yes;
}

static void leave(seat *me)
{
    lane *mine = me->lane;

    pthread_mutex_lock(&mine->mutex);
    if (!me->replaced)
        mine->working--;
    me->living = false;
    atomic_store(&mine->stuck, false);
    pthread_mutex_unlock(&mine->mutex);
}

static void *work(void *argument)
{
    seat *me = argument;
    lane *mine = me->lane;
    const kv_lanes_config *config = mine->config;

    if (config->worker_start)
        config->worker_start(config->context, mine->which, me->worker.index);
    while (wanted(me)) {
        kv_task *batch = next_batch(me);

        if (!batch && kv_queue_closed(mine->queue) && !kv_queue_length(mine->queue))
            break;
        run_batch(me, batch);
    }
    kv_dispatch_flush(&me->worker);
    if (config->worker_stop)
        config->worker_stop(config->context, mine->which, me->worker.index);
    leave(me);
    return NULL;
}

/* With the mutex held. False when no seat is free or no thread starts. */
static bool start_worker(lane *mine)
{
    for (unsigned i = 0; i < 2 * mine->size; i++) {
        seat *free_seat = &mine->seats[i];

        if (free_seat->living)
            continue;
        if (free_seat->joinable) /* it has left: this does not wait */
            (void)pthread_join(free_seat->thread, NULL);
        *free_seat = (seat){ .lane = mine, .living = true };
        free_seat->worker = (kv_worker){ .lane = mine->which, .index = i };
        if (pthread_create(&free_seat->thread, NULL, work, free_seat)) {
            free_seat->living = false;
            return false;
        }
        free_seat->joinable = true;
        mine->working++;
        return true;
    }
    return false;
}

static kv_status open_lane(lane *mine, const kv_lanes_config *config, kv_lane which, kv_error *err)
{
    const kv_lane_config *wish = &config->lane[which];
    bool started = true;

    *mine = (lane){ .config = config, .which = which, .size = wish->workers };
    (void)pthread_mutex_init(&mine->mutex, NULL);
    if (!mine->size)
        return KV_OK;
    mine->stuck_us = (int64_t)(wish->stuck_ms ? wish->stuck_ms : DEFAULT_STUCK_MS) * 1000;
    mine->seats = calloc(2 * (size_t)mine->size, sizeof(*mine->seats));
    if (!mine->seats)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    KV_TRY(kv_queue_new(wish->queue ? wish->queue : DEFAULT_QUEUE, &mine->queue, err));

    pthread_mutex_lock(&mine->mutex);
    while (started && mine->working < mine->size)
        started = start_worker(mine);
    pthread_mutex_unlock(&mine->mutex);
    return started ? KV_OK : kv_fail(err, KV_UNAVAILABLE, "a worker thread could not be started");
}

kv_status kv_lanes_new(const kv_lanes_config *config, kv_lanes **out, kv_error *err)
{
    kv_lanes *lanes = calloc(1, sizeof(*lanes));
    kv_status status = KV_OK;

    if (!lanes)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    lanes->config = *config;
    for (kv_lane which = KV_LANE_NONE; which < KV_LANE_COUNT; which++) {
        kv_error ignored;

        status = open_lane(&lanes->lanes[which], &lanes->config, which,
                           status == KV_OK ? err : &ignored) == KV_OK
                     ? status
                     : KV_UNAVAILABLE;
    }
    if (status != KV_OK) {
        kv_lanes_free(lanes);
        return status;
    }
    *out = lanes;
    return KV_OK;
}

kv_status kv_lanes_offer(kv_lanes *lanes, kv_lane which, kv_task *task, kv_error *err)
{
    lane *mine = which < KV_LANE_COUNT ? &lanes->lanes[which] : NULL;

    if (!mine || !mine->size)
        return kv_fail(err, KV_UNAVAILABLE, "this server does not offer that");
    if (atomic_load(&mine->stuck)) {
        kv_fail(err, KV_UNAVAILABLE, "what the operation needs does not respond");
        err->retry_ms = RETRY_MS;
        return kv_note(err, "every worker of lane %s is stuck", names[which]);
    }
    return kv_queue_offer(mine->queue, task, err);
}

/* With the mutex held. False when there is nobody to replace it with. */
static bool replace(lane *mine, seat *slow)
{
    slow->replaced = true;
    mine->working--;
    if (start_worker(mine))
        return true;
    slow->replaced = false;
    mine->working++;
    return false;
}

static bool is_stuck(const lane *mine, const seat *one, int64_t now_us)
{
    return one->living && !one->replaced && one->since_us &&
           now_us - one->since_us > mine->stuck_us;
}

/* With the mutex held. What a stuck worker has not begun goes to the others. */
static void rescue(lane *mine, seat *slow)
{
    kv_task *rest = slow->rest;

    slow->rest = NULL;
    /* The queue's mutex is taken inside the lane's here, and nowhere the other way round. */
    if (rest)
        kv_queue_put_back(mine->queue, rest);
}

static void tick(lane *mine)
{
    int64_t now_us = kv_monotonic_us();
    unsigned hopeless = 0;

    pthread_mutex_lock(&mine->mutex);
    for (unsigned i = 0; i < 2 * mine->size && !mine->stopping; i++) {
        seat *one = &mine->seats[i];

        if (!is_stuck(mine, one, now_us))
            continue;
        if (!replace(mine, one))
            hopeless++;
        rescue(mine, one);
    }
    atomic_store(&mine->stuck, hopeless > 0 && hopeless == mine->working);
    pthread_mutex_unlock(&mine->mutex);
}

static void flush(lane *mine)
{
    pthread_mutex_lock(&mine->mutex);
    for (unsigned i = 0; i < 2 * mine->size; i++)
        if (mine->seats[i].living)
            kv_dispatch_flush(&mine->seats[i].worker);
    pthread_mutex_unlock(&mine->mutex);
}

void kv_lanes_flush(kv_lanes *lanes)
{
    for (unsigned i = 0; i < KV_LANE_COUNT; i++)
        if (lanes->lanes[i].size)
            flush(&lanes->lanes[i]);
}

void kv_lanes_tick(kv_lanes *lanes)
{
    kv_lanes_flush(lanes);
    for (unsigned i = 0; i < KV_LANE_COUNT; i++)
        if (lanes->lanes[i].size)
            tick(&lanes->lanes[i]);
}

static void stop_lane(lane *mine)
{
    if (mine->queue)
        kv_queue_close(mine->queue);
    pthread_mutex_lock(&mine->mutex);
    mine->stopping = true;
    pthread_mutex_unlock(&mine->mutex);
    for (unsigned i = 0; mine->seats && i < 2 * mine->size; i++)
        if (mine->seats[i].joinable) {
            (void)pthread_join(mine->seats[i].thread, NULL);
            mine->seats[i].joinable = false;
        }
}

void kv_lanes_stop(kv_lanes *lanes)
{
    if (lanes->stopped)
        return;
    lanes->stopped = true;
    for (unsigned i = 0; i < KV_LANE_COUNT; i++)
        stop_lane(&lanes->lanes[i]);
}

void kv_lanes_free(kv_lanes *lanes)
{
    if (!lanes)
        return;
    kv_lanes_stop(lanes);
    for (unsigned i = 0; i < KV_LANE_COUNT; i++) {
        kv_queue_free(lanes->lanes[i].queue);
        free(lanes->lanes[i].seats);
        (void)pthread_mutex_destroy(&lanes->lanes[i].mutex);
    }
    free(lanes);
}

unsigned kv_lanes_waiting(kv_lanes *lanes, kv_lane which)
{
    return lanes->lanes[which].queue ? kv_queue_length(lanes->lanes[which].queue) : 0;
}
