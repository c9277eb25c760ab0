/* calendar.h - validity in calendar months.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <stdint.h>

/* `months` calendar months after `unix_ms`, UTC, or before it if negative: the same day of the
 * month and time of day, or the month's last day where it is shorter. */
int64_t kv_x509_add_months(int64_t unix_ms, int64_t months);
