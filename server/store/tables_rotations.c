/* tables_rotations.c - the tables of key rotation as data. */
/* shape: table */
#include "server/store/columns.h"

/* clang-format off */

const kv_table kv_table_rotation_policies = {
    .name = "rotation_policies",
    .row_size = sizeof(kv_rotation_policy_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 13,
    .columns = {
        BLOB(kv_rotation_policy_row, object_uid),
        BLOB(kv_rotation_policy_row, vault_uid),
        TEXT(kv_rotation_policy_row, rotate_after),
        TEXT(kv_rotation_policy_row, rotate_before),
        TEXT(kv_rotation_policy_row, notify_before),
        TEXT(kv_rotation_policy_row, expiry_time),
        TEXT(kv_rotation_policy_row, disable_after),
        TEXT(kv_rotation_policy_row, destroy_after),
        INTEGER(kv_rotation_policy_row, retirement_since),
        INTEGER(kv_rotation_policy_row, permitted),
        BLOB(kv_rotation_policy_row, permitted_by),
        INTEGER(kv_rotation_policy_row, created),
        INTEGER(kv_rotation_policy_row, updated),
    },
};

const kv_table kv_table_rotations = {
    .name = "rotations",
    .row_size = sizeof(kv_rotation_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 5,
    .columns = {
        BLOB(kv_rotation_row, object_uid),
        BLOB(kv_rotation_row, vault_uid),
        INTEGER(kv_rotation_row, due_at),
        INTEGER(kv_rotation_row, attempts),
        INTEGER(kv_rotation_row, told_of),
    },
    .index_count = 1,
    .indexes = {
        { "rotations_by_due", false, 2, { 2, 0 } }, /* due_at, object_uid */
    },
};

/* clang-format on */
