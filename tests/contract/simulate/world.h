/* world.h - what the server has no say in: true time, its own clock, and certificate authorities.
 *
 * Authorities are down for hours and days, refuse those who ask too much, lose answers, fail
 * orders, take their time, suggest windows, and end themselves. All of it follows from one number.
 *
 * Times are milliseconds since the Unix epoch, true ones; the server's clock is true plus `skew`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/lifecycle/budget.h"

#define SIM_SECOND INT64_C(1000)
#define SIM_MINUTE (60 * SIM_SECOND)
#define SIM_HOUR   (60 * SIM_MINUTE)
#define SIM_DAY    (24 * SIM_HOUR)
#define SIM_START  INT64_C(1798761600000) /* 2027-01-01T00:00:00Z */

enum { SIM_ISSUERS = 20, SIM_OUTAGES_MAX = 256, SIM_TURNS_MAX = 512, SIM_SLOTS_MAX = 8 };

typedef struct sim_outage {
    int64_t from, until;
    bool hangs; /* else it refuses at once */
} sim_outage;

typedef struct sim_issuer {
    int64_t life_ms;    /* of its certificates */
    unsigned trigger;   /* percentage of it */
    bool hints;         /* suggests windows */
    bool prompt;        /* answers an order with the certificate */
    kv_budget limit;    /* what it really allows, refusing the rest for an hour */
    int64_t limit_at;   /* budget.h */
    int64_t revoked_at; /* from then on its windows lie in the past for what is older; 0: never */
    sim_outage outages[SIM_OUTAGES_MAX];
    unsigned outage_count;
} sim_issuer;

/* Something that happens to the server at a true time. */
typedef enum sim_turn_kind { SIM_CLOCK, SIM_CRASH } sim_turn_kind;

typedef struct sim_turn {
    sim_turn_kind kind;
    int64_t at;
    int64_t skew; /* of the server's clock from then on */
} sim_turn;

typedef struct sim_world {
    uint64_t random;
    int64_t end;
    sim_issuer issuers[SIM_ISSUERS];
    sim_turn turns[SIM_TURNS_MAX];
    unsigned turn_count;
} sim_world;

/* `certificates` in all, shared out evenly. */
void sim_world_make(sim_world *world, unsigned years, unsigned certificates);

uint64_t sim_random(sim_world *world);
/* Less than `most`. */
int64_t sim_below(sim_world *world, int64_t most);
/* NULL: it answers. */
const sim_outage *sim_outage_at(const sim_issuer *issuer, int64_t at);
/* When a certificate made then ends: sooner than asked where its authority does. */
int64_t sim_not_after(const sim_issuer *issuer, int64_t at);
