/* pb_error.c - an error as google.rpc.Status with its standard details. */
#include <stdio.h>

#include "google/protobuf/any.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "server/wire/pb_impl.h"

enum { DETAILS_MAX = 3 };

/* Every detail travels as an Any that names its type. */
static void add(kv_pb_writer *writer, Google__Rpc__Status *status, const ProtobufCMessage *detail,
                kv_error *err)
{
    Google__Protobuf__Any *any = kv_pb_new(writer, &google__protobuf__any__descriptor);
    char url[64];
    kv_slice packed;

    if (!any || kv_pb_pack(writer, detail, &packed, err) != KV_OK) {
        writer->full = true;
        return;
    }
    (void)snprintf(url, sizeof(url), "type.googleapis.com/%s", detail->descriptor->name);
    any->type_url = kv_pb_text(writer, kv_slice_text(url));
    any->value = kv_pb_bytes(packed);
    status->details[status->n_details++] = any;
}

static void add_field(kv_pb_writer *writer, Google__Rpc__Status *status, const kv_error *error,
                      kv_error *err)
{
    Google__Rpc__BadRequest request = GOOGLE__RPC__BAD_REQUEST__INIT;
    Google__Rpc__BadRequest__FieldViolation violation =
        GOOGLE__RPC__BAD_REQUEST__FIELD_VIOLATION__INIT;
    Google__Rpc__BadRequest__FieldViolation *violations[] = { &violation };

    violation.field = kv_pb_text(writer, kv_slice_text(error->field));
    violation.description = kv_pb_text(writer, kv_slice_text(error->message));
    request.field_violations = violations;
    request.n_field_violations = 1;
    add(writer, status, &request.base, err);
}

static void add_reason(kv_pb_writer *writer, Google__Rpc__Status *status, const kv_error *error,
                       kv_error *err)
{
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;

    info.reason = kv_pb_text(writer, kv_slice_text(kv_reason_name(error->reason)));
    info.domain = kv_pb_text(writer, KV_SLICE("keyvault"));
    add(writer, status, &info.base, err);
}

static void add_retry(kv_pb_writer *writer, Google__Rpc__Status *status, const kv_error *error,
                      kv_error *err)
{
    Google__Rpc__RetryInfo info = GOOGLE__RPC__RETRY_INFO__INIT;
    Google__Protobuf__Duration delay = GOOGLE__PROTOBUF__DURATION__INIT;

    delay.seconds = error->retry_ms / 1000;
    delay.nanos = (int32_t)(error->retry_ms % 1000) * 1000000;
    info.retry_delay = &delay;
    add(writer, status, &info.base, err);
}

kv_status kv_pb_write_error(const kv_error *error, kv_arena *arena, kv_slice *body, kv_error *err)
{
    kv_pb_writer writer = { .arena = arena };
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    Google__Protobuf__Any *details[DETAILS_MAX];
    bool silent = error->status == KV_INTERNAL;

    status.code = kv_status_spelling(error->status)->grpc;
    status.message =
        kv_pb_text(&writer, silent ? KV_SLICE("internal error") : kv_slice_text(error->message));
    status.details = details;
    if (error->field[0] && !silent)
        add_field(&writer, &status, error, err);
    if (error->reason != KV_REASON_NONE)
        add_reason(&writer, &status, error, err);
    if (error->retry_ms)
        add_retry(&writer, &status, error, err);
    return kv_pb_pack(&writer, &status.base, body, err);
}
