/* expiry.c - a table of moments. */
#include "server/lifecycle/expiry.h"

#include "server/base/compiler.h"

static const int64_t day_ms = INT64_C(86400000);

/* One of the two numbers; none: the end. */
static const struct {
    const char *cause;
    int64_t days;
    int64_t percent;
} moments[] = {
    { "30-days", 30, 0 },    { "15-days", 15, 0 },    { "7-days", 7, 0 },
    { "90-percent", 0, 90 }, { "95-percent", 0, 95 }, { "expired", 0, 0 },
};

/* False: this life has no such moment. */
static bool moment(size_t which, int64_t begins, int64_t expires, kv_expiry_notice *out)
{
    int64_t life = expires - begins;

    *out = (kv_expiry_notice){ .at = expires, .cause = moments[which].cause };
    out->over = !moments[which].days && !moments[which].percent;
    if (out->over)
        return true;
    if (life <= 0)
        return false;
    out->at -= moments[which].days * day_ms;
    if (moments[which].percent)
        out->at = begins + life / 100 * moments[which].percent;
    return out->at >= begins + life / 2;
}

kv_expiry_notice kv_expiry_latest(int64_t begins, int64_t expires, int64_t now_ms)
{
    kv_expiry_notice found = { 0 };
    kv_expiry_notice at;

    for (size_t i = 0; i < KV_COUNT(moments); i++)
        if (moment(i, begins, expires, &at) && at.at <= now_ms &&
            (!found.cause || at.at >= found.at))
            found = at;
    return found;
}

kv_expiry_notice kv_expiry_next(int64_t begins, int64_t expires, int64_t now_ms)
{
    kv_expiry_notice found = { 0 };
    kv_expiry_notice at;

    for (size_t i = 0; i < KV_COUNT(moments); i++)
        if (moment(i, begins, expires, &at) && at.at > now_ms && (!found.cause || at.at < found.at))
            found = at;
    return found;
}
