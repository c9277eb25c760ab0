/* budget.h - so many in a time, as a bucket that fills evenly.
 *
 * The whole state is one time: when the bucket will be full again (0, or any time that has passed:
 * it is full). Each that is taken moves it on by `every_ms`.
 *
 * Times are milliseconds since the Unix epoch. Threads: any; pure functions.
 */
#pragma once

#include <stdint.h>

typedef struct kv_budget {
    int64_t every_ms; /* one more after so long; 0: there is no limit */
    int64_t most;     /* that can be saved up; 1 at least */
} kv_budget;

/* `count` in `period_ms`, all of them at once where none were taken before. 0: no limit. */
kv_budget kv_budget_of(int64_t count, int64_t period_ms);
/* When one can be had and `reserve` are still left for others; not after `now_ms`: now. */
int64_t kv_budget_ready(kv_budget budget, int64_t full_at, int64_t reserve, int64_t now_ms);
/* The new state after one was taken. */
int64_t kv_budget_take(kv_budget budget, int64_t full_at, int64_t now_ms);
