/* operation_rules.h - what files about operations at issuers share. Inner to vault. */
#pragma once

#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/vault_by_uid.h"

/* --- certificate_pending.c --- */

/* The object of an operation. KV_NOT_FOUND. */
kv_status kv_object_by_uid(kv_vault *vault, kv_work *work, kv_slice uid, kv_object_row *out,
                           kv_error *err) KV_MUST_USE;
/* Deletes an operation whose certificate is gone, as a step. */
kv_status kv_operation_abandon(kv_vault *vault, kv_work *work, kv_operation_row *operation,
                               kv_error *err) KV_MUST_USE;
/* What a row of an operation that is over does not keep. */
void kv_operation_clear(kv_operation_row *row);

/* --- operation_names.c --- */

kv_status kv_names_store(kv_work *work, const kv_issuer_name *names, size_t count, kv_slice *out,
                         kv_error *err) KV_MUST_USE;
/* Empty gives none. */
kv_status kv_names_load(kv_work *work, kv_slice stored, const kv_issuer_name **out, size_t *count,
                        kv_error *err) KV_MUST_USE;

/* --- operation_due.c, operation_step.c: operations at issuers outside --- */

/* Something is due earlier than a waiting worker may know. */
void kv_wake_steps(kv_vault *vault);
/* At start-up: what this server had claimed when it died is due at once. */
kv_status kv_release_claims(kv_vault *vault, kv_error *err) KV_MUST_USE;
/* Before it is claimed: counts it against the budgets, or puts it off (`*pass` is false).
 * KV_CONFLICT: somebody else was first. (operation_gate.c) */
kv_status kv_operation_pass(kv_vault *vault, kv_work *work, kv_operation_row *operation, bool *pass,
                            kv_error *err) KV_MUST_USE;
/* The next step of an operation that this server has claimed; ends the claim. */
kv_status kv_operation_step(kv_vault *vault, kv_work *work, kv_operation_row *operation,
                            kv_error *err) KV_MUST_USE;
