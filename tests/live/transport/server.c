/* server.c - the test server put together. */
#include "tests/live/transport/server.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/live/transport/routes.h"

static kv_status identify(void *context, kv_call *call)
{
    const kv_test_server *server = context;

    if (!call->peer.has_certificate && !server->strangers) {
        kv_fail(&call->error, KV_UNAUTHENTICATED, "a client certificate is needed");
        return kv_because(&call->error, KV_REASON_CERTIFICATE_UNKNOWN);
    }
    call->caller.known = true;
    /* The fake role: the credential itself, copied because it is wiped. */
    KV_TRY(kv_arena_copy(&call->arena, call->credential, &call->caller.scope, &call->error));
    call->caller.principal_name = KV_SLICE("tester");
    return KV_OK;
}

static kv_status permit(void *context, kv_call *call)
{
    (void)context;
    if (!kv_slice_equal(call->caller.scope, KV_SLICE("no role")))
        return KV_OK;
    kv_fail(&call->error, KV_DENIED, "the role token lacks the permission");
    return kv_because(&call->error, KV_REASON_PERMISSION_MISSING);
}

static void audit_post(void *context, kv_call *calls)
{
    kv_test_server *server = context;

    while (calls) {
        kv_call *call = calls;

        calls = call->next;
        atomic_fetch_add(&server->posted, 1);
        if (call->late)
            atomic_fetch_add(&server->late, 1);
        kv_call_answer(call);
    }
}

static void audit_refused(void *context, const kv_refused *refused)
{
    kv_test_server *server = context;

    (void)refused;
    atomic_fetch_add(&server->refused, 1);
}

static void audit_left(void *context, const uint8_t request_id[16], const kv_route *route,
                       const kv_peer *peer, kv_status status)
{
    kv_test_server *server = context;

    (void)request_id;
    (void)route;
    (void)peer;
    (void)status;
    atomic_fetch_add(&server->left, 1);
}

kv_front_config kv_test_front_config(void)
{
    return (kv_front_config){ .listen = "127.0.0.1:0", .loops = 2 };
}

kv_lanes_config kv_test_lanes_config(void)
{
    return (kv_lanes_config){ .lane = {
                                  [KV_LANE_KEYS] = { .workers = 2, .queue = 2048 },
                                  [KV_LANE_SLOW] = { .workers = 4, .queue = 64 },
                                  [KV_LANE_HANDSHAKE] = { .workers = 2, .queue = 512 },
                              } };
}

static void must(kv_status status, const kv_error *err)
{
    if (status == KV_OK)
        return;
    (void)fprintf(stderr, "test server: %s (%s)\n", err->message, err->detail);
    abort();
}

void kv_test_server_start(kv_test_server *server, const kv_front_config *config,
                          const kv_lanes_config *lanes, const kv_test_certs *certs)
{
    kv_tls_identity identity = { 0 };
    kv_error err = { 0 };

    *server = (kv_test_server){ .tls12 = server->tls12, .log = server->log };
    server->services = (kv_services){
        .routes = kv_test_routes,
        .route_count = kv_test_route_count,
        .gates = { .identify = identify,
                   .permit = permit,
                   .audit_post = audit_post,
                   .audit_refused = audit_refused,
                   .audit_left = audit_left,
                   .context = server },
        .log = server->log,
    };
    must(kv_tls_identity_read(certs->server, certs->server_key, &identity, &err), &err);
    identity.also_tls12 = server->tls12;
    must(kv_tls_new(&identity, &server->tls, &err), &err);
    kv_tls_identity_cleanup(&identity);
    must(kv_lanes_new(lanes, &server->lanes, &err), &err);
    must(
        kv_front_start(config, &server->services, server->lanes, server->tls, &server->front, &err),
        &err);
    kv_front_set_serving(server->front, true);
}

bool kv_test_server_stop(kv_test_server *server)
{
    bool drained = kv_front_drain(server->front);

    atomic_store(&server->held, false);
    kv_lanes_stop(server->lanes);
    kv_front_stop(server->front);
    kv_lanes_free(server->lanes);
    kv_tls_free(server->tls);
    return drained;
}
