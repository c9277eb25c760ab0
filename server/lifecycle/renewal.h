/* renewal.h - when a certificate is renewed.
 *
 * Everything is measured on the certificate that was issued, never on what was asked for: issuers
 * shorten. Times are milliseconds since the Unix epoch.
 *
 * Threads: any; pure functions.
 */
#pragma once

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
