/* tls_trial.h - the token is asked to sign with another TLS key in a thread of its own: a token
 * that does not answer holds up nobody but that.
 *
 * Threads: one owner.
 */
#pragma once

#include "pkcs11/tls_key.h"

typedef struct kv_tls_trial kv_tls_trial;

/* kv_tls_key_pair() begins. `key` is borrowed until the trial is taken; `public` is not kept.
 * KV_UNAVAILABLE when the thread cannot be started, KV_BUSY (memory). */
kv_status kv_tls_trial_start(kv_tls_key *key, EVP_PKEY *public, kv_tls_trial **out,
                             kv_error *err) KV_MUST_USE;
/* Is it over? Waits for at most so long. */
bool kv_tls_trial_over(kv_tls_trial *trial, unsigned ms);
/* Waits until it is over, however long that takes, and frees it: what kv_tls_key_pair() said. */
kv_status kv_tls_trial_take(KV_TAKES kv_tls_trial *trial, EVP_PKEY **out,
                            kv_error *err) KV_MUST_USE;
