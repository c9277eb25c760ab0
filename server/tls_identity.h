/* tls_identity.h - the server's TLS key and certificate: on the `tls` token, or in files. */
#pragma once

#include <stdatomic.h>

#include "pkcs11/tls_key.h"
#include "server/front/tls.h"
#include "server/settings.h"
#include "server/signals.h"
#include "server/tls_trial.h"

typedef struct kv_server_identity {
    kv_tls_key *token_key; /* NULL when the key is in a file */
    EVP_PKEY *pair;        /* of that key and the certificate in use; NULL as above */
    kv_tls_trial *trial;   /* of a reload that did not wait any longer; NULL: none */
    kv_signals *signals;   /* borrowed; when they say stop, no reload waits. NULL: they do not */
    kv_tls *tls;
    _Atomic int64_t not_after_ms; /* of the certificate in use; read by other threads */
} kv_server_identity;

/* KV_PRECONDITION when key and certificate do not fit; else what their readers say. `tokens` is
 * borrowed. */
kv_status kv_server_identity_open(const kv_settings *settings, kv_tokens *tokens,
                                  kv_server_identity *out, kv_error *err) KV_MUST_USE;
/* Frees what uses the key; before kv_tokens_close(). Waits for a trial that the token is still at.
 */
void kv_server_identity_cleanup(kv_server_identity *identity);

/* Reads the certificate again, and the key when it is in a file; new connections use them. A token
 * whose key is another one by now has to sign with it, and `hang_seconds` to do so: KV_UNAVAILABLE
 * after that, and at once for every other key until it has come back. */
kv_status kv_server_identity_reload(kv_server_identity *identity, const kv_settings *settings,
                                    kv_error *err) KV_MUST_USE;
