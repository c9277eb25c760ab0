/* operation.h - the states of an operation at an issuer, and what follows from each answer.
 *
 *   working -> ordering -> pending -> issued -> completed
 *                 ^___________|          (RETRYABLE: a new order)
 *   any of these -> failed | cancelled
 *
 * `working` has no key of its own yet: after a crash it begins again. In every other state the key
 * and the request are stored, and the step that the state names may be taken as often as needed.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/issuer/issuer.h"

/* Inner states, as stored; Azure's words are made from them. */
#define KV_STATE_WORKING   KV_SLICE("working")  /* this server makes the key and the request */
#define KV_STATE_ORDERING  KV_SLICE("ordering") /* key and request are stored; to be submitted */
#define KV_STATE_PENDING   KV_SLICE("pending")  /* waits for the issuer or a merge */
#define KV_STATE_ISSUED    KV_SLICE("issued")   /* the certificate is here, not yet a version */
#define KV_STATE_COMPLETED KV_SLICE("completed")
#define KV_STATE_FAILED    KV_SLICE("failed")
#define KV_STATE_CANCELLED KV_SLICE("cancelled")

enum {
    KV_OPERATION_ORDERS = 30,           /* attempts of one operation */
    KV_OPERATION_CLAIM_MS = 180 * 1000, /* longer than any step */
    KV_OPERATION_STEP_MS = 60 * 1000,   /* deadline of one step */
    KV_OPERATION_POLL_MIN_MS = 1000,
    KV_OPERATION_POLL_MAX_MS = 24 * 60 * 60 * 1000
};

bool kv_state_in_progress(kv_slice state);

typedef enum kv_operation_act {
    KV_OPERATION_NOTHING,
    KV_OPERATION_SUBMIT,
    KV_OPERATION_POLL,
    KV_OPERATION_CANCEL,
    KV_OPERATION_ACCEPT /* check what came and make it a version */
} kv_operation_act;

/* What a worker does with an operation that is due. A certificate that has come is not cancelled
 * any more. */
kv_operation_act kv_operation_act_of(kv_slice state, bool cancellation_requested);

/* What came of it. */
typedef struct kv_operation_heard {
    kv_operation_act act;
    bool answered; /* false: `answer` is not set, nobody knows what the issuer did */
    kv_issuer_state answer;
    unsigned retry_ms; /* what the issuer asked for; 0: nothing */
    int64_t resume_at; /* not before that, whatever else follows: the issuer is unwell or paused */
    int64_t attempts;  /* as stored before */
    int64_t failures;
    int64_t now_ms;
    uint64_t seed; /* of the operation: spreads the waits of many */
} kv_operation_heard;

typedef struct kv_operation_turn {
    kv_slice state;
    int64_t next_at; /* 0: nobody is to ask */
    int64_t attempts;
    int64_t failures;
} kv_operation_turn;

kv_operation_turn kv_operation_turn_of(const kv_operation_heard *heard);

/* One minute, doubled each time, at most six hours and at most an eighth of what is left until
 * something expires (0: nothing does), but never under a minute; the last fifth is by `seed`. */
int64_t kv_backoff_ms(int64_t failures, int64_t left_ms, uint64_t seed);
/* A name as a number, well mixed. */
uint64_t kv_seed_of(kv_slice name);
