/* tokens.h - the PKCS#11 tokens of this process, by duty: opened, kept alive, closed.
 *
 * One process owns a token (a lock file says so). There is one login per initialisation of a
 * module, a guard session that is never closed, and a session for each thread, opened at its first
 * operation and closed when the thread ends; no caller ever sees a session. A supervisor thread
 * per module looks at its tokens every `probe_ms`, and at once when an operation failed in a way
 * that may be the token's fault. A token that does not answer is DOWN: every operation then fails
 * immediately with KV_UNAVAILABLE and KV_REASON_TOKEN_UNAVAILABLE, while the supervisor
 * reinitialises the module with back-off until the token is back. No restart is needed. So is one
 * with a call that has been inside the module for longer than `hang_ms`: nothing can end that call,
 * and the module cannot be reinitialised before it returns, unless it is isolated. A token that
 * answers probes while operations keep failing is reinitialised too, more and more seldom.
 *
 * Threads:  any thread may call operations on a token; kv_tokens_open and _close are for main().
 *           Never from a loop thread: everything may block.
 * Lifetime: join all threads that used a token before kv_tokens_close. No fork after
 *           kv_tokens_open (posix_spawn is fine).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/error.h"
#include "server/base/log.h"
#include "server/base/secret_buf.h"

/* CK_FUNCTION_LIST, without its header. */
struct _CK_FUNCTION_LIST;

typedef enum kv_duty {
    KV_DUTY_KEYS,   /* application keys */
    KV_DUTY_CA,     /* keys of local certification authorities */
    KV_DUTY_SYSTEM, /* role-token and audit signers, seal, secret encryption */
    KV_DUTY_TLS,    /* the key of the server's TLS identity (tls_key.h) */
    KV_DUTY_COUNT
} kv_duty;

/* Everything is copied by kv_tokens_open. */
typedef struct kv_token_config {
    kv_duty duty;
    const char *module;                  /* path of a PKCS#11 module; NULL with `functions` */
    struct _CK_FUNCTION_LIST *functions; /* instead of a module: a fake or a shim */
    const char *uri;                     /* RFC 7512: serial and/or token label; no slot, no PIN */
    const kv_secret_buf *pin;            /* the user's PIN */
    const char *lock_path;               /* file made and locked (flock); NULL: no lock */
    /* SoftHSM only, NULL otherwise. `files_dir` is its `directories.tokendir`. A raw copy of this
     * token's token.object is kept in `backup_dir` (made if missing, mode 0700) and put back at
     * start when token.object is empty. */
    const char *files_dir;
    const char *backup_dir;
    bool files_only;   /* not opened: only its files are looked after, beside those of the others */
    bool exclusive;    /* nobody else uses this token: half objects may be destroyed */
    unsigned probe_ms; /* 0: 1000 */
    unsigned hang_ms;  /* 0: 30000; longer than the slowest key generation takes */
    /* No threads look after the module: only kv_token_recover brings it back. For programs that do
     * one thing at a time. The first configuration of a module counts. */
    bool unwatched;
    /* NULL: `module` is loaded into this process. Else it lives in a process of its own, which is
     * killed and replaced when a call overruns the longest `hang_ms` of its tokens, or when it
     * ends: the path of keyvaultd. The first configuration of a module counts. */
    const char *isolated;
    const char *isolated_folder;      /* for its socket; made if missing, mode 0700 */
    const char *isolated_environment; /* names of the variables it gets, by blanks */
} kv_token_config;

typedef enum kv_token_state { KV_TOKEN_UP, KV_TOKEN_SUSPECT, KV_TOKEN_DOWN } kv_token_state;

typedef struct kv_token kv_token;
typedef struct kv_tokens kv_tokens;

/* Opens all or none. Two configurations that name the same token share it (the first one's lock,
 * PIN and folders count). Each PIN is tried exactly once. `log` is borrowed and may be NULL.
 * Errors: KV_BAD_REQUEST (field "uri": malformed, with a PIN or slot, or no or several tokens match
 * it; "module": cannot be loaded), KV_PRECONDITION (wrong PIN; another process holds the lock;
 * token not initialised; no space to log in safely), KV_UNAVAILABLE. */
kv_status kv_tokens_open(const kv_token_config *configs, size_t count, kv_log *log, kv_tokens **out,
                         kv_error *err) KV_MUST_USE;
/* Closes every session and finalises the modules. NULL is fine. */
void kv_tokens_close(kv_tokens *tokens);

/* Borrowed; NULL when no configuration had that duty. */
kv_token *kv_tokens_get(const kv_tokens *tokens, kv_duty duty);

/* The token's own label and serial number, without trailing spaces. */
const char *kv_token_label(const kv_token *token);
const char *kv_token_serial(const kv_token *token);

kv_token_state kv_token_state_of(const kv_token *token);

/* Looks at an object on the token and does a known-answer operation.
 * KV_UNAVAILABLE when the token does not answer as it should; the supervisor then takes over. */
kv_status kv_token_probe(kv_token *token, kv_error *err) KV_MUST_USE;

/* Finalises and initialises the module, logs in and rebuilds the indexes, waiting at most
 * `wait_ms` for threads to leave the module. The supervisor does this; it is here for tests and
 * for an administrator's command. KV_TIMEOUT when a thread did not leave. */
kv_status kv_token_recover(kv_token *token, unsigned wait_ms, kv_error *err) KV_MUST_USE;

/* Closes the calling thread's session now rather than when the thread ends. */
void kv_token_thread_end(kv_token *token);

/* True when the token's mechanism list has `ckm`. kv_token_require fails with KV_UNSUPPORTED and
 * KV_REASON_NOT_SUPPORTED_BY_TOKEN, naming mechanism and token. */
bool kv_token_supports(const kv_token *token, unsigned long ckm);
kv_status kv_token_require(const kv_token *token, unsigned long ckm, kv_error *err) KV_MUST_USE;
