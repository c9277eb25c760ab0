/* tables_notify.c - the tables of who is told what, as data. */
/* shape: table */
#include "server/store/columns.h"

/* clang-format off */

const kv_table kv_table_contacts = {
    .name = "contacts",
    .row_size = sizeof(kv_contacts_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 5,
    .columns = {
        BLOB(kv_contacts_row, vault_uid),
        TEXT(kv_contacts_row, contacts),
        INTEGER(kv_contacts_row, digest),
        INTEGER(kv_contacts_row, created),
        INTEGER(kv_contacts_row, updated),
    },
};

/* clang-format on */
