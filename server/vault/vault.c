/* vault.c - the vault layer is opened and closed. */
#include "server/vault/vault.h"

#include <stdlib.h>

#include "server/vault/authorities/ocsp_cache.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/errands.h"
#include "server/vault/events/event_denied.h"
#include "server/vault/events/event_outbox.h"
#include "server/vault/keys/key_cache.h"
#include "server/vault/notices/postbox.h"
#include "server/vault/operations/operation_rules.h"
#include "server/vault/vault_by_uid.h"
#include "server/vault/vault_impl.h"

enum { KEYS_CACHED = 100000, START_ARENA_BYTES = 1 << 20, ORDERS_PER_ISSUER = 2 };

/* 2^31: half of what random 96-bit IVs allow under one key. */
static const uint64_t default_key_uses = UINT64_C(1) << 31;

static kv_status make_outbox(kv_vault *vault, kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(START_ARENA_BYTES);
    int64_t last = 0;

    KV_TRY(kv_outbox_last(vault->config.records, &arena, &last, err));
    vault->outbox = kv_outbox_new(last);
    vault->denials = kv_denials_new();
    return vault->outbox && vault->denials ? KV_OK : kv_fail(err, KV_BUSY, "out of memory");
}

static kv_status fill(const kv_vault_config *config, kv_vault *vault, kv_error *err)
{
    if (config->node.len != sizeof(vault->node) || config->instance.len != sizeof(vault->instance))
        return kv_fail(err, KV_INTERNAL, "node and instance have 16 bytes");
    vault->config = *config;
    if (!vault->config.notify.origin)
        vault->config.notify.origin = "localhost";
    memcpy(vault->node, config->node.data, sizeof(vault->node));
    memcpy(vault->instance, config->instance.data, sizeof(vault->instance));
    vault->world = (kv_issuer_world){ .http = config->http,
                                      .memory = config->acme,
                                      .solvers = config->solvers,
                                      .solver_count = config->solver_count };
    vault->started_ms = kv_clock_now_ms(config->clock);
    if (!vault->config.secret_key_uses)
        vault->config.secret_key_uses = default_key_uses;
    vault->keys = kv_key_cache_new(KEYS_CACHED);
    vault->uses = kv_key_uses_new();
    vault->ocsp = kv_ocsp_cache_new();
    vault->postbox = kv_postbox_new(config->notify.threads);
    vault->hints = kv_vault_hints_new();
    vault->errands =
        kv_errands_new(config->orders_per_issuer ? config->orders_per_issuer : ORDERS_PER_ISSUER,
                       config->orders_per_vault ? config->orders_per_vault : KV_ERRANDS_MAX);
    if (!vault->keys || !vault->uses || !vault->ocsp || !vault->errands || !vault->postbox ||
        !vault->hints)
        return kv_fail(err, KV_BUSY, "out of memory");
    KV_TRY(make_outbox(vault, err));
    return kv_records_watch(config->records, kv_key_cache_changed, vault->keys, err);
}

static void make_wake(kv_vault *vault)
{
    pthread_condattr_t monotonic;

    (void)pthread_mutex_init(&vault->wake_mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&vault->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

kv_status kv_vault_open(const kv_vault_config *config, kv_vault **out, kv_error *err)
{
    kv_vault *vault = calloc(1, sizeof(*vault));
    kv_status status;

    if (!vault)
        return kv_fail(err, KV_BUSY, "out of memory");
    make_wake(vault);
    status = fill(config, vault, err);
    if (status != KV_OK) {
        kv_vault_close(vault);
        return status;
    }
    *out = vault;
    return KV_OK;
}

void kv_vault_stop(kv_vault *vault)
{
    atomic_store(&vault->stopping, true);
    kv_wake_steps(vault);
    kv_outbox_stop(vault->outbox);
    kv_postbox_stop(vault->postbox);
}

bool kv_vault_running(const kv_vault *vault)
{
    return !atomic_load(&vault->stopping);
}

bool kv_vault_owes_purge(const kv_vault *vault)
{
    return atomic_load(&vault->purge_owed);
}

void kv_vault_close(kv_vault *vault)
{
    if (!vault)
        return;
    kv_vault_hints_free(vault->hints);
    kv_postbox_free(vault->postbox);
    kv_outbox_free(vault->outbox);
    kv_denials_free(vault->denials);
    kv_errands_free(vault->errands);
    kv_key_uses_free(vault->uses);
    kv_ocsp_cache_free(vault->ocsp);
    kv_key_cache_free(vault->keys);
    (void)pthread_cond_destroy(&vault->wake);
    (void)pthread_mutex_destroy(&vault->wake_mutex);
    free(vault);
}
