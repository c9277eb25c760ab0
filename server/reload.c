/* reload.c - first everything that can fail, then what cannot. */
#include "server/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/auth/identity.h"
#include "server/credentials.h"
#include "server/limits.h"
#include "server/log_list.h"
#include "server/settings_rows.h"

enum { CA_ARENA_BYTES = 1 << 20, NAMES_BYTES = 1024 };

/* Settings that a reload made. Readers may hold an older one at any time, so all stay to the end;
 * a reload that changes no setting makes none. */
struct kv_reloaded {
    kv_settings settings;
    kv_reloaded *before;
};

static const char *const taken[] = {
    "server.log_level",
    "tls.certificate",
    "tls.key",
    "tls.min_version",
    "tls.client_ca",
    "certificates.ct_log_list",
    "limits.message_bytes",
    "limits.request_bytes",
    "limits.connections",
    "limits.connections_per_peer",
    "limits.streams",
    "limits.calls",
    "limits.calls_per_principal",
    "limits.rate",
    "limits.rate_per_principal",
    "limits.burst_seconds",
    "limits.failures_per_peer",
    "limits.default_deadline_ms",
    "limits.max_deadline_ms",
    "limits.handshake_ms",
    "limits.idle_seconds",
    "limits.drain_seconds",
    "limits.stop_seconds",
};

bool kv_reload_takes(const char *section, const char *key)
{
    char name[96];

    (void)snprintf(name, sizeof(name), "%s.%s", section, key);
    for (size_t i = 0; i < KV_COUNT(taken); i++)
        if (!strcmp(taken[i], name))
            return true;
    return false;
}

typedef struct names {
    char text[NAMES_BYTES];
    size_t len;
} names;

static void add_name(names *to, const char *section, const char *key)
{
    int len = snprintf(to->text + to->len, sizeof(to->text) - to->len, "%s[%s] %s",
                       to->len ? ", " : "", section, key);

    if (len > 0 && (size_t)len < sizeof(to->text) - to->len)
        to->len += (size_t)len;
    else
        to->text[to->len] = '\0';
}

/* A key that is on a token, or was, comes with the token, which is opened at the start. */
static bool may_change(const kv_settings *now, const kv_settings *fresh, const kv_setting_help *row)
{
    if (!strcmp(row->section, "tls") && !strcmp(row->key, "key"))
        return !kv_tls_key_on_token(now) && !kv_tls_key_on_token(fresh);
    return kv_reload_takes(row->section, row->key);
}

/* What must stay as it is gets its value of now. */
static kv_status merge(const kv_settings *now, kv_settings *fresh, names *changed, names *waiting,
                       kv_error *err)
{
    const kv_setting_help *row;

    for (unsigned i = 0; (row = kv_settings_help(i)); i++) {
        if (kv_settings_same(now, fresh, i))
            continue;
        if (may_change(now, fresh, row)) {
            add_name(changed, row->section, row->key);
            continue;
        }
        add_name(waiting, row->section, row->key);
        KV_TRY(kv_settings_keep(fresh, now, i, err));
    }
    if (!kv_settings_same_providers(now, fresh))
        add_name(waiting, "oidc", "(providers)");
    return KV_OK;
}

static kv_status read_client_cas(const kv_settings *settings, kv_client_cas **out, kv_error *err)
{
    kv_arena arena = KV_ARENA(CA_ARENA_BYTES);
    kv_slice cas[KV_CLIENT_CAS];
    unsigned count = 0;
    kv_status status = kv_read_certificates(settings->client_ca, &arena, cas, &count, err);

    if (status == KV_OK)
        status = kv_client_cas_new(cas, count, out, err);
    kv_arena_cleanup(&arena);
    return status;
}

/* Nothing in here can fail. */
static void take(kv_server *server, const kv_settings *settings, kv_client_cas *cas,
                 kv_log_list *logs)
{
    kv_front_config config = kv_server_front_config(settings);
    kv_throttle_limits limits = kv_server_throttle_limits(settings);

    kv_auth_set_client_cas(server->auth, cas);
    kv_server_log_list_take(server, logs);
    kv_log_set_least(server->log, kv_settings_log_level(settings));
    kv_throttle_tune(server->throttle, &limits);
    kv_front_tune(server->front, &config);
}

static kv_status prepare_and_take(kv_server *server, const kv_settings *fresh, kv_error *err)
{
    kv_log_list *logs = NULL;
    kv_client_cas *cas;
    kv_status status;

    KV_TRY(read_client_cas(fresh, &cas, err));
    status = kv_server_log_list_read(fresh, &logs, err);
    if (status == KV_OK)
        status = kv_server_identity_reload(&server->tls, fresh, err);
    if (status != KV_OK) {
        kv_client_cas_free(cas);
        kv_log_list_free(logs);
        return status;
    }
    take(server, fresh, cas, logs);
    return KV_OK;
}

static void tell(kv_server *server, const names *changed, const names *waiting)
{
    kv_log_write(server->log, KV_LOG_INFO, "server.reloaded",
                 (kv_log_field[]){ { "changed", changed->text, 0 }, { 0 } });
    if (waiting->len)
        kv_log_write(server->log, KV_LOG_WARNING, "server.restart_needed",
                     (kv_log_field[]){ { "settings", waiting->text, 0 }, { 0 } });
}

static kv_status reload(kv_server *server, kv_settings *fresh, kv_error *err)
{
    const kv_settings *now = server->settings;
    names changed = { 0 }, waiting = { 0 };
    kv_reloaded *kept = NULL;

    KV_TRY(kv_settings_read(now->file, fresh, err));
    KV_TRY(merge(now, fresh, &changed, &waiting, err));
    if (changed.len && !(kept = calloc(1, sizeof(*kept))))
        return kv_fail(err, KV_BUSY, "out of memory");
    if (prepare_and_take(server, fresh, err) != KV_OK) {
        free(kept);
        return err->status;
    }
    if (kept) {
        *kept = (kv_reloaded){ .settings = *fresh, .before = server->reloaded };
        *fresh = (kv_settings){ 0 };
        server->reloaded = kept;
        server->settings = &kept->settings;
    }
    tell(server, &changed, &waiting);
    return KV_OK;
}

kv_status kv_reload(kv_server *server, kv_error *err)
{
    kv_settings fresh = { 0 };
    kv_status status;

    if (!server->settings->file)
        return kv_fail(err, KV_PRECONDITION, "the configuration did not come from a file");
    status = reload(server, &fresh, err);
    kv_settings_cleanup(&fresh);
    return status;
}

void kv_reload_close(kv_server *server)
{
    while (server->reloaded) {
        kv_reloaded *newest = server->reloaded;

        server->reloaded = newest->before;
        kv_settings_cleanup(&newest->settings);
        free(newest);
    }
}
