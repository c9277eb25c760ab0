/* oidc.h - the identity providers whose tokens make a principal known.
 *
 * A thread of its own fetches the keys: at the start, every ten minutes, and when a token names a
 * key that is not there, then at most once a minute. Checking a token never waits for the network:
 * while keys are being fetched it answers KV_UNAVAILABLE with a time to try again. Keys that were
 * fetched stay in use for a day while the provider is away.
 *
 * Threads:  new, start and free: one. The rest: any.
 * Lifetime: the process; the HTTP client outlives it.
 */
#pragma once

#include "server/auth/id_token.h"
#include "server/base/log.h"
#include "server/net/http.h"

typedef struct kv_oidc kv_oidc;

enum { KV_OIDC_PROVIDERS = 8, KV_OIDC_NAME_BYTES = 32, KV_OIDC_CLAIM_BYTES = 64 };

/* All copied. */
typedef struct kv_oidc_provider {
    const char *name;       /* 1 to 32 of [0-9a-z-] */
    const char *issuer;     /* https URL, as in `iss` */
    const char *audience;   /* what `aud` must hold: the client id */
    const char *jwks;       /* https URL, or path of a file; "": by discovery */
    const char *algorithms; /* "RS256, ES256" */
    const char *claims;     /* "sub, groups": at most 4, looked at in this order */
    const char *ca_file;    /* PEM, "": as the HTTP client */
    int64_t leeway_seconds;
    int64_t token_seconds; /* longest life of a role token that is got here */
} kv_oidc_provider;

/* KV_BAD_REQUEST naming section and key. `http` and `log` are borrowed; `log` may be NULL. */
kv_status kv_oidc_new(const kv_oidc_provider *providers, unsigned count, kv_http *http, kv_log *log,
                      kv_oidc **out, kv_error *err) KV_MUST_USE;
/* Begins to fetch. */
kv_status kv_oidc_start(kv_oidc *oidc, kv_error *err) KV_MUST_USE;
/* Ends the thread; the HTTP client must have been stopped, or this waits for its request. */
void kv_oidc_free(kv_oidc *oidc);

/* Who a token proves its holder to be. */
typedef struct kv_oidc_identity {
    const char *provider;  /* its name; static as the provider */
    const kv_slice *names; /* of the claims, by index */
    kv_id_token token;
    kv_slice *matches; /* of each value: what a credential is called, as kv_oidc_match() */
    int64_t token_most_ms;
} kv_oidc_identity;

/* KV_UNAUTHENTICATED with KV_REASON_ID_TOKEN_INVALID; KV_UNAVAILABLE with a time to try again. */
kv_status kv_oidc_identify(kv_oidc *oidc, kv_slice text, const uint8_t thumbprint[32],
                           int64_t now_ms, kv_arena *arena, kv_oidc_identity *out,
                           kv_error *err) KV_MUST_USE;

/* "oidc:<provider>:<SHA-256 of its issuer>:<claim>:<value>": a provider that is given another
 * issuer later knows nobody of before. KV_BAD_REQUEST for a provider that is not configured, a
 * claim that it does not map, and a value that is none. */
kv_status kv_oidc_match(const kv_oidc *oidc, kv_slice provider, kv_slice claim, kv_slice value,
                        kv_arena *arena, kv_slice *out, kv_error *err) KV_MUST_USE;
/* Its parts; false for what is none. */
bool kv_oidc_match_parts(kv_slice match, kv_slice *provider, kv_slice *claim, kv_slice *value);
