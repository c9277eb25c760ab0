/* event_kinds.h - the types of events: what they are called, how bad they are, what they tell.
 *
 * Threads: any; constant data.
 */
#pragma once

#include "server/auth/permission.h"
#include "server/store/schema.h"

/* A row each in event_kinds.c. The first nine are Azure's. */
typedef enum kv_event_type {
    KV_EVENT_CERTIFICATE_NEW_VERSION,
    KV_EVENT_CERTIFICATE_NEAR_EXPIRY,
    KV_EVENT_CERTIFICATE_EXPIRED,
    KV_EVENT_KEY_NEW_VERSION,
    KV_EVENT_KEY_NEAR_EXPIRY,
    KV_EVENT_KEY_EXPIRED,
    KV_EVENT_SECRET_NEW_VERSION,
    KV_EVENT_SECRET_NEAR_EXPIRY,
    KV_EVENT_SECRET_EXPIRED,
    KV_EVENT_CERTIFICATE_ACTION_NEEDED,    /* an operation waits for somebody, as to merge */
    KV_EVENT_CERTIFICATE_OPERATION_FAILED, /* for good */
    KV_EVENT_CERTIFICATE_RENEWAL_FAILED,   /* an attempt; there will be another */
    KV_EVENT_ISSUER_UNHEALTHY,
    KV_EVENT_ISSUER_HEALTHY, /* again */
    KV_EVENT_ACCESS_DENIED,  /* at most one per principal, operation and hour */
    KV_EVENT_KEY_DISABLED,
    KV_EVENT_KEY_DESTROYED,
    KV_EVENT_CERTIFICATE_RENEWAL_STARTED,
    KV_EVENT_ISSUER_CREDENTIAL_NEAR_EXPIRY,
    KV_EVENT_ISSUER_CREDENTIAL_EXPIRED,
    KV_EVENT_WEBHOOK_DISABLED, /* by the server: it is gone, or took nothing for days */
    KV_EVENT_TYPE_COUNT
} kv_event_type;

typedef enum kv_event_severity {
    KV_EVENT_INFO,
    KV_EVENT_WARNING,
    KV_EVENT_ERROR
} kv_event_severity;

/* Which fields of a kv_event_row an event of a type may have, beside those that all have: sequence,
 * time, type, vault. */
enum {
    KV_EVENT_HAS_OBJECT = 1,      /* collection, object_uid, name */
    KV_EVENT_HAS_VERSION = 2,     /* version */
    KV_EVENT_HAS_LIFE = 4,        /* not_before, expires */
    KV_EVENT_HAS_CERTIFICATE = 8, /* sha256, issuer */
    KV_EVENT_HAS_CAUSE = 16,      /* cause */
    KV_EVENT_HAS_ERROR = 32,      /* error_code, error_message: perhaps */
    KV_EVENT_HAS_ISSUER = 64,     /* issuer; name is that of nothing */
    KV_EVENT_HAS_CALLER = 128     /* principal, operation; for auditors alone */
};

typedef struct kv_event_kind {
    const char *name; /* "Microsoft.KeyVault.CertificateNewVersionCreated" */
    kv_event_severity severity;
    kv_collection collection; /* of its object; none where it has no object or any */
    unsigned has;             /* KV_EVENT_HAS_... */
} kv_event_kind;

const kv_event_kind *kv_event_kind_of(kv_event_type type);
/* Who tried what: nothing for those who may read the object, but for who may read the audit log. */
bool kv_event_for_auditors(kv_event_type type);
/* False when there is no such type. */
bool kv_event_type_named(kv_slice name, kv_event_type *out);
const char *kv_event_severity_name(kv_event_severity severity); /* "info", "warning", "error" */
