/* challenge.h - proofs of control over a name that an authority asks for (RFC 8555 section 8).
 *
 * A solver is a row of functions, one row per kind of proof. It makes the proof visible before the
 * authority is told to look, and takes it away afterwards. It knows nothing of ACME's messages.
 *
 * Threads: workers of the slow lane; several proofs at a time, never two for one name and token.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/clock.h"
#include "server/base/error.h"
#include "server/base/slice.h"

/* What is to be proved. All of it lives as long as the call of the function. */
typedef struct kv_challenge_task {
    kv_slice name;  /* of the identifier: lower case, A-labels, without "*."; an address */
    bool address;   /* `name` is an IPv4 or IPv6 address (RFC 8738) */
    bool wildcard;  /* the certificate is to have "*." `name` */
    kv_slice token; /* the authority's; base64url; empty where there is none */
    kv_slice key_authorization; /* token "." thumbprint of the account key; empty as above */
    kv_slice account_uri;       /* of the ACME account */
    kv_slice authority_domain;  /* issuer-domain-names of dns-persist-01, its first; else empty */
    kv_slice settings;          /* "challenge" of the issuer object: JSON, checked; may be empty */
    int64_t now_ms;
    kv_deadline deadline;
    kv_arena *arena;
} kv_challenge_task;

typedef struct kv_challenge {
    const char *type; /* "http-01", "dns-01", "tls-alpn-01", "dns-persist-01" */
    bool wildcards;   /* can prove a wildcard name (RFC 8555 section 8.4) */
    bool addresses;   /* can prove an address */
    /* Shows the proof; it may be repeated. KV_PRECONDITION: this server is not set up for it;
     * KV_UNAVAILABLE: it may be tried again; both say why for the caller. */
    kv_status (*present)(void *context, const kv_challenge_task *task, kv_error *err);
    /* Takes it away; what is not there is gone. Best effort. */
    kv_status (*clean)(void *context, const kv_challenge_task *task, kv_error *err);
    /* Judges "challenge" of an issuer object's settings when the object is stored. KV_BAD_REQUEST
     * with field "settings". */
    kv_status (*check)(kv_slice settings, kv_arena *arena, kv_error *err);
} kv_challenge;

/* A solver and what it works on, as the server was set up. */
typedef struct kv_challenge_solver {
    const kv_challenge *challenge;
    void *context; /* borrowed */
} kv_challenge_solver;
