/* tls_key.h - the server's own TLS identity: an EVP_PKEY whose private half stays on a token.
 *
 * OpenSSL asks such a key for signatures, in a handshake. Each is an operation of the token like
 * any other (token.h): with a session of the calling thread, refused at once while the token is
 * DOWN, and working again, without anything being made anew, when the module has been
 * reinitialised. ECDSA needs CKM_ECDSA; RSA needs CKM_RSA_X_509 for TLS 1.3, whose PSS padding
 * OpenSSL makes, and CKM_RSA_PKCS for TLS 1.2.
 *
 * Threads:  any, but never a loop thread: a signature may block.
 * Lifetime: free what holds such an EVP_PKEY, and the key, before kv_tokens_close.
 */
#pragma once

#include <openssl/evp.h>

#include "pkcs11/tokens.h"

typedef struct kv_tls_key kv_tls_key;

/* Finds the private key. `uri` (RFC 7512) names the token by label or serial number and, if that
 * holds more than one private key, the key by `object` or `id`; it is copied. `token` is borrowed.
 * Errors: KV_BAD_REQUEST with field "uri" (malformed, or not of this token), KV_NOT_FOUND when no
 * key or more than one fits, KV_UNAVAILABLE. */
kv_status kv_tls_key_open(kv_token *token, const char *uri, kv_tls_key **out,
                          kv_error *err) KV_MUST_USE;
/* NULL is fine. Pairs that were made of the key still sign. */
void kv_tls_key_close(kv_tls_key *key);

/* `*out` is a key whose public half is that of `public` (of a certificate, say; not kept), for the
 * caller to free. Signs once to see that both halves belong together.
 * Errors: KV_PRECONDITION when they do not, or the token cannot sign so; KV_UNSUPPORTED for another
 * kind than RSA or EC; KV_UNAVAILABLE; KV_BUSY (memory). */
kv_status kv_tls_key_pair(kv_tls_key *key, EVP_PKEY *public, EVP_PKEY **out,
                          kv_error *err) KV_MUST_USE;
