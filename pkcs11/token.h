/* token.h - the inside of a token, for the files of this folder only.
 *
 * An operation is a job: kv_token_run() brings it inside the module with the calling thread's
 * session, and runs it once more when the session or the handle turned out to be stale. Jobs call
 * Cryptoki without holding any lock but the read side of the module's gate.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "pkcs11/key.h"
#include "pkcs11/mechanism.h"
#include "pkcs11/module.h"
#include "pkcs11/token_files.h"
#include "pkcs11/token_index.h"
#include "pkcs11/tokens.h"

typedef struct kv_thread_session kv_thread_session;
struct kv_object_sheet;

/* Suspicions that a probe did not confirm. */
typedef struct kv_token_doubts {
    int64_t since_us; /* when counting began */
    unsigned count;
    int64_t patient_until_us; /* no reinitialisation for this before then */
    unsigned patience_ms;
} kv_token_doubts;

struct kv_token {
    kv_module *module; /* borrowed from kv_tokens */
    kv_log *log;       /* borrowed */

    /* Never change after opening. */
    char *uri;
    kv_secret_buf pin;
    bool exclusive;
    unsigned probe_ms;
    unsigned hang_ms;
    int lock_fd; /* -1: none */
    pthread_key_t thread_key;

    /* Written by the first start, before there are other threads. */
    char label[33];
    char serial[17];
    CK_MECHANISM_TYPE *mechanisms;
    CK_ULONG mechanism_count;
    bool signs[KV_MECHANISM_COUNT];

    /* Change only while the gate's write side is held. */
    kv_token_files files;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE guard; /* keeps the login alive; never used */
    CK_SESSION_HANDLE owner; /* owns every session object that outlives a job */
    CK_OBJECT_HANDLE probe_object;
    CK_OBJECT_HANDLE probe_key;
    atomic_int unwraps;      /* what is known: not tried yet, it does, or it never did */
    bool saw_halves;         /* the last start saw a key object without an id of ours */
    atomic_bool pin_refused; /* never try that PIN again */
    kv_error trouble;        /* why the last start failed; only the supervisor looks */
    uint64_t generation;

    atomic_int state;            /* kv_token_state */
    atomic_bool hung;            /* a call does not come back; only the watchdog changes it */
    atomic_bool quiet;           /* transitions come too often to be told one by one */
    kv_token_doubts doubts;      /* only the supervisor looks */
    struct kv_supervisor *watch; /* borrowed from kv_tokens; NULL until it runs */

    /* One thread at a time in the owner session; and no search while it makes a copy, which
     * SoftHSM shows as an object of the token with the key's id until it is finished. */
    pthread_mutex_t owner_lock;
    pthread_mutex_t anchor_lock; /* writers of anchors take turns */
    kv_token_index index;        /* has its own lock */

    pthread_mutex_t sessions_lock; /* guards `sessions` */
    kv_thread_session *sessions;
};

/* One thread's stay inside the module. */
typedef struct kv_token_visit {
    kv_token *token; /* NULL: outside */
    CK_FUNCTION_LIST *f;
    CK_SESSION_HANDLE session;
    kv_thread_session *home;
    const uint8_t *key_id;        /* the key in use, for when its handle turns out to be stale */
    struct kv_index_entry *entry; /* held for that key; NULL: none */
    bool spoiled;                 /* close the session when leaving */
    bool again;                   /* another try may succeed */
    const struct kv_object_sheet *sheet; /* token_object.h; NULL: none */
    kv_error unread; /* an attribute that the token failed to tell: kv_objects_were_read() */
} kv_token_visit;

typedef kv_status kv_token_job(kv_token_visit *visit, void *context, kv_error *err);
kv_status kv_token_run(kv_token *token, kv_token_job *job, void *context,
                       kv_error *err) KV_MUST_USE;

/* A Cryptoki call of a job failed: classifies, marks session, handle and token, fills `err`. */
kv_status kv_token_failed(kv_token_visit *visit, CK_RV rv, const char *function, kv_error *err);

/* token_sessions.c */
kv_status kv_token_sessions_new(kv_token *token, kv_error *err) KV_MUST_USE;
/* Has a call been inside the module for longer than hang_ms? */
bool kv_token_overdue(kv_token *token, int64_t now_us);
/* A visit of many calls: it is not one that does not come back. */
void kv_token_visit_goes_on(kv_token_visit *visit);
/* Closes all; the threads have been joined. */
void kv_token_sessions_free(kv_token *token);

/* token_start.c: from an initialised module to a token that is ready. The caller holds the gate's
 * write side or is alone. */
kv_status kv_token_start(kv_token *token, kv_error *err) KV_MUST_USE;

/* token_probe.c: the caller is as above. `data`: the data objects on the token. */
kv_status kv_token_probe_make(kv_token *token, const CK_OBJECT_HANDLE *data, size_t count,
                              kv_error *err) KV_MUST_USE;
/* True when a token object and a known-answer operation are as they should be. */
bool kv_token_probe_inside(kv_token_visit *visit);
/* True when the token opens a known ciphertext, or is one that cannot. */
bool kv_token_probe_opens(kv_token_visit *visit);
/* The same of unwrapping, once that is known to be possible. */
bool kv_token_probe_unwraps(kv_token_visit *visit);
/* The token has unwrapped something: now it is well. Some have key wrap, but not for a key that is
 * known. */
void kv_token_probe_learn(kv_token_visit *visit);

/* supervisor.c: tells the supervisor that the token may be in trouble. */
void kv_token_suspect(kv_token *token);
