/* tables_authorities.c - the tables of certificate authorities as data. */
/* shape: table */
#include "server/store/columns.h"

/* clang-format off */

const kv_table kv_table_authorities = {
    .name = "authorities",
    .row_size = sizeof(kv_authority_row),
    .sealed = true,
    .key_count = 2,
    .column_count = 26,
    .columns = {
        BLOB(kv_authority_row, vault_uid),
        TEXT(kv_authority_row, name),
        TEXT(kv_authority_row, display_name),
        BLOB(kv_authority_row, uid),
        INTEGER(kv_authority_row, kind),
        INTEGER(kv_authority_row, enabled),
        BLOB(kv_authority_row, key_id),
        TEXT(kv_authority_row, key_kind),
        BLOB(kv_authority_row, spki),
        INTEGER(kv_authority_row, attested),
        TEXT(kv_authority_row, token),
        BLOB(kv_authority_row, csr),
        BLOB(kv_authority_row, certificate),
        BLOB(kv_authority_row, chain),
        TEXT(kv_authority_row, crl_url),
        TEXT(kv_authority_row, ocsp_url),
        TEXT(kv_authority_row, issuer_url),
        INTEGER(kv_authority_row, crl_hours),
        INTEGER(kv_authority_row, max_months),
        TEXT(kv_authority_row, vaults),
        INTEGER(kv_authority_row, number),
        BLOB(kv_authority_row, cross),
        INTEGER(kv_authority_row, created),
        INTEGER(kv_authority_row, updated),
        BLOB(kv_authority_row, chains_from),
        BLOB(kv_authority_row, chains_to),
    },
};

const kv_table kv_table_crls = {
    .name = "crls",
    .row_size = sizeof(kv_crl_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 8,
    .columns = {
        BLOB(kv_crl_row, authority_uid),
        BLOB(kv_crl_row, vault_uid),
        TEXT(kv_crl_row, authority),
        INTEGER(kv_crl_row, number),
        INTEGER(kv_crl_row, owed),
        INTEGER(kv_crl_row, this_update),
        INTEGER(kv_crl_row, next_update),
        BLOB(kv_crl_row, der),
    },
};

const kv_table kv_table_issued = {
    .name = "issued",
    .row_size = sizeof(kv_issued_row),
    .sealed = true,
    .key_count = 2,
    .column_count = 14,
    .columns = {
        BLOB(kv_issued_row, authority_uid),
        BLOB(kv_issued_row, serial),
        TEXT(kv_issued_row, operation),
        TEXT(kv_issued_row, state),
        BLOB(kv_issued_row, sha256),
        BLOB(kv_issued_row, object_uid),
        TEXT(kv_issued_row, version),
        TEXT(kv_issued_row, subject),
        INTEGER(kv_issued_row, not_before),
        INTEGER(kv_issued_row, not_after),
        INTEGER(kv_issued_row, revoked),
        INTEGER(kv_issued_row, reason),
        INTEGER(kv_issued_row, invalid_since),
        INTEGER(kv_issued_row, created),
    },
    .index_count = 3,
    .indexes = {
        { "issued_by_operation", true, 1, { 2 } }, /* operation */
        { "issued_by_state", false, 3, { 0, 3, 1 } }, /* authority_uid, state, serial */
        { "issued_by_end", false, 3, { 0, 9, 1 } }, /* authority_uid, not_after, serial */
    },
};

const kv_table kv_table_responders = {
    .name = "responders",
    .row_size = sizeof(kv_responder_row),
    .sealed = true,
    .key_count = 1,
    .column_count = 6,
    .columns = {
        BLOB(kv_responder_row, authority_uid),
        BLOB(kv_responder_row, key_id),
        BLOB(kv_responder_row, spki),
        BLOB(kv_responder_row, certificate),
        INTEGER(kv_responder_row, not_after),
        INTEGER(kv_responder_row, created),
    },
};

/* clang-format on */
