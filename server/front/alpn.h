/* alpn.h - a listener for TLS handshakes and nothing else (tls-alpn-01, RFC 8737).
 *
 * Whoever offers exactly the one protocol and names a server that `find` has a certificate for gets
 * that handshake, then the end of the connection. Everybody else gets an alert before anything is
 * computed. Nothing is read or written beyond.
 *
 * One thread. The connections are bounded: when there is no room the one that has taken longest
 * makes it, so that slow peers cannot keep others out; and each has `handshake_ms`.
 *
 * Threads: start, port and stop from the main thread; `find` on the listener's own, and it may
 * block for as long as a look into the store takes.
 */
#pragma once

#include <openssl/ssl.h>

#include "server/base/error.h"
#include "server/base/slice.h"

typedef struct kv_alpn kv_alpn;

/* `server_name` as it was sent: any bytes. The certificate and its key become the listener's. */
typedef kv_status kv_alpn_find(void *context, kv_slice server_name, X509 **certificate,
                               EVP_PKEY **key, kv_error *err);

typedef struct kv_alpn_config {
    const char *listen;    /* "*:443" */
    const char *protocol;  /* "acme-tls/1"; static */
    unsigned connections;  /* 0: 256 */
    unsigned handshake_ms; /* 0: 10,000 */
    kv_alpn_find *find;
    void *context; /* borrowed */
} kv_alpn_config;

kv_status kv_alpn_start(const kv_alpn_config *config, kv_alpn **out, kv_error *err) KV_MUST_USE;
uint16_t kv_alpn_port(const kv_alpn *alpn);
/* Ends the connections and the thread. NULL is fine. */
void kv_alpn_stop(kv_alpn *alpn);
