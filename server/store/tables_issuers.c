/* tables_issuers.c - what stands beside issuers, as data. */
/* shape: table */
#include "server/store/columns.h"

/* clang-format off */

const kv_table kv_table_enrolments = {
    .name = "enrolments",
    .row_size = sizeof(kv_enrolment_row),
    .sealed = true,
    .key_count = 3,
    .column_count = 10,
    .columns = {
        BLOB(kv_enrolment_row, vault_uid),
        TEXT(kv_enrolment_row, issuer),
        TEXT(kv_enrolment_row, realm),
        BLOB(kv_enrolment_row, key_id),
        BLOB(kv_enrolment_row, spki),
        BLOB(kv_enrolment_row, next_key_id),
        BLOB(kv_enrolment_row, next_spki),
        TEXT(kv_enrolment_row, url),
        INTEGER(kv_enrolment_row, created),
        INTEGER(kv_enrolment_row, updated),
    },
};
