/* ordering.c - threads that take what is due a step further; else they sleep.
 *
 * Those that ask issuers may be kept waiting by strangers. What needs nobody outside (rotation of
 * keys, announcements) has a thread of its own, which no stranger delays.
 */
#include "server/ordering.h"

#include <pthread.h>
#include <stdlib.h>

#include "server/vault/events/event_denied.h"

enum { TROUBLE_WAIT_MS = 5000, WORKERS_MAX = 16, STEPS_MAX = 4 };

typedef struct step {
    kv_status (*take)(kv_vault *vault, int64_t *next_at, kv_error *err);
    const char *trouble;
} step;

static const step with_issuers[STEPS_MAX] = {
    { kv_vault_step_renewal, "certificate.order.trouble" },
    { kv_vault_step_operation, "certificate.order.trouble" },
};

static const step alone[STEPS_MAX] = {
    { kv_vault_step_rotation, "key.rotation.trouble" },
    { kv_vault_step_expiry, "expiry.trouble" },
    { kv_vault_step_denied, "access.denied.trouble" },
};

typedef struct worker {
    kv_server *server;
    const step *steps; /* up to one without a function */
    pthread_t thread;
} worker;

struct kv_ordering {
    unsigned count;
    worker workers[1 + WORKERS_MAX]; /* the first is the one that is alone */
};

/* The store or the token is in trouble: nothing can be written down, so nobody is asked. */
static int64_t after_trouble(kv_server *server, const char *event, const kv_error *err)
{
    kv_log_write(
        server->log, KV_LOG_ERROR, event,
        (kv_log_field[]){ { "why", err->message, 0 }, { "detail", err->detail, 0 }, { 0 } });
    return kv_clock_now_ms(NULL) + TROUBLE_WAIT_MS;
}

/* 0: never. */
static int64_t earlier(int64_t a, int64_t b)
{
    if (!a || !b)
        return a ? a : b;
    return a < b ? a : b;
}

/* Wall time against the time that only grows; one thread watches for all. */
static void watch_clock(kv_server *server, int64_t *offset_ms)
{
    int64_t offset = kv_clock_now_ms(NULL) - kv_monotonic_us() / 1000;
    kv_error err = { 0 };

    if (*offset_ms && offset < *offset_ms &&
        kv_vault_clock_set_back(server->vault, *offset_ms - offset, &err) != KV_OK)
        (void)after_trouble(server, "clock.set_back.trouble", &err);
    *offset_ms = offset;
}

static int64_t take_steps(const worker *self)
{
    int64_t next_at = 0;

    for (const step *each = self->steps; each->take; each++) {
        kv_error err = { 0 };
        int64_t at = 0;

        if (each->take(self->server->vault, &at, &err) != KV_OK)
            at = after_trouble(self->server, each->trouble, &err);
        next_at = earlier(next_at, at);
    }
    return next_at;
}

static void *work(void *argument)
{
    const worker *self = argument;
    int64_t offset_ms = 0;
    uint64_t seen = 0;
    int64_t next_at;

    do {
        if (self->steps == alone)
            watch_clock(self->server, &offset_ms);
        next_at = take_steps(self);
    } while (kv_vault_wait_for_steps(self->server->vault, next_at, &seen));
    return NULL;
}

kv_status kv_ordering_start(kv_server *server, kv_ordering **out, kv_error *err)
{
    kv_ordering *ordering = calloc(1, sizeof(*ordering));

    if (!ordering)
        return kv_fail(err, KV_BUSY, "out of memory");
    while (ordering->count < 1 + (unsigned)server->settings->order_workers) {
        worker *next = &ordering->workers[ordering->count];

        *next = (worker){ .server = server, .steps = ordering->count ? with_issuers : alone };
        if (pthread_create(&next->thread, NULL, work, next) != 0) {
            kv_vault_stop(server->vault);
            kv_ordering_stop(ordering);
            return kv_fail(err, KV_UNAVAILABLE, "a thread cannot be started");
        }
        ordering->count++;
    }
    *out = ordering;
    return KV_OK;
}

void kv_ordering_stop(kv_ordering *ordering)
{
    if (!ordering)
        return;
    for (unsigned i = 0; i < ordering->count; i++)
        (void)pthread_join(ordering->workers[i].thread, NULL);
    free(ordering);
}
