/* listener.c - address text to socket, and accept. */
#include "server/front/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_PER_TURN = 64 };

struct kv_listener {
    kv_front *front; /* borrowed */
    int fd;
    int reserve; /* a descriptor to give up when there is no other */
    uint16_t port;
    unsigned turn; /* the loop that gets the next one */
    struct event *event;
};

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

static int listen_on(const struct addrinfo *address, int backlog)
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

static kv_status open_socket(kv_listener *listener, const kv_front_config *config, kv_error *err)
{
    const struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM };
    struct addrinfo *all;
    char host[256], port[8];
    int rv;

    KV_TRY(split(config->listen, host, port, err));
    rv = getaddrinfo(strcmp(host, "*") ? host : NULL, port, &hints, &all);
    if (rv) {
        kv_fail(err, KV_BAD_REQUEST, "'%s' is not an address to listen on", config->listen);
        return kv_note(err, "%s", gai_strerror(rv));
    }
    for (struct addrinfo *one = all; one && listener->fd < 0; one = one->ai_next)
        listener->fd = listen_on(one, (int)config->backlog);
    freeaddrinfo(all);
    if (listener->fd < 0) {
        kv_fail(err, KV_UNAVAILABLE, "cannot listen on %s", config->listen);
        return kv_note(err, "%s", strerror(errno));
    }
    return KV_OK;
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

static void hand_over(kv_listener *listener, int fd, const struct sockaddr *from, socklen_t len)
{
    kv_front *front = listener->front;
    char host[48] = "", port[8] = "", address[64];

    if (getnameinfo(from, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) ||
        !kv_peers_enter(front->peers, host)) {
        atomic_fetch_add(&front->refused, 1);
        (void)close(fd);
        return;
    }
    (void)snprintf(address, sizeof(address), strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
    atomic_fetch_add(&front->accepted, 1);
    kv_loop_give_socket(&front->loops[listener->turn], fd, host, address);
    listener->turn = (listener->turn + 1) % front->config.loops;
}

/* Takes the first waiting connection with the reserve and drops it. */
static void drop_one(kv_listener *listener)
{
    int fd;

    (void)close(listener->reserve);
    fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        (void)close(fd);
    listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    atomic_fetch_add(&listener->front->refused, 1);
}

static void on_connection(evutil_socket_t socket, short what, void *context)
{
    kv_listener *listener = context;

    (void)what;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage from;
        socklen_t len = sizeof(from);
        int fd = accept4(socket, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            hand_over(listener, fd, (struct sockaddr *)&from, len);
        } else if (errno == EMFILE || errno == ENFILE) {
            drop_one(listener);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

kv_status kv_listener_open(kv_front *front, kv_listener **out, kv_error *err)
{
    kv_listener *listener = calloc(1, sizeof(*listener));
    kv_status status;

    if (!listener)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    listener->front = front;
    listener->fd = -1;
    listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    status = open_socket(listener, &front->config, err);
    if (status == KV_OK) {
        listener->port = port_of(listener->fd);
        listener->event = event_new(front->loops[0].base, listener->fd, EV_READ | EV_PERSIST,
                                    on_connection, listener);
        if (!listener->event || event_add(listener->event, NULL))
            status = kv_fail(err, KV_UNAVAILABLE, "out of memory");
    }
    if (status != KV_OK) {
        kv_listener_free(listener);
        return status;
    }
    *out = listener;
    return KV_OK;
}

void kv_listener_stop(kv_listener *listener)
{
    if (listener->event)
        event_free(listener->event);
    listener->event = NULL;
    if (listener->fd >= 0)
        (void)close(listener->fd);
    listener->fd = -1;
}

void kv_listener_free(kv_listener *listener)
{
    if (!listener)
        return;
    kv_listener_stop(listener);
    if (listener->reserve >= 0)
        (void)close(listener->reserve);
    free(listener);
}

uint16_t kv_listener_port(const kv_listener *listener)
{
    return listener->port;
}
