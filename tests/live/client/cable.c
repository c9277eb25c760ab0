/* cable.c - one thread that copies bytes both ways. */
#include "tests/live/client/cable.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

enum { PAIRS_MAX = 16, BLOCK_BYTES = 16384, TICK_MS = 5 };

struct cable {
    pthread_t thread;
    int listener;
    uint16_t port, to;
    atomic_bool cut, stop;
    int ends[2 * PAIRS_MAX]; /* 2n and 2n + 1 are joined; -1: free */
};

static int must(int value)
{
    if (value < 0)
        abort();
    return value;
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr = { htonl(INADDR_LOOPBACK) } };
}

static void close_pair(cable *it, int at)
{
    for (int end = at & ~1; end <= (at | 1); end++) {
        if (it->ends[end] >= 0)
            (void)close(it->ends[end]);
        it->ends[end] = -1;
    }
}

static void join_new(cable *it)
{
    struct sockaddr_in to = loopback(it->to);
    int at = 0;

    while (it->ends[at] >= 0)
        at = (at + 2) % (2 * PAIRS_MAX);
    it->ends[at] = must(accept(it->listener, NULL, NULL));
    it->ends[at + 1] = must(socket(AF_INET, SOCK_STREAM, 0));
    if (connect(it->ends[at + 1], (struct sockaddr *)&to, sizeof(to)))
        close_pair(it, at);
}

static void copy(cable *it, int at)
{
    char block[BLOCK_BYTES];
    ssize_t got = read(it->ends[at], block, sizeof(block));

    if (got <= 0 || send(it->ends[at ^ 1], block, (size_t)got, MSG_NOSIGNAL) != got)
        close_pair(it, at);
}

static void *run(void *argument)
{
    cable *it = argument;

    while (!atomic_load(&it->stop)) {
        struct pollfd fds[2 * PAIRS_MAX + 1];

        for (int i = 0; i < 2 * PAIRS_MAX; i++)
            fds[i] = (struct pollfd){ .fd = it->ends[i], .events = POLLIN };
        fds[2 * PAIRS_MAX] = (struct pollfd){ .fd = it->listener, .events = POLLIN };
        (void)poll(fds, 2 * PAIRS_MAX + 1, TICK_MS);
        for (int i = 0; i < 2 * PAIRS_MAX; i++)
            if (it->ends[i] >= 0 && fds[i].fd == it->ends[i] && fds[i].revents)
                copy(it, i);
        if (fds[2 * PAIRS_MAX].revents)
            join_new(it);
        if (atomic_exchange(&it->cut, false))
            for (int i = 0; i < 2 * PAIRS_MAX; i += 2)
                close_pair(it, i);
    }
    return NULL;
}

cable *cable_new(uint16_t to)
{
    cable *it = calloc(1, sizeof(*it));
    struct sockaddr_in at = loopback(0);
    socklen_t len = sizeof(at);

    memset(it->ends, -1, sizeof(it->ends));
    it->to = to;
    it->listener = must(socket(AF_INET, SOCK_STREAM, 0));
    must(bind(it->listener, (struct sockaddr *)&at, sizeof(at)));
    must(listen(it->listener, PAIRS_MAX));
    must(getsockname(it->listener, (struct sockaddr *)&at, &len));
    it->port = ntohs(at.sin_port);
    must(-pthread_create(&it->thread, NULL, run, it));
    return it;
}

uint16_t cable_port(const cable *it)
{
    return it->port;
}

void cable_cut(cable *it)
{
    atomic_store(&it->cut, true);
}

void cable_free(cable *it)
{
    atomic_store(&it->stop, true);
    (void)pthread_join(it->thread, NULL);
    for (int i = 0; i < 2 * PAIRS_MAX; i += 2)
        close_pair(it, i);
    (void)close(it->listener);
    free(it);
}
