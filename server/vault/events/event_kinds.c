/* event_kinds.c - the types of events. Azure's names where Azure has one. */
#include "server/vault/events/event_kinds.h"

#define AZURE(name) "Microsoft.KeyVault." name
#define OWN(name)   "KeyVault." name

enum {
    VERSION = KV_EVENT_HAS_OBJECT | KV_EVENT_HAS_VERSION | KV_EVENT_HAS_LIFE | KV_EVENT_HAS_CAUSE,
    CERTIFICATE = VERSION | KV_EVENT_HAS_CERTIFICATE,
    CERTIFICATE_END = CERTIFICATE | KV_EVENT_HAS_ERROR,
    CREDENTIAL = KV_EVENT_HAS_ISSUER | KV_EVENT_HAS_LIFE | KV_EVENT_HAS_CAUSE,
    FAILURE = KV_EVENT_HAS_OBJECT | KV_EVENT_HAS_ISSUER | KV_EVENT_HAS_ERROR | KV_EVENT_HAS_CAUSE
};

/* clang-format off */
/* shape: table */
static const kv_event_kind kinds[KV_EVENT_TYPE_COUNT] = {
    [KV_EVENT_CERTIFICATE_NEW_VERSION] =
        { AZURE("CertificateNewVersionCreated"), KV_EVENT_INFO,
          KV_COLLECTION_CERTIFICATES, CERTIFICATE },
    [KV_EVENT_CERTIFICATE_NEAR_EXPIRY] =
        { AZURE("CertificateNearExpiry"), KV_EVENT_WARNING,
          KV_COLLECTION_CERTIFICATES, CERTIFICATE_END },
    [KV_EVENT_CERTIFICATE_EXPIRED] =
        { AZURE("CertificateExpired"), KV_EVENT_ERROR,
          KV_COLLECTION_CERTIFICATES, CERTIFICATE_END },
    [KV_EVENT_KEY_NEW_VERSION] =
        { AZURE("KeyNewVersionCreated"), KV_EVENT_INFO, KV_COLLECTION_KEYS, VERSION },
    [KV_EVENT_KEY_NEAR_EXPIRY] =
        { AZURE("KeyNearExpiry"), KV_EVENT_WARNING, KV_COLLECTION_KEYS, VERSION },
    [KV_EVENT_KEY_EXPIRED] =
        { AZURE("KeyExpired"), KV_EVENT_ERROR, KV_COLLECTION_KEYS, VERSION },
    [KV_EVENT_SECRET_NEW_VERSION] =
        { AZURE("SecretNewVersionCreated"), KV_EVENT_INFO, KV_COLLECTION_SECRETS, VERSION },
    [KV_EVENT_SECRET_NEAR_EXPIRY] =
        { AZURE("SecretNearExpiry"), KV_EVENT_WARNING, KV_COLLECTION_SECRETS, VERSION },
    [KV_EVENT_SECRET_EXPIRED] =
        { AZURE("SecretExpired"), KV_EVENT_ERROR, KV_COLLECTION_SECRETS, VERSION },
    [KV_EVENT_CERTIFICATE_ACTION_NEEDED] =
        { OWN("CertificateActionNeeded"), KV_EVENT_WARNING,
          KV_COLLECTION_CERTIFICATES, FAILURE },
    [KV_EVENT_CERTIFICATE_OPERATION_FAILED] =
        { OWN("CertificateOperationFailed"), KV_EVENT_ERROR,
          KV_COLLECTION_CERTIFICATES, FAILURE },
    [KV_EVENT_CERTIFICATE_RENEWAL_FAILED] =
        { OWN("CertificateRenewalFailed"), KV_EVENT_ERROR,
          KV_COLLECTION_CERTIFICATES, FAILURE | KV_EVENT_HAS_VERSION | KV_EVENT_HAS_LIFE },
    [KV_EVENT_ISSUER_UNHEALTHY] =
        { OWN("IssuerUnhealthy"), KV_EVENT_ERROR,
          KV_COLLECTION_NONE, KV_EVENT_HAS_ISSUER | KV_EVENT_HAS_ERROR },
    [KV_EVENT_ISSUER_HEALTHY] =
        { OWN("IssuerHealthy"), KV_EVENT_INFO, KV_COLLECTION_NONE, KV_EVENT_HAS_ISSUER },
    [KV_EVENT_ISSUER_CREDENTIAL_NEAR_EXPIRY] =
        { OWN("IssuerCredentialNearExpiry"), KV_EVENT_WARNING, KV_COLLECTION_NONE, CREDENTIAL },
    [KV_EVENT_ISSUER_CREDENTIAL_EXPIRED] =
        { OWN("IssuerCredentialExpired"), KV_EVENT_ERROR, KV_COLLECTION_NONE, CREDENTIAL },
    [KV_EVENT_ACCESS_DENIED] =
        { OWN("AccessDenied"), KV_EVENT_WARNING,
          KV_COLLECTION_NONE, KV_EVENT_HAS_OBJECT | KV_EVENT_HAS_CALLER },
    [KV_EVENT_KEY_DISABLED] =
        { OWN("KeyDisabled"), KV_EVENT_INFO,
          KV_COLLECTION_KEYS, KV_EVENT_HAS_OBJECT | KV_EVENT_HAS_VERSION | KV_EVENT_HAS_CAUSE },
    [KV_EVENT_KEY_DESTROYED] =
        { OWN("KeyDestroyed"), KV_EVENT_WARNING,
          KV_COLLECTION_KEYS, KV_EVENT_HAS_OBJECT | KV_EVENT_HAS_VERSION | KV_EVENT_HAS_CAUSE },
    [KV_EVENT_CERTIFICATE_RENEWAL_STARTED] =
        { OWN("CertificateRenewalStarted"), KV_EVENT_INFO, KV_COLLECTION_CERTIFICATES,
          KV_EVENT_HAS_OBJECT | KV_EVENT_HAS_VERSION | KV_EVENT_HAS_LIFE | KV_EVENT_HAS_ISSUER },
    [KV_EVENT_WEBHOOK_DISABLED] =
        { OWN("WebhookDisabled"), KV_EVENT_ERROR, KV_COLLECTION_NONE,
          KV_EVENT_HAS_OBJECT | KV_EVENT_HAS_ERROR | KV_EVENT_HAS_CAUSE },
};
/* clang-format on */

const kv_event_kind *kv_event_kind_of(kv_event_type type)
{
    return &kinds[type];
}

bool kv_event_for_auditors(kv_event_type type)
{
    return (kinds[type].has & KV_EVENT_HAS_CALLER) != 0;
}

bool kv_event_type_named(kv_slice name, kv_event_type *out)
{
    for (int i = 0; i < KV_EVENT_TYPE_COUNT; i++)
        if (kv_slice_equal(name, kv_slice_text(kinds[i].name))) {
            *out = (kv_event_type)i;
            return true;
        }
    return false;
}

const char *kv_event_severity_name(kv_event_severity severity)
{
    static const char *const names[] = { "info", "warning", "error" };

    return names[severity];
}
