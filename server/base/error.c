/* error.c - the two tables of statuses and reasons, and how an error is filled. */
#include "server/base/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "server/base/text.h"

static const kv_spelling spellings[KV_STATUS_COUNT] = {
    [KV_OK] = { "OK", 0, 200, "" },
    [KV_BAD_REQUEST] = { "INVALID_ARGUMENT", 3, 400, "BadParameter" },
    [KV_UNAUTHENTICATED] = { "UNAUTHENTICATED", 16, 401, "Unauthorized" },
    [KV_DENIED] = { "PERMISSION_DENIED", 7, 403, "Forbidden" },
    [KV_NOT_FOUND] = { "NOT_FOUND", 5, 404, "NotFound" },
    [KV_EXISTS] = { "ALREADY_EXISTS", 6, 409, "Conflict" },
    [KV_CONFLICT] = { "ABORTED", 10, 409, "Conflict" },
    [KV_PRECONDITION] = { "FAILED_PRECONDITION", 9, 409, "Conflict" },
    [KV_BUSY] = { "RESOURCE_EXHAUSTED", 8, 429, "Throttled" },
    [KV_TIMEOUT] = { "DEADLINE_EXCEEDED", 4, 504, "Timeout" },
    [KV_CANCELLED] = { "CANCELLED", 1, 499, "ClientClosed" },
    [KV_UNSUPPORTED] = { "UNIMPLEMENTED", 12, 501, "NotSupported" },
    [KV_UNAVAILABLE] = { "UNAVAILABLE", 14, 503, "ServiceUnavailable" },
    [KV_INTERNAL] = { "INTERNAL", 13, 500, "InternalError" },
};

static const char *const reasons[KV_REASON_COUNT] = {
    [KV_REASON_NONE] = "",
    [KV_REASON_DISABLED] = "DISABLED",
    [KV_REASON_DESTROYED] = "DESTROYED",
    [KV_REASON_NOT_YET_VALID] = "NOT_YET_VALID",
    [KV_REASON_EXPIRED] = "EXPIRED",
    [KV_REASON_OPERATION_NOT_PERMITTED] = "OPERATION_NOT_PERMITTED",
    [KV_REASON_SOFT_DELETED] = "SOFT_DELETED",
    [KV_REASON_MANAGED] = "MANAGED",
    [KV_REASON_NOT_EXPORTABLE] = "NOT_EXPORTABLE",
    [KV_REASON_PURGE_PROTECTED] = "PURGE_PROTECTED",
    [KV_REASON_OPERATION_IN_PROGRESS] = "OPERATION_IN_PROGRESS",
    [KV_REASON_SEPARATION_OF_DUTY] = "SEPARATION_OF_DUTY",
    [KV_REASON_PERMISSION_MISSING] = "PERMISSION_MISSING",
    [KV_REASON_TOKEN_EXPIRED] = "TOKEN_EXPIRED",
    [KV_REASON_TOKEN_REVOKED] = "TOKEN_REVOKED",
    [KV_REASON_TOKEN_INVALID] = "TOKEN_INVALID",
    [KV_REASON_ID_TOKEN_INVALID] = "ID_TOKEN_INVALID",
    [KV_REASON_CERTIFICATE_UNKNOWN] = "CERTIFICATE_UNKNOWN",
    [KV_REASON_CERTIFICATE_EXPIRED] = "CERTIFICATE_EXPIRED",
    [KV_REASON_LIMIT_REACHED] = "LIMIT_REACHED",
    [KV_REASON_NOT_SUPPORTED_BY_TOKEN] = "NOT_SUPPORTED_BY_TOKEN",
    [KV_REASON_TOKEN_UNAVAILABLE] = "TOKEN_UNAVAILABLE",
    [KV_REASON_ISSUER_RULES] = "ISSUER_RULES",
    [KV_REASON_INTEGRITY] = "INTEGRITY",
};

/* What was cut, here or by whoever wrote it, must not end in half a character: messages are UTF-8
 * for clients that accept nothing else. */
KV_PRINTF(3, 0)
static void put(char *out, size_t size, const char *format, va_list arguments)
{
    (void)vsnprintf(out, size, format, arguments);
    kv_text_mend(out);
}

kv_status kv_fail(kv_error *err, kv_status status, const char *message, ...)
{
    va_list arguments;

    *err = (kv_error){ .status = status };
    va_start(arguments, message);
    put(err->message, sizeof(err->message), message, arguments);
    va_end(arguments);
    return status;
}

kv_status kv_fail_field(kv_error *err, const char *field, const char *message, ...)
{
    va_list arguments;

    *err = (kv_error){ .status = KV_BAD_REQUEST };
    (void)snprintf(err->field, sizeof(err->field), "%s", field);
    va_start(arguments, message);
    put(err->message, sizeof(err->message), message, arguments);
    va_end(arguments);
    return KV_BAD_REQUEST;
}

kv_status kv_because(kv_error *err, kv_reason reason)
{
    err->reason = reason;
    return err->status;
}

kv_status kv_note(kv_error *err, const char *detail, ...)
{
    va_list arguments;

    va_start(arguments, detail);
    put(err->detail, sizeof(err->detail), detail, arguments);
    va_end(arguments);
    return err->status;
}

const kv_spelling *kv_status_spelling(kv_status status)
{
    return status < KV_STATUS_COUNT ? &spellings[status] : &spellings[KV_INTERNAL];
}

const char *kv_reason_name(kv_reason reason)
{
    return reason < KV_REASON_COUNT ? reasons[reason] : "";
}
