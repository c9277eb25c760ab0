/* tables_access.c - the tables of principals and what they may do as data. */
/* shape: table */
#include "server/store/columns.h"

/* clang-format off */

const kv_table kv_table_principals = {
    .name = "principals",
    .row_size = sizeof(kv_principal_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 11,
    .columns = {
        BLOB(kv_principal_row, id),
        TEXT(kv_principal_row, name),
        TEXT(kv_principal_row, name_lower),
        INTEGER(kv_principal_row, kind),
        INTEGER(kv_principal_row, epoch),
        BLOB(kv_principal_row, grants_digest),
        INTEGER(kv_principal_row, granted_ever),
        INTEGER(kv_principal_row, disabled),
        TEXT(kv_principal_row, home_vault),
        INTEGER(kv_principal_row, created),
        INTEGER(kv_principal_row, updated),
    },
    .index_count = 1,
    .indexes = {
        { "principals_by_name", true, 1, { 2 } }, /* name_lower */
    },
};

const kv_table kv_table_credentials = {
    .name = "credentials",
    .row_size = sizeof(kv_credential_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 9,
    .columns = {
        BLOB(kv_credential_row, id),
        BLOB(kv_credential_row, principal_id),
        TEXT(kv_credential_row, match),
        INTEGER(kv_credential_row, kind),
        BLOB(kv_credential_row, certificate),
        TEXT(kv_credential_row, vault),
        INTEGER(kv_credential_row, not_after),
        BLOB(kv_credential_row, registered_by),
        INTEGER(kv_credential_row, created),
    },
    .index_count = 3,
    .indexes = {
        { "credentials_by_match", true, 1, { 2 } }, /* match */
        { "credentials_by_principal", false, 1, { 1 } }, /* principal_id */
        { "credentials_by_vault", false, 1, { 5 } }, /* vault */
    },
};

const kv_table kv_table_slots = {
    .name = "slots",
    .row_size = sizeof(kv_slot_row),
    .sealed = true,
    .key_count = 2,
    .column_count = 3,
    .columns = {
        TEXT(kv_slot_row, owner),
        INTEGER(kv_slot_row, slot),
        BLOB(kv_slot_row, credential_id),
    },
    .index_count = 1,
    .indexes = {
        { "slots_by_credential", false, 1, { 2 } }, /* credential_id */
    },
};

const kv_table kv_table_assignments = {
    .name = "assignments",
    .row_size = sizeof(kv_assignment_row),
    .sealed = false,
    .key_count = 2,
    .column_count = 7,
    .columns = {
        BLOB(kv_assignment_row, principal_id),
        BLOB(kv_assignment_row, id),
        TEXT(kv_assignment_row, role),
        TEXT(kv_assignment_row, scope),
        INTEGER(kv_assignment_row, ends_at),
        INTEGER(kv_assignment_row, created),
        BLOB(kv_assignment_row, created_by),
    },
    .index_count = 1,
    .indexes = {
        { "assignments_by_scope", false, 1, { 3 } }, /* scope */
    },
};

const kv_table kv_table_revocations = {
    .name = "revocations",
    .row_size = sizeof(kv_revocation_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 4,
    .columns = {
        BLOB(kv_revocation_row, jti),
        INTEGER(kv_revocation_row, until),
        INTEGER(kv_revocation_row, created),
        BLOB(kv_revocation_row, revoked_by),
    },
    .index_count = 1,
    .indexes = {
        { "revocations_by_until", false, 1, { 1 } }, /* until */
    },
};
