/* server_model.c - the server's steps, in the order of time. */
#include "tests/contract/simulate/server_model.h"

#include <stdlib.h>

enum { SPREAD_MS = 15 * 60 * 1000, CLAIM_MS = KV_OPERATION_CLAIM_MS, NAMES_PER_WEEK = 5 };
enum { LOST_OF_1000 = 10, FAILED_OF_1000 = 10 };

/* --- a version --- */

static uint64_t seed_of(const sim_server *server, const sim_certificate *it)
{
    uint64_t number = (uint64_t)(it - server->certificates) * 100003 + it->version;

    return kv_seed_of(kv_slice_of((const uint8_t *)&number, sizeof(number)));
}

static void plan(sim_certificate *it)
{
    it->plan.renew_at = kv_renewal_at(&it->facts, &it->hint);
    it->plan.attempts = 0;
    it->due_at = it->plan.renew_at;
    if (it->plan.ask_at && it->plan.ask_at < it->due_at)
        it->due_at = it->plan.ask_at;
    it->waiting = KV_WAITING_NOTHING;
}

static void take_version(sim_server *server, sim_certificate *it, int64_t made, int64_t now)
{
    const sim_issuer *issuer = &server->world->issuers[it->issuer];

    it->version++;
    it->facts = (kv_renewal_facts){ .not_before = made,
                                    .not_after = sim_not_after(issuer, made),
                                    .got = now,
                                    .trigger = { KV_X509_AUTO_RENEW, issuer->trigger, 0 },
                                    .seed = seed_of(server, it) };
    it->hint = (kv_renewal_hint){ 0 };
    it->plan.ask_at = issuer->hints ? now : 0;
    it->state = SIM_IDLE;
    plan(it);
}

static void note_renewal(sim_server *server, const sim_certificate *it, int64_t at)
{
    sim_result *result = &server->result;
    int64_t left = it->facts.not_after - at;
    unsigned hour = (unsigned)((at - SIM_START) / SIM_HOUR);

    result->renewed++;
    result->missed += left < 0;
    if (left < result->closest_ms[it->issuer])
        result->closest_ms[it->issuer] = left;
    if (hour < result->hours)
        result->per_hour[hour]++;
}

/* --- gates --- */

static kv_budget names_budget(const sim_certificate *it)
{
    kv_budget budget = kv_budget_of(NAMES_PER_WEEK, 7 * SIM_DAY);
    int64_t life = it->facts.not_after - it->facts.not_before;

    if (budget.every_ms > life / 4)
        budget.every_ms = life / 4;
    return budget;
}

static kv_gate_facts gate_facts(sim_server *server, const sim_certificate *it, int64_t now)
{
    const sim_issuer_row *row = &server->issuers[it->issuer];

    return (kv_gate_facts){ .now_ms = now,
                            .health = &row->health,
                            .orders = server->orders[it->issuer],
                            .orders_full_at = row->orders_full_at,
                            .names = names_budget(it),
                            .names_full_at = it->names_full_at };
}

static void wake(sim_server *server, unsigned issuer, int64_t now)
{
    for (unsigned i = issuer; i < server->count; i += SIM_ISSUERS) {
        sim_certificate *it = &server->certificates[i];
        int64_t before = sim_time_of(it);

        if (it->waiting == KV_WAITING_HEALTH) {
            it->due_at = kv_health_wake(now, it->due_at, SPREAD_MS, it->facts.seed);
            it->waiting = KV_WAITING_NOTHING;
        }
        if (it->state != SIM_IDLE && (it->failures || it->order_waiting == KV_WAITING_HEALTH))
            it->next_at = kv_health_wake(now, it->next_at, SPREAD_MS, it->facts.seed);
        if (sim_time_of(it) != before)
            sim_queue_moved(server, it);
    }
}

/* As kv_issuer_heard(). */
static int64_t hear(sim_server *server, unsigned issuer, bool fault, int64_t pause, int64_t now)
{
    kv_health *health = &server->issuers[issuer].health;
    kv_health_news news = { .fault = fault, .pause_ms = pause, .now_ms = now, .seed = issuer };
    kv_health_change change = kv_health_heard(health, &news);
    int64_t resume_at;

    server->result.unwell += change == KV_HEALTH_FELL_ILL;
    server->result.well += change == KV_HEALTH_RECOVERED;
    server->result.pauses += pause > 0;
    if (change == KV_HEALTH_RECOVERED)
        wake(server, issuer, now);
    (void)kv_health_may_ask(health, now, &resume_at);
    return resume_at;
}

/* --- the authority answers --- */

typedef struct reply {
    bool answered;
    kv_issuer_state answer;
    unsigned retry_ms;
    int64_t pause_ms;
    int64_t took_ms;
} reply;

static void count_order(sim_server *server, unsigned issuer, int64_t at)
{
    sim_result *result = &server->result;

    result->orders++;
    if (at - result->issuer_hour_at[issuer] >= SIM_HOUR) {
        result->issuer_hour_at[issuer] = at - (at - SIM_START) % SIM_HOUR;
        result->issuer_hour[issuer] = 0;
    }
    if (++result->issuer_hour[issuer] > result->issuer_peak[issuer])
        result->issuer_peak[issuer] = result->issuer_hour[issuer];
}

static reply ask_submit(sim_server *server, sim_certificate *it, int64_t at)
{
    sim_issuer *issuer = &server->world->issuers[it->issuer];
    reply out = { .answered = true, .answer = KV_ISSUER_PENDING, .took_ms = 400 };

    if (it->ordered <= it->attempts) {
        if (kv_budget_ready(issuer->limit, issuer->limit_at, 0, at) > at)
            return (reply){ .pause_ms = SIM_HOUR, .took_ms = 100 };
        issuer->limit_at = kv_budget_take(issuer->limit, issuer->limit_at, at);
        count_order(server, it->issuer, at);
        it->ordered = it->attempts + 1;
        it->ready_at = at + (issuer->prompt ? 0 : sim_below(server->world, 10 * SIM_MINUTE));
    }
    if (sim_below(server->world, 1000) < LOST_OF_1000) {
        server->result.lost++;
        return (reply){ .took_ms = SIM_MINUTE };
    }
    out.retry_ms = 15 * SIM_SECOND;
    if (issuer->prompt)
        out.answer = KV_ISSUER_ISSUED;
    return out;
}

static reply ask_poll(sim_server *server, const sim_certificate *it, int64_t at)
{
    reply out = {
        .answered = true, .answer = KV_ISSUER_PENDING, .retry_ms = SIM_MINUTE, .took_ms = 100
    };

    server->result.questions++;
    if (at < it->ready_at)
        return out;
    out.answer = KV_ISSUER_ISSUED;
    if (sim_below(server->world, 1000) < FAILED_OF_1000) {
        out.answer = KV_ISSUER_RETRYABLE;
        server->result.retries++;
    }
    return out;
}

static reply ask(sim_server *server, sim_certificate *it, int64_t at)
{
    const sim_outage *outage = sim_outage_at(&server->world->issuers[it->issuer], at);

    if (outage)
        return (reply){ .took_ms = outage->hangs ? KV_OPERATION_STEP_MS : 50 };
    return it->state == SIM_ORDERING ? ask_submit(server, it, at) : ask_poll(server, it, at);
}

/* --- a step of an operation: as operation_gate.c and operation_step.c --- */

static bool pass(sim_server *server, sim_certificate *it, int64_t now)
{
    sim_issuer_row *row = &server->issuers[it->issuer];
    kv_gate_facts facts = gate_facts(server, it, now);
    kv_gate gate;

    facts.places_order = it->state == SIM_ORDERING && !it->failures;
    facts.seed = it->facts.seed;
    facts.not_after = it->facts.not_after;
    facts.urgent = now >= kv_renewal_floor(it->facts.not_before, it->facts.not_after);
    gate = kv_gate_of(&facts);
    if (gate.waiting) {
        server->result.put_off++;
        it->next_at = gate.until;
        it->order_waiting = gate.waiting;
        return false;
    }
    if (gate.probe)
        kv_health_probing(&row->health, now, CLAIM_MS);
    if (facts.places_order)
        row->orders_full_at = kv_budget_take(server->orders[it->issuer], row->orders_full_at, now);
    return true;
}

static void accept(sim_server *server, sim_certificate *it, int64_t at)
{
    int64_t now = at + server->skew;
    int64_t full_at = kv_budget_take(names_budget(it), it->names_full_at, now);

    note_renewal(server, it, at);
    take_version(server, it, at, now);
    it->names_full_at = full_at;
    it->attempts = 0;
    it->failures = 0;
    it->ordered = 0;
}

static void store(sim_server *server, sim_certificate *it, const reply *got, int64_t resume_at,
                  int64_t at)
{
    kv_operation_heard heard = { .act = it->state == SIM_ORDERING ? KV_OPERATION_SUBMIT
                                                                  : KV_OPERATION_POLL,
                                 .answered = got->answered,
                                 .answer = got->answer,
                                 .retry_ms = got->retry_ms,
                                 .resume_at = resume_at,
                                 .attempts = it->attempts,
                                 .failures = it->failures,
                                 .now_ms = at + server->skew,
                                 .seed = it->facts.seed };
    kv_operation_turn turn = kv_operation_turn_of(&heard);

    it->next_at = turn.next_at;
    it->attempts = turn.attempts;
    it->failures = turn.failures;
    it->order_waiting = KV_WAITING_NOTHING;
    if (kv_slice_equal(turn.state, KV_STATE_ISSUED))
        accept(server, it, at);
    else if (kv_slice_equal(turn.state, KV_STATE_ORDERING))
        it->state = SIM_ORDERING;
    else if (kv_slice_equal(turn.state, KV_STATE_PENDING))
        it->state = SIM_PENDING;
    else
        it->state = SIM_IDLE;
}

/* Does the server die in that time? The answer is lost, and the step is due at once. */
static bool dies(sim_server *server, int64_t from, int64_t until)
{
    for (unsigned i = server->next_turn; i < server->world->turn_count; i++) {
        const sim_turn *turn = &server->world->turns[i];

        if (turn->at > until)
            return false;
        if (turn->kind == SIM_CRASH && turn->at >= from)
            return true;
    }
    return false;
}

/* When one of the issuer's places is free. */
static int64_t *place_at(sim_issuer_row *row)
{
    int64_t *earliest = &row->busy_until[0];

    for (unsigned i = 1; i < SIM_PER_ISSUER; i++)
        if (row->busy_until[i] < *earliest)
            earliest = &row->busy_until[i];
    return earliest;
}

/* How long it kept a thread. */
static int64_t step_operation(sim_server *server, sim_certificate *it, int64_t at)
{
    int64_t *place = place_at(&server->issuers[it->issuer]);
    int64_t resume_at;
    reply got;

    if (*place > at) {
        it->next_at = *place + server->skew;
        return 0;
    }
    if (!pass(server, it, at + server->skew))
        return 1;
    got = ask(server, it, at);
    *place = at + got.took_ms;
    if (dies(server, at, at + got.took_ms)) {
        it->next_at = at + got.took_ms + server->skew;
        return got.took_ms;
    }
    at += got.took_ms;
    resume_at =
        hear(server, it->issuer, !got.answered && !got.pause_ms, got.pause_ms, at + server->skew);
    store(server, it, &got, resume_at, at);
    return got.took_ms;
}

/* --- a step of a renewal: as renewal_due.c --- */

static void ask_hint(sim_server *server, sim_certificate *it, int64_t at)
{
    const sim_issuer *issuer = &server->world->issuers[it->issuer];
    int64_t now = at + server->skew;
    int64_t life = it->facts.not_after - it->facts.not_before;
    int64_t from = it->facts.not_before + life / 100 * 66;
    int64_t until = it->facts.not_before + life / 100 * 70;
    bool answers = !sim_outage_at(issuer, at);

    server->result.hints++;
    if (issuer->revoked_at && it->facts.not_before < issuer->revoked_at &&
        at > issuer->revoked_at) {
        from = issuer->revoked_at - SIM_DAY;
        until = issuer->revoked_at;
    }
    if (answers)
        it->hint = kv_renewal_hint_of(&it->hint, from, until, sim_random(server->world));
    it->ask_failures = answers ? 0 : it->ask_failures + 1;
    it->plan.ask_at = kv_renewal_ask_again(now, SIM_DAY, it->ask_failures);
    plan(it);
}

static void begin(sim_certificate *it, int64_t again, int64_t now)
{
    it->plan.attempts++;
    it->due_at = again;
    it->waiting = KV_WAITING_NOTHING;
    if (it->state != SIM_IDLE)
        return;
    it->state = SIM_ORDERING;
    it->next_at = now;
    it->attempts = 0;
    it->failures = 0;
    it->ordered = 0;
}

static int64_t step_renewal(sim_server *server, sim_certificate *it, int64_t at)
{
    int64_t now = at + server->skew;
    kv_gate_facts gate = gate_facts(server, it, now);
    kv_renewal_turn turn = kv_renewal_turn_of(&it->plan, &it->facts, &gate);

    switch (turn.act) {
    case KV_RENEWAL_WAIT:
        server->result.put_off += turn.waiting != KV_WAITING_NOTHING;
        it->waiting = turn.waiting;
        it->due_at = turn.due_at;
        break;
    case KV_RENEWAL_ASK:
        ask_hint(server, it, at);
        break;
    case KV_RENEWAL_BEGIN:
        begin(it, turn.due_at, now);
        break;
    }
    return 5;
}

/* --- all of it --- */

static void set_clock(sim_server *server, int64_t skew, int64_t at)
{
    int64_t back = server->skew - skew;
    int64_t now = at + skew;

    server->result.clock_steps++;
    server->skew = skew;
    if (back < KV_CLOCK_STEP_MS)
        return;
    for (unsigned i = 0; i < server->count; i++) {
        sim_certificate *it = &server->certificates[i];

        if (it->plan.attempts || it->waiting)
            it->due_at = kv_after_step_back(now, it->due_at, back);
        it->next_at = kv_after_step_back(now, it->next_at, back);
    }
    sim_queue_fill(server);
}

/* What happens before the next step. */
static bool take_turns(sim_server *server, int64_t at)
{
    const sim_turn *turn = &server->world->turns[server->next_turn];

    if (server->next_turn == server->world->turn_count || turn->at > at)
        return false;
    server->next_turn++;
    if (turn->kind == SIM_CLOCK)
        set_clock(server, turn->skew, turn->at);
    else
        server->result.crashes++;
    return true;
}

static void step(sim_server *server, sim_certificate *it, int64_t at)
{
    int64_t *worker = &server->worker_free[0];
    int64_t took;

    for (unsigned i = 1; i < SIM_WORKERS; i++)
        if (server->worker_free[i] < *worker)
            worker = &server->worker_free[i];
    if (*worker > at)
        at = *worker;
    if (it->state != SIM_IDLE && it->next_at <= it->due_at)
        took = step_operation(server, it, at);
    else
        took = step_renewal(server, it, at);
    *worker = at + took;
    sim_queue_moved(server, it);
}

void sim_server_run(sim_server *server)
{
    for (;;) {
        sim_certificate *it = server->queue[0];
        int64_t at = sim_time_of(it) - server->skew;

        if (at >= server->world->end && server->next_turn == server->world->turn_count)
            break;
        if (!take_turns(server, at))
            step(server, it, at);
    }
    for (unsigned i = 0; i < server->count; i++)
        server->result.missed += server->certificates[i].facts.not_after < server->world->end;
}

bool sim_server_make(sim_server *server, sim_world *world, unsigned certificates)
{
    unsigned hours = (unsigned)((world->end - SIM_START) / SIM_HOUR);

    *server = (sim_server){ .world = world, .count = certificates };
    server->certificates = calloc(certificates, sizeof(*server->certificates));
    server->queue = calloc(certificates, sizeof(server->queue[0]));
    server->result.hours = hours;
    server->result.per_hour = calloc(hours, sizeof(uint32_t));
    if (!server->certificates || !server->queue || !server->result.per_hour)
        return false;
    for (unsigned i = 0; i < SIM_ISSUERS; i++) {
        server->orders[i] = kv_budget_of(world->issuers[i].limit.most * 9 / 10, SIM_HOUR);
        server->result.closest_ms[i] = INT64_MAX;
    }
    for (unsigned i = 0; i < certificates; i++) {
        sim_certificate *it = &server->certificates[i];
        int64_t life = world->issuers[i % SIM_ISSUERS].life_ms;

        it->issuer = i % SIM_ISSUERS;
        /* Half of them were made in the same hour, the rest at any time before. */
        take_version(server, it,
                     i / SIM_ISSUERS % 2 ? SIM_START - sim_below(world, SIM_HOUR)
                                         : SIM_START - sim_below(world, life / 100 * 40),
                     SIM_START);
        server->queue[i] = it;
        it->place = i;
    }
    sim_queue_fill(server);
    return true;
}

void sim_server_free(sim_server *server)
{
    free(server->result.per_hour);
    free(server->queue);
    free(server->certificates);
}
