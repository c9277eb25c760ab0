/* health.c - Check and Watch. */
#include "server/front/grpc/health.h"

#include <grpc/health/v1/health.pb-c.h>

enum { MOST_REQUEST_BYTES = 512, RESPONSE_BYTES = 16 };

#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

bool kv_health_is(kv_slice path, bool *watches)
{
    *watches = kv_slice_equal(path, KV_SLICE("/grpc.health.v1.Health/Watch"));
    return *watches || kv_slice_equal(path, KV_SLICE("/grpc.health.v1.Health/Check"));
}

static int status_now(const kv_front *front)
{
    return atomic_load(&front->serving) && !atomic_load(&front->draining) ? STATUS(SERVING)
                                                                          : STATUS(NOT_SERVING);
}

static void send_status(kv_stub *stub, int status)
{
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    uint8_t packed[RESPONSE_BYTES];
    kv_error err;
    size_t len;

    response.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)status;
    len = grpc__health__v1__health_check_response__pack(&response, packed);
    stub->told = status;
    if (kv_grpc_stream_send(stub->stream, kv_slice_of(packed, len), &err) != KV_OK)
        kv_door_finish(stub, &err);
}

static bool is_known(const kv_front *front, const char *service)
{
    return !service[0] || !strcmp(service, "grpc.health.v1.Health") ||
           kv_methods_has_service(front->methods, kv_slice_text(service));
}

static void check(kv_stub *stub)
{
    kv_error err;

    if (!stub->known) {
        kv_fail(&err, KV_NOT_FOUND, "this server has no such service");
        kv_door_finish(stub, &err);
        return;
    }
    send_status(stub, status_now(stub->loop->front));
    kv_door_finish(stub, NULL);
}

void kv_health_call(kv_stub *stub)
{
    kv_slice message = kv_grpc_stream_request(stub->stream)->message;
    Grpc__Health__V1__HealthCheckRequest *request = NULL;
    kv_error err;

    if (message.len <= MOST_REQUEST_BYTES)
        request = grpc__health__v1__health_check_request__unpack(NULL, message.len, message.data);
    if (!request) {
        kv_fail(&err, KV_BAD_REQUEST, "malformed health check");
        kv_door_finish(stub, &err);
        return;
    }
    stub->known = is_known(stub->loop->front, request->service);
    grpc__health__v1__health_check_request__free_unpacked(request, NULL);
    if (!stub->watches)
        check(stub);
    else if (stub->known)
        send_status(stub, status_now(stub->loop->front));
    else
        send_status(stub, STATUS(SERVICE_UNKNOWN));
}

/* A watcher would hold a drain up: it hears NOT_SERVING and is sent away. */
static void send_away(kv_stub *stub)
{
    kv_error err;

    kv_fail(&err, KV_UNAVAILABLE, "the server is shutting down");
    kv_door_finish(stub, &err);
}

void kv_health_tell(kv_stub *stub)
{
    int status = status_now(stub->loop->front);

    /* 0 is "unknown": the watcher's request is not complete yet. */
    if (stub->answered || !stub->stream || !stub->told)
        return;
    if (stub->known && status != stub->told)
        send_status(stub, status);
    if (atomic_load(&stub->loop->front->draining) && !stub->answered)
        send_away(stub);
}
