/* tls_key.h - the server's own TLS identity: an EVP_PKEY that lives on the `tls` token (libp11).
 *
 * This is the only user of libp11, and the `tls` token is opened by nothing else while it runs.
 * The certificate comes from a file. To make the key, open the token with kv_tokens_open and
 * KV_DUTY_TLS, kv_token_key_generate it with `keep_public`, and close the tokens again.
 *
 * When our layer reinitialises the module, libp11's context is dead: kv_tls_key_stale() says so,
 * and kv_tls_key_reload() makes a new EVP_PKEY, to be put into a new SSL_CTX. Bracket every use of
 * the EVP_PKEY (handshake steps) with kv_tls_key_enter() and kv_tls_key_leave(), so that the
 * module is never finalised under a running signature.
 *
 * Threads:  enter and leave from any; the rest from one at a time. Nothing here on a loop thread.
 * Lifetime: open after kv_tokens_open, which owns C_Initialize. Free everything that holds the
 *           EVP_PKEY, then kv_tokens_close, then kv_tls_key_close.
 */
#pragma once

#include <openssl/evp.h>

#include "pkcs11/tokens.h"

typedef struct kv_tls_key kv_tls_key;

/* Everything is copied. */
typedef struct kv_tls_key_config {
    const char *module; /* path of a PKCS#11 module */
    const char *uri;    /* RFC 7512: serial and/or token label, and `object` or `id` if the
                         * token holds more than one private key */
    const kv_secret_buf *pin;
    const char *lock_path; /* as in kv_token_config */
    const char *files_dir;
    const char *backup_dir;
} kv_tls_key_config;

/* `tokens` is borrowed until kv_tokens_close and may be NULL when nothing else uses the module.
 * Errors: as kv_tokens_open; KV_NOT_FOUND when no key or more than one fits the URI. */
kv_status kv_tls_key_open(const kv_tls_key_config *config, kv_tokens *tokens, kv_tls_key **out,
                          kv_error *err) KV_MUST_USE;
void kv_tls_key_close(kv_tls_key *key);

/* Borrowed; take a reference (EVP_PKEY_up_ref) by giving it to an SSL_CTX. */
EVP_PKEY *kv_tls_key_get(kv_tls_key *key);

bool kv_tls_key_stale(const kv_tls_key *key);
/* Replaces the EVP_PKEY; the old one stays valid memory but cannot sign. */
kv_status kv_tls_key_reload(kv_tls_key *key, kv_error *err) KV_MUST_USE;

/* KV_UNAVAILABLE when the module is down or the key is stale: do not leave then. */
kv_status kv_tls_key_enter(kv_tls_key *key, kv_error *err) KV_MUST_USE;
void kv_tls_key_leave(kv_tls_key *key);
