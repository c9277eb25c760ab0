/* when.c - times as authorities write them. */
#include "server/acme/when.h"

#include <time.h>

#include "server/base/text.h"

enum { TEXT_MAX = 64, YEAR_0 = 1900, YEAR_FIRST = 1970 - YEAR_0 };

static bool date_of(kv_slice text, int64_t *unix_ms)
{
    static const char *const forms[] = { "%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                         "%a %b %e %H:%M:%S %Y" };
    char copy[TEXT_MAX];

    if (text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        struct tm parts = { 0 };
        const char *end = strptime(copy, forms[i], &parts);

        if (!end || *end || parts.tm_year < YEAR_FIRST)
            continue;
        *unix_ms = (int64_t)timegm(&parts) * 1000;
        return true;
    }
    return false;
}

int64_t kv_acme_retry_after(kv_slice text, int64_t now_ms)
{
    uint64_t seconds = 0;
    int64_t wait;

    if (!text.len || memchr(text.data, 0, text.len))
        return -1;
    if (kv_text_number(text, UINT64_MAX, &seconds))
        return seconds > KV_ACME_WAIT_MOST_MS / 1000 ? KV_ACME_WAIT_MOST_MS
                                                     : (int64_t)seconds * 1000;
    if (!date_of(text, &wait))
        return -1;
    wait -= now_ms;
    if (wait < 0)
        return 0;
    return wait > KV_ACME_WAIT_MOST_MS ? KV_ACME_WAIT_MOST_MS : wait;
}

/* --- RFC 3339 --- */

/* Exactly `count` digits, not above `most`; moves on. */
static bool digits(kv_slice *rest, size_t count, int most, int *out)
{
    uint64_t value = 0;

    if (rest->len < count ||
        !kv_text_number(kv_slice_of(rest->data, count), (uint64_t)most, &value))
        return false;
    *out = (int)value;
    *rest = kv_slice_of(rest->data + count, rest->len - count);
    return true;
}

static bool one_of(kv_slice *rest, const char *these, char *out)
{
    if (!rest->len || !rest->data[0] || !strchr(these, rest->data[0]))
        return false;
    *out = (char)rest->data[0];
    *rest = kv_slice_of(rest->data + 1, rest->len - 1);
    return true;
}

static bool fraction(kv_slice *rest, int64_t *ms)
{
    int64_t weight = 100;
    char dot;

    *ms = 0;
    if (!one_of(rest, ".", &dot))
        return true;
    if (!rest->len || rest->data[0] < '0' || rest->data[0] > '9')
        return false;
    for (; rest->len && rest->data[0] >= '0' && rest->data[0] <= '9'; weight /= 10) {
        *ms += weight * (rest->data[0] - '0');
        *rest = kv_slice_of(rest->data + 1, rest->len - 1);
    }
    return true;
}

/* Minutes east of Greenwich. */
static bool zone(kv_slice *rest, int *minutes)
{
    char sign, colon;
    int hours;

    *minutes = 0;
    if (!one_of(rest, "Zz+-", &sign))
        return false;
    if (sign == 'Z' || sign == 'z')
        return true;
    if (!digits(rest, 2, 23, &hours) || !one_of(rest, ":", &colon) || !digits(rest, 2, 59, minutes))
        return false;
    *minutes += hours * 60;
    if (sign == '-')
        *minutes = -*minutes;
    return true;
}

bool kv_acme_time(kv_slice text, int64_t *unix_ms)
{
    struct tm parts = { 0 };
    struct tm again;
    int64_t ms = 0;
    int minutes = 0, month = 0, year = 0;
    time_t at;
    char mark;

    if (!digits(&text, 4, 9999, &year) || !one_of(&text, "-", &mark) ||
        !digits(&text, 2, 12, &month) || !one_of(&text, "-", &mark) ||
        !digits(&text, 2, 31, &parts.tm_mday) || !one_of(&text, "Tt ", &mark) ||
        !digits(&text, 2, 23, &parts.tm_hour) || !one_of(&text, ":", &mark) ||
        !digits(&text, 2, 59, &parts.tm_min) || !one_of(&text, ":", &mark) ||
        !digits(&text, 2, 60, &parts.tm_sec) || !fraction(&text, &ms) || !zone(&text, &minutes) ||
        text.len || year < 1970)
        return false;
    parts.tm_year = year - YEAR_0;
    parts.tm_mon = month - 1;
    again = parts;
    at = timegm(&again);
    /* The 31st of a shorter month is another day. */
    if (again.tm_mday != parts.tm_mday && parts.tm_sec != 60)
        return false;
    *unix_ms = ((int64_t)at - minutes * INT64_C(60)) * 1000 + ms;
    return month > 0 && parts.tm_mday > 0 && *unix_ms >= 0;
}
