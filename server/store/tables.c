/* tables.c - the tables of the schema as data, and the list of all of them. */
/* shape: table */
#include "server/store/columns.h"

/* clang-format off */

const kv_table kv_table_instance = {
    .name = "instance",
    .row_size = sizeof(kv_instance_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 3,
    .columns = {
        INTEGER(kv_instance_row, id),
        BLOB(kv_instance_row, instance),
        INTEGER(kv_instance_row, created),
    },
};

const kv_table kv_table_vaults = {
    .name = "vaults",
    .row_size = sizeof(kv_vault_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 15,
    .columns = {
        TEXT(kv_vault_row, name),
        BLOB(kv_vault_row, uid),
        TEXT(kv_vault_row, display_name),
        INTEGER(kv_vault_row, retention_days),
        INTEGER(kv_vault_row, purge_protection),
        INTEGER(kv_vault_row, default_exportable),
        INTEGER(kv_vault_row, allow_unauthenticated),
        INTEGER(kv_vault_row, created),
        INTEGER(kv_vault_row, updated),
        INTEGER(kv_vault_row, deleted),
        INTEGER(kv_vault_row, purge_at),
        INTEGER(kv_vault_row, purging),
        BLOB(kv_vault_row, secret_key_id),
        TEXT(kv_vault_row, tags),
        TEXT(kv_vault_row, blackouts),
    },
};

const kv_table kv_table_objects = {
    .name = "objects",
    .row_size = sizeof(kv_object_row),
    .sealed = true,
    .key_count = 3,
    .column_count = 12,
    .columns = {
        BLOB(kv_object_row, vault_uid),
        INTEGER(kv_object_row, collection),
        TEXT(kv_object_row, name),
        TEXT(kv_object_row, display_name),
        BLOB(kv_object_row, uid),
        TEXT(kv_object_row, current),
        INTEGER(kv_object_row, managed),
        INTEGER(kv_object_row, created),
        INTEGER(kv_object_row, deleted),
        INTEGER(kv_object_row, purge_at),
        INTEGER(kv_object_row, purging),
        BLOB(kv_object_row, deleted_by),
    },
    .index_count = 2,
    .indexes = {
        { "objects_by_uid", false, 1, { 4 } },     /* uid */
        { "objects_by_deleted", false, 1, { 8 } }, /* deleted */
    },
};

const kv_table kv_table_key_versions = {
    .name = "key_versions",
    .row_size = sizeof(kv_key_version_row),
    .sealed = true,
    .key_count = 2,
    .column_count = 23,
    .columns = {
        BLOB(kv_key_version_row, object_uid),
        TEXT(kv_key_version_row, version),
        BLOB(kv_key_version_row, vault_uid),
        INTEGER(kv_key_version_row, created),
        INTEGER(kv_key_version_row, updated),
        INTEGER(kv_key_version_row, enabled),
        INTEGER(kv_key_version_row, not_before),
        INTEGER(kv_key_version_row, expires),
        TEXT(kv_key_version_row, kind),
        INTEGER(kv_key_version_row, key_ops),
        BLOB(kv_key_version_row, key_id),
        BLOB(kv_key_version_row, spki),
        INTEGER(kv_key_version_row, managed),
        INTEGER(kv_key_version_row, exportable),
        INTEGER(kv_key_version_row, imported),
        INTEGER(kv_key_version_row, attested),
        TEXT(kv_key_version_row, token),
        TEXT(kv_key_version_row, tags),
        INTEGER(kv_key_version_row, replaced),
        INTEGER(kv_key_version_row, retired),
        INTEGER(kv_key_version_row, kept),
        INTEGER(kv_key_version_row, destroying),
        INTEGER(kv_key_version_row, destroyed),
    },
    .index_count = 1,
    .indexes = {
        { "key_versions_by_key_id", false, 1, { 10 } }, /* key_id */
    },
};

const kv_table kv_table_secret_versions = {
    .name = "secret_versions",
    .row_size = sizeof(kv_secret_version_row),
    .sealed = true,
    .key_count = 2,
    .column_count = 13,
    .columns = {
        BLOB(kv_secret_version_row, object_uid),
        TEXT(kv_secret_version_row, version),
        BLOB(kv_secret_version_row, vault_uid),
        INTEGER(kv_secret_version_row, created),
        INTEGER(kv_secret_version_row, updated),
        INTEGER(kv_secret_version_row, enabled),
        INTEGER(kv_secret_version_row, not_before),
        INTEGER(kv_secret_version_row, expires),
        TEXT(kv_secret_version_row, content_type),
        INTEGER(kv_secret_version_row, managed),
        BLOB(kv_secret_version_row, key_id),
        BLOB(kv_secret_version_row, ciphertext),
        TEXT(kv_secret_version_row, tags),
    },
};

const kv_table kv_table_certificate_versions = {
    .name = "certificate_versions",
    .row_size = sizeof(kv_certificate_version_row),
    .sealed = true,
    .key_count = 2,
    .column_count = 18,
    .columns = {
        BLOB(kv_certificate_version_row, object_uid),
        TEXT(kv_certificate_version_row, version),
        BLOB(kv_certificate_version_row, vault_uid),
        INTEGER(kv_certificate_version_row, created),
        INTEGER(kv_certificate_version_row, updated),
        INTEGER(kv_certificate_version_row, enabled),
        INTEGER(kv_certificate_version_row, not_before),
        INTEGER(kv_certificate_version_row, expires),
        BLOB(kv_certificate_version_row, der),
        BLOB(kv_certificate_version_row, chain),
        BLOB(kv_certificate_version_row, sha1),
        BLOB(kv_certificate_version_row, sha256),
        TEXT(kv_certificate_version_row, serial),
        TEXT(kv_certificate_version_row, subject),
        TEXT(kv_certificate_version_row, issuer),
        TEXT(kv_certificate_version_row, tags),
        BLOB(kv_certificate_version_row, given),
        INTEGER(kv_certificate_version_row, imported),
    },
    .index_count = 3,
    .indexes = {
        { "certificate_versions_by_sha1", false, 2, { 2, 10 } }, /* vault_uid, sha1 */
        { "certificate_versions_by_sha256", false, 2, { 2, 11 } }, /* vault_uid, sha256 */
        { "certificate_versions_by_serial", false, 1, { 12 } }, /* serial */
    },
};

const kv_table kv_table_policies = {
    .name = "policies",
    .row_size = sizeof(kv_policy_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 4,
    .columns = {
        BLOB(kv_policy_row, object_uid),
        TEXT(kv_policy_row, policy),
        INTEGER(kv_policy_row, created),
        INTEGER(kv_policy_row, updated),
    },
};

/* shape: table */
const kv_table kv_table_issuers = {
    .name = "issuers",
    .row_size = sizeof(kv_issuer_row),
    .sealed = true,
    .key_count = 2,
    .column_count = 24,
    .columns = {
        BLOB(kv_issuer_row, vault_uid),
        TEXT(kv_issuer_row, name),
        TEXT(kv_issuer_row, display_name),
        BLOB(kv_issuer_row, uid),
        TEXT(kv_issuer_row, provider),
        TEXT(kv_issuer_row, account_id),
        BLOB(kv_issuer_row, credential_key_id),
        BLOB(kv_issuer_row, credential),
        INTEGER(kv_issuer_row, credential_expires),
        TEXT(kv_issuer_row, settings),
        INTEGER(kv_issuer_row, trust),
        TEXT(kv_issuer_row, organization_id),
        TEXT(kv_issuer_row, admins),
        TEXT(kv_issuer_row, domains),
        TEXT(kv_issuer_row, requesters),
        INTEGER(kv_issuer_row, enabled),
        INTEGER(kv_issuer_row, created),
        INTEGER(kv_issuer_row, updated),
        INTEGER(kv_issuer_row, orders_per_hour),
        INTEGER(kv_issuer_row, certificates_per_week),
        TEXT(kv_issuer_row, blackouts),
        INTEGER(kv_issuer_row, credential_since),
        INTEGER(kv_issuer_row, credential_told),
        INTEGER(kv_issuer_row, strict_lint),
    },
    .index_count = 1,
    .indexes = {
        { "issuers_by_credential_expires", false, 1, { 8 } }, /* credential_expires */
    },
};

const kv_table kv_table_operations = {
    .name = "operations",
    .row_size = sizeof(kv_operation_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 32,
    .columns = {
        BLOB(kv_operation_row, object_uid),
        BLOB(kv_operation_row, vault_uid),
        TEXT(kv_operation_row, request_id),
        TEXT(kv_operation_row, state),
        TEXT(kv_operation_row, issuer),
        TEXT(kv_operation_row, version),
        BLOB(kv_operation_row, key_id),
        BLOB(kv_operation_row, spki),
        TEXT(kv_operation_row, policy),
        TEXT(kv_operation_row, attributes),
        BLOB(kv_operation_row, csr),
        TEXT(kv_operation_row, status_details),
        TEXT(kv_operation_row, error_code),
        TEXT(kv_operation_row, error_message),
        TEXT(kv_operation_row, warnings),
        BLOB(kv_operation_row, requested_by),
        INTEGER(kv_operation_row, cancellation_requested),
        INTEGER(kv_operation_row, created),
        INTEGER(kv_operation_row, updated),
        INTEGER(kv_operation_row, attested),
        BLOB(kv_operation_row, secret_key_id),
        BLOB(kv_operation_row, secret_ciphertext),
        TEXT(kv_operation_row, external_id),
        INTEGER(kv_operation_row, next_at),
        INTEGER(kv_operation_row, attempts),
        INTEGER(kv_operation_row, failures),
        BLOB(kv_operation_row, worker),
        BLOB(kv_operation_row, chain),
        TEXT(kv_operation_row, issuer_lower),
        INTEGER(kv_operation_row, waiting),
        TEXT(kv_operation_row, names),
        INTEGER(kv_operation_row, transparency),
    },
    .index_count = 4,
    .indexes = {
        { "operations_by_state", false, 2, { 3, 0 } }, /* state, object_uid */
        { "operations_by_next", false, 2, { 23, 0 } }, /* next_at, object_uid */
        { "operations_by_worker", false, 2, { 26, 0 } }, /* worker, object_uid */
        { "operations_by_issuer", false, 4, { 1, 28, 23, 0 } }, /* .., next_at, object_uid */
    },
};

const kv_table kv_table_proofs = {
    .name = "proofs",
    .row_size = sizeof(kv_proof_row),
    .sealed = true,
    .key_count = 2,
    .column_count = 4,
    .columns = {
        TEXT(kv_proof_row, type),
        TEXT(kv_proof_row, asked),
        TEXT(kv_proof_row, says),
        INTEGER(kv_proof_row, ends_at),
    },
    .index_count = 1,
    .indexes = {
        { "proofs_by_end", false, 1, { 3 } }, /* ends_at */
    },
};

const kv_table kv_table_token_objects = {
    .name = "token_objects",
    .row_size = sizeof(kv_token_object_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 11,
    .columns = {
        BLOB(kv_token_object_row, key_id),
        TEXT(kv_token_object_row, state),
        INTEGER(kv_token_object_row, duty),
        TEXT(kv_token_object_row, token),
        TEXT(kv_token_object_row, class),
        TEXT(kv_token_object_row, kind),
        BLOB(kv_token_object_row, spki),
        BLOB(kv_token_object_row, node),
        INTEGER(kv_token_object_row, lease_until),
        BLOB(kv_token_object_row, owner_uid),
        INTEGER(kv_token_object_row, created),
    },
    .index_count = 3,
    .indexes = {
        { "token_objects_by_state", false, 2, { 1, 0 } }, /* state, key_id */
        { "token_objects_by_owner", false, 1, { 9 } }, /* owner_uid */
        { "token_objects_by_spki", false, 1, { 6 } }, /* spki */
    },
};

const kv_table kv_table_key_uses = {
    .name = "key_uses",
    .row_size = sizeof(kv_key_use_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 2,
    .columns = {
        BLOB(kv_key_use_row, key_id),
        INTEGER(kv_key_use_row, reserved),
    },
};

const kv_table kv_table_idempotency = {
    .name = "idempotency",
    .row_size = sizeof(kv_idempotency_row),
    .sealed = true,
    .key_count = 2,
    .column_count = 10,
    .columns = {
        BLOB(kv_idempotency_row, principal_id),
        TEXT(kv_idempotency_row, key),
        TEXT(kv_idempotency_row, operation),
        BLOB(kv_idempotency_row, hash),
        BLOB(kv_idempotency_row, request_id),
        TEXT(kv_idempotency_row, vault),
        TEXT(kv_idempotency_row, name),
        TEXT(kv_idempotency_row, version),
        BLOB(kv_idempotency_row, subject),
        INTEGER(kv_idempotency_row, created),
    },
    .index_count = 1,
    .indexes = {
        { "idempotency_by_created", false, 1, { 9 } }, /* created */
    },
};

const kv_table kv_table_signers = {
    .name = "signers",
    .row_size = sizeof(kv_signer_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 7,
    .columns = {
        TEXT(kv_signer_row, kid),
        TEXT(kv_signer_row, purpose),
        BLOB(kv_signer_row, key_id),
        BLOB(kv_signer_row, spki),
        INTEGER(kv_signer_row, created),
        INTEGER(kv_signer_row, sign_until),
        INTEGER(kv_signer_row, verify_until),
    },
};

const kv_table kv_table_segments = {
    .name = "segments",
    .row_size = sizeof(kv_segment_row),
    .sealed = false,
    .key_count = 1,
    .column_count = 7,
    .columns = {
        INTEGER(kv_segment_row, id),
        INTEGER(kv_segment_row, first),
        INTEGER(kv_segment_row, last),
        BLOB(kv_segment_row, hash),
        TEXT(kv_segment_row, signer),
        BLOB(kv_segment_row, signature),
        INTEGER(kv_segment_row, closed),
    },
};

/* clang-format on */

const kv_table *const kv_tables[] = {
    &kv_table_instance,        &kv_table_vaults,
    &kv_table_objects,         &kv_table_key_versions,
    &kv_table_secret_versions, &kv_table_certificate_versions,
    &kv_table_policies,        &kv_table_operations,
    &kv_table_token_objects,   &kv_table_key_uses,
    &kv_table_principals,      &kv_table_credentials,
    &kv_table_slots,           &kv_table_assignments,
    &kv_table_revocations,     &kv_table_idempotency,
    &kv_table_signers,         &kv_table_segments,
    &kv_table_authorities,     &kv_table_crls,
    &kv_table_issued,          &kv_table_responders,
    &kv_table_renewals,        &kv_table_issuers,
    &kv_table_enrolments,      &kv_table_issuer_states,
    &kv_table_name_budgets,    &kv_table_events,
    &kv_table_event_consumers, &kv_table_expiries,
    &kv_table_contacts,        &kv_table_proofs,
    &kv_table_rotations,       &kv_table_rotation_policies,
    &kv_table_webhooks,        &kv_table_deliveries,
};

const size_t kv_tables_count = KV_COUNT(kv_tables);
