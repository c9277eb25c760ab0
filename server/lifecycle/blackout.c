/* blackout.c - times in which nothing is renewed. */
#include "server/lifecycle/blackout.h"

#include <string.h>
#include <time.h>

enum { TEXT_MAX = 64, DAYS = 7 };

#define MINUTE_MS INT64_C(60000)
#define DAY_MS    INT64_C(86400000)
#define WEEK_MS   (DAYS * DAY_MS)
#define YEAR_MS   (366 * DAY_MS)

/* The Unix epoch was a Thursday. */
#define MONDAY_MS (4 * DAY_MS)

static const char *const days[DAYS] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };

static bool read_digits(const char **at, unsigned digits, int *out)
{
    int value = 0;

    for (unsigned i = 0; i < digits; i++) {
        if (**at < '0' || **at > '9')
            return false;
        value = 10 * value + (*(*at)++ - '0');
    }
    *out = value;
    return true;
}

static bool skip(const char **at, const char *text)
{
    size_t len = strlen(text);

    if (strncmp(*at, text, len) != 0)
        return false;
    *at += len;
    return true;
}

/* "18:00"; 24:00 is the end of a day. */
static bool read_clock(const char **at, int64_t *ms)
{
    int hour;
    int minute;

    if (!read_digits(at, 2, &hour) || !skip(at, ":") || !read_digits(at, 2, &minute) ||
        minute > 59 || hour > 24 || (hour == 24 && minute))
        return false;
    *ms = (hour * 60 + minute) * MINUTE_MS;
    return true;
}

static bool read_weekly(const char **at, int64_t *ms)
{
    for (int day = 0; day < DAYS; day++)
        if (skip(at, days[day])) {
            if (!skip(at, " ") || !read_clock(at, ms))
                return false;
            *ms += day * DAY_MS;
            return true;
        }
    return false;
}

static bool read_once(const char **at, int64_t *ms)
{
    struct tm day = { 0 };
    struct tm checked;
    time_t seconds;

    if (!read_digits(at, 4, &day.tm_year) || !skip(at, "-") || !read_digits(at, 2, &day.tm_mon) ||
        !skip(at, "-") || !read_digits(at, 2, &day.tm_mday) || !skip(at, "T") ||
        !read_clock(at, ms) || !skip(at, "Z") || day.tm_year < 1970)
        return false;
    day.tm_year -= 1900;
    day.tm_mon -= 1;
    checked = day;
    seconds = timegm(&checked);
    *ms += (int64_t)seconds * 1000;
    return checked.tm_mon == day.tm_mon && checked.tm_mday == day.tm_mday;
}

static bool read_window(const char *at, kv_blackout *out)
{
    bool (*read)(const char **at, int64_t *ms) = *at >= '0' && *at <= '9' ? read_once : read_weekly;

    out->weekly = read == read_weekly;
    if (!read(&at, &out->from_ms) || !skip(&at, " - ") || !read(&at, &out->until_ms) || *at)
        return false;
    return out->weekly ? out->from_ms % WEEK_MS != out->until_ms % WEEK_MS
                       : out->from_ms < out->until_ms;
}

kv_status kv_blackout_parse(kv_slice text, const char *field, kv_blackout *out, kv_error *err)
{
    char copy[TEXT_MAX] = { 0 };
    kv_blackout window = { 0 };

    if (text.len < sizeof(copy) && text.len)
        memcpy(copy, text.data, text.len);
    if (!read_window(copy, &window))
        return kv_fail_field(err, field,
                             "must be like 'Fri 18:00 - Mon 06:00' or '2026-12-20T00:00Z - "
                             "2027-01-06T00:00Z', in UTC");
    *out = window;
    return KV_OK;
}

/* 0: it does not hold that time. */
static int64_t end_of(const kv_blackout *window, int64_t at_ms)
{
    int64_t since_monday;
    int64_t length;
    int64_t into;

    if (!window->weekly)
        return at_ms >= window->from_ms && at_ms < window->until_ms ? window->until_ms : 0;
    since_monday = ((at_ms - MONDAY_MS) % WEEK_MS + WEEK_MS + WEEK_MS) % WEEK_MS;
    length = ((window->until_ms - window->from_ms) % WEEK_MS + WEEK_MS) % WEEK_MS;
    into = (since_monday - window->from_ms + WEEK_MS) % WEEK_MS;
    return into < length ? at_ms + length - into : 0;
}

int64_t kv_blackout_end(const kv_blackout *windows, unsigned count, int64_t now_ms)
{
    int64_t at = now_ms;
    bool moved = true;

    while (moved && at - now_ms < YEAR_MS) {
        moved = false;
        for (unsigned i = 0; i < count; i++) {
            int64_t end = end_of(&windows[i], at);

            moved |= end > at;
            at = end > at ? end : at;
        }
    }
    return at > now_ms ? at : 0;
}
