/* client.h - a visit to an ACME server: requests signed by one account key (RFC 8555).
 *
 * A function gives KV_OK when the server did what it was asked for. When it refused, `refused` says
 * what follows from that, `problem` has its words, and the status is KV_PRECONDITION. When there
 * was no answer, or none that makes sense, `refused` is KV_ACME_NOTHING and the status KV_TIMEOUT,
 * KV_CANCELLED, KV_UNAVAILABLE, KV_BUSY, KV_BAD_REQUEST or what the signing function gave.
 *
 * A nonce that is refused is replaced at once, at most KV_ACME_NONCE_TRIES times in a row; then
 * `refused` is KV_ACME_AGAIN.
 *
 * Threads: one owner, which may block.
 */
#pragma once

#include "server/acme/jws.h"
#include "server/acme/memory.h"
#include "server/acme/messages.h"
#include "server/base/clock.h"

enum {
    KV_ACME_NONCE_TRIES = 10,
    KV_ACME_REQUEST_MS = 15 * 1000,      /* of one request, within the deadline */
    KV_ACME_ANSWER_MOST = 256 * 1024,    /* bytes of an answer */
    KV_ACME_WAIT_DEFAULT_MS = 60 * 1000, /* after a refusal of KV_ACME_WAIT that says no time */
    KV_ACME_ALTERNATES_MOST = 8,
    KV_ACME_CONTACTS_MOST = 10
};

struct kv_http;

typedef struct kv_acme_client {
    struct kv_http *http;      /* borrowed */
    kv_acme_memory *memory;    /* borrowed; NULL: nothing is remembered */
    const char *directory_url; /* borrowed */
    kv_acme_key key;
    const char *account; /* URL; NULL: not known yet */
    kv_deadline deadline;
    int64_t now_ms;   /* wall time from which waits are counted */
    int64_t began_us; /* kv_monotonic_us() then */
    kv_arena *arena;  /* what the server said lives here */

    kv_acme_directory directory; /* filled by kv_acme_open() */
    /* of the last request */
    kv_acme_action refused;
    kv_acme_problem problem;
    int64_t retry_ms; /* Retry-After, from now_ms on; -1: none */
    bool created;     /* 201 */
} kv_acme_client;

/* Reads the directory. First of all. */
kv_status kv_acme_open(kv_acme_client *client, kv_error *err) KV_MUST_USE;

/* --- account.c --- */

/* The account of the key: its URL, or NULL when it has none. */
kv_status kv_acme_account_find(kv_acme_client *client, const char **out, kv_error *err) KV_MUST_USE;
/* Makes it, or gives the one that is there. `contacts` are URLs; agreeing to the terms of service
 * is the caller's promise. */
kv_status kv_acme_account_new(kv_acme_client *client, const kv_slice *contacts, size_t count,
                              const kv_acme_binding *binding, const char **out,
                              kv_error *err) KV_MUST_USE;
/* Reads the account. KV_PRECONDITION with KV_ACME_ACCOUNT when it is not valid. */
kv_status kv_acme_account_check(kv_acme_client *client, kv_error *err) KV_MUST_USE;
/* Closes it for good (RFC 8555 section 7.3.6): from then on the key is refused. */
kv_status kv_acme_account_deactivate(kv_acme_client *client, kv_error *err) KV_MUST_USE;
/* Another key for the account. KV_OK too when it is the account's already. */
kv_status kv_acme_account_new_key(kv_acme_client *client, const kv_acme_key *next,
                                  kv_error *err) KV_MUST_USE;

/* --- order.c --- */

typedef struct kv_acme_name {
    kv_slice value; /* lower case */
    bool address;
} kv_acme_name;

typedef struct kv_acme_order_in {
    const kv_acme_name *names;
    size_t count;
    kv_slice profile;  /* empty: the server's choice */
    kv_slice replaces; /* kv_acme_certificate_id of the predecessor; empty: none */
} kv_acme_order_in;

kv_status kv_acme_order_new(kv_acme_client *client, const kv_acme_order_in *in, const char **url,
                            kv_acme_order *out, kv_error *err) KV_MUST_USE;
kv_status kv_acme_order_get(kv_acme_client *client, const char *url, kv_acme_order *out,
                            kv_error *err) KV_MUST_USE;
kv_status kv_acme_order_finalize(kv_acme_client *client, const char *url, kv_slice csr,
                                 kv_acme_order *out, kv_error *err) KV_MUST_USE;
kv_status kv_acme_authorization_get(kv_acme_client *client, const char *url,
                                    kv_acme_authorization *out, kv_error *err) KV_MUST_USE;
kv_status kv_acme_authorization_end(kv_acme_client *client, const char *url,
                                    kv_error *err) KV_MUST_USE;
/* Tells the server to look at the proof. */
kv_status kv_acme_challenge_begin(kv_acme_client *client, const char *url,
                                  kv_error *err) KV_MUST_USE;

typedef struct kv_acme_certificate {
    kv_slice pem;
    const char *alternates[KV_ACME_ALTERNATES_MOST];
    size_t count;
} kv_acme_certificate;

kv_status kv_acme_certificate_get(kv_acme_client *client, const char *url, kv_acme_certificate *out,
                                  kv_error *err) KV_MUST_USE;
/* KV_OK too when it is revoked already. `reason`: CRLReason of RFC 5280. */
kv_status kv_acme_certificate_revoke(kv_acme_client *client, kv_slice der, unsigned reason,
                                     kv_error *err) KV_MUST_USE;
/* Not signed. KV_NOT_FOUND when the server has no such thing. */
kv_status kv_acme_window_get(kv_acme_client *client, kv_slice certificate_id, kv_acme_window *out,
                             kv_error *err) KV_MUST_USE;
