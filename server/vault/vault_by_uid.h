/* vault_by_uid.h - the vault of a row that names it by its uid.
 *
 * The table of vaults is in the order of their names. Under which name a uid was found is kept for
 * the next time; it is looked up there, its seal and its uid are judged as ever, and where it is
 * another vault by now all of them are gone through. Inner to vault.
 *
 * Threads: any.
 */
#pragma once

#include "server/vault/vault_impl.h"

typedef struct kv_vault_hints kv_vault_hints;

/* NULL when memory runs out. */
kv_vault_hints *kv_vault_hints_new(void);
void kv_vault_hints_free(kv_vault_hints *hints);

/* In whatever state. KV_NOT_FOUND; errors of kv_records_get(). */
kv_status kv_vault_by_uid(kv_vault *vault, kv_work *work, kv_slice uid, kv_vault_row *out,
                          kv_error *err) KV_MUST_USE;
