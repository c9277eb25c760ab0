/* channel_lookup.c - a thread that asks for addresses, and who waits for it; the last one to leave
 * frees.
 */
#include "client/channel_lookup.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/eventfd.h>

struct kv_lookup {
    char *host, *port;
    int over_fd;            /* eventfd */
    int outcome;            /* of getaddrinfo(); with `found` written before `over` */
    struct addrinfo *found; /* NULL: none, or taken */
    atomic_bool over;
    atomic_uint holders; /* the thread and the owner */
};

static void leave(kv_lookup *lookup)
{
    if (atomic_fetch_sub(&lookup->holders, 1) > 1)
        return;
    if (lookup->found)
        freeaddrinfo(lookup->found);
    if (lookup->over_fd >= 0)
        (void)close(lookup->over_fd);
    free(lookup->host);
    free(lookup->port);
    free(lookup);
}

static void *look_up(void *argument)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    kv_lookup *lookup = argument;
    const uint64_t one = 1;

    lookup->outcome = getaddrinfo(lookup->host, lookup->port, &hints, &lookup->found);
    if (lookup->outcome)
        lookup->found = NULL;
    atomic_store(&lookup->over, true);
    /* An eventfd that is at zero takes a one. */
    if (write(lookup->over_fd, &one, sizeof(one)) < 0)
        abort();
    leave(lookup);
    return NULL;
}

static bool start_thread(kv_lookup *lookup)
{
    pthread_attr_t alone;
    pthread_t thread;
    bool started;

    if (pthread_attr_init(&alone))
        return false;
    (void)pthread_attr_setdetachstate(&alone, PTHREAD_CREATE_DETACHED);
    started = !pthread_create(&thread, &alone, look_up, lookup);
    (void)pthread_attr_destroy(&alone);
    return started;
}

kv_status kv_lookup_start(const char *host, const char *port, kv_lookup **out, kv_error *err)
{
    kv_lookup *lookup = calloc(1, sizeof(*lookup));

    if (!lookup)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    atomic_init(&lookup->holders, 2);
    lookup->host = strdup(host);
    lookup->port = strdup(port);
    lookup->over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (lookup->host && lookup->port && lookup->over_fd >= 0 && start_thread(lookup)) {
        *out = lookup;
        return KV_OK;
    }
    atomic_store(&lookup->holders, 1);
    leave(lookup);
    return kv_fail(err, KV_UNAVAILABLE, "a look-up of the server's name cannot be started");
}

int kv_lookup_fd(const kv_lookup *lookup)
{
    return lookup->over_fd;
}

bool kv_lookup_over(const kv_lookup *lookup)
{
    return atomic_load(&lookup->over);
}

int kv_lookup_take(kv_lookup *lookup, struct addrinfo **out)
{
    int outcome = lookup->outcome;

    *out = lookup->found;
    lookup->found = NULL;
    leave(lookup);
    return outcome;
}

void kv_lookup_abandon(kv_lookup *lookup)
{
    if (lookup)
        leave(lookup);
}
