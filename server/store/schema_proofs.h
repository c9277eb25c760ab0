/* schema_proofs.h - what authorities may ask any server for. Through schema.h. */
#pragma once

#include "server/store/table.h"

/* A proof of control over a name that an authority is about to ask for. */
typedef struct kv_proof_row {
    kv_row_head head;
    kv_slice type;  /* key: "http-01", "tls-alpn-01" */
    kv_slice asked; /* key: what it is asked by, a token or a name */
    kv_slice says;  /* a key authorization (RFC 8555 section 8.1); not secret */
    int64_t ends_at;
} kv_proof_row;

extern const kv_table kv_table_proofs; /* index 1: ends_at */
