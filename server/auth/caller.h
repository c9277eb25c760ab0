/* caller.h - who is asking, once identified. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/auth/permission.h"
#include "server/base/slice.h"

enum { KV_PRINCIPAL_ID_BYTES = 16, KV_ROLES_PER_TOKEN = 8 };

typedef enum kv_role {
    KV_ROLE_NONE = 0,
    KV_ROLE_ACCESS_ADMINISTRATOR,
    KV_ROLE_VAULT_OPERATOR,
    KV_ROLE_ISSUER_OFFICER,
    KV_ROLE_CERTIFICATE_OFFICER,
    KV_ROLE_CERTIFICATE_IMPORTER,
    KV_ROLE_CERTIFICATE_READER,
    KV_ROLE_CERTIFICATE_USER,
    KV_ROLE_CRYPTO_OFFICER,
    KV_ROLE_CRYPTO_USER,
    KV_ROLE_CRYPTO_WRAP_USER,
    KV_ROLE_SECRETS_OFFICER,
    KV_ROLE_SECRETS_USER,
    KV_ROLE_READER,
    KV_ROLE_BACKUP_OPERATOR,
    KV_ROLE_RECOVERER,
    KV_ROLE_PURGE_OFFICER,
    KV_ROLE_APPROVER,
    KV_ROLE_AUDITOR,
    KV_ROLE_ADMINISTRATOR,
    KV_ROLE_COUNT
} kv_role;

/* All text is borrowed from the call's arena. */
typedef struct kv_caller {
    bool known;     /* the certificate belongs to a principal, or an ID token does */
    bool proved;    /* a certificate in force that belongs to nobody, where ID tokens are taken */
    bool federated; /* known by an identity provider's token, not by the certificate */
    bool tokened;   /* and a valid role token came with the call */
    uint8_t principal_id[KV_PRINCIPAL_ID_BYTES];
    kv_slice principal_name;   /* display name, for the audit record */
    int64_t epoch;             /* of the principal's grants, when identified */
    uint8_t thumbprint[32];    /* SHA-256 of the certificate */
    bool mapped;               /* by a certificate of a client CA: */
    uint8_t ca_sha256[32];     /* this one, */
    unsigned ca_generation;    /* as configured then */
    uint8_t credential_id[16]; /* through which the caller is known */
    uint8_t jti[16];           /* of the role token */
    kv_role roles[KV_ROLES_PER_TOKEN];
    unsigned role_count;
    kv_slice scope;     /* of the role token: "/", "/vaults/v", ... lower case */
    int64_t expires_ms; /* of the role token */
    int64_t certificate_not_after_ms;
    int64_t token_most_ms; /* of a federated caller: longest life of its next role token */
    kv_slice home_vault;   /* a management certificate counts in this vault only; empty otherwise */
} kv_caller;
