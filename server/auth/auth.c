/* auth.c - opening and closing. */
#include "server/auth/auth_impl.h"

#include <stdlib.h>

#include "server/auth/policy.h"
#include "server/base/text.h"

static kv_status check_signer(const kv_auth_config *config, kv_error *err)
{
    if (!config->signer.sign)
        return kv_fail(err, KV_PRECONDITION, "role tokens need a signer");
    for (unsigned i = 0; i < config->key_count; i++) {
        if (kv_slice_equal(config->keys[i].kid, config->signer.kid))
            return KV_OK;
    }
    return kv_fail(err, KV_PRECONDITION, "the signer of role tokens has no verifying key");
}

static kv_status fill(kv_auth *auth, const kv_auth_config *config, kv_error *err)
{
    KV_TRY(check_signer(config, err));
    KV_TRY(kv_role_token_verifier_new(config->keys, config->key_count, config->issuer,
                                      &auth->verifier, err));
    /* The verifier has checked the lengths of both. */
    memcpy(auth->kid, config->signer.kid.data, config->signer.kid.len);
    memcpy(auth->issuer, config->issuer.data, config->issuer.len);
    auth->issuer_len = config->issuer.len;
    auth->signer.kid = kv_slice_text(auth->kid);

    KV_TRY(kv_client_cas_new(config->client_cas, config->client_ca_count, &auth->cas, err));
    auth->certificates = kv_lru_new(KV_CERTIFICATES_CACHED);
    auth->tokens = kv_lru_new(KV_ROLE_TOKENS_CACHED);
    if (!auth->certificates || !auth->tokens)
        return kv_fail(err, KV_BUSY, "out of memory");
    KV_TRY(kv_grants_new(config->records, config->log, &auth->grants, err));
    return kv_grants_load(auth->grants, err);
}

kv_status kv_auth_open(const kv_auth_config *config, kv_auth **out, kv_error *err)
{
    kv_auth *auth = calloc(1, sizeof(*auth));
    kv_status status;

    if (!auth)
        return kv_fail(err, KV_BUSY, "out of memory");
    (void)pthread_rwlock_init(&auth->cas_lock, NULL);
    auth->records = config->records;
    auth->log = config->log;
    auth->oidc = config->oidc;
    auth->separation = config->separation;
    auth->signer = config->signer;
    status = fill(auth, config, err);
    /* Last, because there is no way to stop watching. */
    if (status == KV_OK)
        status = kv_records_watch(config->records, kv_grants_watch, auth->grants, err);
    if (status != KV_OK) {
        kv_auth_close(auth);
        return status;
    }
    *out = auth;
    return KV_OK;
}

void kv_auth_close(kv_auth *auth)
{
    if (!auth)
        return;
    kv_grants_free(auth->grants);
    kv_lru_free(auth->tokens);
    kv_lru_free(auth->certificates);
    kv_client_cas_free(auth->cas);
    kv_role_token_verifier_free(auth->verifier);
    (void)pthread_rwlock_destroy(&auth->cas_lock);
    free(auth);
}

bool kv_auth_is_client_ca(kv_auth *auth, kv_slice der)
{
    bool found;

    (void)pthread_rwlock_rdlock(&auth->cas_lock);
    found = kv_client_cas_have(auth->cas, der);
    (void)pthread_rwlock_unlock(&auth->cas_lock);
    return found;
}

bool kv_auth_ca_stands(kv_auth *auth, const kv_caller *caller)
{
    bool found;

    if (!caller->mapped || caller->ca_generation == atomic_load(&auth->cas_generation))
        return true;
    (void)pthread_rwlock_rdlock(&auth->cas_lock);
    found = kv_client_cas_has(auth->cas, caller->ca_sha256);
    (void)pthread_rwlock_unlock(&auth->cas_lock);
    return found;
}

void kv_auth_set_client_cas(kv_auth *auth, kv_client_cas *cas)
{
    kv_client_cas *old;

    (void)pthread_rwlock_wrlock(&auth->cas_lock);
    old = auth->cas;
    auth->cas = cas;
    atomic_fetch_add(&auth->cas_generation, 1);
    (void)pthread_rwlock_unlock(&auth->cas_lock);
    kv_client_cas_free(old);
}

kv_status kv_caller_roles_text(const kv_caller *caller, kv_arena *arena, kv_slice *out,
                               kv_error *err)
{
    size_t len = 0;
    char *text, *end;

    for (unsigned i = 0; i < caller->role_count; i++)
        len += strlen(kv_role_name(caller->roles[i])) + 1;
    text = end = kv_arena_alloc(arena, len + 1);
    if (!text)
        return kv_arena_full(err);
    for (unsigned i = 0; i < caller->role_count; i++) {
        if (i)
            *end++ = ',';
        end = stpcpy(end, kv_role_name(caller->roles[i]));
    }
    *out = kv_slice_of(text, (size_t)(end - text));
    return KV_OK;
}

typedef struct ending {
    int64_t now_ms;
    int64_t soon_ms;
    kv_credentials_ending *out;
} ending;

static bool count_ending(void *context, const kv_held *held)
{
    const ending *at = context;

    for (unsigned i = 0; i < held->rows->credential_count; i++) {
        int64_t until = held->rows->credentials[i].not_after;

        at->out->ended += until && until <= at->now_ms;
        at->out->soon += until > at->now_ms && until <= at->soon_ms;
    }
    return true;
}

void kv_auth_credentials_ending(kv_auth *auth, int64_t now_ms, int64_t soon_ms,
                                kv_credentials_ending *out)
{
    ending at = { now_ms, soon_ms, out };

    *out = (kv_credentials_ending){ 0 };
    kv_grants_lock(auth->grants);
    kv_grants_each(auth->grants, count_ending, &at);
    kv_grants_unlock(auth->grants);
}
