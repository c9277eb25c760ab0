/* problem.h - what an authority says when it refuses (RFC 7807, RFC 8555 section 6.7), and what
 * follows from it.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

enum {
    KV_ACME_SUBPROBLEMS = 20,
    KV_ACME_TYPE_MOST = 128,   /* bytes of a type */
    KV_ACME_DETAIL_MOST = 1024 /* of a detail */
};

typedef enum kv_acme_action {
    KV_ACME_NOTHING = 0,  /* no refusal */
    KV_ACME_AGAIN,        /* the same request at once, with the nonce of the refusal */
    KV_ACME_LATER,        /* the same request after a while: the authority is in trouble */
    KV_ACME_WAIT,         /* nothing of this account before Retry-After */
    KV_ACME_NEW_ORDER,    /* this order has failed; a new one may succeed after a while */
    KV_ACME_FINAL,        /* it will never be granted: the request is to be changed */
    KV_ACME_ACCOUNT,      /* nothing of this account is: its owner has to act */
    KV_ACME_NO_REPLACES,  /* order again without naming a predecessor */
    KV_ACME_LOOK,         /* read the order again: it is in another state */
    KV_ACME_IS_SO_ALREADY /* what was asked for is the case */
} kv_acme_action;

typedef struct kv_acme_subproblem {
    kv_slice type;
    kv_slice detail;
    kv_slice name; /* value of the identifier */
} kv_acme_subproblem;

/* Texts are printable and in the arena. */
typedef struct kv_acme_problem {
    kv_slice type; /* "caa": without "urn:ietf:params:acme:error:"; of others the whole */
    kv_slice detail;
    int status; /* of the HTTP answer; 0: the problem stood in an object */
    const kv_acme_subproblem *items;
    size_t count;
} kv_acme_problem;

/* A body that is no problem document gives the HTTP status as detail. Fails with KV_BUSY only. */
kv_status kv_acme_problem_read(kv_arena *arena, kv_slice body, int status, kv_acme_problem *out,
                               kv_error *err) KV_MUST_USE;
/* By the type, else by the HTTP status. Never KV_ACME_NOTHING. */
kv_acme_action kv_acme_problem_action(const kv_acme_problem *problem);
/* "detail (name: detail; name: detail)": the authority's own words. */
kv_status kv_acme_problem_say(kv_arena *arena, const kv_acme_problem *problem, kv_slice *out,
                              kv_error *err) KV_MUST_USE;
