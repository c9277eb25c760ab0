/* http_peer.c - a small HTTP server on loopback that says exactly what a test wants. */
#include "tests/support/http_peer.h"

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINKS = 256, REQUEST_BYTES = 128 * 1024, WAITING = 16 };

struct http_peer_link {
    http_peer *peer;
    int fd;
    SSL *tls; /* NULL: plain */
    pthread_t thread;
};

struct http_peer {
    int fd;
    unsigned port;
    SSL_CTX *tls;
    http_peer_serve *serve;
    void *context;
    atomic_bool stop;
    atomic_uint count;
    pthread_t thread;
    http_peer_link links[LINKS];
};

static void must(bool done)
{
    if (!done)
        abort();
}

bool http_peer_write(http_peer_link *link, const void *data, size_t len)
{
    size_t sent = 0;

    while (sent < len) {
        const char *at = (const char *)data + sent;
        ssize_t got = link->tls ? SSL_write(link->tls, at, (int)(len - sent))
                                : write(link->fd, at, len - sent);

        if (got <= 0)
            return false;
        sent += (size_t)got;
    }
    return true;
}

bool http_peer_say(http_peer_link *link, const char *text)
{
    return http_peer_write(link, text, strlen(text));
}

bool http_peer_answer(http_peer_link *link, const char *status, const char *headers, kv_slice body)
{
    char head[4096];

    (void)snprintf(head, sizeof(head), "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n", status,
                   headers, body.len);
    return http_peer_say(link, head) && http_peer_write(link, body.data, body.len);
}

static size_t length_of_body(const char *head)
{
    const char *at = strcasestr(head, "\r\nContent-Length:");

    return at ? strtoul(at + strlen("\r\nContent-Length:"), NULL, 10) : 0;
}

/* The bytes of one request, NUL-terminated; 0 at the end of the connection. */
static size_t read_request(http_peer_link *link, char *buffer)
{
    size_t len = 0;

    while (len < REQUEST_BYTES) {
        ssize_t got = link->tls ? SSL_read(link->tls, buffer + len, (int)(REQUEST_BYTES - len))
                                : read(link->fd, buffer + len, REQUEST_BYTES - len);
        char *end;

        if (got <= 0)
            return 0;
        len += (size_t)got;
        buffer[len] = 0;
        end = strstr(buffer, "\r\n\r\n");
        if (end && len >= (size_t)(end - buffer) + 4 + length_of_body(buffer))
            return len;
    }
    return 0;
}

static bool serve_one(http_peer_link *link, char *buffer)
{
    char path[512] = "";
    size_t len = read_request(link, buffer);

    if (!len || sscanf(buffer, "%*s %511s", path) != 1)
        return false;
    return link->peer->serve(link->peer->context, link, path, kv_slice_of(buffer, len));
}

static void *on_link(void *context)
{
    http_peer_link *link = context;
    char *buffer = malloc(REQUEST_BYTES + 1);

    must(buffer);
    if (link->peer->tls) {
        link->tls = SSL_new(link->peer->tls);
        must(link->tls && SSL_set_fd(link->tls, link->fd) == 1);
    }
    if (!link->tls || SSL_accept(link->tls) == 1)
        while (!atomic_load(&link->peer->stop) && serve_one(link, buffer))
            continue;
    if (link->tls)
        (void)SSL_shutdown(link->tls);
    (void)shutdown(link->fd, SHUT_RDWR);
    SSL_free(link->tls);
    free(buffer);
    return NULL;
}

static void *on_peer(void *context)
{
    http_peer *peer = context;

    while (!atomic_load(&peer->stop)) {
        int fd = accept(peer->fd, NULL, NULL);
        http_peer_link *link;

        if (fd < 0)
            continue;
        if (atomic_load(&peer->stop)) {
            (void)close(fd);
            break;
        }
        must(peer->count < LINKS);
        link = &peer->links[peer->count];
        link->peer = peer;
        link->fd = fd;
        /* Counted before anybody is answered. */
        atomic_fetch_add(&peer->count, 1);
        must(pthread_create(&link->thread, NULL, on_link, link) == 0);
    }
    return NULL;
}

static int listen_on_loopback(bool v6, unsigned *port)
{
    struct sockaddr_in v4_at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in6 v6_at = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    struct sockaddr *at = v6 ? (struct sockaddr *)&v6_at : (struct sockaddr *)&v4_at;
    socklen_t len = v6 ? sizeof(v6_at) : sizeof(v4_at);
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    must(fd >= 0 && bind(fd, at, len) == 0 && listen(fd, WAITING) == 0);
    must(getsockname(fd, at, &len) == 0);
    *port = ntohs(v6 ? v6_at.sin6_port : v4_at.sin_port);
    return fd;
}

static http_peer *start(EVP_PKEY *key, X509 *certificate, bool v6, int newest,
                        http_peer_serve *serve, void *context)
{
    http_peer *peer = calloc(1, sizeof(*peer));

    must(peer && signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    peer->serve = serve;
    peer->context = context;
    if (key) {
        peer->tls = SSL_CTX_new(TLS_server_method());
        must(peer->tls && SSL_CTX_use_certificate(peer->tls, certificate) == 1 &&
             SSL_CTX_use_PrivateKey(peer->tls, key) == 1);
        must(SSL_CTX_set_max_proto_version(peer->tls, newest) == 1);
        if (newest)
            SSL_CTX_set_security_level(peer->tls, 0);
    }
    peer->fd = listen_on_loopback(v6, &peer->port);
    must(pthread_create(&peer->thread, NULL, on_peer, peer) == 0);
    return peer;
}

http_peer *http_peer_start(EVP_PKEY *key, X509 *certificate, bool v6, http_peer_serve *serve,
                           void *context)
{
    return start(key, certificate, v6, 0, serve, context);
}

http_peer *http_peer_start_old(EVP_PKEY *key, X509 *certificate, http_peer_serve *serve,
                               void *context)
{
    return start(key, certificate, false, TLS1_1_VERSION, serve, context);
}

unsigned http_peer_port(const http_peer *peer)
{
    return peer->port;
}

unsigned http_peer_links(const http_peer *peer)
{
    return atomic_load(&peer->count);
}

void http_peer_stop(http_peer *peer)
{
    if (!peer)
        return;
    atomic_store(&peer->stop, true);
    (void)shutdown(peer->fd, SHUT_RDWR);
    (void)pthread_join(peer->thread, NULL);
    for (unsigned i = 0; i < peer->count; i++) {
        (void)shutdown(peer->links[i].fd, SHUT_RDWR);
        (void)pthread_join(peer->links[i].thread, NULL);
        (void)close(peer->links[i].fd);
    }
    (void)close(peer->fd);
    SSL_CTX_free(peer->tls);
    free(peer);
}
