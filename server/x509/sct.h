/* sct.h - are the timestamps that a certificate carries enough for browsers?
 *
 * A certificate of a public authority has signed certificate timestamps (SCTs, RFC 6962) of logs
 * that have promised to show it. Browsers want, of different logs, two of them for a certificate of
 * up to 180 days and three for a longer one; logs of two operators at least; and one log at least
 * that is still in use. A log that has been retired counts for what it signed before.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/x509/log_list.h"
#include "server/x509/policy.h"

enum {
    KV_SCT_MAX = 32, /* of one certificate that are looked at */
    KV_SCT_SKEW_MS = 5 * 60 * 1000,
    KV_SCT_SHORT_DAYS = 180 /* two are enough for a certificate of so many days */
};

typedef struct kv_sct_in {
    kv_slice leaf;   /* DER */
    kv_slice issuer; /* DER; empty: not known, then nothing can be checked */
    const kv_log_list *logs;
    int64_t now_ms;
} kv_sct_in;

typedef struct kv_sct_verdict {
    unsigned found;
    unsigned good;      /* of different logs of the list, signed over this certificate */
    unsigned needed;    /* for its life */
    unsigned operators; /* of the good ones, when these were signed */
    unsigned current;   /* of the good ones: the log is still in use */
    bool enough;
    kv_x509_list missing; /* sentences: why it is not enough; empty when it is */
    kv_x509_list notes;   /* sentences: why single timestamps do not count */
} kv_sct_verdict;

/* KV_BAD_REQUEST when leaf or issuer is not a certificate. What is wrong with the timestamps is in
 * the verdict. */
kv_status kv_sct_judge(kv_arena *arena, const kv_sct_in *in, kv_sct_verdict *out,
                       kv_error *err) KV_MUST_USE;
