/* expiry.c - a table of moments. */
#include "server/lifecycle/expiry.h"

#include "server/base/compiler.h"

static const int64_t day_ms = INT64_C(86400000);

/* One of the two numbers; none: what the policy asks for, or the end. */
static const struct {
    const char *cause;
    int64_t days;
    int64_t percent;
    bool asked;
} moments[] = {
    { "policy", 0, 0, true },   { "30-days", 30, 0, false },    { "15-days", 15, 0, false },
    { "7-days", 7, 0, false },  { "90-percent", 0, 90, false }, { "95-percent", 0, 95, false },
    { "expired", 0, 0, false },
};

/* False: this life has no such moment. */
static bool moment(size_t which, const kv_expiry_life *of, kv_expiry_notice *out)
{
    int64_t life = of->expires - of->begins;

    *out = (kv_expiry_notice){ .at = of->expires, .cause = moments[which].cause };
    if (moments[which].asked) {
        out->at = of->asked;
        return of->asked > of->begins && of->asked < of->expires;
    }
    out->over = !moments[which].days && !moments[which].percent;
    if (out->over)
        return true;
    if (life <= 0)
        return false;
    out->at -= moments[which].days * day_ms;
    if (moments[which].percent)
        out->at = of->begins + life / 100 * moments[which].percent;
    return out->at >= of->begins + life / 2;
}

int64_t kv_expiry_asked(const kv_x509_policy *policy, int64_t begins, int64_t expires)
{
    for (size_t i = 0; i < policy->lifetime_action_count; i++) {
        const kv_x509_lifetime_action *action = &policy->lifetime_actions[i];

        if (action->action != KV_X509_EMAIL_CONTACTS)
            continue;
        return action->days_before_expiry
                   ? expires - (int64_t)action->days_before_expiry * day_ms
                   : begins + (expires - begins) / 100 * (int64_t)action->lifetime_percentage;
    }
    return 0;
}

kv_expiry_notice kv_expiry_latest(const kv_expiry_life *life, int64_t now_ms)
{
    kv_expiry_notice found = { 0 };
    kv_expiry_notice at;

    for (size_t i = 0; i < KV_COUNT(moments); i++)
        if (moment(i, life, &at) && at.at <= now_ms && (!found.cause || at.at >= found.at))
            found = at;
    return found;
}

kv_expiry_notice kv_expiry_next(const kv_expiry_life *life, int64_t now_ms)
{
    kv_expiry_notice found = { 0 };
    kv_expiry_notice at;

    for (size_t i = 0; i < KV_COUNT(moments); i++)
        if (moment(i, life, &at) && at.at > now_ms && (!found.cause || at.at < found.at))
            found = at;
    return found;
}
