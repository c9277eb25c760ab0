/* keeper.c - chores in a thread of their own, signals in the main thread. */
#include "server/keeper.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum { TICK_MS = 1000, PURGE_EVERY_TICKS = 3600 };

struct kv_keeper {
    kv_server *server;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards `stopping` */
    pthread_cond_t stop;
    bool stopping;
};

static void report(kv_server *server, const char *event, kv_status status, const kv_error *err)
{
    if (status != KV_OK)
        kv_log_write(
            server->log, KV_LOG_ERROR, event,
            (kv_log_field[]){ { "why", err->message, 0 }, { "detail", err->detail, 0 }, { 0 } });
}

static void reload_tls(kv_server *server)
{
    kv_error err = { 0 };

    report(server, "tls.reload_failed",
           kv_server_identity_reload(&server->tls, server->settings, &err), &err);
}

static void purge(kv_server *server)
{
    kv_error err = { 0 };
    unsigned purged = 0;

    report(server, "purge.failed", kv_vault_purge_due(server->vault, &purged, &err), &err);
    if (purged)
        kv_log_write(server->log, KV_LOG_INFO, "purge.done",
                     (kv_log_field[]){ { "objects", NULL, purged }, { 0 } });
}

static void sweep(kv_server *server)
{
    kv_error err = { 0 };
    kv_status status = kv_records_sweep(server->records, NULL, &err);

    report(server, "integrity.alarm", status, &err);
    if (status == KV_OK)
        kv_log_write(server->log, KV_LOG_INFO, "integrity.verified", NULL);
}

/* True when it is time to stop. */
static bool rest(kv_keeper *keeper)
{
    kv_deadline until = kv_deadline_in_ms(TICK_MS);
    bool stopping;

    pthread_mutex_lock(&keeper->mutex);
    while (!keeper->stopping &&
           pthread_cond_timedwait(&keeper->stop, &keeper->mutex, &until.at) == 0)
        continue;
    stopping = keeper->stopping;
    pthread_mutex_unlock(&keeper->mutex);
    return stopping;
}

static void *keep(void *argument)
{
    kv_keeper *keeper = argument;
    kv_server *server = keeper->server;

    sweep(server);
    for (unsigned tick = 0; !rest(keeper); tick++) {
        if (kv_server_identity_stale(&server->tls))
            reload_tls(server);
        if (tick % PURGE_EVERY_TICKS == 0)
            purge(server);
    }
    return NULL;
}

kv_status kv_keeper_start(kv_server *server, kv_keeper **out, kv_error *err)
{
    kv_keeper *keeper = calloc(1, sizeof(*keeper));
    pthread_condattr_t monotonic;

    if (!keeper)
        return kv_fail(err, KV_BUSY, "out of memory");
    keeper->server = server;
    (void)pthread_mutex_init(&keeper->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&keeper->stop, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (pthread_create(&keeper->thread, NULL, keep, keeper) != 0) {
        free(keeper);
        return kv_fail(err, KV_UNAVAILABLE, "a thread cannot be started");
    }
    *out = keeper;
    return KV_OK;
}

void kv_keeper_stop(kv_keeper *keeper)
{
    if (!keeper)
        return;
    pthread_mutex_lock(&keeper->mutex);
    keeper->stopping = true;
    pthread_cond_signal(&keeper->stop);
    pthread_mutex_unlock(&keeper->mutex);
    (void)pthread_join(keeper->thread, NULL);
    (void)pthread_cond_destroy(&keeper->stop);
    (void)pthread_mutex_destroy(&keeper->mutex);
    free(keeper);
}

static void awaited(sigset_t *signals)
{
    (void)sigemptyset(signals);
    (void)sigaddset(signals, SIGTERM);
    (void)sigaddset(signals, SIGINT);
    (void)sigaddset(signals, SIGHUP);
}

void kv_server_block_signals(void)
{
    sigset_t signals;

    awaited(&signals);
    (void)sigaddset(&signals, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

void kv_keeper_wait_for_stop(kv_server *server)
{
    sigset_t signals;
    int signal = 0;

    awaited(&signals);
    while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) {
        kv_log_write(server->log, KV_LOG_INFO, "server.reload", NULL);
        reload_tls(server);
    }
}
