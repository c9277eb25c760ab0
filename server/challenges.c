/* challenges.c - how this server proves control over names. */
#include "server/challenges.h"

#include "server/vault/operations/proofs.h"

static void page(void *context, const kv_plain_request *request, kv_arena *arena,
                 kv_plain_answer *out)
{
    kv_error err = { 0 };
    kv_status status = kv_http01_page(context, request->rest, arena, &out->body, &err);

    out->type = "application/octet-stream";
    out->status = status == KV_OK ? 200 : status == KV_NOT_FOUND ? 404 : 503;
}

kv_plain_route kv_challenges_route(kv_server *server)
{
    return (kv_plain_route){ KV_HTTP01_PATH, KV_PLAIN_GET, page, &server->challenges.http01 };
}

static void add(kv_challenges *challenges, const kv_challenge *challenge, void *context)
{
    challenges->solvers[challenges->solver_count++] = (kv_challenge_solver){ challenge, context };
}

static void prepare_run(kv_server *server, kv_dns_run *run)
{
    run->seconds = (unsigned)server->settings->acme_dns_seconds;
    run->settle_ms = (unsigned)server->settings->acme_dns_wait_seconds * 1000;
    run->log = server->log;
}

static void prepare_dns(kv_server *server)
{
    const kv_settings *settings = server->settings;
    kv_challenges *challenges = &server->challenges;

    prepare_run(server, &challenges->dns_hook.run);
    prepare_run(server, &challenges->dns_update.run);
    kv_dns_hook_open(&challenges->dns_hook);
    challenges->dns_hook.path = settings->acme_dns_hook;
    challenges->dns_update.server = settings->acme_dns_server;
    challenges->dns_update.zone = settings->acme_dns_zone;
    challenges->dns_update.key_name = settings->acme_dns_key_name;
    challenges->dns_update.algorithm = settings->acme_dns_key_algorithm;
    challenges->dns_update.key_file = settings->acme_dns_key_file;
    if (settings->acme_dns_hook[0])
        add(challenges, &kv_challenge_dns_hook, &challenges->dns_hook);
    if (settings->acme_dns_server[0])
        add(challenges, &kv_challenge_dns_update, &challenges->dns_update);
}

void kv_challenges_prepare(kv_server *server)
{
    const kv_settings *settings = server->settings;
    kv_challenges *challenges = &server->challenges;

    challenges->http01.board = &challenges->board;
    challenges->tls_alpn.board = &challenges->board;
    if (settings->acme_http_listen[0] || settings->pki_listen[0])
        add(challenges, &kv_challenge_http01, &challenges->http01);
    if (settings->acme_tls_alpn_listen[0])
        add(challenges, &kv_challenge_tls_alpn, &challenges->tls_alpn);
    prepare_dns(server);
    add(challenges, &kv_challenge_dns_persist, server->log);
}

static kv_status open_http(kv_server *server, kv_error *err)
{
    kv_challenges *challenges = &server->challenges;
    kv_plain_config config = { .listen = server->settings->acme_http_listen,
                               .threads = (unsigned)server->settings->acme_http_threads,
                               .routes = &challenges->http_route,
                               .route_count = 1,
                               .log = server->log };

    if (!config.listen[0])
        return KV_OK;
    challenges->http_route = kv_challenges_route(server);
    return kv_plain_start(&config, &challenges->http, err);
}

static kv_status certificate(void *context, kv_slice server_name, X509 **certificate,
                             EVP_PKEY **key, kv_error *err)
{
    return kv_tls_alpn_certificate(context, server_name, certificate, key, err);
}

static kv_status open_tls_alpn(kv_server *server, kv_error *err)
{
    kv_challenges *challenges = &server->challenges;
    kv_alpn_config config = { .listen = server->settings->acme_tls_alpn_listen,
                              .protocol = KV_TLS_ALPN_PROTOCOL,
                              .find = certificate,
                              .context = &challenges->tls_alpn };

    return config.listen[0] ? kv_alpn_start(&config, &challenges->alpn, err) : KV_OK;
}

kv_status kv_challenges_open(kv_server *server, kv_error *err)
{
    kv_challenges *challenges = &server->challenges;

    challenges->board = kv_vault_board(server->vault);
    KV_TRY(open_http(server, err));
    if (challenges->http)
        kv_server_tell_port(server, "acme-http-port", server->settings->acme_http_listen,
                            kv_plain_port(challenges->http));
    KV_TRY(open_tls_alpn(server, err));
    if (challenges->alpn)
        kv_server_tell_port(server, "acme-tls-port", server->settings->acme_tls_alpn_listen,
                            kv_alpn_port(challenges->alpn));
    return KV_OK;
}

void kv_challenges_stop(kv_server *server)
{
    kv_challenges *challenges = &server->challenges;

    atomic_store(&challenges->dns_hook.run.stopping, true);
    atomic_store(&challenges->dns_update.run.stopping, true);
    kv_plain_stop(challenges->http);
    challenges->http = NULL;
    kv_alpn_stop(challenges->alpn);
    challenges->alpn = NULL;
}

void kv_challenges_close(kv_server *server)
{
    if (server->challenges.solver_count)
        kv_dns_hook_close(&server->challenges.dns_hook);
    server->challenges.solver_count = 0;
}
