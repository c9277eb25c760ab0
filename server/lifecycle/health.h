/* health.h - is an issuer well, and may it be asked?
 *
 *            failures in a row
 *   well ----------------------> unwell ----> one probe at a time, ever more seldom
 *     ^                                        |
 *     '---------- it answers ------------------'
 *
 * What is the issuer's fault is counted: silence, and answers that blame the account or the whole
 * service; what it says about one order is an answer like any other. A pause that it asks for is
 * obeyed, of several the longest, and is neither an illness nor a recovery. One of these for each
 * issuer of a vault is stored; all zero is well.
 *
 * Times are milliseconds since the Unix epoch. Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    KV_HEALTH_FAILURES = 5, /* in a row, then it is unwell */
    KV_HEALTH_PROBE_MS = 60 * 1000,
    KV_HEALTH_PROBE_MAX_MS = 30 * 60 * 1000,
    KV_HEALTH_PAUSE_MAX_MS = 24 * 60 * 60 * 1000
};

typedef struct kv_health {
    int64_t failures;     /* in a row */
    int64_t unwell_since; /* 0: it is well */
    int64_t probe_at;     /* while it is unwell: when one may ask */
    int64_t paused_until; /* it wants to be left alone; 0: no */
} kv_health;

typedef enum kv_health_leave {
    KV_HEALTH_ASK,
    KV_HEALTH_PROBE, /* ask, and nobody else before the answer: kv_health_probing() first */
    KV_HEALTH_WAIT
} kv_health_leave;

/* `*until`, with KV_HEALTH_WAIT: when to look again. A time that a clock which was wrong has left
 * behind does not count longer than one that is right could. */
kv_health_leave kv_health_may_ask(const kv_health *health, int64_t now_ms, int64_t *until);
/* One is on the way, for `claim_ms` at most. */
void kv_health_probing(kv_health *health, int64_t now_ms, int64_t claim_ms);

typedef struct kv_health_news {
    bool fault; /* no answer, or one that blames the account or the service */
    int64_t pause_ms;
    int64_t now_ms;
    uint64_t seed; /* of the issuer */
} kv_health_news;

typedef enum kv_health_change {
    KV_HEALTH_SAME,  /* nothing to store */
    KV_HEALTH_NOTED, /* to store, nothing to tell */
    KV_HEALTH_FELL_ILL,
    KV_HEALTH_RECOVERED
} kv_health_change;

kv_health_change kv_health_heard(kv_health *health, const kv_health_news *news);

/* When those who wait are woken after a recovery: spread by `seed` over `spread_ms` from now on,
 * nobody later than it had been going to. */
int64_t kv_health_wake(int64_t now_ms, int64_t next_at, int64_t spread_ms, uint64_t seed);
