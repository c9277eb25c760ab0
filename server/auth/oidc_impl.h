/* oidc_impl.h - what the files of the identity providers share. Nobody else includes it. */
#pragma once

#include <pthread.h>

#include "server/auth/oidc.h"

typedef struct kv_oidc_source {
    char name[KV_OIDC_NAME_BYTES + 1];
    char *issuer;
    char *audience;
    char *jwks;
    char *ca_file;
    char *claims;
    char issuer_hash[65];
    kv_id_token_rules rules; /* borrows the texts above */
    int64_t token_most_ms;

    pthread_rwlock_t lock; /* guards all that follows */
    kv_jwks *keys;         /* NULL: none yet */
    int64_t fetched_us;    /* monotonic; when `keys` came */
    int64_t asked_us;      /* when somebody missed a key; 0: nobody is waiting */
    int64_t tried_us;      /* when the last try ended; 0: none yet */
    unsigned failures;     /* in a row */
} kv_oidc_source;

/* How often keys are fetched; microseconds. */
typedef struct kv_oidc_pace {
    int64_t refresh_us;
    int64_t asked_us; /* at least, between two fetches for a key that is missing */
    int64_t retry_us; /* after a failure; doubled with every further one */
    int64_t keep_us;  /* how long keys stay in use that cannot be fetched again */
} kv_oidc_pace;

/* For tests that cannot wait a minute; before kv_oidc_start(). (oidc.c) */
void kv_oidc_set_pace(kv_oidc *oidc, const kv_oidc_pace *pace);

/* One try: discovery where no place is configured, then the keys. (oidc_fetch.c) */
kv_status kv_oidc_fetch(const kv_oidc_source *source, kv_http *http, kv_jwks **out,
                        kv_error *err) KV_MUST_USE;
