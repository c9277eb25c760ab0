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

const kv_table kv_table_webhooks = {
    .name = "webhooks",
    .row_size = sizeof(kv_webhook_row),
    .sealed = true,
    .key_count = 2,
    .column_count = 19,
    .columns = {
        BLOB(kv_webhook_row, vault_uid),
        TEXT(kv_webhook_row, name),
        TEXT(kv_webhook_row, display_name),
        BLOB(kv_webhook_row, uid),
        TEXT(kv_webhook_row, url),
        TEXT(kv_webhook_row, types),
        INTEGER(kv_webhook_row, enabled),
        TEXT(kv_webhook_row, stopped),
        INTEGER(kv_webhook_row, agreed),
        INTEGER(kv_webhook_row, rate),
        BLOB(kv_webhook_row, key_id),
        BLOB(kv_webhook_row, spki),
        BLOB(kv_webhook_row, authorization_uid),
        BLOB(kv_webhook_row, authorization_key_id),
        BLOB(kv_webhook_row, authorization),
        INTEGER(kv_webhook_row, failing_since),
        TEXT(kv_webhook_row, last_error),
        INTEGER(kv_webhook_row, created),
        INTEGER(kv_webhook_row, updated),
    },
    .index_count = 1,
    .indexes = {
        { "webhooks_by_uid", true, 1, { 3 } }, /* uid */
    },
};

const kv_table kv_table_deliveries = {
    .name = "deliveries",
    .row_size = sizeof(kv_delivery_row),
    .sealed = true,
    .key_count = 2,
    .column_count = 15,
    .columns = {
        BLOB(kv_delivery_row, target),
        INTEGER(kv_delivery_row, sequence),
        BLOB(kv_delivery_row, vault_uid),
        TEXT(kv_delivery_row, channel),
        TEXT(kv_delivery_row, state),
        INTEGER(kv_delivery_row, next_at),
        INTEGER(kv_delivery_row, attempts),
        BLOB(kv_delivery_row, object_uid),
        TEXT(kv_delivery_row, type),
        TEXT(kv_delivery_row, body),
        TEXT(kv_delivery_row, address),
        INTEGER(kv_delivery_row, last_status),
        TEXT(kv_delivery_row, last_error),
        INTEGER(kv_delivery_row, created),
        INTEGER(kv_delivery_row, updated),
    },
    .index_count = 3,
    .indexes = {
        { "deliveries_by_due", false, 3, { 0, 4, 5 } }, /* target, state, next_at */
        { "deliveries_by_object", false, 2, { 0, 7 } }, /* target, object_uid */
        { "deliveries_by_vault", false, 2, { 2, 4 } }, /* vault_uid, state */
    },
};

/* clang-format on */
