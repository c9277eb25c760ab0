/* token_sessions.c - a session for each thread, and how a job gets in and out of the module. */
#include <stdlib.h>

#include <openssl/err.h>

#include "pkcs11/rv.h"
#include "pkcs11/token.h"
#include "server/base/clock.h"

enum { MOST_TRIES = 2 };

struct kv_thread_session {
    kv_token *token;
    CK_SESSION_HANDLE session; /* CK_INVALID_HANDLE: opened at next use */
    uint64_t generation;       /* of the module when it was opened */
    _Atomic int64_t since_us;  /* inside the module since then; 0: outside */
    kv_thread_session *previous, *next;
};

static void unlink_session(kv_token *token, kv_thread_session *home)
{
    pthread_mutex_lock(&token->sessions_lock);
    if (home->previous)
        home->previous->next = home->next;
    else
        token->sessions = home->next;
    if (home->next)
        home->next->previous = home->previous;
    pthread_mutex_unlock(&token->sessions_lock);
}

/* At the end of a thread. A module that is out of reach has forgotten the session anyway. */
static void end_thread(void *value)
{
    kv_thread_session *home = value;
    kv_token *token = home->token;
    kv_error ignored;

    if (home->session != CK_INVALID_HANDLE && atomic_load(&token->state) != KV_TOKEN_DOWN &&
        kv_module_enter(token->module, &ignored) == KV_OK) {
        if (home->generation == atomic_load(&token->module->generation))
            (void)token->module->functions->C_CloseSession(home->session);
        kv_module_leave(token->module);
    }
    unlink_session(token, home);
    free(home);
}

kv_status kv_token_sessions_new(kv_token *token, kv_error *err)
{
    if (pthread_key_create(&token->thread_key, end_thread) != 0)
        return kv_fail(err, KV_BUSY, "too many tokens are open");
    pthread_mutex_init(&token->sessions_lock, NULL);
    return KV_OK;
}

void kv_token_sessions_free(kv_token *token)
{
    bool live =
        token->module->initialised && token->generation == atomic_load(&token->module->generation);
    kv_thread_session *home;

    (void)pthread_key_delete(token->thread_key);
    while ((home = token->sessions)) {
        token->sessions = home->next;
        if (live && home->session != CK_INVALID_HANDLE && home->generation == token->generation)
            (void)token->module->functions->C_CloseSession(home->session);
        free(home);
    }
    pthread_mutex_destroy(&token->sessions_lock);
}

void kv_token_thread_end(kv_token *token)
{
    kv_thread_session *home = pthread_getspecific(token->thread_key);

    if (!home)
        return;
    (void)pthread_setspecific(token->thread_key, NULL);
    end_thread(home);
}

static kv_status home_of_thread(kv_token *token, kv_thread_session **out, kv_error *err)
{
    kv_thread_session *home = pthread_getspecific(token->thread_key);

    if (!home) {
        home = calloc(1, sizeof(*home));
        if (!home || pthread_setspecific(token->thread_key, home) != 0) {
            free(home);
            return kv_fail(err, KV_BUSY, "out of memory");
        }
        home->token = token;
        home->session = CK_INVALID_HANDLE;
        pthread_mutex_lock(&token->sessions_lock);
        home->next = token->sessions;
        if (home->next)
            home->next->previous = home;
        token->sessions = home;
        pthread_mutex_unlock(&token->sessions_lock);
    }
    *out = home;
    return KV_OK;
}

void kv_token_visit_goes_on(kv_token_visit *visit)
{
    if (visit->home)
        atomic_store_explicit(&visit->home->since_us, kv_monotonic_us(), memory_order_relaxed);
}

bool kv_token_overdue(kv_token *token, int64_t now_us)
{
    int64_t latest = now_us - (int64_t)token->hang_ms * 1000;
    bool overdue = false;

    pthread_mutex_lock(&token->sessions_lock);
    for (kv_thread_session *one = token->sessions; one && !overdue; one = one->next) {
        int64_t since = atomic_load_explicit(&one->since_us, memory_order_relaxed);

        overdue = since && since < latest;
    }
    pthread_mutex_unlock(&token->sessions_lock);
    return overdue;
}

static kv_status open_session(kv_token_visit *visit, kv_error *err)
{
    kv_token *token = visit->token;
    kv_thread_session *home = visit->home;
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    CK_RV rv;

    if (home->session != CK_INVALID_HANDLE && home->generation == token->generation) {
        visit->session = home->session;
        return KV_OK;
    }
    home->session = CK_INVALID_HANDLE;
    rv = visit->f->C_OpenSession(token->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                 &session);
    rv = kv_rv_made(rv, &session);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_OpenSession", err);
    home->session = visit->session = session;
    home->generation = token->generation;
    return KV_OK;
}

static kv_status enter(kv_token *token, kv_token_visit *visit, kv_error *err)
{
    if (atomic_load(&token->state) == KV_TOKEN_DOWN)
        return kv_module_unavailable(err);
    KV_TRY(home_of_thread(token, &visit->home, err));
    KV_TRY(kv_module_enter(token->module, err));
    visit->token = token;
    visit->f = token->module->functions;
    kv_token_visit_goes_on(visit);
    /* It may have gone down while we waited at the gate. */
    if (atomic_load(&token->state) == KV_TOKEN_DOWN)
        return kv_module_unavailable(err);
    return open_session(visit, err);
}

static void kv_token_visit_cleanup(kv_token_visit *visit)
{
    if (!visit->token)
        return;
    kv_token_index_let_go(visit);
    if (visit->spoiled && visit->home->session != CK_INVALID_HANDLE) {
        (void)visit->f->C_CloseSession(visit->home->session);
        visit->home->session = CK_INVALID_HANDLE;
    }
    atomic_store_explicit(&visit->home->since_us, 0, memory_order_relaxed);
    kv_module_leave(visit->token->module);
    visit->token = NULL;
}

static kv_status try_once(kv_token *token, kv_token_job *job, void *context, bool *again,
                          kv_error *err)
{
    KV_AUTO(kv_token_visit) visit = { 0 };
    kv_status status;

    KV_TRY(enter(token, &visit, err));
    status = job(&visit, context, err);
    /* A module that shares our OpenSSL leaves its errors with this thread. */
    if (status != KV_OK || visit.spoiled)
        ERR_clear_error();
    *again = status != KV_OK && visit.again;
    return status;
}

kv_status kv_token_run(kv_token *token, kv_token_job *job, void *context, kv_error *err)
{
    kv_status status = KV_OK;
    bool again = true;

    for (int tries = 0; again && tries < MOST_TRIES; tries++) {
        again = false;
        status = try_once(token, job, context, &again, err);
    }
    return status;
}

kv_status kv_token_failed(kv_token_visit *visit, CK_RV rv, const char *function, kv_error *err)
{
    switch (kv_rv_of(rv)->class) {
    case KV_RV_NEW_SESSION:
        visit->again = true;
        break;
    case KV_RV_BAD_KEY:
        kv_token_index_drop_held(visit);
        visit->again = visit->key_id != NULL;
        kv_token_suspect(visit->token);
        break;
    case KV_RV_REINITIALISE:
    case KV_RV_TOKEN_DOWN:
        kv_token_suspect(visit->token);
        break;
    case KV_RV_OK:
    case KV_RV_CALLER:
    case KV_RV_CONFIGURATION:
        break;
    }
    visit->spoiled = true;
    return kv_rv_fail(err, rv, function);
}
