/* error.h - what went wrong, for the caller and for us.
 *
 * Every function that can fail returns a kv_status and takes a kv_error as its last argument.
 * The error is filled exactly once, where the failure is understood; callers pass it up untouched.
 * Outputs are written only on success. The error lives in the call, never in thread-local storage.
 */
#pragma once

#include "server/base/compiler.h"

typedef enum kv_status {
    KV_OK = 0,
    KV_BAD_REQUEST,     /* malformed, or out of range; `field` names the offender */
    KV_UNAUTHENTICATED, /* we do not know who is asking */
    KV_DENIED,          /* we know, and the answer is no */
    KV_NOT_FOUND,
    KV_EXISTS,
    KV_CONFLICT,     /* it changed under the caller */
    KV_PRECONDITION, /* the object or the server is not in a state that allows it */
    KV_BUSY,         /* a bounded queue or budget is full: retry after `retry_ms` */
    KV_TIMEOUT,      /* the caller's deadline passed */
    KV_CANCELLED,    /* the caller hung up */
    KV_UNSUPPORTED,
    KV_UNAVAILABLE, /* token, store or audit log is out of reach */
    KV_INTERNAL,    /* our bug, or a seal that does not hold: say nothing more to the caller */
    KV_STATUS_COUNT
} kv_status;

/* Why, where a client must tell two cases of one status apart. Told as google.rpc.ErrorInfo.reason
 * (upper-case name from the table in error.c). */
typedef enum kv_reason {
    KV_REASON_NONE = 0,
    KV_REASON_DISABLED,
    KV_REASON_DESTROYED, /* the key of this version is gone from the token, or about to go */
    KV_REASON_NOT_YET_VALID,
    KV_REASON_EXPIRED,
    KV_REASON_OPERATION_NOT_PERMITTED, /* key_ops does not list it */
    KV_REASON_SOFT_DELETED,            /* the name is taken by a deleted object */
    KV_REASON_MANAGED,                 /* belongs to a certificate: work on that */
    KV_REASON_NOT_EXPORTABLE,
    KV_REASON_PURGE_PROTECTED,
    KV_REASON_OPERATION_IN_PROGRESS,
    KV_REASON_SEPARATION_OF_DUTY,
    KV_REASON_PERMISSION_MISSING,
    KV_REASON_TOKEN_EXPIRED, /* the role token: ask for a new one */
    KV_REASON_TOKEN_REVOKED, /* the role token */
    KV_REASON_TOKEN_INVALID, /* the role token: malformed, foreign, or bound to another certificate
                              */
    KV_REASON_ID_TOKEN_INVALID,    /* what an identity provider signed, or was said to have */
    KV_REASON_CERTIFICATE_UNKNOWN, /* the client certificate */
    KV_REASON_CERTIFICATE_EXPIRED, /* the client certificate */
    KV_REASON_LIMIT_REACHED,
    KV_REASON_NOT_SUPPORTED_BY_TOKEN,
    KV_REASON_TOKEN_UNAVAILABLE, /* a PKCS#11 token is out of reach */
    KV_REASON_ISSUER_RULES,      /* the issuer may not be used for that name, or by that caller */
    KV_REASON_INTEGRITY,         /* a sealed row does not verify */
    KV_REASON_COUNT
} kv_reason;

typedef struct kv_error {
    kv_status status;
    kv_reason reason;
    unsigned retry_ms; /* with KV_BUSY and KV_UNAVAILABLE: when to try again; 0 says nothing */
    char field[64];    /* path of the offending field as spelled in the .proto, "" if none */
    char message[192]; /* may be told to the caller */
    char detail[192];  /* for the log: CKR names, SQL states, file paths */
} kv_error;

/* All return err->status, so a failing line reads: return kv_fail(err, ...); */
kv_status kv_fail(kv_error *err, kv_status status, const char *message, ...) KV_PRINTF(3, 4);
/* KV_BAD_REQUEST about one field: kv_fail_field(err, "policy.key_props.key_size", "must be ...").
 */
kv_status kv_fail_field(kv_error *err, const char *field, const char *message, ...) KV_PRINTF(3, 4);
/* Add to an error that kv_fail has filled. */
kv_status kv_because(kv_error *err, kv_reason reason);
kv_status kv_note(kv_error *err, const char *detail, ...) KV_PRINTF(2, 3);

/* How each door spells a status. One row per status, in error.c. */
typedef struct kv_spelling {
    const char *name; /* the canonical gRPC status name, such as "INVALID_ARGUMENT" */
    int grpc;
    int http;
    const char *azure;
} kv_spelling;

const kv_spelling *kv_status_spelling(kv_status status);
/* "" for KV_REASON_NONE. */
const char *kv_reason_name(kv_reason reason);

/* The only macro in the code base that hides a return. */
#define KV_TRY(call)                \
    do {                            \
        kv_status kv_try_ = (call); \
        if (kv_try_ != KV_OK)       \
            return kv_try_;         \
    } while (0)
