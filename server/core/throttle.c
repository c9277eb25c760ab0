/* throttle.c - accounts with a counter and a token bucket, behind one mutex. */
#include "server/core/throttle.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/arena.h"
#include "server/base/hash.h"

enum {
    MOST_ACCOUNTS = 8192,
    MOST_CERTIFICATES = 8192,
    PRINCIPAL_BYTES = 16,
    FAILURE_SECONDS = 10,
    BUSY_RETRY_MS = 100,
    MOST_RETRY_MS = 5000,
    MS_PER_S = 1000,
    SWEEP_US = 1000000
};

/* A call is a million of them: so many are gained in a microsecond at one call a second. */
static const int64_t one_call = 1000000;

typedef struct bucket {
    int64_t tokens;
    int64_t promised; /* to those who were told when to come back */
    int64_t filled_us;
    bool used; /* else it is full, whatever it says */
} bucket;

/* What a bucket may hold. No rate: there is no limit. */
typedef struct tempo {
    int64_t rate; /* calls a second */
    int64_t most; /* tokens */
} tempo;

struct kv_throttle_account {
    uint8_t key[KV_THROTTLE_KEY_BYTES];
    bool stranger;
    unsigned in_flight;
    uint64_t locked; /* bytes, of those in flight */
    bucket bucket;
    UT_hash_handle hh;
};

/* Whose certificate it is. */
typedef struct holder {
    uint8_t certificate[KV_THROTTLE_KEY_BYTES];
    uint8_t principal[PRINCIPAL_BYTES];
    UT_hash_handle hh;
} holder;

struct kv_throttle {
    uint64_t locked_bytes; /* of the limits: never another */
    pthread_mutex_t mutex; /* guards what follows */
    kv_throttle_limits limits;
    kv_throttle_account *accounts; /* in the order they were made */
    kv_throttle_account others;    /* of the strangers that have no account of their own */
    holder *holders;               /* the one that was not asked for longest comes first */
    bucket all;
    unsigned in_flight;
    unsigned strangers; /* of them */
    uint64_t locked;    /* bytes, of all in flight */
    uint64_t strangers_locked;
    int64_t swept_us; /* when the table was last looked through */
};

kv_status kv_throttle_new(const kv_throttle_limits *limits, kv_throttle **out, kv_error *err)
{
    kv_throttle *throttle = calloc(1, sizeof(*throttle));

    if (!throttle)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    (void)pthread_mutex_init(&throttle->mutex, NULL);
    throttle->limits = *limits;
    throttle->locked_bytes = limits->locked_bytes;
    throttle->others.stranger = true;
    *out = throttle;
    return KV_OK;
}

void kv_throttle_free(kv_throttle *throttle)
{
    kv_throttle_account *account, *next;
    holder *one, *after;

    if (!throttle)
        return;
    HASH_ITER (hh, throttle->accounts, account, next) {
        HASH_DEL(throttle->accounts, account);
        free(account);
    }
    HASH_ITER (hh, throttle->holders, one, after) {
        HASH_DEL(throttle->holders, one);
        free(one);
    }
    (void)pthread_mutex_destroy(&throttle->mutex);
    free(throttle);
}

void kv_throttle_tune(kv_throttle *throttle, const kv_throttle_limits *limits)
{
    pthread_mutex_lock(&throttle->mutex);
    throttle->limits = *limits;
    pthread_mutex_unlock(&throttle->mutex);
}

void kv_throttle_key_of(const uint8_t principal[16], uint8_t out[KV_THROTTLE_KEY_BYTES])
{
    memset(out, 0, KV_THROTTLE_KEY_BYTES);
    memcpy(out, principal, PRINCIPAL_BYTES);
}

/* --- buckets --- */

static tempo pace_of(unsigned rate, unsigned seconds)
{
    return (tempo){ .rate = rate, .most = (int64_t)rate * (seconds ? seconds : 1) * one_call };
}

static tempo pace_of_account(const kv_throttle *throttle, const kv_throttle_account *account)
{
    const kv_throttle_limits *limits = &throttle->limits;

    if (account->stranger)
        return pace_of(limits->failures_per_peer, FAILURE_SECONDS);
    return pace_of(limits->rate_per_principal, limits->burst_seconds);
}

static void refill(bucket *at, const tempo *pace, int64_t now_us)
{
    int64_t past_us = now_us - at->filled_us, gained = pace->most;

    if (!at->used) {
        *at = (bucket){ .tokens = pace->most, .filled_us = now_us, .used = true };
        return;
    }
    if (past_us <= 0)
        return;
    if (past_us < pace->most / pace->rate)
        gained = past_us * pace->rate;
    at->filled_us = now_us;
    at->promised = at->promised > gained ? at->promised - gained : 0;
    at->tokens = at->tokens + gained < pace->most ? at->tokens + gained : pace->most;
}

static bool is_full(bucket *at, const tempo *pace, int64_t now_us)
{
    if (!pace->rate || !at->used)
        return true;
    refill(at, pace, now_us);
    return at->tokens >= pace->most;
}

/* When there will be `need` tokens, and for those before this one; notes that it was told. */
static unsigned when(bucket *at, const tempo *pace, int64_t need)
{
    int64_t ms = (need - at->tokens + at->promised) / pace->rate / MS_PER_S + 1;

    if (ms < MOST_RETRY_MS)
        at->promised += one_call;
    return (unsigned)(ms < MOST_RETRY_MS ? ms : MOST_RETRY_MS);
}

/* --- accounts --- */

/* What says nothing that a new one would not say. With the mutex held. */
static void sweep(kv_throttle *throttle, int64_t now_us)
{
    kv_throttle_account *account, *next;

    if (now_us - throttle->swept_us < SWEEP_US)
        return;
    throttle->swept_us = now_us;
    HASH_ITER (hh, throttle->accounts, account, next) {
        tempo pace = pace_of_account(throttle, account);

        if (account->in_flight || !is_full(&account->bucket, &pace, now_us))
            continue;
        HASH_DEL(throttle->accounts, account);
        free(account);
    }
}

static kv_throttle_account *account_of(kv_throttle *throttle, const uint8_t *key, bool stranger,
                                       int64_t now_us)
{
    kv_throttle_account *found;

    HASH_FIND(hh, throttle->accounts, key, KV_THROTTLE_KEY_BYTES, found);
    if (found)
        return found;
    if (HASH_COUNT(throttle->accounts) >= MOST_ACCOUNTS)
        sweep(throttle, now_us);
    /* Principals are made by administrators: their number is none of a stranger's business. */
    if (stranger && HASH_COUNT(throttle->accounts) >= MOST_ACCOUNTS)
        return &throttle->others;
    found = calloc(1, sizeof(*found));
    if (!found)
        return &throttle->others;
    memcpy(found->key, key, sizeof(found->key));
    found->stranger = stranger;
    HASH_ADD(hh, throttle->accounts, key, sizeof(found->key), found);
    if (KV_HASH_HAS(found))
        return found;
    free(found);
    return &throttle->others;
}

/* The holder moves to the end: it was asked for. */
static holder *holder_of(kv_throttle *throttle, const uint8_t *certificate)
{
    holder *found;

    if (!certificate)
        return NULL;
    HASH_FIND(hh, throttle->holders, certificate, KV_THROTTLE_KEY_BYTES, found);
    if (found && HASH_COUNT(throttle->holders) >= MOST_CERTIFICATES / 2) {
        HASH_DEL(throttle->holders, found);
        HASH_ADD(hh, throttle->holders, certificate, sizeof(found->certificate), found);
        if (!KV_HASH_HAS(found)) {
            free(found);
            return NULL;
        }
    }
    return found;
}

/* --- calls --- */

static kv_status busy(kv_error *err, unsigned retry_ms, const char *what)
{
    kv_fail(err, KV_BUSY, "%s", what);
    err->retry_ms = retry_ms;
    return kv_because(err, KV_REASON_LIMIT_REACHED);
}

static kv_status check_places(const kv_throttle *throttle, const kv_throttle_account *account,
                              kv_error *err)
{
    const kv_throttle_limits *limits = &throttle->limits;

    if (limits->calls_per_principal && account->in_flight >= limits->calls_per_principal)
        return busy(err, BUSY_RETRY_MS, "too many calls of this caller are running");
    if (limits->calls && throttle->in_flight >= limits->calls)
        return busy(err, BUSY_RETRY_MS, "too many calls are running");
    if (limits->calls && account->stranger && throttle->strangers >= limits->calls / 2)
        return busy(err, BUSY_RETRY_MS, "too many calls of unknown callers are running");
    return KV_OK;
}

/* Takes from both buckets or from none. A stranger pays later, if it turns out to be one. */
static kv_status check_rates(kv_throttle *throttle, kv_throttle_account *account, int64_t now_us,
                             kv_error *err)
{
    tempo mine = pace_of_account(throttle, account);
    tempo all = pace_of(throttle->limits.rate, throttle->limits.burst_seconds);
    int64_t least = account->stranger ? all.most / 2 + one_call : one_call;

    if (mine.rate) {
        refill(&account->bucket, &mine, now_us);
        if (account->bucket.tokens < one_call)
            return busy(err, when(&account->bucket, &mine, one_call),
                        account->stranger ? "too many calls from this address cannot be identified"
                                          : "too many calls of this caller in a second");
    }
    if (all.rate) {
        refill(&throttle->all, &all, now_us);
        if (throttle->all.tokens < least)
            return busy(err, when(&throttle->all, &all, least), "too many calls in a second");
        throttle->all.tokens -= one_call;
    }
    if (mine.rate && !account->stranger)
        account->bucket.tokens -= one_call;
    return KV_OK;
}

static kv_status enter(kv_throttle *throttle, kv_throttle_account *account, bool endless,
                       int64_t now_us, kv_throttle_turn *out, kv_error *err)
{
    if (!endless)
        KV_TRY(check_places(throttle, account, err));
    KV_TRY(check_rates(throttle, account, now_us, err));
    memcpy(out->key, account->key, sizeof(out->key));
    if (endless)
        return KV_OK;
    account->in_flight++;
    throttle->in_flight++;
    throttle->strangers += account->stranger;
    out->account = account;
    return KV_OK;
}

kv_status kv_throttle_enter(kv_throttle *throttle, const uint8_t *certificate,
                            const uint8_t address[KV_THROTTLE_KEY_BYTES], bool endless,
                            int64_t now_us, kv_throttle_turn *out, kv_error *err)
{
    kv_throttle_turn turn = { 0 };
    uint8_t principal[KV_THROTTLE_KEY_BYTES];
    const holder *known;
    kv_status status;

    pthread_mutex_lock(&throttle->mutex);
    known = holder_of(throttle, certificate);
    if (known)
        kv_throttle_key_of(known->principal, principal);
    status = enter(throttle, account_of(throttle, known ? principal : address, !known, now_us),
                   endless, now_us, &turn, err);
    pthread_mutex_unlock(&throttle->mutex);
    KV_TRY(status);
    *out = turn;
    return KV_OK;
}

/* Of what there is for all, a principal has half, strangers together half, those of one address a
 * quarter; but one call is let in that alone needs more. With the mutex held. */
static bool has_room(const kv_throttle *throttle, const kv_throttle_account *account, uint64_t all,
                     uint64_t bytes)
{
    uint64_t most = account->stranger ? all / 4 : all / 2;

    return throttle->locked + bytes <= all &&
           (!account->locked || account->locked + bytes <= most) &&
           (!account->stranger || throttle->strangers_locked + bytes <= all / 2);
}

kv_status kv_throttle_lock(kv_throttle *throttle, kv_throttle_turn *turn, uint64_t bytes,
                           kv_error *err)
{
    kv_throttle_account *account = turn->account;
    uint64_t all = throttle->locked_bytes / 4 * 3;
    bool room;

    if (!account || !all)
        return KV_OK;
    if (bytes > all / 4 * 3)
        return kv_arena_full(err);
    pthread_mutex_lock(&throttle->mutex);
    room = has_room(throttle, account, all, bytes);
    if (room) {
        throttle->locked += bytes;
        account->locked += bytes;
        throttle->strangers_locked += account->stranger ? bytes : 0;
        turn->locked = bytes;
    }
    pthread_mutex_unlock(&throttle->mutex);
    return room ? KV_OK
                : busy(err, BUSY_RETRY_MS, "too many calls that need locked memory are running");
}

bool kv_throttle_knows(kv_throttle *throttle, const uint8_t certificate[KV_THROTTLE_KEY_BYTES],
                       uint8_t principal[16])
{
    const holder *known;

    pthread_mutex_lock(&throttle->mutex);
    known = holder_of(throttle, certificate);
    if (known)
        memcpy(principal, known->principal, PRINCIPAL_BYTES);
    pthread_mutex_unlock(&throttle->mutex);
    return known != NULL;
}

void kv_throttle_leave(kv_throttle *throttle, kv_throttle_turn *turn)
{
    kv_throttle_account *account = turn->account;
    uint64_t locked = turn->locked;

    *turn = (kv_throttle_turn){ 0 };
    if (!account)
        return;
    pthread_mutex_lock(&throttle->mutex);
    account->in_flight--;
    throttle->in_flight--;
    throttle->strangers -= account->stranger;
    account->locked -= locked;
    throttle->locked -= locked;
    throttle->strangers_locked -= account->stranger ? locked : 0;
    pthread_mutex_unlock(&throttle->mutex);
}

void kv_throttle_learn(kv_throttle *throttle, const uint8_t certificate[KV_THROTTLE_KEY_BYTES],
                       const uint8_t principal[16])
{
    holder *one;

    pthread_mutex_lock(&throttle->mutex);
    one = holder_of(throttle, certificate);
    if (!one && HASH_COUNT(throttle->holders) >= MOST_CERTIFICATES) {
        holder *oldest = throttle->holders;

        HASH_DEL(throttle->holders, oldest);
        free(oldest);
    }
    if (!one && (one = calloc(1, sizeof(*one)))) {
        memcpy(one->certificate, certificate, sizeof(one->certificate));
        HASH_ADD(hh, throttle->holders, certificate, sizeof(one->certificate), one);
        if (!KV_HASH_HAS(one)) {
            free(one);
            one = NULL;
        }
    }
    if (one)
        memcpy(one->principal, principal, sizeof(one->principal));
    pthread_mutex_unlock(&throttle->mutex);
}

void kv_throttle_failed(kv_throttle *throttle, const uint8_t *certificate,
                        const uint8_t address[KV_THROTTLE_KEY_BYTES], int64_t now_us)
{
    kv_throttle_account *account;
    holder *one;
    tempo pace;

    pthread_mutex_lock(&throttle->mutex);
    one = holder_of(throttle, certificate);
    if (one) {
        HASH_DEL(throttle->holders, one);
        free(one);
    }
    account = account_of(throttle, address, true, now_us);
    pace = pace_of_account(throttle, account);
    if (pace.rate) {
        refill(&account->bucket, &pace, now_us);
        if (account->bucket.tokens > -pace.most)
            account->bucket.tokens -= one_call;
    }
    pthread_mutex_unlock(&throttle->mutex);
}
