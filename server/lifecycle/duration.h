/* duration.h - spans of time as ISO 8601 writes them: P90D, P1Y6M, PT48H.
 *
 * Years and months are calendar ones, so how long they are depends on where they begin: P1M after
 * 31 January is the last day of February. Times are milliseconds since the Unix epoch, UTC.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/base/error.h"
#include "server/base/slice.h"

enum { KV_DURATION_TEXT_MAX = 32 };

/* The months first, then the rest. Both 0: none was given. */
typedef struct kv_duration {
    int64_t months;
    int64_t ms;
} kv_duration;

/* PnYnMnDTnHnMnS or PnW: whole numbers of one to five digits, at least one of them, in this order.
 * The empty text is none. KV_BAD_REQUEST about `field` for anything else, for nothing at all (P0D),
 * and for more than a hundred years. */
kv_status kv_duration_parse(kv_slice text, const char *field, kv_duration *out,
                            kv_error *err) KV_MUST_USE;

static inline bool kv_duration_given(const kv_duration *d)
{
    return d->months || d->ms;
}

int64_t kv_duration_after(int64_t from_ms, const kv_duration *d);
int64_t kv_duration_before(int64_t from_ms, const kv_duration *d);

/* The shortest and the longest it can be, wherever it begins (in times with a leap year each four
 * years). */
int64_t kv_duration_least_ms(const kv_duration *d);
int64_t kv_duration_most_ms(const kv_duration *d);
