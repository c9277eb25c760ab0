/* permission.h - what an operation may require. Azure's data actions without their prefix, plus
 * ours.
 *
 * The text of each is in the table of policy.c; roles are sets of these.
 */
#pragma once

typedef enum kv_permission {
    KV_MAY_NOTHING = 0, /* a row that forgot: no role has it */
    KV_MAY_BE_ANYONE,   /* no credential at all: health */
    KV_MAY_BE_PROVED,   /* a certificate in force, known or not: IssueRoleToken */
    KV_MAY_BE_KNOWN,    /* a known certificate, no role token: WhoAmI */
    KV_MAY_CERTIFICATECAS_READ,
    KV_MAY_CERTIFICATECAS_WRITE,
    KV_MAY_CERTIFICATECAS_DELETE,
    KV_MAY_CERTIFICATECONTACTS_WRITE,
    KV_MAY_CERTIFICATES_READ,
    KV_MAY_CERTIFICATES_CREATE,
    KV_MAY_CERTIFICATES_IMPORT,
    KV_MAY_CERTIFICATES_UPDATE,
    KV_MAY_CERTIFICATES_DELETE,
    KV_MAY_CERTIFICATES_RECOVER,
    KV_MAY_CERTIFICATES_PURGE,
    KV_MAY_CERTIFICATES_BACKUP,
    KV_MAY_CERTIFICATES_RESTORE,
    KV_MAY_KEYROTATIONPOLICIES_READ,
    KV_MAY_KEYROTATIONPOLICIES_WRITE,
    KV_MAY_KEYS_READ,
    KV_MAY_KEYS_CREATE,
    KV_MAY_KEYS_IMPORT,
    KV_MAY_KEYS_UPDATE,
    KV_MAY_KEYS_DELETE,
    KV_MAY_KEYS_RECOVER,
    KV_MAY_KEYS_PURGE,
    KV_MAY_KEYS_BACKUP,
    KV_MAY_KEYS_RESTORE,
    KV_MAY_KEYS_ROTATE,
    KV_MAY_KEYS_SIGN,
    KV_MAY_KEYS_VERIFY,
    KV_MAY_KEYS_ENCRYPT,
    KV_MAY_KEYS_DECRYPT,
    KV_MAY_KEYS_WRAP,
    KV_MAY_KEYS_UNWRAP,
    KV_MAY_SECRETS_SET,
    KV_MAY_SECRETS_GET,         /* a plain secret's value */
    KV_MAY_SECRETS_GET_MANAGED, /* the secret that belongs to a certificate */
    KV_MAY_SECRETS_GET_ANY,     /* row only: GET or GET_MANAGED; the operation permits again */
    KV_MAY_SECRETS_READ_METADATA,
    KV_MAY_SECRETS_UPDATE,
    KV_MAY_SECRETS_DELETE,
    KV_MAY_SECRETS_RECOVER,
    KV_MAY_SECRETS_PURGE,
    KV_MAY_SECRETS_BACKUP,
    KV_MAY_SECRETS_RESTORE,
    KV_MAY_VAULTS_READ,
    KV_MAY_VAULTS_WRITE,
    KV_MAY_VAULTS_PURGE,
    KV_MAY_WEBHOOKS_ANY, /* row only: VAULTS_WRITE or AUDIT_READ; the operation permits again */
    KV_MAY_ACCESS_READ,
    KV_MAY_ACCESS_WRITE,
    KV_MAY_TOKENS_REVOKE,
    KV_MAY_APPROVALS_DECIDE,
    KV_MAY_AUDIT_READ,
    KV_MAY_EVIDENCE_READ,
    KV_MAY_SERVER_READ,
    KV_PERMISSION_COUNT
} kv_permission;

/* The collections of a vault. */
typedef enum kv_collection {
    KV_COLLECTION_NONE = 0, /* the vault itself, or the server */
    KV_COLLECTION_CERTIFICATES,
    KV_COLLECTION_KEYS,
    KV_COLLECTION_SECRETS,
    KV_COLLECTION_COUNT
} kv_collection;
