/* keeper.c - chores in a thread of their own, reloads in the main thread. */
#include "server/keeper.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/opened_store.h"
#include "server/reload.h"
#include "server/vault/events/events.h"
#include "server/vault/idempotency.h"
#include "server/vault/operations/proofs.h"
#include "server/vault/scan.h"
#include "server/vault/watch.h"

enum {
    TICK_MS = 1000,
    PURGE_TICKS = 3600,
    PURGE_AGAIN_TICKS = 60, /* when one that was asked for could not be finished at once */
    FORGET_TICKS = 600,
    DEAD_LETTER_TICKS = 24 * 3600,
    SCAN_TICKS = 24 * 3600,
    SCAN_AGAIN_TICKS = 60, /* when a token did not answer */
    CRL_TICKS = 30,
    EXPIRY_TICKS = 24 * 3600,
    EXPIRY_DAYS = 30
};

static const int64_t day_ms = INT64_C(86400000);

struct kv_keeper {
    kv_server *server;
    pthread_t thread;
    pthread_t sweeper;
    pthread_mutex_t mutex; /* guards `stopping` */
    pthread_cond_t stop;
    bool stopping;
    atomic_bool scan_owed; /* a token did not answer when its keys were looked at */
};

static void report(kv_server *server, const char *event, kv_status status, const kv_error *err)
{
    if (status != KV_OK)
        kv_log_write(
            server->log, KV_LOG_ERROR, event,
            (kv_log_field[]){ { "why", err->message, 0 }, { "detail", err->detail, 0 }, { 0 } });
}

/* Callers are turned away by an expired certificate: time to be told before. */
static void watch_expiry(kv_server *server)
{
    int64_t left_ms = server->tls.not_after_ms - kv_clock_now_ms(NULL);

    if (left_ms <= 0)
        kv_log_write(server->log, KV_LOG_ERROR, "tls.certificate_expired", NULL);
    else if (left_ms <= EXPIRY_DAYS * day_ms)
        kv_log_write(server->log, KV_LOG_WARNING, "tls.certificate_expires",
                     (kv_log_field[]){ { "days_left", NULL, left_ms / day_ms }, { 0 } });
}

static void reload_all(kv_keeper *keeper)
{
    kv_server *server = keeper->server;
    kv_error err = { 0 };

    report(server, "server.reload_failed", kv_reload(server, &err), &err);
    watch_expiry(server);
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

static void tell_scanned(kv_server *server, const kv_scanned *done)
{
    kv_log_write(server->log, done->missing_objects ? KV_LOG_ERROR : KV_LOG_INFO, "token.scanned",
                 (kv_log_field[]){ { "keys", NULL, done->keys },
                                   { "unknown_objects", NULL, done->unknown_objects },
                                   { "missing_objects", NULL, done->missing_objects },
                                   { 0 } });
}

/* One that was broken off goes on tomorrow, or soon when it was for a token that was away. */
static void scan(kv_keeper *keeper, bool prove)
{
    kv_server *server = keeper->server;
    kv_error err = { 0 };
    kv_scanned done;
    kv_status status = kv_vault_scan_all(server->vault, prove, &done, &err);

    atomic_store(&keeper->scan_owed, status == KV_UNAVAILABLE);
    if (status == KV_OK)
        tell_scanned(server, &done);
    else if (status != KV_CANCELLED)
        report(server, "token.scan_failed", status, &err);
}

static void forget(kv_server *server)
{
    kv_error err = { 0 };
    kv_status status = KV_OK;
    bool more = true;

    while (status == KV_OK && more)
        status = kv_idempotency_sweep(server->vault, &more, &err);
    report(server, "idempotency.failed", status, &err);
}

static void forget_events(kv_server *server)
{
    kv_error err = { 0 };
    unsigned removed = 0;
    kv_status status = kv_events_sweep(server->vault, &removed, &err);

    if (status != KV_CANCELLED)
        report(server, "events.sweep_failed", status, &err);
}

static void forget_proofs(kv_server *server)
{
    kv_error err = { 0 };
    kv_status status = KV_OK;
    bool more = true;

    while (status == KV_OK && more)
        status = kv_vault_proofs_due(server->vault, &more, &err);
    report(server, "challenge.failed", status, &err);
}

static void forget_budgets(kv_server *server)
{
    kv_error err = { 0 };
    kv_status status = KV_OK;
    bool more = true;

    while (status == KV_OK && more)
        status = kv_vault_sweep_budgets(server->vault, &more, &err);
    report(server, "budgets.sweep_failed", status, &err);
}

static void watch_issuers(kv_server *server)
{
    kv_error err = { 0 };

    report(server, "issuer.watch_failed", kv_vault_watch_issuers(server->vault, &err), &err);
}

static void announce_credentials(kv_server *server)
{
    kv_error err = { 0 };

    report(server, "issuer.announce_failed", kv_vault_announce_credentials(server->vault, &err),
           &err);
}

static void sweep_dead_letters(kv_server *server)
{
    kv_error err = { 0 };
    unsigned removed = 0;

    report(server, "notification.sweep_failed",
           kv_vault_sweep_dead_letters(server->vault, &removed, &err), &err);
}

static void publish(kv_server *server)
{
    kv_error err = { 0 };
    unsigned made = 0;

    report(server, "crl.failed", kv_vault_crls_due(server->vault, &made, &err), &err);
    if (made)
        kv_log_write(server->log, KV_LOG_INFO, "crl.due",
                     (kv_log_field[]){ { "lists", NULL, made }, { 0 } });
}

static void sweep(kv_server *server)
{
    kv_error err = { 0 };
    kv_status status = kv_records_sweep(server->records, NULL, &err);

    if (status == KV_CANCELLED)
        return;
    report(server, "integrity.alarm", status, &err);
    if (status == KV_OK)
        kv_log_write(server->log, KV_LOG_INFO, "integrity.verified", NULL);
}

/* Whoever edits rows while the server is down keeps it from starting. Rows that a start did not
 * wait for stop it when their turn comes, or a restart would have been all that was needed. */
static void finish_store(kv_server *server)
{
    kv_error err = { 0 };
    kv_status status = kv_server_finish_store(server, &err);

    if (status == KV_OK || status == KV_CANCELLED)
        return;
    report(server, "integrity.alarm", status, &err);
    if (err.reason != KV_REASON_INTEGRITY)
        return;
    server->gave_up = err;
    (void)kill(getpid(), SIGTERM);
}

/* In a thread of its own: with many keys and rows it takes minutes, and nothing waits for it. A key
 * that is missing or another refuses its use without it. */
static void *look_at_all(void *argument)
{
    kv_keeper *keeper = argument;

    finish_store(keeper->server);
    scan(keeper, false);
    sweep(keeper->server);
    return NULL;
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

    for (unsigned tick = 0; !rest(keeper); tick++) {
        if (tick % EXPIRY_TICKS == 0) {
            watch_expiry(server);
            watch_issuers(server);
        }
        if (tick % CRL_TICKS == 0)
            publish(server);
        if (tick % PURGE_TICKS == 0 ||
            (tick % PURGE_AGAIN_TICKS == 0 && kv_vault_owes_purge(server->vault)))
            purge(server);
        if (tick % DEAD_LETTER_TICKS == DEAD_LETTER_TICKS - 1)
            sweep_dead_letters(server);
        if (tick % FORGET_TICKS == 0) {
            forget(server);
            forget_events(server);
            forget_proofs(server);
            forget_budgets(server);
            announce_credentials(server);
        }
        if (tick % SCAN_TICKS == SCAN_TICKS - 1)
            scan(keeper, true);
        else if (tick % SCAN_AGAIN_TICKS == SCAN_AGAIN_TICKS - 1 && atomic_load(&keeper->scan_owed))
            scan(keeper, false);
    }
    return NULL;
}

static void release(kv_keeper *keeper)
{
    (void)pthread_cond_destroy(&keeper->stop);
    (void)pthread_mutex_destroy(&keeper->mutex);
    free(keeper);
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
    if (pthread_create(&keeper->sweeper, NULL, look_at_all, keeper) != 0) {
        release(keeper);
        return kv_fail(err, KV_UNAVAILABLE, "a thread cannot be started");
    }
    if (pthread_create(&keeper->thread, NULL, keep, keeper) != 0) {
        (void)pthread_join(keeper->sweeper, NULL);
        release(keeper);
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
    kv_records_stop(keeper->server->records);
    (void)pthread_join(keeper->thread, NULL);
    (void)pthread_join(keeper->sweeper, NULL);
    release(keeper);
}

/* A shutdown waits for running calls, and then for what does not end with them. */
static void set_grace(const kv_settings *settings, kv_signals *signals)
{
    kv_signals_set_grace(signals, (unsigned)(settings->drain_seconds + settings->stop_seconds));
}

void kv_keeper_wait_for_stop(kv_server *server, kv_signals *signals)
{
    set_grace(server->settings, signals);
    server->tls.signals = signals;
    while (kv_signals_wait(signals) == KV_SIGNAL_RELOAD) {
        kv_log_write(server->log, KV_LOG_INFO, "server.reload", NULL);
        reload_all(server->keeper);
        set_grace(server->settings, signals);
    }
}
