/* clock.h - wall time that a test can choose, and deadlines that wall time cannot move.
 *
 * Wall time is int64_t milliseconds since the Unix epoch, UTC. A deadline is a point on
 * CLOCK_MONOTONIC.
 *
 * Threads: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

typedef struct kv_clock {
    /* NULL: the system's clock. */
    int64_t (*now_ms)(void *context);
    void *context; /* borrowed */
} kv_clock;

#define KV_CLOCK_SYSTEM ((kv_clock){ 0 })

/* A NULL clock is the system's. */
int64_t kv_clock_now_ms(const kv_clock *clock);

/* Milliseconds of a time that no step of the system's clock moves, to be compared with each other
 * only. A clock that a test chose has but one time. */
int64_t kv_clock_steady_ms(const kv_clock *clock);

/* Milliseconds until a time that somebody else says, whatever it is: from `least` to `most`, of
 * which neither is negative. */
int64_t kv_clock_ms_until(const kv_clock *clock, int64_t unix_seconds, int64_t least, int64_t most);

/* Microseconds on CLOCK_MONOTONIC, for durations. */
int64_t kv_monotonic_us(void);

typedef struct kv_deadline {
    struct timespec at; /* CLOCK_MONOTONIC */
} kv_deadline;

/* A negative `ms` has passed already; more than KV_DEADLINE_LONGEST_MS counts as that. */
#define KV_DEADLINE_LONGEST_MS INT64_C(3153600000000) /* a hundred years */
kv_deadline kv_deadline_in_ms(int64_t ms);
bool kv_deadline_passed(kv_deadline deadline);
/* 0 when it has passed. */
int64_t kv_deadline_left_ms(kv_deadline deadline);
