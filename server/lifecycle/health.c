/* health.c - is an issuer well, and may it be asked? */
#include "server/lifecycle/health.h"

enum { DOUBLINGS_MAX = 5, JITTER_STEPS = 1000 };

static int64_t share(int64_t of, uint64_t seed)
{
    return of / JITTER_STEPS * (int64_t)(seed % JITTER_STEPS);
}

/* A time in the future, unless it is further off than it can be. */
static bool ahead(int64_t at, int64_t now_ms, int64_t most_ms)
{
    return at > now_ms && at - now_ms <= most_ms;
}

kv_health_leave kv_health_may_ask(const kv_health *health, int64_t now_ms, int64_t *until)
{
    *until = 0;
    if (ahead(health->paused_until, now_ms, KV_HEALTH_PAUSE_MAX_MS)) {
        *until = health->paused_until;
        return KV_HEALTH_WAIT;
    }
    if (!health->unwell_since)
        return KV_HEALTH_ASK;
    if (!ahead(health->probe_at, now_ms, KV_HEALTH_PROBE_MAX_MS))
        return KV_HEALTH_PROBE;
    *until = health->probe_at;
    return KV_HEALTH_WAIT;
}

void kv_health_probing(kv_health *health, int64_t now_ms, int64_t claim_ms)
{
    health->probe_at = now_ms + claim_ms;
}

static int64_t probe_wait(const kv_health *health, uint64_t seed)
{
    int64_t doublings = health->failures - KV_HEALTH_FAILURES;
    int64_t wait;

    if (doublings < 0)
        doublings = 0;
    if (doublings > DOUBLINGS_MAX)
        doublings = DOUBLINGS_MAX;
    wait = (int64_t)KV_HEALTH_PROBE_MS << doublings;
    if (wait > KV_HEALTH_PROBE_MAX_MS)
        wait = KV_HEALTH_PROBE_MAX_MS;
    return wait - share(wait / 10, seed ^ (uint64_t)health->failures);
}

static kv_health_change failed(kv_health *health, const kv_health_news *news)
{
    bool was_well = !health->unwell_since;

    health->failures++;
    if (health->failures < KV_HEALTH_FAILURES && was_well)
        return KV_HEALTH_NOTED;
    if (was_well)
        health->unwell_since = news->now_ms;
    health->probe_at = news->now_ms + probe_wait(health, news->seed);
    return was_well ? KV_HEALTH_FELL_ILL : KV_HEALTH_NOTED;
}

static kv_health_change answered(kv_health *health)
{
    bool was_well = !health->unwell_since;
    bool nothing = was_well && !health->failures;

    health->failures = 0;
    health->unwell_since = 0;
    health->probe_at = 0;
    if (nothing)
        return KV_HEALTH_SAME;
    return was_well ? KV_HEALTH_NOTED : KV_HEALTH_RECOVERED;
}

/* Who has no time for anybody has not shown that it is well; who is unwell is tried after that. */
static void put_off(kv_health *health, const kv_health_news *news, int64_t pause_ms)
{
    int64_t until = news->now_ms + pause_ms;

    health->probe_at = 0;
    if (until > health->paused_until ||
        !ahead(health->paused_until, news->now_ms, KV_HEALTH_PAUSE_MAX_MS))
        health->paused_until = until;
}

kv_health_change kv_health_heard(kv_health *health, const kv_health_news *news)
{
    int64_t pause =
        news->pause_ms > KV_HEALTH_PAUSE_MAX_MS ? KV_HEALTH_PAUSE_MAX_MS : news->pause_ms;
    kv_health_change change = KV_HEALTH_NOTED;

    if (pause > 0)
        put_off(health, news, pause);
    if (news->fault)
        change = failed(health, news);
    else if (pause <= 0)
        change = answered(health);
    return change;
}

int64_t kv_health_wake(int64_t now_ms, int64_t next_at, int64_t spread_ms, uint64_t seed)
{
    int64_t at = now_ms + share(spread_ms, seed);

    return next_at < at ? next_at : at;
}
