/* own_step.h - the server's own work, a step at a time: with memory, identity and record. Inner to
 * vault. */
#pragma once

#include "server/vault/vault_impl.h"

typedef struct kv_own_step {
    kv_arena arena;
    kv_audit_entry entry;
    kv_caller caller;
    kv_work work;
} kv_own_step;

kv_status kv_own_step_begin(kv_vault *vault, kv_own_step *at, kv_error *err) KV_MUST_USE;
void kv_own_step_end(kv_own_step *at);

typedef kv_status kv_own_row(kv_vault *vault, kv_own_step *at, void *row, void *context,
                             kv_error *err);

/* Every row of a table, a page at a time, each page in its own memory. */
kv_status kv_each_row(kv_vault *vault, const kv_table *table, kv_own_row *visit, void *context,
                      kv_error *err) KV_MUST_USE;
