/* listening.c - from the text of an address to a socket that listens. */
#include "server/front/listening.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* "127.0.0.1:7443", "[::1]:0", "*:7443" */
static kv_status split(const char *text, char host[256], char port[8], kv_error *err)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;

    if (!colon || !len || len >= 256 || strlen(colon + 1) >= 8 || !colon[1])
        return kv_fail(err, KV_BAD_REQUEST, "'%s' is not host:port", text);
    if (text[0] == '[' && text[len - 1] == ']' && len > 2) {
        text++;
        len -= 2;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    (void)snprintf(port, 8, "%s", colon + 1);
    return KV_OK;
}

static int bind_to(const struct addrinfo *address, int backlog)
{
    const int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    /* TCP_NODELAY and the like are inherited by what is accepted. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) ||
        bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, backlog)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static uint16_t port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = { 0 };
    socklen_t len = sizeof(address);

    if (getsockname(fd, &address.any, &len))
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

kv_status kv_listen_on(const char *text, int backlog, int *fd, uint16_t *port, kv_error *err)
{
    const struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM };
    struct addrinfo *all;
    char host[256], service[8];
    int made = -1;
    int rv;

    KV_TRY(split(text, host, service, err));
    rv = getaddrinfo(strcmp(host, "*") ? host : NULL, service, &hints, &all);
    if (rv) {
        kv_fail(err, KV_BAD_REQUEST, "'%s' is not an address to listen on", text);
        return kv_note(err, "%s", gai_strerror(rv));
    }
    for (struct addrinfo *one = all; one && made < 0; one = one->ai_next)
        made = bind_to(one, backlog);
    freeaddrinfo(all);
    if (made < 0) {
        kv_fail(err, KV_UNAVAILABLE, "cannot listen on %s", text);
        return kv_note(err, "%s", strerror(errno));
    }
    *fd = made;
    *port = port_of(made);
    return KV_OK;
}
