/* duration.c - ISO 8601 durations on the calendar. */
#include "server/lifecycle/duration.h"

#include "server/base/compiler.h"
#include "server/x509/calendar.h"

enum { DIGITS_MAX = 5, YEARS_MAX = 100, MONTHS = 12, FULL_YEARS = 4, CENTURY_DAYS = 36525 };

static const int64_t day_ms = INT64_C(86400000);

typedef struct unit {
    char letter;
    bool time; /* after the T */
    bool alone;
    int64_t months;
    int64_t ms;
} unit;

static const unit units[] = {
    { 'Y', false, false, MONTHS, 0 },   { 'M', false, false, 1, 0 },
    { 'W', false, true, 0, 604800000 }, { 'D', false, false, 0, 86400000 },
    { 'H', true, false, 0, 3600000 },   { 'M', true, false, 0, 60000 },
    { 'S', true, false, 0, 1000 },
};

static bool take_number(kv_slice *text, int64_t *out)
{
    size_t digits = 0;

    *out = 0;
    while (digits < text->len && text->data[digits] >= '0' && text->data[digits] <= '9') {
        if (digits == DIGITS_MAX)
            return false;
        *out = *out * 10 + (text->data[digits++] - '0');
    }
    *text = kv_slice_of(text->data + digits, text->len - digits);
    return digits > 0;
}

/* The unit of this letter among those that may still follow; NULL: none. */
static const unit *take_unit(kv_slice *text, bool time, size_t *next)
{
    for (size_t i = *next; text->len && i < KV_COUNT(units); i++)
        if (units[i].letter == (char)text->data[0] && units[i].time == time) {
            *next = units[i].alone ? KV_COUNT(units) : i + 1;
            *text = kv_slice_of(text->data + 1, text->len - 1);
            return &units[i];
        }
    return NULL;
}

static bool take_letter(kv_slice *text, char letter)
{
    if (!text->len || (char)text->data[0] != letter)
        return false;
    *text = kv_slice_of(text->data + 1, text->len - 1);
    return true;
}

/* Weeks stand alone, and something follows a T. */
static bool parse(kv_slice text, kv_duration *out)
{
    size_t next = 0;
    bool time = false;
    bool first = true;

    *out = (kv_duration){ 0 };
    if (!take_letter(&text, 'P'))
        return false;
    while (text.len) {
        const unit *found;
        int64_t number;

        if (!time && take_letter(&text, 'T'))
            time = true;
        if (!take_number(&text, &number))
            return false;
        found = take_unit(&text, time, &next);
        if (!found || (found->alone && !first))
            return false;
        out->months += number * found->months;
        out->ms += number * found->ms;
        first = false;
    }
    return !first;
}

kv_status kv_duration_parse(kv_slice text, const char *field, kv_duration *out, kv_error *err)
{
    *out = (kv_duration){ 0 };
    if (!text.len)
        return KV_OK;
    if (text.len > KV_DURATION_TEXT_MAX || !parse(text, out))
        return kv_fail_field(err, field, "is a duration of ISO 8601: P90D, P1Y6M, PT48H");
    if (!kv_duration_given(out))
        return kv_fail_field(err, field, "is a duration of no time");
    if (kv_duration_most_ms(out) > CENTURY_DAYS * day_ms)
        return kv_fail_field(err, field, "is longer than %d years", YEARS_MAX);
    return KV_OK;
}

int64_t kv_duration_after(int64_t from_ms, const kv_duration *d)
{
    return kv_x509_add_months(from_ms, d->months) + d->ms;
}

int64_t kv_duration_before(int64_t from_ms, const kv_duration *d)
{
    return kv_x509_add_months(from_ms, -d->months) - d->ms;
}

/* The calendar itself says how long: whole months from the first of each month of four years. To
 * begin on a later day of the month makes none shorter or longer than these. */
static int64_t extreme(const kv_duration *d, bool most)
{
    int64_t found = 0;

    for (int month = 0; month < FULL_YEARS * MONTHS; month++) {
        int64_t from = kv_x509_add_months(0, month);
        int64_t span = kv_x509_add_months(from, d->months) - from;

        if (month == 0 || (most ? span > found : span < found))
            found = span;
    }
    return found + d->ms;
}

int64_t kv_duration_least_ms(const kv_duration *d)
{
    return extreme(d, false);
}

int64_t kv_duration_most_ms(const kv_duration *d)
{
    return extreme(d, true);
}
