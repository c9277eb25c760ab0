/* when.h - times as authorities write them.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/base/slice.h"

enum { KV_ACME_WAIT_MOST_MS = 7 * 24 * 60 * 60 * 1000 };

/* Retry-After (RFC 9110 section 10.2.3): seconds, or one of the three forms of an HTTP date.
 * Milliseconds from `now_ms` on, at most KV_ACME_WAIT_MOST_MS; 0 for a date that has passed; -1 for
 * anything else. */
int64_t kv_acme_retry_after(kv_slice text, int64_t now_ms);

/* RFC 3339, of the years 1970 to 9999; fractions of a second beyond the third digit are dropped. */
bool kv_acme_time(kv_slice text, int64_t *unix_ms);
