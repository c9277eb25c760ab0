/* server_model.h - the server with its rows in memory, deciding by the functions of
 * server/lifecycle.
 *
 * A certificate has a renewal row and an operation row, as in the store; a step reads them, asks
 * the authority and stores what follows, as server/vault does. What is not modelled is what decides
 * nothing: keys, seals, names, the audit log.
 */
#pragma once

#include "server/lifecycle/renewal.h"
#include "tests/contract/simulate/world.h"

enum { SIM_WORKERS = 4, SIM_PER_ISSUER = 2 };

typedef enum sim_state { SIM_IDLE, SIM_ORDERING, SIM_PENDING, SIM_ISSUED } sim_state;

typedef struct sim_certificate {
    uint32_t issuer;
    uint32_t version; /* counts */

    /* the renewal row, by the server's clock; and the certificate, as it came */
    kv_renewal_facts facts;
    kv_renewal_plan plan;
    kv_renewal_hint hint;
    int64_t ask_failures;
    int64_t due_at;
    kv_waiting waiting;
    int64_t names_full_at;

    /* the operation row */
    sim_state state;
    int64_t next_at;
    kv_waiting order_waiting;
    int64_t attempts;
    int64_t failures;

    /* what the authority knows */
    int64_t ordered;  /* attempts it has seen */
    int64_t ready_at; /* true time */

    uint32_t place; /* in the queue */
} sim_certificate;

typedef struct sim_issuer_row {
    kv_health health;
    int64_t orders_full_at;
    int64_t busy_until[SIM_PER_ISSUER]; /* true time */
} sim_issuer_row;

typedef struct sim_result {
    uint64_t renewed, missed, orders, retries, questions, hints, put_off;
    uint64_t unwell, well, pauses, crashes, lost, clock_steps;
    unsigned hours;
    uint32_t *per_hour;                /* certificates that came */
    uint32_t issuer_hour[SIM_ISSUERS]; /* orders in the hour at hand */
    int64_t issuer_hour_at[SIM_ISSUERS];
    uint32_t issuer_peak[SIM_ISSUERS]; /* the most in one hour */
    int64_t closest_ms[SIM_ISSUERS];   /* what a certificate still had when followed */
} sim_result;

typedef struct sim_server {
    sim_world *world;
    sim_certificate *certificates;
    unsigned count;
    sim_certificate **queue; /* a heap by the time of the next step, the server's clock */
    sim_issuer_row issuers[SIM_ISSUERS];
    kv_budget orders[SIM_ISSUERS]; /* what their officer allows */
    int64_t worker_free[SIM_WORKERS];
    int64_t skew;
    unsigned next_turn;
    sim_result result;
} sim_server;

/* False: out of memory. */
bool sim_server_make(sim_server *server, sim_world *world, unsigned certificates);
void sim_server_free(sim_server *server);
/* Until the end of the world. */
void sim_server_run(sim_server *server);

/* --- queue.c --- */
int64_t sim_time_of(const sim_certificate *certificate);
void sim_queue_fill(sim_server *server);
/* After the certificate's times have changed. */
void sim_queue_moved(sim_server *server, sim_certificate *certificate);
