/* clock.c - the two clocks of POSIX. */
#include "server/base/clock.h"

#include <stddef.h>

int64_t kv_clock_now_ms(const kv_clock *clock)
{
    struct timespec now;

    if (clock && clock->now_ms)
        return clock->now_ms(clock->context);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t kv_clock_steady_ms(const kv_clock *clock)
{
    return clock && clock->now_ms ? clock->now_ms(clock->context) : kv_monotonic_us() / 1000;
}

int64_t kv_clock_ms_until(const kv_clock *clock, int64_t unix_seconds, int64_t least, int64_t most)
{
    int64_t now = kv_clock_now_ms(clock), left;

    if (unix_seconds <= (now + least) / 1000)
        return least;
    if (unix_seconds > (now + most) / 1000)
        return most;
    left = unix_seconds * 1000 - now;
    return left < least ? least : left;
}

int64_t kv_monotonic_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

kv_deadline kv_deadline_in_ms(int64_t ms)
{
    int64_t us;

    if (ms > KV_DEADLINE_LONGEST_MS)
        ms = KV_DEADLINE_LONGEST_MS;
    us = kv_monotonic_us() + (ms > 0 ? ms * 1000 : 0);
    return (kv_deadline){ .at = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 } };
}

int64_t kv_deadline_left_ms(kv_deadline deadline)
{
    int64_t at = (int64_t)deadline.at.tv_sec * 1000000 + deadline.at.tv_nsec / 1000;
    int64_t left = at - kv_monotonic_us();

    return left > 0 ? (left + 999) / 1000 : 0;
}

bool kv_deadline_passed(kv_deadline deadline)
{
    return kv_deadline_left_ms(deadline) == 0;
}
