/* front.c - puts listener, loops and limits together, and takes them down in order. */
#include "server/front/front.h"

#include <stdlib.h>
#include <time.h>

#include <openssl/crypto.h>

#include "server/front/grpc/memory.h"
#include "server/front/listener.h"

enum { MIB = 1024 * 1024, DRAIN_POLL_MS = 10 };

static unsigned or_default(unsigned wish, unsigned usual)
{
    return wish ? wish : usual;
}

static kv_front_config with_defaults(const kv_front_config *wish)
{
    kv_front_config config = *wish;

    config.loops = or_default(config.loops, 1);
    config.backlog = or_default(config.backlog, 512);
    config.connections = or_default(config.connections, 4096);
    config.per_address = or_default(config.per_address, 1024);
    config.handshake_ms = or_default(config.handshake_ms, 5000);
    config.idle_ms = or_default(config.idle_ms, 300000);
    config.stall_ms = or_default(config.stall_ms, 20000);
    config.drain_ms = or_default(config.drain_ms, 5000);
    config.deadline_ms = or_default(config.deadline_ms, 30000);
    config.deadline_most = or_default(config.deadline_most, 300000);
    config.request_bytes = config.request_bytes ? config.request_bytes : (size_t)512 * MIB;
    config.call_memory = or_default(config.call_memory, 16 * MIB);
    config.stream_unsent = or_default(config.stream_unsent, 16);
    config.stream_bytes = config.stream_bytes ? config.stream_bytes : MIB;
    config.detached = or_default(config.detached, 128);
    config.grpc.streams = or_default(config.grpc.streams, 128);
    return config;
}

static void *crypto_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return kv_wiping_malloc(size);
}

static void *crypto_realloc(void *memory, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return kv_wiping_realloc(memory, size);
}

static void crypto_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    kv_wiping_free(memory);
}

void kv_front_wipe_memory(void)
{
    (void)CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free);
    event_set_mem_functions(kv_wiping_malloc, kv_wiping_realloc, kv_wiping_free);
}

static kv_status open_loops(kv_front *front, kv_error *err)
{
    front->loops = calloc(front->config.loops, sizeof(*front->loops));
    if (!front->loops)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    for (unsigned i = 0; i < front->config.loops; i++)
        KV_TRY(kv_loop_open(&front->loops[i], front, i, err));
    return KV_OK;
}

static kv_status start(kv_front *front, kv_error *err)
{
    const kv_front_config *config = &front->config;

    KV_TRY(kv_methods_new(front->services->routes, front->services->route_count, &front->methods,
                          err));
    KV_TRY(kv_peers_new(config->connections, config->per_address, &front->peers, err));
    KV_TRY(open_loops(front, err));
    KV_TRY(kv_listener_open(front, &front->listener, err));
    for (unsigned i = 0; i < config->loops; i++)
        KV_TRY(kv_loop_start(&front->loops[i], err));
    return KV_OK;
}

kv_status kv_front_start(const kv_front_config *config, kv_services *services, kv_lanes *lanes,
                         kv_tls *tls, kv_front **out, kv_error *err)
{
    kv_front *front = calloc(1, sizeof(*front));
    kv_status status;

    if (!front)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    front->config = with_defaults(config);
    front->services = services;
    front->lanes = lanes;
    front->tls = tls;
    status = start(front, err);
    if (status != KV_OK) {
        kv_front_stop(front);
        return status;
    }
    *out = front;
    return KV_OK;
}

void kv_front_tune(kv_front *front, const kv_front_config *config)
{
    kv_front_config tuned = with_defaults(config);

    tuned.listen = front->config.listen;
    tuned.loops = front->config.loops;
    tuned.backlog = front->config.backlog;
    front->config = tuned;
    kv_peers_tune(front->peers, tuned.connections, tuned.per_address);
    for (unsigned i = 0; i < tuned.loops; i++)
        kv_loop_tune(&front->loops[i], &tuned);
}

void kv_front_set_serving(kv_front *front, bool serving)
{
    if (atomic_exchange(&front->serving, serving) == serving)
        return;
    for (unsigned i = 0; i < front->config.loops; i++)
        kv_loop_tell_serving(&front->loops[i]);
}

static bool is_empty(kv_front *front)
{
    for (unsigned i = 0; i < front->config.loops; i++)
        if (atomic_load(&front->loops[i].open) || atomic_load(&front->loops[i].running))
            return false;
    return true;
}

static bool wait_until_empty(kv_front *front)
{
    const struct timespec pause = { .tv_nsec = DRAIN_POLL_MS * 1000000L };
    kv_deadline deadline = kv_deadline_in_ms(front->config.drain_ms);

    while (!is_empty(front)) {
        if (kv_deadline_passed(deadline))
            return false;
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

bool kv_front_drain(kv_front *front)
{
    if (atomic_exchange(&front->draining, true))
        return is_empty(front);
    for (unsigned i = 0; i < front->config.loops; i++)
        kv_loop_drain(&front->loops[i]);
    if (wait_until_empty(front))
        return true;
    /* A worker that waits for a slow reader would hold the lanes up: it hears that nobody reads. */
    for (unsigned i = 0; i < front->config.loops; i++)
        kv_loop_cut(&front->loops[i]);
    return false;
}

void kv_front_stop(kv_front *front)
{
    if (!front)
        return;
    for (unsigned i = 0; front->loops && i < front->config.loops; i++)
        kv_loop_stop(&front->loops[i]);
    kv_listener_free(front->listener);
    for (unsigned i = 0; front->loops && i < front->config.loops; i++)
        kv_loop_close(&front->loops[i]);
    free(front->loops);
    kv_peers_free(front->peers);
    kv_methods_free(front->methods);
    free(front);
}

uint16_t kv_front_port(const kv_front *front)
{
    return kv_listener_port(front->listener);
}

void kv_front_stats_get(kv_front *front, kv_front_stats *out)
{
    *out = (kv_front_stats){ .accepted = atomic_load(&front->accepted),
                             .refused = atomic_load(&front->refused),
                             .calls = atomic_load(&front->calls),
                             .late = atomic_load(&front->late) };
    for (unsigned kind = KV_GRPC_FLOOD_NONE + 1; kind < KV_GRPC_FLOOD_COUNT; kind++)
        out->floods[kind] = atomic_load(&front->floods[kind]);
    for (unsigned i = 0; i < front->config.loops; i++) {
        out->open += atomic_load(&front->loops[i].open);
        out->running += atomic_load(&front->loops[i].running);
    }
}
