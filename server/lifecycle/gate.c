/* gate.c - may an issuer be asked now, and if not, what is waited for? */
#include "server/lifecycle/gate.h"

#include "server/lifecycle/operation.h"

enum {
    PROMPT_MS = 10 * 60 * 1000, /* spread, where nothing is about to expire */
    LEAST_MS = 1000,
    RESERVE_PARTS = 5,
    MANY = 16, /* failures, for the longest wait */
    STEPS = 1000
};

static int64_t spread(const kv_gate_facts *facts, int64_t most)
{
    int64_t left = facts->not_after - facts->now_ms;
    int64_t usual = facts->not_after ? KV_GATE_SPREAD_MAX_MS : PROMPT_MS;

    if (most > usual)
        most = usual;
    if (left > 0 && most > left / 8)
        most = left / 8;
    return most / STEPS * (int64_t)(facts->seed % STEPS);
}

static kv_gate wait_for(kv_waiting waiting, int64_t until, const kv_gate_facts *facts)
{
    kv_gate gate = { .waiting = waiting, .until = until };

    if (gate.until < facts->now_ms + LEAST_MS)
        gate.until = facts->now_ms + LEAST_MS;
    return gate;
}

/* As seldom as once in six hours: one is trying it. But whoever tries it may be cancelled or die:
 * of many there is always one who looks soon. */
static int64_t recheck(const kv_gate_facts *facts, int64_t left)
{
    int64_t most = kv_backoff_ms(MANY, left, facts->seed);
    uint64_t roll = (facts->seed ^ (uint64_t)(facts->now_ms / LEAST_MS)) % STEPS;

    if (most <= KV_HEALTH_PROBE_MAX_MS)
        return most;
    return KV_HEALTH_PROBE_MAX_MS + (most - KV_HEALTH_PROBE_MAX_MS) / STEPS * (int64_t)roll;
}

static kv_gate health_gate(const kv_gate_facts *facts)
{
    int64_t left = facts->not_after > facts->now_ms ? facts->not_after - facts->now_ms : 0;
    int64_t until = 0;

    switch (kv_health_may_ask(facts->health, facts->now_ms, &until)) {
    case KV_HEALTH_ASK:
        break;
    case KV_HEALTH_PROBE:
        return (kv_gate){ .probe = true };
    case KV_HEALTH_WAIT:
        if (!facts->health->unwell_since || until == facts->health->paused_until)
            return wait_for(KV_WAITING_PAUSE, until + spread(facts, until - facts->now_ms), facts);
        return wait_for(KV_WAITING_HEALTH, facts->now_ms + recheck(facts, left), facts);
    }
    return (kv_gate){ 0 };
}

static kv_gate budget_gate(const kv_gate_facts *facts)
{
    int64_t reserve = facts->urgent ? 0 : facts->orders.most / RESERVE_PARTS;
    int64_t ready = kv_budget_ready(facts->orders, facts->orders_full_at, reserve, facts->now_ms);

    if (ready > facts->now_ms)
        return wait_for(KV_WAITING_ORDERS, ready + spread(facts, KV_GATE_SPREAD_MAX_MS), facts);
    ready = kv_budget_ready(facts->names, facts->names_full_at, 0, facts->now_ms);
    if (ready > facts->now_ms && !facts->urgent)
        return wait_for(KV_WAITING_NAMES, ready, facts);
    return (kv_gate){ 0 };
}

kv_gate kv_gate_of(const kv_gate_facts *facts)
{
    kv_gate gate = { 0 };

    if (facts->blackout_end && !facts->urgent)
        return wait_for(KV_WAITING_BLACKOUT,
                        facts->blackout_end + spread(facts, KV_GATE_SPREAD_MAX_MS), facts);
    gate = health_gate(facts);
    if (gate.waiting || !facts->places_order)
        return gate;
    if (!gate.probe)
        return budget_gate(facts);
    return gate;
}

int64_t kv_after_step_back(int64_t now_ms, int64_t at, int64_t back_ms)
{
    if (at <= now_ms || at > now_ms + back_ms + KV_CLOCK_WAIT_MAX_MS)
        return at;
    return at - back_ms > now_ms ? at - back_ms : now_ms;
}
