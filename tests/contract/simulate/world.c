/* world.c - what the server has no say in. */
#include "tests/contract/simulate/world.h"

#include <stdlib.h>

enum { HEADROOM = 4, AUTHORITY_YEARS = 2 };

/* splitmix64 */
uint64_t sim_random(sim_world *world)
{
    unsigned __int128 product;
    uint64_t value;

    world->random = (uint64_t)((unsigned __int128)world->random + UINT64_C(0x9e3779b97f4a7c15));
    value = world->random;
    product = (unsigned __int128)(value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (uint64_t)product;
    product = (unsigned __int128)(value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    value = (uint64_t)product;
    return value ^ (value >> 31);
}

int64_t sim_below(sim_world *world, int64_t most)
{
    return most > 0 ? (int64_t)(sim_random(world) % (uint64_t)most) : 0;
}

const sim_outage *sim_outage_at(const sim_issuer *issuer, int64_t at)
{
    unsigned low = 0;
    unsigned high = issuer->outage_count;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (issuer->outages[middle].until <= at)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < issuer->outage_count && issuer->outages[low].from <= at)
        return &issuer->outages[low];
    return NULL;
}

/* Every two years it ends; the next one takes over three weeks before. Nothing that it signs lives
 * longer than it does, so what it makes in its last months is short. */
int64_t sim_not_after(const sim_issuer *issuer, int64_t at)
{
    int64_t term = AUTHORITY_YEARS * 365 * SIM_DAY;
    int64_t into = (at - SIM_START + issuer->life_ms) % term;
    int64_t end = at + term - into;
    int64_t wanted = at + issuer->life_ms;

    if (end - at < 21 * SIM_DAY)
        end += term;
    return wanted < end ? wanted : end;
}

/* So long that nothing could have been renewed would be no test of ours: at most nine tenths of
 * what a certificate has left when its time comes. */
static int64_t longest_outage(const sim_issuer *issuer)
{
    int64_t spare = issuer->life_ms / 100 * (95 - issuer->trigger) / 10 * 9;

    return spare > 64 * SIM_HOUR ? 64 * SIM_HOUR : spare;
}

static void make_outages(sim_world *world, sim_issuer *issuer)
{
    int64_t at = SIM_START;

    while (issuer->outage_count < SIM_OUTAGES_MAX) {
        sim_outage *outage = &issuer->outages[issuer->outage_count];
        /* Most are short. */
        int64_t most = sim_below(world, 4) ? 2 * SIM_HOUR : longest_outage(issuer);

        at += 5 * SIM_DAY + sim_below(world, 25 * SIM_DAY);
        if (at >= world->end)
            break;
        *outage = (sim_outage){ .from = at,
                                .until = at + SIM_MINUTE + sim_below(world, most),
                                .hangs = sim_below(world, 2) != 0 };
        at = outage->until;
        issuer->outage_count++;
    }
}

static void make_issuer(sim_world *world, sim_issuer *issuer, unsigned number, unsigned each)
{
    static const int64_t days[] = { 6, 7, 10, 47, 47, 64, 90, 90, 100, 200 };
    int64_t period;

    issuer->life_ms = days[number % 10] * SIM_DAY;
    issuer->trigger = days[number % 10] <= 10 ? 50 : 80;
    issuer->hints = number % 4 == 3;
    issuer->prompt = number % 2 == 0;
    /* What it allows is a few times of what is needed on an average day. */
    period = issuer->life_ms / 100 * issuer->trigger;
    issuer->limit = kv_budget_of(100 + HEADROOM * each * SIM_HOUR / period, SIM_HOUR);
    if (issuer->hints)
        issuer->revoked_at = SIM_START + sim_below(world, world->end - SIM_START);
    make_outages(world, issuer);
}

static int by_time(const void *a, const void *b)
{
    const sim_turn *left = a;
    const sim_turn *right = b;

    return left->at < right->at ? -1 : left->at > right->at;
}

static void add_turn(sim_world *world, sim_turn turn)
{
    if (turn.at < world->end && world->turn_count < SIM_TURNS_MAX)
        world->turns[world->turn_count++] = turn;
}

/* The clock goes wrong for a while, by minutes or days, ahead or behind, and is set right again. */
static void make_turns(sim_world *world)
{
    static const int64_t skews[] = { 5 * SIM_MINUTE, -5 * SIM_MINUTE, SIM_HOUR,   -SIM_HOUR,
                                     SIM_DAY,        -SIM_DAY,        3 * SIM_DAY };

    for (int64_t at = SIM_START; at < world->end; at += 10 * SIM_DAY) {
        int64_t when = at + sim_below(world, 9 * SIM_DAY);

        add_turn(world, (sim_turn){ SIM_CRASH, when, 0 });
        if (sim_below(world, 5))
            continue;
        when = at + sim_below(world, 9 * SIM_DAY);
        add_turn(world, (sim_turn){ SIM_CLOCK, when, skews[sim_below(world, 7)] });
        add_turn(world,
                 (sim_turn){ SIM_CLOCK, when + SIM_MINUTE + sim_below(world, 6 * SIM_HOUR), 0 });
    }
    qsort(world->turns, world->turn_count, sizeof(world->turns[0]), by_time);
}

void sim_world_make(sim_world *world, unsigned years, unsigned certificates)
{
    *world = (sim_world){ .random = 20261121, .end = SIM_START + years * 365 * SIM_DAY };
    for (unsigned i = 0; i < SIM_ISSUERS; i++)
        make_issuer(world, &world->issuers[i], i, certificates / SIM_ISSUERS);
    make_turns(world);
}
