/* vault_rules.h - what files about vaults share. Inner to vault. */
#pragma once

#include "server/vault/messages/messages_vaults.h"
#include "server/vault/vault_impl.h"

kv_status kv_vault_bundle_of(kv_work *work, const kv_vault_row *row, kv_vault_bundle *out,
                             kv_error *err) KV_MUST_USE;
/* KV_TIMEOUT when the call has no time left, KV_CANCELLED when the server stops: what is marked
 * stays marked, and is gone on with later. */
kv_status kv_purge_in_time(const kv_vault *vault, const kv_work *work, kv_error *err) KV_MUST_USE;
/* The outcome of a purge after its mark; one that failed is taken up again soon. */
kv_status kv_owe_purge(kv_vault *vault, kv_status status) KV_MUST_USE;
/* After the mark: every object, the encryption keys, the row. Also for reconciliation. */
kv_status kv_finish_vault_purge(kv_vault *vault, kv_work *work, kv_vault_row *row,
                                kv_error *err) KV_MUST_USE;
