/* renewal.h - when a certificate is renewed.
 *
 * Everything is measured on the certificate that was issued, never on what was asked for: issuers
 * shorten. Times are milliseconds since the Unix epoch.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/lifecycle/gate.h"
#include "server/lifecycle/operation.h"

typedef struct kv_renewal_facts {
    int64_t not_before;
    int64_t not_after;
    int64_t got;                     /* when it came */
    kv_x509_lifetime_action trigger; /* one of the two numbers; none: 80 % of the life */
    uint64_t seed;                   /* of the version: spreads what was issued together */
} kv_renewal_facts;

/* Does the policy ask for renewal? `*trigger`: when. */
bool kv_renewal_asked(const kv_x509_policy *policy, kv_x509_lifetime_action *trigger);

/* The last moment that nothing may postpone: a tenth of the life before the end, two hours at
 * least, but never more than a third of the life. */
int64_t kv_renewal_floor(int64_t not_before, int64_t not_after);

/* The trigger's moment and up to a twentieth of the life, by `seed`; never past the floor. A number
 * of days that reaches into the first half of the life means its middle: a certificate that is
 * shorter than its policy thinks is not renewed without end. Nor is one that came when its time had
 * passed already: it has a third of what was left, an hour at least. */
int64_t kv_renewal_due(const kv_renewal_facts *facts);

/* When to look again after an attempt has begun; waits get shorter as the end comes near. */
int64_t kv_renewal_again(int64_t now_ms, int64_t attempts, int64_t not_after, uint64_t seed);

/* --- what the issuer suggests (RFC 9773) --- */

enum {
    KV_RENEWAL_ASK_MS = 6 * 60 * 60 * 1000, /* again, where the issuer says nothing */
    KV_RENEWAL_ASK_MIN_MS = 60 * 1000,
    KV_RENEWAL_ASK_MAX_MS = 24 * 60 * 60 * 1000
};

/* As stored; all zero: none was ever made. */
typedef struct kv_renewal_hint {
    int64_t from;
    int64_t until;
    int64_t at; /* an instant between them, chosen once */
} kv_renewal_hint;

/* A window of another kind than before gets another instant, by `random`; the same one keeps its.
 * One that ends before it begins is no window: what was stored stays. */
kv_renewal_hint kv_renewal_hint_of(const kv_renewal_hint *before, int64_t from, int64_t until,
                                   uint64_t random);
/* When to ask again. `retry_ms`: what the issuer said, 0: nothing; `failures`: answers that did not
 * come, in a row. */
int64_t kv_renewal_ask_again(int64_t now_ms, int64_t retry_ms, int64_t failures);

/* When it is to be: at its due time, or at the hint's instant if that is earlier, but then an hour
 * after it came at the soonest, so that an issuer that always says "now" makes no storm. Never
 * later than the due time. */
int64_t kv_renewal_at(const kv_renewal_facts *facts, const kv_renewal_hint *hint);

/* --- now --- */

typedef struct kv_renewal_plan {
    int64_t renew_at; /* kv_renewal_at(), or when somebody wanted it earlier */
    int64_t ask_at;   /* for a hint; 0: never */
    int64_t attempts; /* begun for this version */
} kv_renewal_plan;

typedef enum kv_renewal_act {
    KV_RENEWAL_WAIT,
    KV_RENEWAL_ASK, /* the issuer, for a hint */
    KV_RENEWAL_BEGIN
} kv_renewal_act;

typedef struct kv_renewal_turn {
    kv_renewal_act act;
    int64_t due_at; /* when to look again, if nothing comes of it */
    kv_waiting waiting;
} kv_renewal_turn;

/* `gate`: all but not_after, urgent, seed and places_order, which are filled in from `facts`. */
kv_renewal_turn kv_renewal_turn_of(const kv_renewal_plan *plan, const kv_renewal_facts *facts,
                                   const kv_gate_facts *gate);
