/* failure.c - reading google.rpc.Status. */
#include "client/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>

enum { MS_PER_SECOND = 1000, NS_PER_MS = 1000000, LONGEST_RETRY_S = 86400 };

const char *keyvault_code_name(int code)
{
    static const char *const names[] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    };

    return code >= 0 && (size_t)code < KV_COUNT(names) ? names[code] : "UNKNOWN";
}

static void fill(keyvault_error *out, int code, const char *message)
{
    *out = (keyvault_error){ .code = code };
    (void)snprintf(out->name, sizeof(out->name), "%s", keyvault_code_name(code));
    (void)snprintf(out->message, sizeof(out->message), "%s", message);
}

int kv_failure(keyvault_error *out, int code, const char *message, ...)
{
    char text[sizeof(out->message)];
    va_list args;

    if (!out)
        return code;
    va_start(args, message);
    (void)vsnprintf(text, sizeof(text), message, args);
    va_end(args);
    fill(out, code, text);
    return code;
}

int kv_failure_of(keyvault_error *out, const kv_error *err)
{
    int code = kv_status_spelling(err->status)->grpc;

    if (!out)
        return code;
    fill(out, code, err->message);
    (void)snprintf(out->reason, sizeof(out->reason), "%s", kv_reason_name(err->reason));
    (void)snprintf(out->field, sizeof(out->field), "%s", err->field);
    out->retry_ms = err->retry_ms;
    return code;
}

static bool is(const Google__Protobuf__Any *any, const char *type)
{
    const char *slash = strrchr(any->type_url, '/');

    return slash && !strcmp(slash + 1, type);
}

static void take_reason(const Google__Protobuf__Any *any, keyvault_error *out)
{
    Google__Rpc__ErrorInfo *info =
        google__rpc__error_info__unpack(NULL, any->value.len, any->value.data);

    if (!info)
        return;
    (void)snprintf(out->reason, sizeof(out->reason), "%s", info->reason);
    google__rpc__error_info__free_unpacked(info, NULL);
}

static void take_field(const Google__Protobuf__Any *any, keyvault_error *out)
{
    Google__Rpc__BadRequest *bad =
        google__rpc__bad_request__unpack(NULL, any->value.len, any->value.data);

    if (!bad)
        return;
    if (bad->n_field_violations)
        (void)snprintf(out->field, sizeof(out->field), "%s", bad->field_violations[0]->field);
    google__rpc__bad_request__free_unpacked(bad, NULL);
}

static void take_retry(const Google__Protobuf__Any *any, keyvault_error *out)
{
    Google__Rpc__RetryInfo *info =
        google__rpc__retry_info__unpack(NULL, any->value.len, any->value.data);
    const Google__Protobuf__Duration *delay = info ? info->retry_delay : NULL;

    if (delay && delay->seconds >= 0 && delay->seconds <= LONGEST_RETRY_S && delay->nanos >= 0)
        out->retry_ms = (uint32_t)(delay->seconds * MS_PER_SECOND + delay->nanos / NS_PER_MS);
    if (info)
        google__rpc__retry_info__free_unpacked(info, NULL);
}

int kv_failure_from_server(keyvault_error *out, int code, const char *message, kv_slice details)
{
    Google__Rpc__Status *status;

    if (!out)
        return code;
    fill(out, code, message);
    if (!details.len)
        return code;
    status = google__rpc__status__unpack(NULL, details.len, details.data);
    if (!status)
        return code;
    if (*status->message)
        (void)snprintf(out->message, sizeof(out->message), "%s", status->message);
    for (size_t i = 0; i < status->n_details; i++) {
        if (is(status->details[i], "google.rpc.ErrorInfo"))
            take_reason(status->details[i], out);
        else if (is(status->details[i], "google.rpc.BadRequest"))
            take_field(status->details[i], out);
        else if (is(status->details[i], "google.rpc.RetryInfo"))
            take_retry(status->details[i], out);
    }
    google__rpc__status__free_unpacked(status, NULL);
    return code;
}
