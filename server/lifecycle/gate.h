/* gate.h - may an issuer be asked now, and if not, what is waited for?
 *
 * Times are milliseconds since the Unix epoch. Threads: any; pure functions.
 */
#pragma once

#include "server/lifecycle/budget.h"
#include "server/lifecycle/health.h"

/* As stored. */
typedef enum kv_waiting {
    KV_WAITING_NOTHING,
    KV_WAITING_HEALTH,  /* the issuer is unwell; whoever waits is woken when it recovers */
    KV_WAITING_PAUSE,   /* it wants to be left alone */
    KV_WAITING_ORDERS,  /* as many orders have been placed as its budget allows */
    KV_WAITING_NAMES,   /* as many certificates of these names have come as allowed */
    KV_WAITING_BLACKOUT /* nothing is renewed now */
} kv_waiting;

typedef struct kv_gate_facts {
    int64_t now_ms;
    const kv_health *health;
    bool places_order; /* else the budgets do not matter */
    bool urgent;       /* past the floor of a renewal: takes the reserve, heeds no blackout */
    kv_budget orders;  /* of the issuer */
    int64_t orders_full_at;
    kv_budget names; /* of exactly these names */
    int64_t names_full_at;
    int64_t blackout_end; /* 0: there is none now */
    int64_t not_after;    /* of the certificate that is to be followed; 0: there is none */
    uint64_t seed;        /* of the operation or version: spreads many */
} kv_gate_facts;

typedef struct kv_gate {
    kv_waiting waiting; /* KV_WAITING_NOTHING: go on */
    int64_t until;      /* else: when to look again */
    bool probe;         /* go on, and nobody else before the answer */
} kv_gate;

/* What waits for the end of a pause or a blackout is spread over so long at most; after a pause
 * over no longer than was left of it. */
enum { KV_GATE_SPREAD_MAX_MS = 6 * 60 * 60 * 1000 };

kv_gate kv_gate_of(const kv_gate_facts *facts);

/* --- a clock that is set back --- */

enum {
    KV_CLOCK_STEP_MS = 60 * 1000,              /* less does not matter */
    KV_CLOCK_WAIT_MAX_MS = 30 * 60 * 60 * 1000 /* no wait that was begun is longer */
};

/* A wait until `at` that was begun before the clock was set back by so much ends that much earlier.
 * Times that are further off than a wait can be are plans, and stay. */
int64_t kv_after_step_back(int64_t now_ms, int64_t at, int64_t back_ms);
