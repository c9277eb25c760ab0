/* server.c - composition: every part is made here, in the order of the layers, and nowhere else. */
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/audit/audit.h"
#include "server/auth/auth.h"
#include "server/base/text.h"
#include "server/challenges.h"
#include "server/credentials.h"
#include "server/front/front.h"
#include "server/gates.h"
#include "server/init_again.h"
#include "server/keeper.h"
#include "server/limits.h"
#include "server/log_list.h"
#include "server/notifying.h"
#include "server/opened_store.h"
#include "server/ordering.h"
#include "server/pki_door.h"
#include "server/reload.h"
#include "server/self_check.h"
#include "server/server_parts.h"
#include "server/store/schema.h"
#include "server/vault/vault.h"

#define DAY_MS INT64_C(86400000)

enum { CA_ARENA_BYTES = 1 << 20, HANDSHAKE_WORKERS = 2 };

/* --- before anything else --- */

static kv_status take_home(const char *home, int *lock, kv_error *err)
{
    char path[PATH_MAX];
    int fd;

    if (mkdir(home, 0700) != 0 && errno != EEXIST)
        return kv_fail(err, KV_UNAVAILABLE, "the home '%.100s' cannot be made: %s", home,
                       strerror(errno));
    if ((size_t)snprintf(path, sizeof(path), "%s/home.lock", home) >= sizeof(path))
        return kv_fail(err, KV_BAD_REQUEST, "[server] home is too long");
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return kv_fail(err, KV_UNAVAILABLE, "'%.120s' cannot be opened: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)close(fd);
        return kv_fail(err, KV_PRECONDITION, "another keyvaultd runs on the home '%.100s'", home);
    }
    *lock = fd;
    return KV_OK;
}

kv_status kv_server_prepare(const kv_settings *settings, int *home_lock, kv_error *err)
{
    struct rlimit none = { 0, 0 };

    (void)umask(077);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    kv_server_raise_descriptors();
    KV_TRY(kv_secret_heap_open((size_t)settings->locked_memory, err));
    return take_home(settings->home, home_lock, err);
}

/* --- parts --- */

static kv_status open_pending(kv_server *server, kv_error *err)
{
    kv_slice node = kv_slice_of(server->identity.node, sizeof(server->identity.node));

    KV_TRY(kv_pending_key_find(server->records, kv_tokens_get(server->tokens, KV_DUTY_SYSTEM), node,
                               &server->pending_key, err));
    kv_records_authenticate(server->records, kv_pending_mac_of(&server->pending_key));
    return KV_OK;
}

static kv_status start_audit(kv_server *server, kv_error *err)
{
    const kv_settings *settings = server->settings;
    kv_token *token = kv_tokens_get(server->tokens, KV_DUTY_SYSTEM);
    kv_audit_config config = {
        .folder = settings->audit_folder,
        .segment_bytes = (uint64_t)settings->audit_segment_bytes,
        .checkpoint_records = (uint64_t)settings->audit_checkpoint_records,
        .checkpoint_ms = settings->audit_checkpoint_seconds * 1000,
        .low_water_bytes = (uint64_t)settings->audit_low_water_bytes,
        .node = kv_slice_of(server->identity.node, sizeof(server->identity.node)),
        .store = server->store,
        .anchor = kv_system_anchor(token),
        .pending_mac = kv_pending_mac_of(&server->pending_key),
        .log = server->log,
    };

    KV_TRY(kv_system_signer_find(server->records, token, "audit", kv_clock_now_ms(NULL),
                                 &server->audit_key, err));
    config.signer = (kv_audit_signer){
        .sign = kv_system_key_sign,
        .context = &server->audit_key,
        .kid = kv_slice_text(server->audit_key.kid),
        .spki = kv_slice_of(server->audit_key.spki, server->audit_key.ref.spki.len),
    };
    return kv_audit_start(&config, &server->audit, err);
}

static kv_separation separation_of(const kv_settings *settings)
{
    if (!strcmp(settings->separation, "off"))
        return KV_SEPARATION_OFF;
    return strcmp(settings->separation, "warn") ? KV_SEPARATION_STRICT : KV_SEPARATION_WARN;
}

static kv_status open_oidc(kv_server *server, kv_error *err)
{
    const kv_settings *settings = server->settings;
    kv_oidc_provider providers[KV_SETTING_PROVIDERS];

    if (!settings->oidc_count)
        return KV_OK;
    for (unsigned i = 0; i < settings->oidc_count; i++) {
        const kv_oidc_settings *from = &settings->oidc[i];

        providers[i] = (kv_oidc_provider){ .name = from->name,
                                           .issuer = from->issuer,
                                           .audience = from->audience,
                                           .jwks = from->jwks,
                                           .algorithms = from->algorithms,
                                           .claims = from->claims,
                                           .ca_file = from->ca_file,
                                           .leeway_seconds = from->leeway_seconds,
                                           .token_seconds = from->token_seconds };
    }
    return kv_oidc_new(providers, settings->oidc_count, server->http, server->log, &server->oidc,
                       err);
}

static kv_status open_auth(kv_server *server, kv_error *err)
{
    kv_arena arena = KV_ARENA(CA_ARENA_BYTES);
    kv_slice cas[KV_CLIENT_CAS];
    unsigned count = 0;
    char issuer[64];
    kv_role_token_key verifying;
    kv_auth_config config = { .records = server->records,
                              .oidc = server->oidc,
                              .separation = separation_of(server->settings),
                              .log = server->log };
    kv_status status;

    KV_TRY(kv_system_signer_find(server->records, kv_tokens_get(server->tokens, KV_DUTY_SYSTEM),
                                 "role-token", kv_clock_now_ms(NULL), &server->token_key, err));
    verifying = (kv_role_token_key){
        .kid = kv_slice_text(server->token_key.kid),
        .spki = kv_slice_of(server->token_key.spki, server->token_key.ref.spki.len),
    };
    (void)snprintf(issuer, sizeof(issuer), "urn:keyvault:");
    kv_hex(kv_slice_of(server->identity.instance, sizeof(server->identity.instance)),
           issuer + strlen(issuer));
    config.signer = (kv_role_token_signer){ .sign = kv_system_key_sign,
                                            .context = &server->token_key,
                                            .kid = kv_slice_text(server->token_key.kid) };
    config.keys = &verifying;
    config.key_count = 1;
    config.issuer = kv_slice_text(issuer);
    config.client_cas = cas;
    status = kv_read_certificates(server->settings->client_ca, &arena, cas, &count, err);
    config.client_ca_count = count;
    if (status == KV_OK)
        status = kv_auth_open(&config, &server->auth, err);
    kv_arena_cleanup(&arena);
    return status;
}

static void log_reconciled(kv_server *server, const kv_reconciled *done)
{
    kv_log_write(server->log, KV_LOG_INFO, "server.reconciled",
                 (kv_log_field[]){ { "births_rolled_back", NULL, done->births_rolled_back },
                                   { "destroyed", NULL, done->destroyed },
                                   { "purges_finished", NULL, done->purges_finished },
                                   { "operations_resumed", NULL, done->operations_resumed },
                                   { 0 } });
}

static kv_status open_vault(kv_server *server, kv_error *err)
{
    kv_vault_config config = {
        .events_keep_ms = server->settings->event_days * DAY_MS,
        .events_keep = (uint64_t)server->settings->event_count,
        .records = server->records,
        .tokens = server->tokens,
        .auth = server->auth,
        .audit = server->audit,
        .log = server->log,
        .node = kv_slice_of(server->identity.node, sizeof(server->identity.node)),
        .instance = kv_slice_of(server->identity.instance, sizeof(server->identity.instance)),
        .version = KV_VERSION,
        .notify = kv_notifying_of(server),
        .check = kv_server_self_check,
        .check_context = server,
        .orders_per_issuer = (unsigned)server->settings->order_per_issuer,
        .orders_per_vault = (unsigned)server->settings->order_per_vault,
        .pki_base_url = server->settings->pki_base_url[0] ? server->settings->pki_base_url : NULL,
        .checkpoint_ms = server->settings->audit_checkpoint_seconds * 1000,
        .audit_kid = kv_slice_text(server->audit_key.kid),
        .audit_spki = kv_slice_of(server->audit_key.spki, server->audit_key.ref.spki.len),
        .solvers = server->challenges.solvers,
        .solver_count = server->challenges.solver_count,
        .http = server->http,
        .acme = server->acme,
        .known_logs = server->known_logs,
    };
    kv_reconciled done;

    KV_TRY(kv_vault_open(&config, &server->vault, err));
    KV_TRY(kv_vault_check_authorities(server->vault, err));
    KV_TRY(kv_vault_reconcile(server->vault, &done, err));
    log_reconciled(server, &done);
    return KV_OK;
}

static kv_status find_identity(kv_server *server, kv_error *err)
{
    kv_status status =
        kv_identity_read(kv_tokens_get(server->tokens, KV_DUTY_SYSTEM), &server->identity, err);

    if (status == KV_NOT_FOUND)
        return kv_fail(err, KV_PRECONDITION,
                       "the system token holds no keyvault: run 'keyvaultd init' first");
    if (status == KV_OK)
        kv_init_done(server->settings);
    return status;
}

static kv_status open_outgoing(kv_server *server, kv_error *err)
{
    kv_http_config config = { .user_agent = "keyvault/" KV_VERSION,
                              .proxy = server->settings->outgoing_proxy,
                              .ca_file = server->settings->outgoing_ca_file };

    KV_TRY(kv_networks_parse(kv_slice_text(server->settings->outgoing_networks), "networks",
                             &config.addresses, err));
    KV_TRY(kv_acme_memory_new(&server->acme, err));
    KV_TRY(kv_http_new(&config, &server->http, err));
    return kv_notifying_open(server, &config.addresses, err);
}

static kv_status build(kv_server *server, kv_error *err)
{
    KV_TRY(kv_server_prepare(server->settings, &server->home_lock, err));
    KV_TRY(kv_server_log_list_open(server, err));
    KV_TRY(open_outgoing(server, err));
    kv_server_open_store_early(server);
    KV_TRY(kv_open_tokens(server->settings, server->log, &server->tokens, err));
    KV_TRY(find_identity(server, err));
    KV_TRY(kv_server_identity_open(server->settings, server->tokens, &server->tls, err));
    KV_TRY(kv_server_open_store(server, err));
    KV_TRY(kv_server_verify_store(server, err));
    KV_TRY(open_pending(server, err));
    KV_TRY(start_audit(server, err));
    KV_TRY(open_oidc(server, err));
    KV_TRY(open_auth(server, err));
    kv_challenges_prepare(server);
    return open_vault(server, err);
}

kv_status kv_server_new(const kv_settings *settings, kv_log *log, kv_server **out, kv_error *err)
{
    kv_server *server = calloc(1, sizeof(*server));
    kv_status status;

    if (!server)
        return kv_fail(err, KV_BUSY, "out of memory");
    server->settings = settings;
    server->log = log;
    server->home_lock = -1;
    status = build(server, err);
    if (status != KV_OK) {
        kv_server_free(server);
        return status;
    }
    *out = server;
    return KV_OK;
}

void kv_server_free(kv_server *server)
{
    if (!server)
        return;
    kv_vault_close(server->vault);
    kv_challenges_close(server);
    kv_audit_stop(server->audit);
    kv_auth_close(server->auth);
    kv_oidc_free(server->oidc);
    kv_records_close(server->records);
    kv_verified_free(server->verified);
    kv_store_close(server->store);
    kv_pending_key_cleanup(&server->pending_key);
    kv_server_identity_cleanup(&server->tls);
    kv_tokens_close(server->tokens);
    kv_notifying_close(server);
    kv_http_free(server->http);
    kv_acme_memory_free(server->acme);
    kv_known_logs_free(server->known_logs);
    if (server->home_lock >= 0)
        (void)close(server->home_lock);
    kv_reload_close(server);
    free(server);
}

/* --- serving --- */

static void fill_services(kv_server *server)
{
    server->services = (kv_services){
        .routes = kv_routes,
        .route_count = kv_routes_count,
        .auth = server->auth,
        .audit = server->audit,
        .vault = server->vault,
        .log = server->log,
        .clock = KV_CLOCK_SYSTEM,
    };
    kv_gates_fill(&server->services);
}

static kv_status start_throttle(kv_server *server, kv_error *err)
{
    kv_throttle_limits limits = kv_server_throttle_limits(server->settings);

    KV_TRY(kv_throttle_new(&limits, &server->throttle, err));
    server->services.throttle = server->throttle;
    return KV_OK;
}

static kv_status start_watch(kv_server *server, kv_error *err)
{
    const kv_settings *settings = server->settings;
    kv_watch_config config = {
        .services = &server->services,
        .most = (unsigned)settings->max_watches,
        .per_principal = (unsigned)settings->max_watches_per_principal,
        .slow_ms = (unsigned)settings->slow_watch_ms,
    };

    KV_TRY(kv_watch_new(&config, &server->watch, err));
    server->services.watch = server->watch;
    return KV_OK;
}

static kv_status start_lanes(kv_server *server, kv_error *err)
{
    const kv_settings *settings = server->settings;
    unsigned queue = (unsigned)settings->max_queue;
    kv_lanes_config config = { 0 };

    config.lane[KV_LANE_KEYS].workers = (unsigned)settings->tokens[KV_SETTING_TOKEN_KEYS].workers;
    config.lane[KV_LANE_CA].workers = (unsigned)settings->tokens[KV_SETTING_TOKEN_CA].workers;
    config.lane[KV_LANE_SYSTEM].workers =
        (unsigned)settings->tokens[KV_SETTING_TOKEN_SYSTEM].workers;
    config.lane[KV_LANE_STORE].workers = (unsigned)settings->quick_workers;
    config.lane[KV_LANE_SLOW].workers = (unsigned)settings->slow_workers;
    config.lane[KV_LANE_HANDSHAKE].workers = HANDSHAKE_WORKERS;
    for (int lane = KV_LANE_KEYS; lane < KV_LANE_COUNT; lane++)
        config.lane[lane].queue = queue;
    return kv_lanes_new(&config, &server->lanes, err);
}

static kv_status start_front(kv_server *server, kv_error *err)
{
    kv_front_config config = kv_server_front_config(server->settings);

    return kv_front_start(&config, &server->services, server->lanes, server->tls.tls,
                          &server->front, err);
}

void kv_server_tell_port(kv_server *server, const char *file, const char *address, uint16_t number)
{
    char port[8];
    char path[PATH_MAX];
    int fd;
    int len = snprintf(port, sizeof(port), "%u\n", number);

    kv_log_write(server->log, KV_LOG_INFO, "server.listening",
                 (kv_log_field[]){ { "address", address, 0 }, { "port", NULL, number }, { 0 } });
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", server->settings->home, file) >= sizeof(path))
        return;
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (write(fd, port, (size_t)len) != len)
        kv_log_write(server->log, KV_LOG_WARNING, "server.port_file", NULL);
    (void)close(fd);
}

static void take_down(kv_server *server)
{
    /* They would not end by themselves. */
    kv_watch_stop(server->watch);
    if (server->front)
        (void)kv_front_drain(server->front);
    kv_plain_stop(server->plain);
    server->plain = NULL;
    kv_challenges_stop(server);
    kv_http_stop(server->http);
    kv_mailer_stop(server->mailer);
    kv_vault_stop(server->vault);
    kv_keeper_stop(server->keeper);
    server->keeper = NULL;
    kv_notifying_stop(server->notifying);
    server->notifying = NULL;
    kv_ordering_stop(server->ordering);
    server->ordering = NULL;
    kv_lanes_stop(server->lanes);
    /* Every call comes home through the audit thread: after this none is on its way. */
    kv_audit_stop(server->audit);
    server->audit = NULL;
    if (server->front)
        kv_front_stop(server->front);
    server->front = NULL;
    kv_throttle_free(server->throttle);
    server->throttle = NULL;
    kv_lanes_free(server->lanes);
    server->lanes = NULL;
    kv_watch_free(server->watch);
    server->watch = NULL;
}

static kv_status serve(kv_server *server, kv_signals *signals, kv_error *err)
{
    fill_services(server);
    if (server->oidc)
        KV_TRY(kv_oidc_start(server->oidc, err));
    KV_TRY(start_throttle(server, err));
    KV_TRY(start_watch(server, err));
    KV_TRY(start_lanes(server, err));
    KV_TRY(start_front(server, err));
    KV_TRY(kv_challenges_open(server, err));
    KV_TRY(kv_pki_door_open(server, err));
    KV_TRY(kv_keeper_start(server, &server->keeper, err));
    KV_TRY(kv_ordering_start(server, &server->ordering, err));
    KV_TRY(kv_notifying_start(server, &server->notifying, err));
    kv_front_set_serving(server->front, true);
    if (server->plain)
        kv_server_tell_port(server, "pki-port", server->settings->pki_listen,
                            kv_plain_port(server->plain));
    kv_server_tell_port(server, "port", server->settings->listen, kv_front_port(server->front));
    kv_keeper_wait_for_stop(server, signals);
    kv_log_write(server->log, KV_LOG_INFO, "server.stopping", NULL);
    return KV_OK;
}

kv_status kv_server_run(kv_server *server, kv_signals *signals, kv_error *err)
{
    kv_status status = serve(server, signals, err);

    kv_signals_end(signals);
    take_down(server);
    if (status == KV_OK && server->gave_up.status != KV_OK)
        *err = server->gave_up, status = err->status;
    return status;
}
