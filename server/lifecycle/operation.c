/* operation.c - the states of an operation at an issuer, and what follows from each answer. */
#include "server/lifecycle/operation.h"

enum { FIRST_WAIT_MS = 60 * 1000, LONGEST_WAIT_MS = 6 * 60 * 60 * 1000, DOUBLINGS_MAX = 16 };

bool kv_state_in_progress(kv_slice state)
{
    return kv_slice_equal(state, KV_STATE_WORKING) || kv_slice_equal(state, KV_STATE_ORDERING) ||
           kv_slice_equal(state, KV_STATE_PENDING) || kv_slice_equal(state, KV_STATE_ISSUED);
}

kv_operation_act kv_operation_act_of(kv_slice state, bool cancellation_requested)
{
    if (kv_slice_equal(state, KV_STATE_ISSUED))
        return KV_OPERATION_ACCEPT;
    if (kv_slice_equal(state, KV_STATE_ORDERING))
        return cancellation_requested ? KV_OPERATION_CANCEL : KV_OPERATION_SUBMIT;
    if (kv_slice_equal(state, KV_STATE_PENDING))
        return cancellation_requested ? KV_OPERATION_CANCEL : KV_OPERATION_POLL;
    return KV_OPERATION_NOTHING;
}

/* FNV-1a. */
uint64_t kv_seed_of(kv_slice name)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < name.len; i++) {
        hash ^= name.data[i];
        /* Wraps, as it is meant to. */
        hash = (uint64_t)((unsigned __int128)hash * UINT64_C(1099511628211));
    }
    return hash ^ (hash >> 32);
}

int64_t kv_backoff_ms(int64_t failures, int64_t left_ms, uint64_t seed)
{
    int64_t doublings = failures < 1 ? 0 : failures - 1;
    int64_t wait;

    if (doublings > DOUBLINGS_MAX)
        doublings = DOUBLINGS_MAX;
    wait = (int64_t)FIRST_WAIT_MS << doublings;
    if (wait > LONGEST_WAIT_MS)
        wait = LONGEST_WAIT_MS;
    if (left_ms > 0 && wait > left_ms / 8)
        wait = left_ms / 8;
    wait -= (int64_t)((seed ^ (uint64_t)failures) % 1000) * (wait / 5) / 1000;
    return wait < FIRST_WAIT_MS ? FIRST_WAIT_MS : wait;
}

static int64_t clamp(int64_t ms)
{
    if (ms < KV_OPERATION_POLL_MIN_MS)
        return KV_OPERATION_POLL_MIN_MS;
    return ms > KV_OPERATION_POLL_MAX_MS ? KV_OPERATION_POLL_MAX_MS : ms;
}

static kv_slice same_state(kv_operation_act act)
{
    if (act == KV_OPERATION_SUBMIT)
        return KV_STATE_ORDERING;
    return act == KV_OPERATION_ACCEPT ? KV_STATE_ISSUED : KV_STATE_PENDING;
}

static kv_operation_turn silence(const kv_operation_heard *heard)
{
    kv_operation_turn turn = { .state = same_state(heard->act),
                               .attempts = heard->attempts,
                               .failures = heard->failures + 1 };

    turn.next_at = heard->now_ms + kv_backoff_ms(turn.failures, 0, heard->seed);
    /* Whoever found out that the issuer is unwell is the one to try it again. */
    if (heard->resume_at)
        turn.next_at = heard->resume_at;
    return turn;
}

static kv_operation_turn new_order(const kv_operation_heard *heard)
{
    kv_operation_turn turn = { .state = KV_STATE_FAILED, .attempts = heard->attempts + 1 };
    int64_t wait = kv_backoff_ms(turn.attempts, 0, heard->seed);

    if (turn.attempts >= KV_OPERATION_ORDERS)
        return turn;
    if (heard->retry_ms && clamp(heard->retry_ms) > wait)
        wait = clamp(heard->retry_ms);
    turn.state = KV_STATE_ORDERING;
    turn.next_at = heard->now_ms + wait;
    return turn;
}

static kv_operation_turn turn_of(const kv_operation_heard *heard)
{
    kv_operation_turn turn = { .state = KV_STATE_PENDING, .attempts = heard->attempts };

    /* Whatever the issuer says: nobody here wants the certificate any more. */
    if (heard->act == KV_OPERATION_CANCEL) {
        turn.state = KV_STATE_CANCELLED;
        return turn;
    }
    if (!heard->answered)
        return silence(heard);
    switch (heard->answer) {
    case KV_ISSUER_PENDING:
        turn.next_at = heard->retry_ms ? heard->now_ms + clamp(heard->retry_ms) : 0;
        break;
    case KV_ISSUER_READY:
        turn.next_at = heard->now_ms;
        break;
    case KV_ISSUER_ISSUED:
        turn.state = KV_STATE_ISSUED;
        turn.next_at = heard->now_ms;
        break;
    case KV_ISSUER_RETRYABLE:
        return new_order(heard);
    case KV_ISSUER_REFUSED:
        turn.state = KV_STATE_FAILED;
        break;
    case KV_ISSUER_CANCELLED:
        turn.state = KV_STATE_CANCELLED;
        break;
    }
    return turn;
}

kv_operation_turn kv_operation_turn_of(const kv_operation_heard *heard)
{
    kv_operation_turn turn = turn_of(heard);

    if (turn.next_at && turn.next_at < heard->resume_at &&
        !kv_slice_equal(turn.state, KV_STATE_ISSUED))
        turn.next_at = heard->resume_at;
    return turn;
}
