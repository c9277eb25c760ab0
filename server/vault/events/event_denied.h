/* event_denied.h - refusals become events, at most one per principal, operation and hour. */
#pragma once

#include "server/vault/vault.h"

typedef struct kv_denials kv_denials;

/* NULL when out of memory. */
kv_denials *kv_denials_new(void);
void kv_denials_free(kv_denials *denials);

/* Notes that a known caller was refused for want of a permission. `operation` is static. Never
 * waits for the store; when too many wait to be told, one is left out. Any worker. */
void kv_event_denied(kv_vault *vault, const kv_caller *caller, const char *operation,
                     const kv_target *target, int64_t now_ms);
/* Tells what has been noted. `*next_at` is 0: nothing is due later. The server's own thread. */
kv_status kv_vault_step_denied(kv_vault *vault, int64_t *next_at, kv_error *err) KV_MUST_USE;
