/* watch.h - chores about issuers, done from time to time by a thread of the server's own. */
#pragma once

#include "server/vault/vault.h"

/* Logs each issuer whose credential ends within 30 days (issuer.credential_expires) or has ended
 * (issuer.credential_expired). */
kv_status kv_vault_watch_issuers(kv_vault *vault, kv_error *err) KV_MUST_USE;
/* Tells by an event that a credential ends soon, or has ended: at 30, 15 and 7 days and at 90 and
 * 95 % of the time since somebody said so, each once (lifecycle/expiry.h). */
kv_status kv_vault_announce_credentials(kv_vault *vault, kv_error *err) KV_MUST_USE;
/* Takes away what is left of budgets of names that are full again, a hundred at a time. `*more`:
 * call it again. */
kv_status kv_vault_sweep_budgets(kv_vault *vault, bool *more, kv_error *err) KV_MUST_USE;
