/* webhook_rules.h - what files about webhooks share. Inner to vault. */
#pragma once

#include "server/notify/webhook.h"
#include "server/vault/messages/messages_webhooks.h"
#include "server/vault/vault_impl.h"

#define KV_STOPPED_GONE    KV_SLICE("gone")
#define KV_STOPPED_FAILING KV_SLICE("failing")

/* --- webhook_row.c --- */

kv_status kv_webhook_look_up(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_slice name,
                             kv_webhook_row *out, bool *exists, kv_error *err) KV_MUST_USE;
/* KV_NOT_FOUND. */
kv_status kv_webhook_by_uid(kv_vault *vault, kv_work *work, kv_slice uid, kv_webhook_row *out,
                            kv_error *err) KV_MUST_USE;
/* By the target, noted in work->entry; the caller must be one whose it is. KV_NOT_FOUND, KV_DENIED
 * and the other errors of kv_auth_permit(). */
kv_status kv_webhook_find(kv_vault *vault, kv_work *work, const kv_target *target,
                          kv_vault_row *vault_row, kv_webhook_row *out, kv_error *err) KV_MUST_USE;
kv_status kv_webhook_bundle_of(kv_work *work, const kv_vault_row *vault_row,
                               const kv_webhook_row *row, kv_webhook_bundle *out,
                               kv_error *err) KV_MUST_USE;
kv_webhook_state kv_webhook_state_of(const kv_webhook_row *row);
/* Does it want events of this type? Types are as in the row. One that is for auditors is wanted
 * only by who names it. */
bool kv_webhook_wants(const kv_slice *types, size_t count, kv_slice type);
/* Events for auditors have webhooks of their own: those belong to who may read the audit log, all
 * others to who may write the vault. */
bool kv_webhook_for_auditors(const kv_slice *types, size_t count);
/* May the caller have to do with a webhook, or a delivery, that is for auditors or is not? Errors
 * of kv_auth_permit(). */
kv_status kv_webhook_permit(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                            bool for_auditors, kv_error *err) KV_MUST_USE;
/* The same of one that is stored, with no error for a no. */
kv_status kv_webhook_permits(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                             bool for_auditors, bool *may, kv_error *err) KV_MUST_USE;
kv_status kv_webhook_row_for_auditors(kv_work *work, const kv_webhook_row *row, bool *out,
                                      kv_error *err) KV_MUST_USE;
/* All webhooks of a vault: at most KV_WEBHOOKS_MAX rows of kv_webhook_row. */
kv_status kv_webhooks_of(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_rows *out,
                         kv_error *err) KV_MUST_USE;

/* --- webhook_send.c --- */

/* Whom to ask; opens the authorization, which lives in work's arena. */
kv_status kv_webhook_end_of(kv_vault *vault, kv_work *work, const kv_webhook_row *row,
                            kv_webhook_end *out, kv_error *err) KV_MUST_USE;
kv_box kv_webhook_place(const kv_webhook_row *row);
/* Asks whether it wants events, and writes the answer into the row: agreed, rate, last_error.
 * Errors: KV_CANCELLED, KV_BUSY and those of the token. */
kv_status kv_webhook_shake_hands(kv_vault *vault, kv_work *work, kv_webhook_row *row,
                                 kv_error *err) KV_MUST_USE;
/* Signs and posts one event. Errors as above; the rest is the result. */
kv_status kv_webhook_deliver(kv_vault *vault, kv_work *work, const kv_webhook_row *row, kv_slice id,
                             kv_slice body, kv_webhook_result *out, kv_error *err) KV_MUST_USE;

/* --- webhook.c --- */

/* With a vault that is purged; its keys go with those of the vault. */
kv_status kv_webhooks_forget(kv_vault *vault, kv_work *work, kv_slice vault_uid,
                             kv_error *err) KV_MUST_USE;
