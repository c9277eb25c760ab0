/* watch.c - rounds over all watchers: whenever something happened, and once a second. */
#include "server/core/watch.h"

#include <pthread.h>
#include <stdlib.h>

#include <utlist.h>

#include "server/base/hash.h"
#include "server/core/services.h"
#include "server/vault/events/event_watch.h"

enum {
    MOST = 4096,
    PER_PRINCIPAL = 256,
    SLOW_MS = 20000,
    TICK_MS = 1000,
    BEHIND_MS = 50, /* how soon who is behind is looked at again */
    HEARTBEAT_S = 15,
    PAGE = 64,
    PAGE_ARENA_BYTES = 1 << 20,
    RETRY_MS = 1000,
    US_PER_MS = 1000,
    MS_PER_S = 1000
};

/* How many streams a principal has. */
typedef struct tally {
    uint8_t principal[KV_PRINCIPAL_ID_BYTES];
    unsigned count;
    UT_hash_handle hh;
} tally;

struct kv_watcher {
    kv_watcher *prev, *next;
    kv_watch *watch; /* borrowed */
    kv_call *call;
    int64_t cursor;
    int64_t told_us;       /* when the last message was sent; CLOCK_MONOTONIC */
    int64_t full_since_us; /* 0: the last one found room */
    bool more;             /* there is, or may be, something to be read past the cursor */
    bool full;             /* there was no room in this round */
};

struct kv_watch {
    kv_watch_config config;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    kv_watcher *incoming;
    tally *tallies;
    unsigned count;
    bool stopping, stopped;

    /* the thread's own */
    kv_watcher *watchers;
    uint64_t pokes;
    int64_t settled;  /* what the last round over everybody was about */
    uint64_t heard;   /* the pokes before it */
    int64_t round_us; /* when it was */
    kv_arena arena;   /* of the page */
    int64_t page_after;
    kv_event_page page; /* what was read past page_after; every watcher there shares it */
    bool has_page;
};

/* --- places --- */

static tally *tally_of(kv_watch *watch, const uint8_t *principal)
{
    tally *found;

    HASH_FIND(hh, watch->tallies, principal, KV_PRINCIPAL_ID_BYTES, found);
    return found;
}

/* With the mutex held. */
static kv_status take_place(kv_watch *watch, const uint8_t *principal, kv_error *err)
{
    tally *mine = tally_of(watch, principal);

    if (watch->stopping)
        return kv_fail(err, KV_UNAVAILABLE, "the server stops");
    if (watch->count == watch->config.most)
        return kv_fail(err, KV_BUSY, "too many streams of events are open");
    if (mine && mine->count == watch->config.per_principal)
        return kv_fail(err, KV_BUSY, "you have %u streams of events open; that is the limit",
                       mine->count);
    if (!mine) {
        mine = calloc(1, sizeof(*mine));
        if (!mine)
            return kv_fail(err, KV_BUSY, "out of memory");
        memcpy(mine->principal, principal, sizeof(mine->principal));
        HASH_ADD(hh, watch->tallies, principal, sizeof(mine->principal), mine);
        if (!KV_HASH_HAS(mine)) {
            free(mine);
            return kv_fail(err, KV_BUSY, "out of memory");
        }
    }
    mine->count++;
    watch->count++;
    return KV_OK;
}

kv_status kv_watch_enter(kv_watch *watch, kv_call *call, int64_t cursor, kv_error *err)
{
    kv_watcher *watcher = calloc(1, sizeof(*watcher));
    kv_status status;

    if (!watcher)
        return kv_fail(err, KV_BUSY, "out of memory");
    *watcher = (kv_watcher){
        .watch = watch, .call = call, .cursor = cursor, .told_us = kv_monotonic_us(), .more = true
    };
    pthread_mutex_lock(&watch->mutex);
    status = take_place(watch, call->caller.principal_id, err);
    pthread_mutex_unlock(&watch->mutex);
    if (status == KV_BUSY)
        err->retry_ms = RETRY_MS;
    if (status != KV_OK) {
        free(watcher);
        return status;
    }
    call->watcher = watcher;
    return KV_OK;
}

void kv_watch_leave(kv_watcher *watcher)
{
    kv_watch *watch = watcher->watch;
    tally *mine;

    watcher->call->watcher = NULL;
    pthread_mutex_lock(&watch->mutex);
    mine = tally_of(watch, watcher->call->caller.principal_id);
    watch->count--;
    if (mine && --mine->count == 0) {
        HASH_DEL(watch->tallies, mine);
        free(mine);
    }
    pthread_mutex_unlock(&watch->mutex);
    free(watcher);
}

unsigned kv_watch_count(kv_watch *watch)
{
    unsigned count;

    pthread_mutex_lock(&watch->mutex);
    count = watch->count;
    pthread_mutex_unlock(&watch->mutex);
    return count;
}

/* The call goes home as from a worker: through the audit thread. */
static void end(kv_watcher *watcher, kv_status status)
{
    kv_call *call = watcher->call;
    const kv_gates *gates = &call->services->gates;

    kv_watch_leave(watcher);
    kv_call_conclude(call, status);
    call->next = NULL;
    gates->audit_post(gates->context, call);
}

void kv_watch_start(kv_watcher *watcher)
{
    kv_watch *watch = watcher->watch;
    kv_vault *vault = watch->config.services->vault;
    bool stopped;

    pthread_mutex_lock(&watch->mutex);
    stopped = watch->stopping;
    if (!stopped)
        DL_APPEND(watch->incoming, watcher);
    pthread_mutex_unlock(&watch->mutex);
    if (stopped)
        end(watcher, kv_fail(&watcher->call->error, KV_UNAVAILABLE, "the server stops"));
    else
        kv_events_poke(vault);
}

/* --- one watcher --- */

/* The page past the cursor; most watchers stand at the same place. */
static kv_status read_page(kv_watch *watch, int64_t after, kv_error *err)
{
    kv_event_query query = { .after = after, .limit = PAGE };

    if (watch->has_page && watch->page_after == after)
        return KV_OK;
    watch->has_page = false;
    kv_arena_cleanup(&watch->arena);
    watch->arena = KV_ARENA(PAGE_ARENA_BYTES);
    KV_TRY(kv_events_read(watch->config.services->vault, &watch->arena, &query, &watch->page, err));
    watch->page_after = after;
    watch->has_page = true;
    return KV_OK;
}

/* KV_OK and `full`: there is no room now. */
static kv_status tell(kv_watcher *watcher, const kv_event_message *message)
{
    kv_call *call = watcher->call;
    unsigned slow_ms = watcher->watch->config.slow_ms;
    int64_t now_us = kv_monotonic_us();
    bool sent = false;

    KV_TRY(kv_call_offer(call, message, &sent));
    if (sent) {
        watcher->cursor = message->cursor;
        watcher->told_us = now_us;
        watcher->full_since_us = 0;
        return KV_OK;
    }
    watcher->full = true;
    if (!watcher->full_since_us)
        watcher->full_since_us = now_us;
    if (now_us - watcher->full_since_us < (int64_t)slow_ms * US_PER_MS)
        return KV_OK;
    kv_fail(&call->error, KV_BUSY, "the stream is read too slowly; go on from cursor %lld",
            (long long)watcher->cursor);
    call->error.retry_ms = RETRY_MS;
    return KV_BUSY;
}

static kv_status consider(kv_watcher *watcher, const kv_event_row *event, int64_t now_ms)
{
    kv_call *call = watcher->call;
    const kv_event_watch_in *in = call->in;
    kv_event_message message = { .cursor = event->sequence, .event = event };
    bool may = false;

    if (kv_event_asked(&in->target, in->types, event))
        KV_TRY(kv_event_permit(call->services->vault, &call->caller, event, now_ms, &may,
                               &call->error));
    if (may)
        return tell(watcher, &message);
    watcher->cursor = event->sequence;
    return KV_OK;
}

static kv_status catch_up(kv_watcher *watcher, int64_t now_ms)
{
    kv_watch *watch = watcher->watch;
    const kv_event_page *page = &watch->page;

    KV_TRY(read_page(watch, watcher->cursor, &watcher->call->error));
    watcher->more = page->more;
    if (page->lost)
        return kv_event_lost(&watcher->call->error);
    for (unsigned i = 0; i < page->count; i++) {
        KV_TRY(consider(watcher, &page->events[i], now_ms));
        if (watcher->full)
            return KV_OK;
    }
    watcher->cursor = page->next;
    return KV_OK;
}

static kv_status keep_alive(kv_watcher *watcher)
{
    const kv_event_watch_in *in = watcher->call->in;
    int64_t every_s = in->heartbeat_seconds ? in->heartbeat_seconds : HEARTBEAT_S;
    kv_event_message message = { .cursor = watcher->cursor };

    if (kv_monotonic_us() - watcher->told_us < every_s * MS_PER_S * US_PER_MS)
        return KV_OK;
    return tell(watcher, &message);
}

/* Anything but KV_OK ends the stream. */
static kv_status serve(kv_watcher *watcher, int64_t settled)
{
    kv_call *call = watcher->call;
    kv_vault *vault = call->services->vault;
    int64_t now_ms = kv_clock_now_ms(&call->services->clock);

    call->error = (kv_error){ 0 };
    watcher->more = watcher->full = false;
    KV_TRY(kv_call_still_wanted(call));
    KV_TRY(kv_event_permit_any(vault, &call->caller, now_ms, &call->error));
    if (watcher->cursor < settled)
        KV_TRY(catch_up(watcher, now_ms));
    return keep_alive(watcher);
}

/* --- all of them --- */

/* False when it is time to stop. */
static bool take_incoming(kv_watch *watch)
{
    kv_watcher *incoming;
    bool stopping;

    pthread_mutex_lock(&watch->mutex);
    incoming = watch->incoming;
    watch->incoming = NULL;
    stopping = watch->stopping;
    pthread_mutex_unlock(&watch->mutex);
    DL_CONCAT(watch->watchers, incoming);
    return !stopping;
}

/* Nothing has happened since the last round over everybody, and it is not time for the next. */
static bool only_for_who_is_behind(kv_watch *watch, int64_t settled)
{
    int64_t now_us = kv_monotonic_us();

    if (settled == watch->settled && watch->pokes == watch->heard &&
        now_us - watch->round_us < (TICK_MS - BEHIND_MS) * US_PER_MS)
        return true;
    watch->settled = settled;
    watch->heard = watch->pokes;
    watch->round_us = now_us;
    return false;
}

/* True when somebody is behind. */
static bool serve_all(kv_watch *watch, int64_t settled)
{
    bool few = only_for_who_is_behind(watch, settled);
    kv_watcher *watcher, *next;
    bool behind = false;

    watch->has_page = false;
    DL_FOREACH_SAFE (watch->watchers, watcher, next) {
        kv_status status;

        if (few && !watcher->more && !watcher->full)
            continue;
        status = serve(watcher, settled);
        if (status == KV_OK) {
            behind = behind || watcher->more || watcher->full;
            continue;
        }
        DL_DELETE(watch->watchers, watcher);
        end(watcher, status);
    }
    return behind;
}

static void end_all(kv_watch *watch)
{
    kv_watcher *watcher, *next;

    (void)take_incoming(watch);
    DL_FOREACH_SAFE (watch->watchers, watcher, next) {
        DL_DELETE(watch->watchers, watcher);
        watcher->call->error = (kv_error){ 0 };
        end(watcher, kv_fail(&watcher->call->error, KV_UNAVAILABLE, "the server stops"));
    }
}

static void *run(void *argument)
{
    kv_watch *watch = argument;
    kv_vault *vault = watch->config.services->vault;

    while (take_incoming(watch)) {
        int64_t settled = kv_events_now(vault);
        bool behind = serve_all(watch, settled);

        (void)kv_events_wait_or_poke(vault, settled, &watch->pokes,
                                     kv_deadline_in_ms(behind ? BEHIND_MS : TICK_MS));
    }
    end_all(watch);
    return NULL;
}

kv_status kv_watch_new(const kv_watch_config *config, kv_watch **out, kv_error *err)
{
    kv_watch *watch = calloc(1, sizeof(*watch));

    if (!watch)
        return kv_fail(err, KV_BUSY, "out of memory");
    watch->config = *config;
    watch->config.most = config->most ? config->most : MOST;
    watch->config.per_principal = config->per_principal ? config->per_principal : PER_PRINCIPAL;
    watch->config.slow_ms = config->slow_ms ? config->slow_ms : SLOW_MS;
    watch->arena = KV_ARENA(PAGE_ARENA_BYTES);
    (void)pthread_mutex_init(&watch->mutex, NULL);
    if (pthread_create(&watch->thread, NULL, run, watch) != 0) {
        (void)pthread_mutex_destroy(&watch->mutex);
        free(watch);
        return kv_fail(err, KV_UNAVAILABLE, "a thread cannot be started");
    }
    *out = watch;
    return KV_OK;
}

void kv_watch_stop(kv_watch *watch)
{
    if (!watch || watch->stopped)
        return;
    pthread_mutex_lock(&watch->mutex);
    watch->stopping = true;
    pthread_mutex_unlock(&watch->mutex);
    kv_events_poke(watch->config.services->vault);
    (void)pthread_join(watch->thread, NULL);
    watch->stopped = true;
}

void kv_watch_free(kv_watch *watch)
{
    if (!watch)
        return;
    kv_watch_stop(watch);
    kv_arena_cleanup(&watch->arena);
    (void)pthread_mutex_destroy(&watch->mutex);
    free(watch);
}
