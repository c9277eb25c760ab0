/* failure.h - what a call's end says, as the library's error.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "client/keyvault.h"
#include "server/base/error.h"
#include "server/base/slice.h"

/* The codes of google.rpc.Code that the client itself gives or looks at. */
enum {
    KV_CODE_OK = 0,
    KV_CODE_CANCELLED = 1,
    KV_CODE_INVALID_ARGUMENT = 3,
    KV_CODE_DEADLINE_EXCEEDED = 4,
    KV_CODE_NOT_FOUND = 5,
    KV_CODE_ALREADY_EXISTS = 6,
    KV_CODE_PERMISSION_DENIED = 7,
    KV_CODE_RESOURCE_EXHAUSTED = 8,
    KV_CODE_FAILED_PRECONDITION = 9,
    KV_CODE_ABORTED = 10,
    KV_CODE_INTERNAL = 13,
    KV_CODE_UNAVAILABLE = 14,
    KV_CODE_UNAUTHENTICATED = 16
};

/* Both return the code; a NULL `out` is fine. */
int kv_failure(keyvault_error *out, int code, const char *message, ...) KV_PRINTF(3, 4);
/* Of one of our own functions. */
int kv_failure_of(keyvault_error *out, const kv_error *err);
/* Of the server: `details` is a serialised google.rpc.Status, or empty. What cannot be read in it
 * is left out. */
int kv_failure_from_server(keyvault_error *out, int code, const char *message, kv_slice details);
