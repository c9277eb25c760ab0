/* tls_alpn.h - tls-alpn-01 (RFC 8737): the authority makes a TLS handshake with the name.
 *
 * What is to be said is on the board, by the name that the authority's SNI will have: the name
 * itself, or for an address its name for reverse look-ups (RFC 8738 section 6). The certificate is
 * made when it is asked for, with a key that lives as long as the handshake.
 */
#pragma once

#include <openssl/ssl.h>

#include "server/challenge/board.h"
#include "server/challenge/challenge.h"

#define KV_TLS_ALPN_PROTOCOL "acme-tls/1"

typedef struct kv_tls_alpn {
    const kv_challenge_board *board; /* borrowed; its functions are set before the first proof */
} kv_tls_alpn;

/* Its context is a kv_tls_alpn. */
extern const kv_challenge kv_challenge_tls_alpn;

/* "4.3.2.1.in-addr.arpa", "...ip6.arpa"; in the arena. False for what is no address. */
bool kv_reverse_name(kv_slice address, kv_arena *arena, kv_slice *out);

/* The certificate for that SNI, and its key; the caller's. KV_NOT_FOUND: nothing is to be proved
 * there. */
kv_status kv_tls_alpn_certificate(const kv_tls_alpn *tls_alpn, kv_slice sni, X509 **certificate,
                                  EVP_PKEY **key, kv_error *err) KV_MUST_USE;
