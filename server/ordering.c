/* ordering.c - one thread asks issuers, one step after the other; in between it sleeps. */
#include "server/ordering.h"

#include <pthread.h>
#include <stdlib.h>

enum { TROUBLE_WAIT_MS = 5000 };

struct kv_ordering {
    kv_server *server;
    pthread_t thread;
};

/* The store or the token is in trouble: nothing can be written down, so nobody is asked. */
static int64_t after_trouble(kv_server *server, const kv_error *err)
{
    kv_log_write(
        server->log, KV_LOG_ERROR, "certificate.order.trouble",
        (kv_log_field[]){ { "why", err->message, 0 }, { "detail", err->detail, 0 }, { 0 } });
    return kv_clock_now_ms(NULL) + TROUBLE_WAIT_MS;
}

static void *work(void *argument)
{
    kv_server *server = argument;
    int64_t next_at = 0;

    do {
        kv_error err = { 0 };

        if (kv_vault_step_operation(server->vault, &next_at, &err) != KV_OK)
            next_at = after_trouble(server, &err);
    } while (kv_vault_wait_for_steps(server->vault, next_at));
    return NULL;
}

kv_status kv_ordering_start(kv_server *server, kv_ordering **out, kv_error *err)
{
    kv_ordering *ordering = calloc(1, sizeof(*ordering));

    if (!ordering)
        return kv_fail(err, KV_BUSY, "out of memory");
    ordering->server = server;
    if (pthread_create(&ordering->thread, NULL, work, server) != 0) {
        free(ordering);
        return kv_fail(err, KV_UNAVAILABLE, "a thread cannot be started");
    }
    *out = ordering;
    return KV_OK;
}

void kv_ordering_stop(kv_ordering *ordering)
{
    if (!ordering)
        return;
    (void)pthread_join(ordering->thread, NULL);
    free(ordering);
}
