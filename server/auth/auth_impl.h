/* auth_impl.h - what the files of this folder know of a kv_auth. Nobody else includes it. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "server/auth/auth.h"
#include "server/auth/grants.h"
#include "server/auth/identity.h"
#include "server/auth/lru.h"
#include "server/auth/oidc.h"

enum { KV_AUTH_ISSUER_MAX = 128, KV_CERTIFICATES_CACHED = 4096, KV_ROLE_TOKENS_CACHED = 4096 };

struct kv_auth {
    kv_records *records; /* borrowed */
    kv_log *log;         /* borrowed */
    kv_oidc *oidc;       /* borrowed; NULL: none */
    kv_separation separation;
    kv_role_token_signer signer; /* its kid is `kid` */
    char kid[KV_ROLE_TOKEN_KID_DIGITS + 1];
    char issuer[KV_AUTH_ISSUER_MAX];
    size_t issuer_len;
    kv_role_token_verifier *verifier;
    pthread_rwlock_t cas_lock; /* guards `cas`; taken for reading by whoever looks at it */
    kv_client_cas *cas;
    atomic_uint cas_generation; /* grows when they change */
    kv_grants *grants;
    kv_lru *certificates; /* SHA-256 of DER: kv_certificate, packed */
    kv_lru *tokens;       /* SHA-256 of (certificate's hash, token's hash): kv_role_token */
};

static inline kv_slice kv_auth_issuer(const kv_auth *auth)
{
    return kv_slice_of(auth->issuer, auth->issuer_len);
}

/* What an assignment says to a question; the numbers are those of the .proto. */
typedef enum kv_grant_says {
    KV_GRANT_ALLOWS = 1,
    KV_GRANT_ENDED,       /* the role has the permission, but no longer */
    KV_GRANT_ELSEWHERE,   /* the role has it, but not there */
    KV_GRANT_UNAVAILABLE, /* the role has it, but cannot be used with this separation of duty */
    KV_GRANT_EXCLUDED,    /* it would, but another role of the principal excludes it */
    KV_GRANT_LACKS        /* the role does not have it */
} kv_grant_says;

/* Never KV_GRANT_EXCLUDED, which is asked apart. (permit.c) */
kv_grant_says kv_auth_judge(const kv_auth *auth, const kv_grant *grant, kv_permission permission,
                            const kv_resource *resource, int64_t now_ms);
/* A live assignment of the principal that excludes this one, whatever the mode; or NULL. */
const kv_grant *kv_auth_excluding(const kv_held *held, const kv_grant *grant, int64_t now_ms);
/* Does the stored key or secret belong to a certificate? False when it is not there. (admit.c) */
kv_status kv_auth_is_managed(kv_auth *auth, const kv_resource *resource, kv_arena *arena, bool *out,
                             kv_error *err) KV_MUST_USE;

/* Is the caller's client CA still one? Only asked when they have changed since. (auth.c) */
bool kv_auth_ca_stands(kv_auth *auth, const kv_caller *caller);

/* What the certificate says, from memory if it was seen before. KV_UNAUTHENTICATED with
 * KV_REASON_CERTIFICATE_UNKNOWN when it is none. (identify.c) */
kv_status kv_auth_read_certificate(kv_auth *auth, const uint8_t thumbprint[32], kv_slice der,
                                   kv_arena *arena, kv_certificate *out, kv_error *err) KV_MUST_USE;

/* The tests that a caller must pass at every use, whatever it wants. Under the lock of the grants.
 * (permit.c) */
kv_status kv_auth_still(kv_auth *auth, const kv_caller *caller, int64_t now_ms,
                        const kv_held **held, kv_error *err) KV_MUST_USE;
