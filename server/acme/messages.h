/* messages.h - what an ACME server says, read with bounds (RFC 8555 section 7.1, RFC 9773).
 *
 * Every function takes the body of an answer and gives what it says, in the arena. KV_UNAVAILABLE
 * with words for the caller when it is not what it should be: the authority may do better another
 * time; KV_BUSY when the arena is full.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/acme/problem.h"

enum {
    KV_ACME_URL_MOST = 2048,
    KV_ACME_NAMES_MOST = 100, /* identifiers, and so authorizations, of an order */
    KV_ACME_CHALLENGES_MOST = 16,
    KV_ACME_PROFILES_MOST = 32,
    KV_ACME_TOKEN_MOST = 255,
    KV_ACME_DOMAINS_MOST = 10,   /* of dns-persist-01; more are malformed */
    KV_ACME_IDENTITIES_MOST = 64 /* of caaIdentities; more are passed over */
};

/* https, a host, printable ASCII without quotes, no user, no fragment, at most KV_ACME_URL_MOST. */
bool kv_acme_url_good(kv_slice url);

/* Domains by which an authority calls itself; lower case. */
typedef struct kv_acme_domains {
    const kv_slice *names;
    size_t count; /* 0: it does not say, or not as it should */
} kv_acme_domains;

typedef struct kv_acme_directory {
    const char *new_nonce;
    const char *new_account;
    const char *new_order;
    const char *revoke_cert;
    const char *key_change;
    const char *renewal_info; /* NULL: it gives no such information */
    kv_slice terms;           /* URL of the terms of service; may be empty */
    bool binding_required;
    kv_acme_domains identities;   /* caaIdentities */
    kv_acme_domains domains;      /* issuerDomainNames, of dns-persist-01 */
    kv_slice account_hash_prefix; /* URL, of dns-persist-01; may be empty */
    const kv_slice *profiles;
    size_t profile_count;
} kv_acme_directory;

kv_status kv_acme_directory_read(kv_arena *arena, kv_slice body, kv_acme_directory *out,
                                 kv_error *err) KV_MUST_USE;

typedef enum kv_acme_state {
    KV_ACME_UNKNOWN = 0, /* a word of another specification */
    KV_ACME_PENDING,
    KV_ACME_READY,
    KV_ACME_PROCESSING,
    KV_ACME_VALID,
    KV_ACME_INVALID,
    KV_ACME_DEACTIVATED,
    KV_ACME_EXPIRED,
    KV_ACME_REVOKED
} kv_acme_state;

/* "valid", or KV_ACME_UNKNOWN. */
kv_acme_state kv_acme_state_of(kv_slice word);
const char *kv_acme_state_name(kv_acme_state state); /* "unknown", "pending", ... */

typedef struct kv_acme_order {
    kv_acme_state state;
    const char *const *authorizations;
    size_t count;
    const char *finalize;
    const char *certificate; /* NULL before it is valid */
    bool failed;             /* `problem` says why */
    kv_acme_problem problem;
} kv_acme_order;

kv_status kv_acme_order_read(kv_arena *arena, kv_slice body, kv_acme_order *out,
                             kv_error *err) KV_MUST_USE;

typedef struct kv_acme_challenge {
    kv_slice type;
    const char *url;
    kv_slice token; /* base64url; empty where there is none */
    kv_acme_state state;
    kv_acme_domains domains; /* issuerDomainNames or, before draft 02, issuer-domain-names */
    bool strict;             /* the former: the directory must agree */
    kv_slice account;        /* URL: accounturi of draft 01; may be empty */
    bool failed;
    kv_acme_problem problem;
} kv_acme_challenge;

typedef struct kv_acme_authorization {
    kv_acme_state state;
    kv_slice name;
    bool address;
    bool wildcard;
    const kv_acme_challenge *challenges;
    size_t count;
} kv_acme_authorization;

/* What a record of dns-persist-01 is to call the authority: one of the challenge's domains, that of
 * the directory before others; without a challenge what the directory says. Empty when there is
 * none, or the two contradict each other (draft-ietf-acme-dns-persist-02 section 3.2). */
kv_slice kv_acme_authority_domain(const kv_acme_directory *directory,
                                  const kv_acme_challenge *challenge);

kv_status kv_acme_authorization_read(kv_arena *arena, kv_slice body, kv_acme_authorization *out,
                                     kv_error *err) KV_MUST_USE;

typedef struct kv_acme_window {
    int64_t start_ms;
    int64_t end_ms;       /* after the start */
    kv_slice explanation; /* URL; may be empty */
} kv_acme_window;

/* A window that ends before it begins is refused like anything malformed. */
kv_status kv_acme_window_read(kv_arena *arena, kv_slice body, kv_acme_window *out,
                              kv_error *err) KV_MUST_USE;

/* The n-th URL of rel="alternate" in a Link header (RFC 8288), counted from 0; false when there are
 * not so many. URLs that are not to be followed, and relative ones, are passed over. */
bool kv_acme_link_alternate(kv_slice header, unsigned nth, kv_slice *out);

/* What names a certificate in renewal information (RFC 9773 section 4.1): key identifier of the
 * authority and serial number, each in base64url, with a dot. KV_NOT_FOUND for a certificate that
 * has no such identifier; KV_BAD_REQUEST for what is no certificate. */
kv_status kv_acme_certificate_id(kv_arena *arena, kv_slice der, kv_slice *out,
                                 kv_error *err) KV_MUST_USE;
