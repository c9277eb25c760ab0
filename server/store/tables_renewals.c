/* tables_renewals.c - the tables of renewals and of how issuers are, as data. */
/* shape: table */
#include "server/store/columns.h"

/* clang-format off */

const kv_table kv_table_renewals = {
    .name = "renewals",
    .row_size = sizeof(kv_renewal_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 17,
    .columns = {
        BLOB(kv_renewal_row, object_uid),
        BLOB(kv_renewal_row, vault_uid),
        TEXT(kv_renewal_row, version),
        INTEGER(kv_renewal_row, due_at),
        INTEGER(kv_renewal_row, attempts),
        TEXT(kv_renewal_row, issuer),
        INTEGER(kv_renewal_row, renew_at),
        INTEGER(kv_renewal_row, period),
        INTEGER(kv_renewal_row, waiting),
        INTEGER(kv_renewal_row, ask_at),
        INTEGER(kv_renewal_row, ask_failures),
        INTEGER(kv_renewal_row, hint_from),
        INTEGER(kv_renewal_row, hint_until),
        INTEGER(kv_renewal_row, hint_at),
        TEXT(kv_renewal_row, hint_why),
        INTEGER(kv_renewal_row, not_before),
        INTEGER(kv_renewal_row, expires),
    },
    .index_count = 3,
    .indexes = {
        { "renewals_by_due", false, 2, { 3, 0 } }, /* due_at, object_uid */
        { "renewals_by_issuer", false, 4, { 1, 5, 3, 0 } }, /* .., due_at, object_uid */
        { "renewals_by_renew", false, 2, { 6, 0 } }, /* renew_at, object_uid */
    },
};

const kv_table kv_table_issuer_states = {
    .name = "issuer_states",
    .row_size = sizeof(kv_issuer_state_row),
    .sealed = true,
    .key_count = 2,
    .column_count = 9,
    .columns = {
        BLOB(kv_issuer_state_row, vault_uid),
        TEXT(kv_issuer_state_row, issuer),
        INTEGER(kv_issuer_state_row, failures),
        INTEGER(kv_issuer_state_row, unwell_since),
        INTEGER(kv_issuer_state_row, probe_at),
        INTEGER(kv_issuer_state_row, paused_until),
        INTEGER(kv_issuer_state_row, orders_full_at),
        TEXT(kv_issuer_state_row, reason),
        INTEGER(kv_issuer_state_row, updated),
    },
};

const kv_table kv_table_name_budgets = {
    .name = "name_budgets",
    .row_size = sizeof(kv_name_budget_row),
    .sealed = true,
    .key_count = 3,
    .column_count = 4,
    .columns = {
        BLOB(kv_name_budget_row, vault_uid),
        TEXT(kv_name_budget_row, issuer),
        BLOB(kv_name_budget_row, names),
        INTEGER(kv_name_budget_row, full_at),
    },
    .index_count = 1,
    .indexes = {
        { "name_budgets_by_full", false, 1, { 3 } }, /* full_at */
    },
};
