/* expiry.h - when the end of a version is announced.
 *
 * 30, 15 and 7 days before, when 90 and 95 % of the life are over, and at the end. A number of days
 * that reaches into the first half of the life is left out: what lives for a month is not near its
 * end when it is made. A policy may ask for a moment of its own. Who looks late announces the
 * latest one only. Times are milliseconds since the Unix epoch.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/x509/policy.h"

typedef struct kv_expiry_life {
    int64_t begins;
    int64_t expires;
    int64_t asked; /* the policy's own moment; 0, or outside the life: none */
} kv_expiry_life;

typedef struct kv_expiry_notice {
    int64_t at;        /* its time */
    const char *cause; /* "30-days", ..., "95-percent", "policy", "expired"; NULL: there is none */
    bool over;         /* the last one: it has expired */
} kv_expiry_notice;

/* The latest one whose time has come. */
kv_expiry_notice kv_expiry_latest(const kv_expiry_life *life, int64_t now_ms);
/* The first one whose time is still to come. */
kv_expiry_notice kv_expiry_next(const kv_expiry_life *life, int64_t now_ms);

/* When the policy's lifetime action EmailContacts is due; 0: it has none. */
int64_t kv_expiry_asked(const kv_x509_policy *policy, int64_t begins, int64_t expires);
