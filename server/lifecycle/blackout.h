/* blackout.h - times in which nothing is renewed.
 *
 * A window is text, in UTC: weekly, "Fri 18:00 - Mon 06:00" (days Mon Tue Wed Thu Fri Sat Sun, both
 * ends within a week); or once, "2026-12-20T00:00Z - 2027-01-06T00:00Z". The end does not belong to
 * it.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/base/error.h"
#include "server/base/slice.h"

enum { KV_BLACKOUTS_MAX = 16 };

typedef struct kv_blackout {
    bool weekly;
    int64_t from_ms;  /* weekly: since Monday 00:00; else since the Unix epoch */
    int64_t until_ms; /* the same; weekly: may lie before from_ms, then it is in the next week */
} kv_blackout;

/* KV_BAD_REQUEST about `field`. */
kv_status kv_blackout_parse(kv_slice text, const char *field, kv_blackout *out,
                            kv_error *err) KV_MUST_USE;
/* When the windows that hold `now_ms` end, those that follow without a gap with them; 0: none holds
 * it. Windows that leave no gap for a year end then. */
int64_t kv_blackout_end(const kv_blackout *windows, unsigned count, int64_t now_ms);
