/* turn.h - places that are taken in the order of asking, whoever asks.
 *
 * Plain mutexes and SQLite's busy handler let some threads starve; here the first to ask is the
 * first to get.
 *
 * Threads: any. kv_turn_take() may sleep, so never on a loop.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "server/base/clock.h"
#include "server/base/compiler.h"

typedef struct kv_turn_waiter kv_turn_waiter;

typedef struct kv_turn {
    pthread_mutex_t mutex; /* guards all that follows */
    unsigned free;
    kv_turn_waiter *first;
    kv_turn_waiter *last;
} kv_turn;

/* `places` may be taken at once. */
void kv_turn_init(kv_turn *turn, unsigned places);
/* When nobody waits or holds a place. */
void kv_turn_destroy(kv_turn *turn);

/* False when the deadline passes first. */
bool kv_turn_take(kv_turn *turn, kv_deadline deadline) KV_MUST_USE;
void kv_turn_give(kv_turn *turn);
