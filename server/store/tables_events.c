/* tables_events.c - the tables of events as data. */
/* shape: table */
#include "server/store/columns.h"

/* clang-format off */

const kv_table kv_table_events = {
    .name = "events",
    .row_size = sizeof(kv_event_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 18,
    .columns = {
        INTEGER(kv_event_row, sequence),
        INTEGER(kv_event_row, time),
        TEXT(kv_event_row, type),
        BLOB(kv_event_row, vault_uid),
        TEXT(kv_event_row, vault),
        INTEGER(kv_event_row, collection),
        BLOB(kv_event_row, object_uid),
        TEXT(kv_event_row, name),
        TEXT(kv_event_row, version),
        INTEGER(kv_event_row, not_before),
        INTEGER(kv_event_row, expires),
        BLOB(kv_event_row, sha256),
        TEXT(kv_event_row, issuer),
        TEXT(kv_event_row, cause),
        TEXT(kv_event_row, error_code),
        TEXT(kv_event_row, error_message),
        TEXT(kv_event_row, principal),
        TEXT(kv_event_row, operation),
    },
    .index_count = 1,
    .indexes = {
        { "events_by_vault", false, 2, { 3, 0 } }, /* vault_uid, sequence */
    },
};

const kv_table kv_table_event_consumers = {
    .name = "event_consumers",
    .row_size = sizeof(kv_event_consumer_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 3,
    .columns = {
        TEXT(kv_event_consumer_row, name),
        INTEGER(kv_event_consumer_row, cursor),
        INTEGER(kv_event_consumer_row, updated),
    },
};

const kv_table kv_table_expiries = {
    .name = "expiries",
    .row_size = sizeof(kv_expiry_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 8,
    .columns = {
        BLOB(kv_expiry_row, object_uid),
        BLOB(kv_expiry_row, vault_uid),
        TEXT(kv_expiry_row, version),
        INTEGER(kv_expiry_row, created),
        INTEGER(kv_expiry_row, not_before),
        INTEGER(kv_expiry_row, expires),
        INTEGER(kv_expiry_row, due_at),
        INTEGER(kv_expiry_row, asked),
    },
    .index_count = 1,
    .indexes = {
        { "expiries_by_due", false, 2, { 6, 0 } }, /* due_at, object_uid */
    },
};

/* clang-format on */
