/* limits.c - the numbers of [limits], for the parts that keep to them. */
#include "server/limits.h"

#include <string.h>

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

kv_front_config kv_server_front_config(const kv_settings *settings)
{
    kv_front_config config = {
        .listen = settings->listen,
        .loops = (unsigned)settings->loops,
        .connections = (unsigned)settings->max_connections,
        .per_address = (unsigned)settings->max_connections_per_peer,
        .handshake_ms = (unsigned)settings->handshake_ms,
        .idle_ms = (unsigned)settings->idle_seconds * 1000,
        .drain_ms = (unsigned)settings->drain_seconds * 1000,
        .deadline_ms = (unsigned)settings->default_deadline_ms,
        .deadline_most = (unsigned)settings->max_deadline_ms,
        .call_memory = CALL_MEMORY,
    };

    config.grpc.message_bytes = (size_t)settings->max_message_bytes;
    config.grpc.streams = (uint32_t)settings->max_streams;
    return config;
}
