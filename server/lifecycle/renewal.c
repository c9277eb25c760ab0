/* renewal.c - when a certificate is renewed. */
#include "server/lifecycle/renewal.h"

enum {
    LATE_MS = 60 * 60 * 1000,
    MARGIN_MS = 2 * 60 * 60 * 1000,
    LIFE_PER_MARGIN = 10,
    LIFE_PER_JITTER = 20,
    JITTER_STEPS = 10000
};

static const int64_t day_ms = INT64_C(86400000);

bool kv_renewal_asked(const kv_x509_policy *policy, kv_x509_lifetime_action *trigger)
{
    for (size_t i = 0; i < policy->lifetime_action_count; i++)
        if (policy->lifetime_actions[i].action == KV_X509_AUTO_RENEW) {
            *trigger = policy->lifetime_actions[i];
            return true;
        }
    return false;
}

static int64_t life_of(int64_t not_before, int64_t not_after)
{
    return not_after > not_before ? not_after - not_before : 0;
}

int64_t kv_renewal_floor(int64_t not_before, int64_t not_after)
{
    int64_t life = life_of(not_before, not_after);
    int64_t margin = life / LIFE_PER_MARGIN;

    if (margin < MARGIN_MS)
        margin = MARGIN_MS;
    if (margin > life / 3)
        margin = life / 3;
    return not_after - margin;
}

/* Parts first: a life in milliseconds times a percentage fits, whatever a certificate says. */
static int64_t percent_of(int64_t life, uint32_t percentage)
{
    return life / 100 * percentage;
}

static int64_t late(const kv_renewal_facts *facts)
{
    int64_t left = life_of(facts->got, facts->not_after);

    return facts->got + (left / 3 > LATE_MS ? left / 3 : LATE_MS);
}

int64_t kv_renewal_due(const kv_renewal_facts *facts)
{
    int64_t life = life_of(facts->not_before, facts->not_after);
    int64_t floor = kv_renewal_floor(facts->not_before, facts->not_after);
    int64_t due;

    if (facts->trigger.days_before_expiry) {
        due = facts->not_after - (int64_t)facts->trigger.days_before_expiry * day_ms;
        if (due < facts->not_before + life / 2)
            due = facts->not_before + life / 2;
    } else {
        uint32_t percentage = facts->trigger.lifetime_percentage;

        due = facts->not_before +
              percent_of(life, percentage ? percentage : KV_X509_LIFETIME_PERCENTAGE_DEFAULT);
    }
    if (due <= facts->got)
        return late(facts);
    due += life / LIFE_PER_JITTER / JITTER_STEPS * (int64_t)(facts->seed % JITTER_STEPS);
    return due > floor ? floor : due;
}

int64_t kv_renewal_again(int64_t now_ms, int64_t attempts, int64_t not_after, uint64_t seed)
{
    return now_ms + kv_backoff_ms(attempts, not_after > now_ms ? not_after - now_ms : 0, seed);
}

/* --- what the issuer suggests --- */

kv_renewal_hint kv_renewal_hint_of(const kv_renewal_hint *before, int64_t from, int64_t until,
                                   uint64_t random)
{
    kv_renewal_hint hint = { .from = from, .until = until };

    if (until <= from || (from == before->from && until == before->until))
        return *before;
    hint.at = from + (int64_t)(random % (uint64_t)(until - from));
    return hint;
}

int64_t kv_renewal_ask_again(int64_t now_ms, int64_t retry_ms, int64_t failures)
{
    int64_t wait = retry_ms;

    if (failures)
        wait = kv_backoff_ms(failures, 0, (uint64_t)now_ms);
    else if (!wait)
        wait = KV_RENEWAL_ASK_MS;
    if (wait < KV_RENEWAL_ASK_MIN_MS)
        wait = KV_RENEWAL_ASK_MIN_MS;
    return now_ms + (wait > KV_RENEWAL_ASK_MAX_MS ? KV_RENEWAL_ASK_MAX_MS : wait);
}

int64_t kv_renewal_at(const kv_renewal_facts *facts, const kv_renewal_hint *hint)
{
    int64_t due = kv_renewal_due(facts);
    int64_t soonest = facts->got + LATE_MS;
    int64_t at = hint->at < soonest ? soonest : hint->at;

    return hint->at && at < due ? at : due;
}

/* --- now --- */

static kv_renewal_turn rest(const kv_renewal_plan *plan, int64_t now_ms)
{
    kv_renewal_turn turn = { .act = KV_RENEWAL_WAIT, .due_at = plan->renew_at };

    if (plan->ask_at && plan->ask_at <= now_ms)
        turn.act = KV_RENEWAL_ASK;
    else if (plan->ask_at && plan->ask_at < turn.due_at)
        turn.due_at = plan->ask_at;
    return turn;
}

kv_renewal_turn kv_renewal_turn_of(const kv_renewal_plan *plan, const kv_renewal_facts *facts,
                                   const kv_gate_facts *gate)
{
    int64_t floor = kv_renewal_floor(facts->not_before, facts->not_after);
    kv_gate_facts at = *gate;
    kv_renewal_turn turn = { .act = KV_RENEWAL_BEGIN };
    kv_gate shut;

    if (!plan->attempts && plan->renew_at > at.now_ms)
        return rest(plan, at.now_ms);
    at.not_after = facts->not_after;
    at.urgent = at.now_ms >= floor;
    at.seed = facts->seed;
    at.places_order = true;
    shut = kv_gate_of(&at);
    turn.due_at = kv_renewal_again(at.now_ms, plan->attempts + 1, facts->not_after, facts->seed);
    if (!shut.waiting)
        return turn;
    turn =
        (kv_renewal_turn){ .act = KV_RENEWAL_WAIT, .due_at = shut.until, .waiting = shut.waiting };
    if (floor > at.now_ms && turn.due_at > floor)
        turn.due_at = floor;
    return turn;
}
