/* tls.h - the server's TLS settings, and what they demand of a client's certificate.
 *
 * TLS 1.3, and TLS 1.2 where the identity allows it: then with ECDHE, an AEAD and extended master
 * secret or not at all, without renegotiation or compression. Sessions are resumed by tickets that
 * live for at most an hour and only as long as the identity they were made with.
 *
 * A client certificate is asked for, no CA list is sent, and any is accepted that proves possession
 * of its key (RSA of 2048 to 8192 bits, or P-256, P-384, P-521; clientAuth if it has extended key
 * usages). Whether it is *known*, and its dates, is decided later, by `identify`. No certificate at
 * all is accepted too: such a peer can ask for health and nothing else. ALPN "h2" is required.
 *
 * Threads: any; the current SSL_CTX is swapped under a mutex, running connections keep theirs.
 */
#pragma once

#include <stdbool.h>

#include <openssl/ssl.h>

#include "server/base/error.h"
#include "server/base/slice.h"

typedef struct kv_tls kv_tls;

/* What the server proves itself with. Both are borrowed during the call (a reference is taken). The
 * key may live on a token: it signs on handshake workers only, possibly several at once. */
typedef struct kv_tls_identity {
    EVP_PKEY *key;
    STACK_OF(X509) *chain; /* the server's certificate first, then its issuers */
    bool also_tls12;       /* clients that cannot speak TLS 1.3 are served too */
} kv_tls_identity;

/* KV_BAD_REQUEST when key and certificate do not belong together. */
kv_status kv_tls_new(const kv_tls_identity *identity, kv_tls **out, kv_error *err) KV_MUST_USE;
void kv_tls_free(kv_tls *tls);
/* New connections use the new identity. On failure the old one stays. */
kv_status kv_tls_swap(kv_tls *tls, const kv_tls_identity *identity, kv_error *err) KV_MUST_USE;

/* Adds the certificates of a PEM file to `chain`, in their order. False when there is none, or one
 * cannot be read: those behind it would be left out unseen. OpenSSL's errors stay with the thread.
 */
bool kv_tls_read_chain(BIO *file, STACK_OF(X509) *chain) KV_MUST_USE;
/* Reads both from PEM files, for a TLS key in a file. KV_UNAVAILABLE when unreadable. Free with
 * kv_tls_identity_cleanup(). */
kv_status kv_tls_identity_read(const char *certificate_path, const char *key_path,
                               kv_tls_identity *out, kv_error *err) KV_MUST_USE;
void kv_tls_identity_cleanup(kv_tls_identity *identity);

/* A server-side SSL over two new memory BIOs. NULL when out of memory. */
SSL *kv_tls_accept(kv_tls *tls);

/* The rules above for one leaf certificate. KV_BAD_REQUEST says which one it breaks. */
kv_status kv_tls_check_client(X509 *certificate, kv_error *err) KV_MUST_USE;
