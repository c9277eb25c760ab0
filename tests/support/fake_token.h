/* fake_token.h - a PKCS#11 module in memory, with real cryptography and faults on demand.
 *
 * It is a complete CK_FUNCTION_LIST for what pkcs11/ uses and enforces the rules that matter:
 * login for private objects, usage flags, allowed mechanisms, one-way CKA_EXTRACTABLE, session
 * objects that die with their session. The functions of Cryptoki have no context, so there is one
 * fake per process.
 *
 * Threads: the module from any; the knobs from the test.
 */
#pragma once

#include <stdbool.h>

#include <p11-kit/pkcs11.h>

#define KV_FAKE_PIN "1234-user"

enum { KV_FAKE_TOKENS_MAX = 4 };

/* Forgets everything and makes one token per label (the same label twice is allowed). Labels end
 * with NULL. */
CK_FUNCTION_LIST *kv_fake_new(const char *const *labels);
void kv_fake_free(void);

typedef struct kv_fake_counts {
    unsigned calls; /* of any function */
    unsigned sessions_opened, sessions_closed;
    unsigned sessions_now;
    unsigned logins; /* tried */
    unsigned initialised, finalised;
    unsigned session_objects, token_objects; /* now */
    unsigned hung;                           /* calls that were made to wait */
} kv_fake_counts;

kv_fake_counts kv_fake_seen(void);

/* The n-th call from now (1: the next) fails once with `rv` and does nothing; 0 switches off. */
void kv_fake_fail_call(unsigned n, CK_RV rv);
/* The next `times` calls of this function fail: kv_fake_fail("C_Sign", CKR_DEVICE_ERROR, 1). */
void kv_fake_fail(const char *function, CK_RV rv, unsigned times);
/* True once the fault that was asked for has happened. */
bool kv_fake_failed(void);

/* All token objects and the tokens themselves are out of reach, as with a folder moved away;
 * session objects go on working. A module that saw this is wedged until it is reinitialised. */
void kv_fake_gone(bool gone);

/* Hides a mechanism from the list and refuses it; KV_FAKE_ALL hides none. */
#define KV_FAKE_ALL CK_UNAVAILABLE_INFORMATION
void kv_fake_without(CK_MECHANISM_TYPE mechanism);

/* Calls of this function wait inside the module until it is set to NULL again. */
void kv_fake_hang(const char *function);
