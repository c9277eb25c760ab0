/* audit_files.h - audit segments in a folder, and the public keys that prove them.
 *
 * Threads: one.
 */
#pragma once

#include <keyvault/v1/audit.pb-c.h>

#include "client/cli/run.h"
#include "server/audit/verify.h"

/* Writes what the server exports into a folder, which is made if need be. */
kv_exit kv_cli_export_segments(kv_cli *cli, const char *folder, uint64_t first, uint64_t last,
                               size_t *segments);
kv_exit kv_cli_audit_ask_status(kv_cli *cli, Keyvault__V1__AuditStatus **out);

/* A line "kid: ..." and the key in PEM. */
kv_exit kv_cli_write_audit_key(kv_cli *cli, const char *path,
                               const Keyvault__V1__AuditStatus *status);

enum { KV_CLI_AUDIT_KEYS = 16 };

typedef struct kv_cli_audit_keys {
    kv_audit_key keys[KV_CLI_AUDIT_KEYS];
    size_t count;
} kv_cli_audit_keys;

/* From all --public-key. A single one without a "kid:" line counts for every kid that the segments
 * in the folder name: its signatures must be right all the same. */
kv_exit kv_cli_read_audit_keys(kv_cli *cli, const char *folder, kv_cli_audit_keys *out);
