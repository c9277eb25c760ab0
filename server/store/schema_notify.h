/* schema_notify.h - rows of who is told what happens in a vault.
 *
 * Conventions as in schema.h.
 */
#pragma once

#include "server/store/table.h"

/* The contacts of a vault, all in one row. */
typedef struct kv_contacts_row {
    kv_row_head head;
    kv_slice vault_uid; /* key */
    kv_slice contacts;  /* JSON array of three texts each: e-mail, name, phone */
    int64_t digest;     /* one mail a day */
    int64_t created;
    int64_t updated;
} kv_contacts_row;

extern const kv_table kv_table_contacts;
