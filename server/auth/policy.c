/* policy.c - the table of permissions and the table of roles. */
#include "server/auth/policy.h"

#include <assert.h>
#include <stdint.h>

static const char *const permission_names[KV_PERMISSION_COUNT] = {
    [KV_MAY_CERTIFICATECAS_READ] = "certificatecas/read",
    [KV_MAY_CERTIFICATECAS_WRITE] = "certificatecas/write",
    [KV_MAY_CERTIFICATECAS_DELETE] = "certificatecas/delete",
    [KV_MAY_CERTIFICATECONTACTS_WRITE] = "certificatecontacts/write",
    [KV_MAY_CERTIFICATES_READ] = "certificates/read",
    [KV_MAY_CERTIFICATES_CREATE] = "certificates/create",
    [KV_MAY_CERTIFICATES_IMPORT] = "certificates/import",
    [KV_MAY_CERTIFICATES_UPDATE] = "certificates/update",
    [KV_MAY_CERTIFICATES_DELETE] = "certificates/delete",
    [KV_MAY_CERTIFICATES_RECOVER] = "certificates/recover",
    [KV_MAY_CERTIFICATES_PURGE] = "certificates/purge",
    [KV_MAY_CERTIFICATES_BACKUP] = "certificates/backup",
    [KV_MAY_CERTIFICATES_RESTORE] = "certificates/restore",
    [KV_MAY_KEYROTATIONPOLICIES_READ] = "keyrotationpolicies/read",
    [KV_MAY_KEYROTATIONPOLICIES_WRITE] = "keyrotationpolicies/write",
    [KV_MAY_KEYS_READ] = "keys/read",
    [KV_MAY_KEYS_CREATE] = "keys/create",
    [KV_MAY_KEYS_IMPORT] = "keys/import",
    [KV_MAY_KEYS_UPDATE] = "keys/update",
    [KV_MAY_KEYS_DELETE] = "keys/delete",
    [KV_MAY_KEYS_RECOVER] = "keys/recover",
    [KV_MAY_KEYS_PURGE] = "keys/purge",
    [KV_MAY_KEYS_BACKUP] = "keys/backup",
    [KV_MAY_KEYS_RESTORE] = "keys/restore",
    [KV_MAY_KEYS_ROTATE] = "keys/rotate",
    [KV_MAY_KEYS_SIGN] = "keys/sign",
    [KV_MAY_KEYS_VERIFY] = "keys/verify",
    [KV_MAY_KEYS_ENCRYPT] = "keys/encrypt",
    [KV_MAY_KEYS_DECRYPT] = "keys/decrypt",
    [KV_MAY_KEYS_WRAP] = "keys/wrap",
    [KV_MAY_KEYS_UNWRAP] = "keys/unwrap",
    [KV_MAY_SECRETS_SET] = "secrets/setSecret",
    [KV_MAY_SECRETS_GET] = "secrets/getSecret",
    [KV_MAY_SECRETS_GET_MANAGED] = "secrets/getManaged",
    [KV_MAY_SECRETS_GET_ANY] = "secrets/getSecret",
    [KV_MAY_SECRETS_READ_METADATA] = "secrets/readMetadata",
    [KV_MAY_SECRETS_UPDATE] = "secrets/update",
    [KV_MAY_SECRETS_DELETE] = "secrets/delete",
    [KV_MAY_SECRETS_RECOVER] = "secrets/recover",
    [KV_MAY_SECRETS_PURGE] = "secrets/purge",
    [KV_MAY_SECRETS_BACKUP] = "secrets/backup",
    [KV_MAY_SECRETS_RESTORE] = "secrets/restore",
    [KV_MAY_VAULTS_READ] = "vaults/read",
    [KV_MAY_VAULTS_WRITE] = "vaults/write",
    [KV_MAY_VAULTS_PURGE] = "vaults/purge",
    [KV_MAY_WEBHOOKS_ANY] = "vaults/write",
    [KV_MAY_ACCESS_READ] = "access/read",
    [KV_MAY_ACCESS_WRITE] = "access/write",
    [KV_MAY_TOKENS_REVOKE] = "tokens/revoke",
    [KV_MAY_APPROVALS_DECIDE] = "approvals/decide",
    [KV_MAY_AUDIT_READ] = "audit/read",
    [KV_MAY_EVIDENCE_READ] = "evidence/read",
    [KV_MAY_SERVER_READ] = "server/read",
};

/* A permission as a bit. The values no caller can hold have none, so no row can grant them. */
static_assert(KV_PERMISSION_COUNT <= 64, "a set of permissions is one word");
#define P(permission) (UINT64_C(1) << KV_MAY_##permission)

#define CERTIFICATECAS (P(CERTIFICATECAS_READ) | P(CERTIFICATECAS_WRITE) | P(CERTIFICATECAS_DELETE))
#define CERTIFICATES                                                             \
    (P(CERTIFICATES_READ) | P(CERTIFICATES_CREATE) | P(CERTIFICATES_IMPORT) |    \
     P(CERTIFICATES_UPDATE) | P(CERTIFICATES_DELETE) | P(CERTIFICATES_RECOVER) | \
     P(CERTIFICATES_PURGE) | P(CERTIFICATES_BACKUP) | P(CERTIFICATES_RESTORE))
#define ROTATION (P(KEYROTATIONPOLICIES_READ) | P(KEYROTATIONPOLICIES_WRITE))
#define KEY_USE                                                                         \
    (P(KEYS_SIGN) | P(KEYS_VERIFY) | P(KEYS_ENCRYPT) | P(KEYS_DECRYPT) | P(KEYS_WRAP) | \
     P(KEYS_UNWRAP))
#define KEY_OFFICE                                                                      \
    (P(KEYS_READ) | P(KEYS_CREATE) | P(KEYS_IMPORT) | P(KEYS_UPDATE) | P(KEYS_DELETE) | \
     P(KEYS_RECOVER) | P(KEYS_ROTATE))
#define KEY_KEEPING (P(KEYS_PURGE) | P(KEYS_BACKUP) | P(KEYS_RESTORE))
#define SECRET_OFFICE                                                                    \
    (P(SECRETS_SET) | P(SECRETS_READ_METADATA) | P(SECRETS_UPDATE) | P(SECRETS_DELETE) | \
     P(SECRETS_RECOVER))
#define SECRET_KEEPING (P(SECRETS_PURGE) | P(SECRETS_BACKUP) | P(SECRETS_RESTORE))

typedef struct kv_role_row {
    const char *name;
    uint64_t may;
} kv_role_row;

static const kv_role_row roles[KV_ROLE_COUNT] = {
    [KV_ROLE_NONE] = { "", 0 },
    [KV_ROLE_ACCESS_ADMINISTRATOR] = { "access-administrator",
                                       P(ACCESS_READ) | P(ACCESS_WRITE) | P(TOKENS_REVOKE) },
    [KV_ROLE_VAULT_OPERATOR] = { "vault-operator", P(VAULTS_READ) | P(VAULTS_WRITE) |
                                                       P(CERTIFICATECONTACTS_WRITE) |
                                                       P(SERVER_READ) },
    [KV_ROLE_ISSUER_OFFICER] = { "issuer-officer", CERTIFICATECAS },
    [KV_ROLE_CERTIFICATE_OFFICER] = { "certificate-officer",
                                      P(CERTIFICATECAS_READ) | P(CERTIFICATES_READ) |
                                          P(CERTIFICATES_CREATE) | P(CERTIFICATES_UPDATE) |
                                          P(CERTIFICATES_DELETE) | P(CERTIFICATES_RECOVER) },
    [KV_ROLE_CERTIFICATE_IMPORTER] = { "certificate-importer",
                                       P(CERTIFICATES_READ) | P(CERTIFICATES_IMPORT) },
    [KV_ROLE_CERTIFICATE_READER] = { "certificate-reader", P(CERTIFICATES_READ) | P(KEYS_READ) },
    [KV_ROLE_CERTIFICATE_USER] = { "certificate-user",
                                   P(CERTIFICATES_READ) | P(KEYS_READ) | P(SECRETS_GET_MANAGED) },
    [KV_ROLE_CRYPTO_OFFICER] = { "crypto-officer", KEY_OFFICE | ROTATION },
    [KV_ROLE_CRYPTO_USER] = { "crypto-user", P(KEYS_READ) | KEY_USE },
    [KV_ROLE_CRYPTO_WRAP_USER] = { "crypto-wrap-user",
                                   P(KEYS_READ) | P(KEYS_WRAP) | P(KEYS_UNWRAP) },
    [KV_ROLE_SECRETS_OFFICER] = { "secrets-officer", SECRET_OFFICE },
    [KV_ROLE_SECRETS_USER] = { "secrets-user", P(SECRETS_GET) | P(SECRETS_READ_METADATA) },
    [KV_ROLE_READER] = { "reader", P(CERTIFICATECAS_READ) | P(CERTIFICATES_READ) |
                                       P(KEYROTATIONPOLICIES_READ) | P(KEYS_READ) |
                                       P(SECRETS_READ_METADATA) | P(VAULTS_READ) | P(SERVER_READ) },
    [KV_ROLE_BACKUP_OPERATOR] = { "backup-operator", P(CERTIFICATES_BACKUP) |
                                                         P(CERTIFICATES_RESTORE) | P(KEYS_BACKUP) |
                                                         P(KEYS_RESTORE) | P(SECRETS_BACKUP) |
                                                         P(SECRETS_RESTORE) },
    /* Listing deleted objects is reading the collection. */
    [KV_ROLE_RECOVERER] = { "recoverer", P(CERTIFICATES_READ) | P(CERTIFICATES_RECOVER) |
                                             P(KEYS_READ) | P(KEYS_RECOVER) |
                                             P(SECRETS_READ_METADATA) | P(SECRETS_RECOVER) },
    [KV_ROLE_PURGE_OFFICER] = { "purge-officer", P(CERTIFICATES_PURGE) | P(KEYS_PURGE) |
                                                     P(SECRETS_PURGE) | P(VAULTS_PURGE) },
    [KV_ROLE_APPROVER] = { "approver", P(APPROVALS_DECIDE) },
    [KV_ROLE_AUDITOR] = { "auditor", P(AUDIT_READ) | P(EVIDENCE_READ) | P(ACCESS_READ) },
    [KV_ROLE_ADMINISTRATOR] = { "administrator",
                                CERTIFICATECAS | P(CERTIFICATECONTACTS_WRITE) | CERTIFICATES |
                                    ROTATION | KEY_OFFICE | KEY_USE | KEY_KEEPING | SECRET_OFFICE |
                                    SECRET_KEEPING | P(SECRETS_GET) | P(SECRETS_GET_MANAGED) },
};

static bool holds(kv_role role, uint64_t permissions)
{
    return (roles[role].may & permissions) != 0;
}

const char *kv_permission_name(kv_permission permission)
{
    if ((unsigned)permission >= KV_PERMISSION_COUNT || !permission_names[permission])
        return "";
    return permission_names[permission];
}

/* The two that a permission of a row stands for; 0: it stands for itself. */
static uint64_t either_of(kv_permission permission)
{
    if (permission == KV_MAY_SECRETS_GET_ANY)
        return P(SECRETS_GET) | P(SECRETS_GET_MANAGED);
    return permission == KV_MAY_WEBHOOKS_ANY ? P(VAULTS_WRITE) | P(AUDIT_READ) : 0;
}

bool kv_permission_of_row_only(kv_permission permission)
{
    return either_of(permission) != 0;
}

kv_permission kv_permission_find(kv_slice name)
{
    for (unsigned i = KV_MAY_NOTHING + 1; i < KV_PERMISSION_COUNT; i++) {
        if (!kv_permission_of_row_only((kv_permission)i) && name.len &&
            kv_slice_equal(name, kv_slice_text(kv_permission_name((kv_permission)i))))
            return (kv_permission)i;
    }
    return KV_MAY_NOTHING;
}

const char *kv_role_name(kv_role role)
{
    return (unsigned)role < KV_ROLE_COUNT ? roles[role].name : "";
}

kv_role kv_role_find(kv_slice name)
{
    for (unsigned i = KV_ROLE_NONE + 1; i < KV_ROLE_COUNT; i++) {
        if (kv_slice_equal(name, kv_slice_text(roles[i].name)))
            return (kv_role)i;
    }
    return KV_ROLE_NONE;
}

bool kv_role_may(kv_role role, kv_permission permission)
{
    if ((unsigned)role >= KV_ROLE_COUNT || kv_permission_name(permission)[0] == '\0')
        return false;
    if (kv_permission_of_row_only(permission))
        return holds(role, either_of(permission));
    return holds(role, UINT64_C(1) << permission);
}
