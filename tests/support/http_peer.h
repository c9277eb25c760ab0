/* http_peer.h - a small HTTP server on loopback that says exactly what a test wants, byte by byte.
 *
 * A thread per connection; the test's function is called on it for every request. Aborts when the
 * machine does not play along.
 */
#pragma once

#include <openssl/ssl.h>

#include "server/base/slice.h"

typedef struct http_peer http_peer;
typedef struct http_peer_link http_peer_link;

/* `request` is the head and, with a Content-Length, the body. Returns whether the connection goes
 * on. */
typedef bool http_peer_serve(void *context, http_peer_link *link, const char *path,
                             kv_slice request);

/* NULL key: plain http. On 127.0.0.1, or on ::1. */
http_peer *http_peer_start(EVP_PKEY *key, X509 *certificate, bool v6, http_peer_serve *serve,
                           void *context);
/* One that speaks TLS 1.1 and older. */
http_peer *http_peer_start_old(EVP_PKEY *key, X509 *certificate, http_peer_serve *serve,
                               void *context);
unsigned http_peer_port(const http_peer *peer);
/* How many connections were accepted so far. */
unsigned http_peer_links(const http_peer *peer);
/* Ends every connection and joins every thread. */
void http_peer_stop(http_peer *peer);

/* False when the other end has gone. */
bool http_peer_write(http_peer_link *link, const void *data, size_t len);
bool http_peer_say(http_peer_link *link, const char *text);
/* A whole answer: "200 OK", "Content-Type: text/plain\r\n" or "", and a body. */
bool http_peer_answer(http_peer_link *link, const char *status, const char *headers, kv_slice body);
