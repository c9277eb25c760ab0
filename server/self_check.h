/* self_check.h - the server looks at what surrounds its vaults, when the doctor is asked. */
#pragma once

#include "server/vault/checks.h"

/* A kv_vault_config.check; `context` is the kv_server. Threads: any worker. */
kv_status kv_server_self_check(void *context, kv_checks *checks, kv_error *err) KV_MUST_USE;
