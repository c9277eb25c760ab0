/* peers.c - a counter per address behind one mutex. */
#include "server/front/peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/hash.h"

typedef struct peer {
    char host[64];
    unsigned count;
    atomic_size_t held;
    UT_hash_handle hh;
} peer;

struct kv_peers {
    pthread_mutex_t mutex; /* guards what follows */
    unsigned most;
    unsigned most_per_address;
    unsigned count;
    peer *by_host;
};

enum {
    NETWORK_BYTES = 8,
    MAPPED_AT = 12,
    CROWDED_PART = 8 /* less than this part of all places is left */
};

static bool network_of(const struct in6_addr *address, char out[KV_PEER_HOST_BYTES])
{
    struct in6_addr network = { 0 };
    size_t len;

    if (IN6_IS_ADDR_V4MAPPED(address))
        return inet_ntop(AF_INET, &address->s6_addr[MAPPED_AT], out, KV_PEER_HOST_BYTES);
    if (IN6_IS_ADDR_LOOPBACK(address))
        return inet_ntop(AF_INET6, address, out, KV_PEER_HOST_BYTES);
    memcpy(network.s6_addr, address->s6_addr, NETWORK_BYTES);
    if (!inet_ntop(AF_INET6, &network, out, KV_PEER_HOST_BYTES))
        return false;
    len = strlen(out);
    return snprintf(out + len, KV_PEER_HOST_BYTES - len, "/64") == 3;
}

bool kv_peers_host_of(const struct sockaddr *address, char out[KV_PEER_HOST_BYTES])
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof(v4));
        return inet_ntop(AF_INET, &v4.sin_addr, out, KV_PEER_HOST_BYTES);
    }
    if (address->sa_family != AF_INET6)
        return false;
    memcpy(&v6, address, sizeof(v6));
    return network_of(&v6.sin6_addr, out);
}

kv_status kv_peers_new(unsigned most, unsigned most_per_address, kv_peers **out, kv_error *err)
{
    kv_peers *peers = calloc(1, sizeof(*peers));

    if (!peers)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    peers->most = most;
    peers->most_per_address = most_per_address;
    (void)pthread_mutex_init(&peers->mutex, NULL);
    *out = peers;
    return KV_OK;
}

void kv_peers_free(kv_peers *peers)
{
    peer *one, *next;

    if (!peers)
        return;
    HASH_ITER (hh, peers->by_host, one, next) {
        HASH_DEL(peers->by_host, one);
        free(one);
    }
    (void)pthread_mutex_destroy(&peers->mutex);
    free(peers);
}

void kv_peers_tune(kv_peers *peers, unsigned most, unsigned most_per_address)
{
    pthread_mutex_lock(&peers->mutex);
    peers->most = most;
    peers->most_per_address = most_per_address;
    pthread_mutex_unlock(&peers->mutex);
}

/* With the mutex held. */
static bool enter(kv_peers *peers, const char *host)
{
    peer *one;

    if (peers->count >= peers->most)
        return false;
    HASH_FIND_STR(peers->by_host, host, one);
    if (!one) {
        one = calloc(1, sizeof(*one));
        if (!one)
            return false;
        (void)snprintf(one->host, sizeof(one->host), "%s", host);
        HASH_ADD_STR(peers->by_host, host, one);
        if (!KV_HASH_HAS(one)) {
            free(one);
            return false;
        }
    }
    if (one->count >= peers->most_per_address)
        return false;
    one->count++;
    peers->count++;
    return true;
}

bool kv_peers_enter(kv_peers *peers, const char *host)
{
    bool entered;

    pthread_mutex_lock(&peers->mutex);
    entered = enter(peers, host);
    pthread_mutex_unlock(&peers->mutex);
    return entered;
}

void kv_peers_leave(kv_peers *peers, const char *host)
{
    peer *one;

    pthread_mutex_lock(&peers->mutex);
    HASH_FIND_STR(peers->by_host, host, one);
    if (one) {
        peers->count--;
        if (--one->count == 0) {
            HASH_DEL(peers->by_host, one);
            free(one);
        }
    }
    pthread_mutex_unlock(&peers->mutex);
}

atomic_size_t *kv_peers_held(kv_peers *peers, const char *host)
{
    peer *one;

    pthread_mutex_lock(&peers->mutex);
    HASH_FIND_STR(peers->by_host, host, one);
    pthread_mutex_unlock(&peers->mutex);
    return one ? &one->held : NULL;
}

unsigned kv_peers_count(kv_peers *peers)
{
    unsigned count;

    pthread_mutex_lock(&peers->mutex);
    count = peers->count;
    pthread_mutex_unlock(&peers->mutex);
    return count;
}

bool kv_peers_crowded(kv_peers *peers)
{
    bool crowded;

    pthread_mutex_lock(&peers->mutex);
    crowded = peers->count >= peers->most - peers->most / CROWDED_PART;
    pthread_mutex_unlock(&peers->mutex);
    return crowded;
}
