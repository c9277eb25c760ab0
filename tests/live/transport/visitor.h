/* visitor.h - a client of another make: OpenSSL's, blocking, of one TLS version.
 *
 * Threads: one owner.
 */
#pragma once

#include "server/front/grpc/client_session.h"
#include "tests/live/transport/scene.h"
#include "tests/live/transport/tls_records.h"

typedef struct visitor {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
    kv_grpc_client *http; /* from the first call on */
    records *raw;         /* if set, calls go in records of it, carried byte by byte */
} visitor;

/* NULL suites: those of OpenSSL. */
visitor visitor_of(const scene *it, int version, const char *suites);
void visitor_show(visitor *v, const char *certificate, const char *key);
void visitor_leave(visitor *v);
/* Connects. Also reads: with TLS 1.2 a refusal may come after the client's part is done. */
bool visitor_enters(const scene *it, visitor *v, SSL_SESSION *session);
/* Begins a call: what the server says to it is not read. */
void visitor_asks(visitor *v, const char *path, kv_slice message);
/* One call of Echo over the visitor's connection: its gRPC code. */
int visitor_echo(scene *it, visitor *v);
