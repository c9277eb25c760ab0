/* challenge.h - proofs of control over a name that an authority asks for (RFC 8555 section 8).
 *
 * A solver is a row of functions, one row per kind of proof. It makes the proof visible before the
 * authority is told to look, and takes it away afterwards. It knows nothing of ACME's messages.
 * The order is: present, wait for settle_ms, tell the authority, ask it until it has looked, clean.
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
    /* for dns-persist-01; each may be empty */
    kv_slice directory;           /* URL, as the issuer's officer gave it */
    kv_slice authority_domain;    /* how the authority wants to be called */
    kv_slice account_offered;     /* accounturi of the challenge */
    kv_slice account_hash_prefix; /* of the directory */
    kv_slice thumbprint;          /* of the account's key, base64url */
    kv_slice settings; /* "challenge" of the issuer object: JSON, checked; may be empty */
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
    /* How long after present() the whole world needs to see the proof; the caller waits, not
     * present(). NULL: everybody sees it at once. */
    unsigned (*settle_ms)(const void *context);
    /* Takes it away; what is not there is gone. Best effort. */
    kv_status (*clean)(void *context, const kv_challenge_task *task, kv_error *err);
    /* What somebody has to put up before, and to leave there, as a text for people.
     * KV_PRECONDITION: it is not known yet. NULL: nothing, this server puts it up. */
    kv_status (*instruct)(const kv_challenge_task *task, kv_slice *out, kv_error *err);
    /* Judges "challenge" of an issuer object's settings when the object is stored. KV_BAD_REQUEST
     * with field "settings". */
    kv_status (*check)(kv_slice settings, kv_arena *arena, kv_error *err);
} kv_challenge;

/* A solver and what it works on, as the server was set up. */
typedef struct kv_challenge_solver {
    const kv_challenge *challenge;
    void *context; /* borrowed */
} kv_challenge_solver;

/* The solver of that type ("dns-01"); NULL: this server is not set up for it. */
const kv_challenge_solver *kv_challenge_find(const kv_challenge_solver *solvers, size_t count,
                                             kv_slice type);
/* 0 for a solver whose proofs everybody sees at once. */
unsigned kv_challenge_settle_ms(const kv_challenge_solver *solver);

/* --- for solvers --- */

/* A token is 1 to KV_CHALLENGE_TOKEN_MAX characters of base64url (RFC 8555 section 8.3). */
enum { KV_CHALLENGE_TOKEN_MAX = 255, KV_CHALLENGE_NAME_MAX = 253 };
bool kv_challenge_token_good(kv_slice token);
/* KV_INTERNAL for a task without a good token, or whose key authorization is of another. */
kv_status kv_challenge_check_token(const kv_challenge_task *task, kv_error *err) KV_MUST_USE;
/* SHA-256 of the key authorization, in base64url: the TXT value of dns-01. */
kv_status kv_challenge_digest(const kv_challenge_task *task, kv_slice *out,
                              kv_error *err) KV_MUST_USE;
/* For a solver that has no settings of its own: nothing, or an object with "type" alone. */
kv_status kv_challenge_check_plain(kv_slice settings, kv_arena *arena, kv_error *err);
