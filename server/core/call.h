/* call.h - one request on its way: loop, worker, audit thread, loop.
 *
 * A call has one owner at a time, so it needs no lock, and its memory dies (wiped) in one place.
 * The worker never holds a pointer to a connection, only a ticket: the loop looks it up, and if the
 * stream is gone the call is freed unanswered.
 *
 * Threads: whoever owns it; only `race` is shared.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "server/core/route.h"
#include "server/vault/work.h"

typedef struct kv_mailbox kv_mailbox;
typedef struct kv_services kv_services;

/* Who is at the other end of the connection. Copied into the call. */
typedef struct kv_peer {
    bool has_certificate;
    uint8_t thumbprint[32]; /* SHA-256 of the certificate's DER */
    kv_slice certificate;   /* DER; arena of the call */
    char address[64];       /* "127.0.0.1:5555" or "[::1]:5555" */
} kv_peer;

/* Where the answer goes: which loop, and which stream there. */
typedef struct kv_ticket {
    kv_mailbox *home; /* borrowed; outlives every call */
    uint64_t serial;  /* unique per loop and process life */
} kv_ticket;

/* Loop (deadline, hang-up) and worker race for who decides the outcome. */
typedef enum kv_race {
    KV_RACE_OPEN,
    KV_RACE_ANSWERED, /* the worker was first: its result is the answer */
    KV_RACE_LEFT      /* the loop was first: it has answered, or nobody listens any more */
} kv_race;

struct kv_call {
    kv_call *next; /* queue or mailbox: a call is in one list at a time */
    const kv_route *route;
    kv_services *services; /* borrowed */
    kv_door door;
    kv_ticket ticket;
    atomic_int race; /* kv_race */

    kv_arena arena;
    uint8_t request_id[16];
    kv_peer peer;
    kv_slice credential; /* bearer token, arena; wiped once the caller is identified */
    kv_slice body;       /* the request message, arena */
    kv_deadline deadline;
    int64_t started_us; /* CLOCK_MONOTONIC */

    kv_caller caller;
    kv_audit_entry entry;
    kv_work work;
    void *in;
    void *out;

    kv_error error;
    kv_slice answer; /* the encoded message when error.status is KV_OK, arena */
    bool last;       /* false for a message of a stream that goes on */
};
