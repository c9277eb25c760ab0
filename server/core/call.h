/* call.h - one request on its way: loop, worker, audit thread, loop.
 *
 * A call has one owner at a time, so it needs no lock, and its memory dies (wiped) in one place.
 * The worker never holds a pointer to a connection, only a ticket: the loop looks it up, and if the
 * stream is gone the call is freed unanswered.
 *
 * Threads: whoever owns it; only `race` and `flow` are shared with the loop. Only a loop frees a
 * call, so its pointer to a call that a worker has stays good for those two.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "server/audit/audit.h"
#include "server/core/flow.h"
#include "server/core/mailbox.h"
#include "server/core/queue.h"
#include "server/core/route.h"
#include "server/vault/work.h"

typedef struct kv_services kv_services;
struct kv_watcher;

/* Who is at the other end of the connection. Copied into the call. */
typedef struct kv_peer {
    bool has_certificate;
    uint8_t thumbprint[32]; /* SHA-256 of the certificate's DER */
    uint8_t host_key[32];   /* SHA-256 of the address, or of its network, that limits count by */
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
    kv_task task;  /* while it waits for a worker */
    kv_mail mail;  /* on its way home; the door says how it is delivered */
    kv_call *next; /* the worker's finished calls and the audit thread's: one list at a time */
    const kv_route *route;
    kv_services *services; /* borrowed */
    kv_door door;
    kv_ticket ticket;
    atomic_int race; /* kv_race */

    kv_arena arena;
    uint8_t request_id[16];
    kv_peer peer;
    kv_slice credential;      /* bearer token, arena; wiped once the caller is identified */
    kv_slice body;            /* the request message, arena */
    kv_slice idempotency_key; /* as it came, arena; empty: none */
    kv_deadline deadline;
    int64_t started_us; /* CLOCK_MONOTONIC */

    kv_caller caller;
    kv_audit_entry entry;  /* complete when the call is handed to the audit thread */
    kv_audit_ticket audit; /* for the composition's audit_post; untouched by core */
    kv_work work;
    void *in;
    void *out;

    kv_error error;
    kv_slice answer; /* the encoded message when error.status is KV_OK, arena */

    unsigned worker;            /* index of the worker in its lane: the key for pinned sessions */
    bool identified;            /* `caller` is filled: the outcome is a record, not a count */
    bool late;                  /* the loop won the race: the answer will not be sent */
    bool begun;                 /* the first message of a stream has been sent */
    kv_flow *flow;              /* streaming rows only, else NULL */
    struct kv_watcher *watcher; /* it goes on without a worker when it has been run; see watch.h */
    void (*deliver_message)(KV_TAKES kv_mail *mail, void *owner); /* set by the door */
};

/* One message of a stream on its way from the worker to the loop, which frees it. */
typedef struct kv_message {
    kv_mail mail;
    uint64_t serial; /* of the call's ticket */
    kv_arena arena;
    kv_slice body;
} kv_message;

/* Wipes and frees. Loop thread. */
void kv_message_free(kv_message *message);

/* What a door knows when it makes a call. Everything is copied. */
typedef struct kv_call_start {
    kv_services *services; /* borrowed */
    const kv_route *route;
    kv_door door;
    kv_ticket ticket;
    const kv_peer *peer;
    const uint8_t *key;        /* of its line in the queue; NULL: the thumbprint */
    const uint8_t *request_id; /* 16 bytes */
    kv_slice credential;
    kv_slice idempotency_key;
    kv_slice body;
    kv_deadline deadline;
    size_t memory_bytes; /* most bytes of its arena, the body included */
} kv_call_start;

/* KV_BUSY when the body does not fit or memory is out. */
kv_status kv_call_make(const kv_call_start *start, kv_call **out, kv_error *err) KV_MUST_USE;
/* Wipes and frees; NULL is fine. Loop thread. */
void kv_call_free(kv_call *call);

/* Decides the race for the worker (answered) or the loop (left). True when the caller was first. */
bool kv_call_win(kv_call *call, kv_race as);
/* KV_CANCELLED when the loop has answered or the caller left, KV_TIMEOUT when the deadline has
 * passed. */
kv_status kv_call_still_wanted(kv_call *call) KV_MUST_USE;

/* The outcome is decided: claims the race (`late` if it was lost) and completes the entry. The
 * owner, once. */
void kv_call_conclude(kv_call *call, kv_status status);

/* The target, the first member of every `in`. NULL before `decode`. */
const kv_target *kv_call_target(const kv_call *call);

/* Streaming rows: sends `out` (of route->out_size) as one message. Asks `permit` again first, waits
 * while too much is unsent. KV_CANCELLED when nobody reads any more, KV_TIMEOUT at the deadline,
 * and what `permit` and `encode` say; each ends the stream. Worker thread. */
kv_status kv_call_send(kv_call *call, const void *out) KV_MUST_USE;

/* The same without waiting, and without asking `permit`: not `*sent` when there is no room now. Any
 * thread that owns the call, after a first message was sent. */
kv_status kv_call_offer(kv_call *call, const void *out, bool *sent) KV_MUST_USE;

/* The end of a call's way: posts it home, where the loop answers and frees it. On an error no bytes
 * of the answer leave. Any thread. */
void kv_call_answer(KV_TAKES kv_call *call);
/* A list linked by `next`: those with one home are posted at once, in their order. */
void kv_call_answer_all(KV_TAKES kv_call *calls);
