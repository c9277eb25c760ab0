/* turn.c - a queue of waiters that live on their own stacks. */
#include "server/store/turn.h"

struct kv_turn_waiter {
    pthread_cond_t granted_now;
    bool granted;
    kv_turn_waiter *next;
};

void kv_turn_init(kv_turn *turn, unsigned places)
{
    *turn = (kv_turn){ .free = places };
    pthread_mutex_init(&turn->mutex, NULL);
}

void kv_turn_destroy(kv_turn *turn)
{
    pthread_mutex_destroy(&turn->mutex);
}

static void enqueue(kv_turn *turn, kv_turn_waiter *waiter)
{
    if (turn->last)
        turn->last->next = waiter;
    else
        turn->first = waiter;
    turn->last = waiter;
}

static void leave_queue(kv_turn *turn, kv_turn_waiter *waiter)
{
    kv_turn_waiter *before = NULL;

    for (kv_turn_waiter *at = turn->first; at != waiter; at = at->next)
        before = at;
    if (before)
        before->next = waiter->next;
    else
        turn->first = waiter->next;
    if (turn->last == waiter)
        turn->last = before;
}

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* Called with the mutex held; returns with it held. */
static bool wait_in_queue(kv_turn *turn, kv_deadline deadline)
{
    kv_turn_waiter waiter = { 0 };
    int timed_out = 0;

    init_condition(&waiter.granted_now);
    enqueue(turn, &waiter);
    while (!waiter.granted && !timed_out)
        timed_out = pthread_cond_timedwait(&waiter.granted_now, &turn->mutex, &deadline.at);
    if (!waiter.granted)
        leave_queue(turn, &waiter);
    pthread_cond_destroy(&waiter.granted_now);
    return waiter.granted;
}

bool kv_turn_take(kv_turn *turn, kv_deadline deadline)
{
    bool taken = true;

    pthread_mutex_lock(&turn->mutex);
    if (turn->free > 0)
        turn->free--;
    else
        taken = wait_in_queue(turn, deadline);
    pthread_mutex_unlock(&turn->mutex);
    return taken;
}

void kv_turn_give(kv_turn *turn)
{
    kv_turn_waiter *next;

    pthread_mutex_lock(&turn->mutex);
    next = turn->first;
    if (next) {
        turn->first = next->next;
        if (!turn->first)
            turn->last = NULL;
        next->granted = true;
        pthread_cond_signal(&next->granted_now);
    } else {
        turn->free++;
    }
    pthread_mutex_unlock(&turn->mutex);
}
