/* listener.c - address text to socket, and accept. */
#include "server/front/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/front/listening.h"

enum { ACCEPTS_PER_TURN = 64, FILES_KEPT = 64 };

struct kv_listener {
    kv_front *front; /* borrowed */
    int fd;
    int reserve; /* a descriptor to give up when there is no other */
    uint16_t port;
    unsigned turn; /* the loop that gets the next one */
    struct event *event;
};

static void hand_over(kv_listener *listener, int fd, const struct sockaddr *from, socklen_t len)
{
    kv_front *front = listener->front;
    char text[48] = "", port[8] = "", address[64], host[KV_PEER_HOST_BYTES];

    if (getnameinfo(from, len, text, sizeof(text), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) ||
        !kv_peers_host_of(from, host) || !kv_peers_enter(front->peers, host)) {
        atomic_fetch_add(&front->refused, 1);
        (void)close(fd);
        return;
    }
    (void)snprintf(address, sizeof(address), strchr(text, ':') ? "[%s]:%s" : "%s:%s", text, port);
    atomic_fetch_add(&front->accepted, 1);
    kv_loop_give_socket(&front->loops[listener->turn], fd, host, address);
    listener->turn =
        (listener->turn + 1) % front->loops[0].config.loops; /* the thread's own copy */
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

/* Tokens, the store and the audit log open files while they work: connections must not take the
 * last ones. The system gives the lowest number that is free. */
static bool leaves_enough(int fd)
{
    struct rlimit files = { 0 };
    rlim_t kept;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return true;
    kept = files.rlim_cur / 2 < FILES_KEPT ? files.rlim_cur / 2 : FILES_KEPT;
    return (rlim_t)fd < files.rlim_cur - kept;
}

static void on_connection(evutil_socket_t socket, short what, void *context)
{
    kv_listener *listener = context;

    (void)what;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage from;
        socklen_t len = sizeof(from);
        int fd = accept4(socket, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0 && !leaves_enough(fd)) {
            (void)close(fd);
            atomic_fetch_add(&listener->front->refused, 1);
        } else if (fd >= 0) {
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
    status = kv_listen_on(front->config.listen, (int)front->config.backlog, &listener->fd,
                          &listener->port, err);
    if (status == KV_OK) {
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
