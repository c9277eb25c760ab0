/* proofs.h - proofs of control over names that authorities outside may ask any server for.
 *
 * The board of server/challenge/board.h, in the store: rows that are sealed and recorded like
 * every other, and go after a day when nobody took them down.
 *
 * Threads: workers, and listeners that may use the store.
 */
#pragma once

#include "server/challenge/board.h"
#include "server/vault/vault.h"

enum { KV_PROOF_MS = 24 * 60 * 60 * 1000 };

kv_challenge_board kv_vault_board(kv_vault *vault);

/* Takes down what is older than a day, a few hundred at a time. `*more`: call it again. */
kv_status kv_vault_proofs_due(kv_vault *vault, bool *more, kv_error *err) KV_MUST_USE;
