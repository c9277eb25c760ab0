/* limits.c - the numbers of [limits], for the parts that keep to them. */
#include "server/limits.h"

#include <string.h>
#include <sys/resource.h>

enum { CALL_MEMORY = 16 << 20 };

kv_throttle_limits kv_server_throttle_limits(const kv_settings *settings)
{
    return (kv_throttle_limits){
        .calls = (unsigned)settings->max_calls,
        .calls_per_principal = (unsigned)settings->max_calls_per_principal,
        .rate = (unsigned)settings->max_rate,
        .rate_per_principal = (unsigned)settings->max_rate_per_principal,
        .burst_seconds = (unsigned)settings->burst_seconds,
        .failures_per_peer = (unsigned)settings->failures_per_peer,
        .locked_bytes = (uint64_t)settings->locked_memory,
    };
}

kv_log_level kv_settings_log_level(const kv_settings *settings)
{
    static const char *const words[KV_LOG_LEVEL_COUNT] = { "debug", "info", "warning", "error" };

    for (int level = 0; level < KV_LOG_LEVEL_COUNT; level++)
        if (!strcmp(words[level], settings->log_level))
            return (kv_log_level)level;
    return KV_LOG_INFO;
}

void kv_server_raise_descriptors(void)
{
    struct rlimit files = { 0 };

    if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur >= files.rlim_max)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

/* Who runs out of descriptors can open neither an audit segment nor a token. */
static unsigned connections_of(const kv_settings *settings)
{
    struct rlimit files = { 0 };
    uint64_t most = (uint64_t)settings->max_connections, room;

    if (getrlimit(RLIMIT_NOFILE, &files))
        return (unsigned)most;
    room = files.rlim_cur > 2 * KV_DESCRIPTORS_BESIDE ? files.rlim_cur - KV_DESCRIPTORS_BESIDE
                                                      : files.rlim_cur / 2;
    return (unsigned)(most < room ? most : room);
}

kv_front_config kv_server_front_config(const kv_settings *settings)
{
    kv_front_config config = {
        .listen = settings->listen,
        .loops = (unsigned)settings->loops,
        .connections = connections_of(settings),
        .per_address = (unsigned)settings->max_connections_per_peer,
        .handshake_ms = (unsigned)settings->handshake_ms,
        .idle_ms = (unsigned)settings->idle_seconds * 1000,
        .drain_ms = (unsigned)settings->drain_seconds * 1000,
        .deadline_ms = (unsigned)settings->default_deadline_ms,
        .deadline_most = (unsigned)settings->max_deadline_ms,
        .call_memory = CALL_MEMORY,
        .request_bytes = (size_t)settings->max_request_bytes,
    };

    config.grpc.message_bytes = (size_t)settings->max_message_bytes;
    config.grpc.streams = (uint32_t)settings->max_streams;
    return config;
}
