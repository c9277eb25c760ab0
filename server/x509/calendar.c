/* calendar.c - calendar months, UTC. */
#include "server/x509/calendar.h"

#include <stdbool.h>
#include <time.h>

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of(int month, int year)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return days[month] + (month == 1 && is_leap(year));
}

int64_t kv_x509_add_months(int64_t unix_ms, int64_t months)
{
    int64_t millis = ((unix_ms % 1000) + 1000) % 1000;
    time_t seconds = (time_t)((unix_ms - millis) / 1000);
    struct tm parts;
    int64_t month;

    (void)gmtime_r(&seconds, &parts);
    month = parts.tm_mon + months;
    parts.tm_mon = (int)((month % 12 + 12) % 12);
    parts.tm_year += (int)((month - parts.tm_mon) / 12);
    if (parts.tm_mday > days_of(parts.tm_mon, parts.tm_year + 1900))
        parts.tm_mday = days_of(parts.tm_mon, parts.tm_year + 1900);
    return (int64_t)timegm(&parts) * 1000 + millis;
}
