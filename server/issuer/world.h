/* world.h - what an issuer needs of this server: the account, and for one outside, the world.
 *
 * Threads: workers of the slow lane.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/base/error.h"
#include "server/base/secret_buf.h"
#include "server/base/slice.h"
#include "server/x509/lint.h"

/* How the world is reached. All of it borrowed, for as long as the process runs. */
typedef struct kv_issuer_world {
    struct kv_http *http;
    struct kv_acme_memory *memory; /* NULL: nothing is remembered between steps */
    const struct kv_challenge_solver *solvers;
    size_t solver_count;
} kv_issuer_world;

enum { KV_ISSUER_DIGEST_BYTES = 32, KV_ISSUER_SIGNATURE_BYTES = 64 };

/* An account at an authority that is known by a key: P-256, on the token, made before anybody is
 * asked. What the functions store is stored when they return; then the members say it too. */
typedef struct kv_issuer_enrolment {
    kv_slice realm;     /* whose account it is, as the provider's realm() said */
    kv_slice spki;      /* DER */
    kv_slice url;       /* of the account; empty: the authority has not confirmed it yet */
    kv_slice next_spki; /* of a key that is to take over; empty: none */
    /* r||s over a SHA-256 digest, by the key or the next one. */
    kv_status (*sign)(void *context, bool next, const uint8_t digest[KV_ISSUER_DIGEST_BYTES],
                      uint8_t signature[KV_ISSUER_SIGNATURE_BYTES], kv_error *err);
    kv_status (*enrolled)(void *context, kv_slice url, kv_error *err);
    kv_status (*taken_over)(void *context, kv_error *err); /* the next key is the account's now */
    void *context;
} kv_issuer_enrolment;

/* The configured issuer object of a vault; all zero for the built-in Self and Unknown. */
typedef struct kv_issuer_account {
    kv_slice name;
    kv_slice account_id;
    const kv_secret_buf *credential; /* borrowed; NULL: none */
    kv_slice settings;               /* the provider's own, JSON */
    kv_x509_lint_scope trust;        /* who is to trust its certificates; 0: private */
    bool strict_lint;                /* what breaks an error of the lint is not accepted */
    const kv_issuer_world *world;    /* of the process; NULL: nothing is in reach */
    kv_issuer_enrolment *enrolment;  /* of a provider with a `realm`; else NULL */
} kv_issuer_account;

/* How far a name of an order is. */
typedef struct kv_issuer_name {
    kv_slice name;
    kv_slice status;  /* "pending", "proving", "checking", "valid", "invalid" */
    kv_slice details; /* the authority's own words when it is not valid */
    int64_t since_ms; /* of the status */
} kv_issuer_name;
