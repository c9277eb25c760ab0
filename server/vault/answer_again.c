/* answer_again.c - what a repeated call is answered: what the first one made, as it is now.
 *
 * One row per operation that changes something, by what it answers.
 */
#include <string.h>

#include "server/auth/principal_rows.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/certificates/certificate_show.h"
#include "server/vault/idempotency.h"
#include "server/vault/issuers/issuer_rules.h"
#include "server/vault/keys/key_rules.h"
#include "server/vault/messages/messages_access.h"
#include "server/vault/messages/messages_renewals.h"
#include "server/vault/operations/operations.h"
#include "server/vault/secrets/secret_rules.h"
#include "server/vault/values.h"
#include "server/vault/vault_rules.h"

typedef kv_status kv_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row, void *out,
                           kv_error *err);

/* Deleted or not. */
static kv_status find(kv_vault *vault, kv_work *work, const kv_idempotency_row *row,
                      kv_collection collection, kv_vault_row *vault_row, kv_object_row *object,
                      kv_error *err)
{
    bool exists = false;

    KV_TRY(kv_find_any_vault(vault, work, row->vault, vault_row, err));
    KV_TRY(kv_look_up_object(vault, work, vault_row->uid, collection, row->name, object, &exists,
                             err));
    if (!exists || object->purging)
        return kv_fail(err, KV_NOT_FOUND, "it is no more");
    return KV_OK;
}

static kv_slice version_of(const kv_idempotency_row *row, const kv_object_row *object)
{
    return row->version.len ? row->version : object->current;
}

static kv_status vault_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row,
                             void *out, kv_error *err)
{
    kv_vault_row found;

    KV_TRY(kv_find_any_vault(vault, work, row->vault, &found, err));
    return kv_vault_bundle_of(work, &found, out, err);
}

static kv_status key_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row, void *out,
                           kv_error *err)
{
    kv_vault_row vault_row;
    kv_object_row object;
    kv_key_version_row version;

    KV_TRY(find(vault, work, row, KV_COLLECTION_KEYS, &vault_row, &object, err));
    KV_TRY(kv_find_key_version(vault, work, object.uid, version_of(row, &object), &version, err));
    return kv_key_bundle_of(work, &vault_row, &object, &version, out, err);
}

static kv_status rotation_policy_again(kv_vault *vault, kv_work *work,
                                       const kv_idempotency_row *row, void *out, kv_error *err)
{
    kv_rotation_policy_get_in in = {
        .target = { .vault = row->vault, .collection = KV_COLLECTION_KEYS, .name = row->name }
    };

    return kv_rotation_policy_get(vault, work, &in, out, err);
}

static kv_status secret_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row,
                              void *out, kv_error *err)
{
    kv_vault_row vault_row;
    kv_object_row object;
    kv_secret_version_row version;

    KV_TRY(find(vault, work, row, KV_COLLECTION_SECRETS, &vault_row, &object, err));
    KV_TRY(
        kv_find_secret_version(vault, work, object.uid, version_of(row, &object), &version, err));
    return kv_secret_bundle_of(work, &vault_row, &object, &version, out, err);
}

static kv_status certificate_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row,
                                   void *out, kv_error *err)
{
    kv_vault_row vault_row;
    kv_object_row object;

    KV_TRY(find(vault, work, row, KV_COLLECTION_CERTIFICATES, &vault_row, &object, err));
    return kv_certificate_show(vault, work, &vault_row, &object, version_of(row, &object), out,
                               err);
}

static kv_status operation_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row,
                                 void *out, kv_error *err)
{
    kv_vault_row vault_row;
    kv_object_row object;
    kv_operation_row operation;
    bool exists = false;

    KV_TRY(find(vault, work, row, KV_COLLECTION_CERTIFICATES, &vault_row, &object, err));
    KV_TRY(kv_operation_find(vault, work, object.uid, &operation, &exists, err));
    if (!exists)
        return kv_fail(err, KV_NOT_FOUND, "it is no more");
    return kv_operation_out(work, &vault_row, &object, &operation, out, err);
}

/* The operation went with the first call. */
static kv_status removed_operation_again(kv_vault *vault, kv_work *work,
                                         const kv_idempotency_row *row, void *out, kv_error *err)
{
    kv_certificate_operation *gone = out;
    kv_vault_row vault_row;
    kv_object_row object;

    KV_TRY(find(vault, work, row, KV_COLLECTION_CERTIFICATES, &vault_row, &object, err));
    *gone = (kv_certificate_operation){ .id = kv_id_of(&vault_row, &object, row->version),
                                        .status = KV_SLICE("cancelled"),
                                        .status_details = KV_SLICE("it was deleted before") };
    return KV_OK;
}

static kv_status policy_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row,
                              void *out, kv_error *err)
{
    kv_certificate_policy_get_in in = { .target = { .vault = row->vault,
                                                    .collection = KV_COLLECTION_CERTIFICATES,
                                                    .name = row->name } };

    return kv_certificate_policy_get(vault, work, &in, out, err);
}

static kv_target authority_of(const kv_idempotency_row *row)
{
    return (kv_target){ .vault = row->vault, .name = row->name };
}

static kv_status authority_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row,
                                 void *out, kv_error *err)
{
    kv_authority_get_in in = { .target = authority_of(row) };

    return kv_authority_get(vault, work, &in, out, err);
}

/* The version in the record is the serial number. */
static kv_status revoked_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row,
                               void *out, kv_error *err)
{
    kv_authority_revoke_in in = { .target = authority_of(row), .serial = row->version };

    return kv_authority_revoke(vault, work, &in, out, err);
}

static kv_status issuer_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row,
                              void *out, kv_error *err)
{
    kv_issuer_get_in in = { .target = { .vault = row->vault, .issuer = row->name } };

    return kv_vault_issuer_get(vault, work, &in, out, err);
}

static kv_status account_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row,
                               void *out, kv_error *err)
{
    kv_target target = { .vault = row->vault, .issuer = row->name };

    return kv_issuer_account_of(vault, work, &target, out, err);
}

static kv_status contacts_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row,
                                void *out, kv_error *err)
{
    kv_contacts_get_in in = { .target = { .vault = row->vault } };

    return kv_vault_contacts_get(vault, work, &in, out, err);
}

static kv_status webhook_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row,
                               void *out, kv_error *err)
{
    kv_webhook_get_in in = { .target = { .vault = row->vault, .issuer = row->name } };

    return kv_vault_webhook_get(vault, work, &in, out, err);
}

/* What is left of it after the first call took it away, or did it: the name, or nothing. */
#define LEFT(function, type, ...)                                                            \
    static kv_status function(kv_vault *vault, kv_work *work, const kv_idempotency_row *row, \
                              void *out, kv_error *err)                                      \
    {                                                                                        \
        (void)vault;                                                                         \
        (void)work;                                                                          \
        (void)row;                                                                           \
        (void)err;                                                                           \
        *(type *)out = (type){ __VA_ARGS__ };                                                \
        return KV_OK;                                                                        \
    }

LEFT(removed_issuer_again, kv_issuer_bundle, .name = row->name)
LEFT(renewed_all_again, kv_renewed_all, .count = 0)
LEFT(removed_contacts_again, kv_contacts, .vault = row->vault)
LEFT(removed_webhook_again, kv_webhook_bundle, .vault = row->vault, .name = row->name)
LEFT(redelivered_again, kv_redelivered, 0)
LEFT(nothing_again, kv_nothing_out, 0)

static kv_status principal_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row,
                                 void *out, kv_error *err)
{
    kv_principal_rows rows;

    KV_TRY(kv_principal_rows_read(vault->config.records, row->subject, work->arena, &rows, err));
    *(kv_principal *)out = kv_principal_of(&rows.principal);
    return KV_OK;
}

static kv_status credential_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row,
                                  void *out, kv_error *err)
{
    kv_credential_row found = { .id = row->subject };
    kv_principal_rows rows;

    KV_TRY(kv_records_get(vault->config.records, &kv_table_credentials, &found, work->arena, err));
    KV_TRY(
        kv_principal_rows_read(vault->config.records, found.principal_id, work->arena, &rows, err));
    for (unsigned i = 0; i < rows.credential_count; i++)
        if (kv_slice_equal(rows.credentials[i].id, row->subject))
            return kv_credential_of(&rows.credentials[i], work->arena, out, err);
    return kv_fail(err, KV_NOT_FOUND, "it is no more");
}

static kv_status assignment_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row,
                                  void *out, kv_error *err)
{
    kv_slice principal = kv_slice_of(row->subject.data, KV_PRINCIPAL_ID_BYTES);
    kv_slice id = kv_slice_of(row->subject.data + KV_PRINCIPAL_ID_BYTES, KV_PRINCIPAL_ID_BYTES);
    kv_assigned *assigned = out;
    kv_principal_rows rows;

    if (row->subject.len != (size_t)2 * KV_PRINCIPAL_ID_BYTES)
        return kv_fail(err, KV_INTERNAL, "it is not known which assignment was made");
    KV_TRY(kv_principal_rows_read(vault->config.records, principal, work->arena, &rows, err));
    for (unsigned i = 0; i < rows.assignment_count; i++)
        if (kv_slice_equal(rows.assignments[i].id, id))
            return kv_assignment_of(&rows.assignments[i], &assigned->assignment, err);
    return kv_fail(err, KV_NOT_FOUND, "it is no more");
}

/* shape: table */
static const struct {
    const char *operation;
    kv_again *again;
} answers[] = {
    { "VaultPut", vault_again },
    { "VaultPatch", vault_again },
    { "VaultDelete", vault_again },
    { "VaultRecover", vault_again },
    { "VaultPurge", nothing_again },
    { "KeyCreate", key_again },
    { "KeyImport", key_again },
    { "KeyUpdate", key_again },
    { "KeyRotate", key_again },
    { "KeyRotationPolicySet", rotation_policy_again },
    { "KeyDestructionPermit", rotation_policy_again },
    { "KeyDelete", key_again },
    { "KeyRecover", key_again },
    { "KeyRestore", key_again },
    { "KeyPurge", nothing_again },
    { "SecretSet", secret_again },
    { "SecretUpdate", secret_again },
    { "SecretDelete", secret_again },
    { "SecretRecover", secret_again },
    { "SecretRestore", secret_again },
    { "SecretPurge", nothing_again },
    { "CertificateCreate", operation_again },
    { "CertificatePendingUpdate", operation_again },
    { "CertificatePendingDelete", removed_operation_again },
    { "CertificatePendingMerge", certificate_again },
    { "CertificateImport", certificate_again },
    { "CertificateUpdate", certificate_again },
    { "CertificatePolicyUpdate", policy_again },
    { "CertificateDelete", certificate_again },
    { "CertificateRecover", certificate_again },
    { "CertificateRestore", certificate_again },
    { "CertificatePurge", nothing_again },
    { "CertificateAuthorityCreate", authority_again },
    { "CertificateAuthorityImport", authority_again },
    { "CertificateAuthorityRenew", authority_again },
    { "CertificateAuthorityUpdate", authority_again },
    { "CertificateAuthorityDelete", nothing_again },
    { "CertificateAuthorityRevoke", revoked_again },
    { "CertificateIssuerSet", issuer_again },
    { "CertificateIssuerUpdate", issuer_again },
    { "CertificateIssuerDelete", removed_issuer_again },
    { "CertificateIssuerRollKey", account_again },
    { "CertificateIssuerRevoke", nothing_again },
    { "CertificateIssuerRenewAll", renewed_all_again },
    { "CertificateContactsSet", contacts_again },
    { "CertificateContactsDelete", removed_contacts_again },
    { "WebhookSet", webhook_again },
    { "WebhookDelete", removed_webhook_again },
    { "DeadLetterRedeliver", redelivered_again },
    { "RoleTokenRevoke", nothing_again },
    { "RoleTokenRevokePrincipal", principal_again },
    { "PrincipalCreate", principal_again },
    { "PrincipalUpdate", principal_again },
    { "PrincipalDelete", nothing_again },
    { "CredentialAdd", credential_again },
    { "ManagementCertificateAdd", credential_again },
    { "CredentialRemove", nothing_again },
    { "RoleAssign", assignment_again },
    { "RoleAssignmentRemove", nothing_again },
};

static kv_again *again_of(kv_slice operation)
{
    for (size_t i = 0; i < KV_COUNT(answers); i++)
        if (kv_slice_equal(operation, kv_slice_text(answers[i].operation)))
            return answers[i].again;
    return NULL;
}

bool kv_answers_again(const char *operation)
{
    return again_of(kv_slice_text(operation)) != NULL;
}

kv_status kv_answer_again(kv_vault *vault, kv_work *work, const kv_idempotency_row *row, void *out,
                          kv_error *err)
{
    kv_again *again = again_of(row->operation);

    if (!again)
        return kv_fail(err, KV_PRECONDITION, "this was done before; look what there is");
    return again(vault, work, row, out, err);
}
