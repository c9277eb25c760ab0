/* config.h - where the server is and who we are: flags, then KVCTL_ variables, then kvctl.conf.
 *
 * Threads: one; pure functions over what they are given.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/base/arena.h"
#include "server/base/error.h"

typedef enum kv_output { KV_OUTPUT_JSON, KV_OUTPUT_TABLE, KV_OUTPUT_TSV, KV_OUTPUT_CSV } kv_output;

enum { KV_CLI_ROLES_MAX = 8 };

/* Texts are in the arena; NULL where nobody said anything. */
typedef struct kv_cli_config {
    const char *endpoint;
    const char *server_name;
    const char *ca;
    const char *certificate;
    const char *key;
    const char *vault;
    const char *roles; /* comma-separated */
    const char *scope;
    const char *oidc_issuer; /* of the identity provider that `login` asks */
    const char *oidc_client_id;
    const char *oidc_ca;
    const char *cache; /* folder for what `login` keeps; may not be there yet */
    kv_output output;
    uint32_t timeout_ms; /* 0: the library's default */
} kv_cli_config;

typedef const char *kv_cli_lookup(void *context, const char *name);

typedef struct kv_cli_sources {
    kv_cli_lookup *flag; /* "endpoint" */
    void *flags;
    const char *(*environment)(const char *name); /* "KVCTL_ENDPOINT" */
} kv_cli_sources;

/* KV_BAD_REQUEST names the setting, and the file and line if it is from there; KV_UNAVAILABLE for a
 * file that was named and cannot be read. Without a name, a missing file is fine. Paths in the file
 * are relative to its folder. */
kv_status kv_cli_config_read(const kv_cli_sources *sources, kv_arena *arena, kv_cli_config *out,
                             kv_error *err) KV_MUST_USE;
