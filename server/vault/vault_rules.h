/* vault_rules.h - what files about vaults share. Inner to vault. */
#pragma once

#include "server/vault/messages_vaults.h"
#include "server/vault/vault_impl.h"

kv_status kv_vault_bundle_of(kv_work *work, const kv_vault_row *row, kv_vault_bundle *out,
                             kv_error *err) KV_MUST_USE;
/* After the mark: every object, the encryption keys, the row. Also for reconciliation. */
kv_status kv_finish_vault_purge(kv_vault *vault, kv_work *work, kv_vault_row *row,
                                kv_error *err) KV_MUST_USE;
