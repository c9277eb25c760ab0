/* authority_keys.h - the keys of an authority: the current one, those before it, and one that waits
 * for its certificate. Inner to vault.
 */
#pragma once

#include "server/vault/authorities/authority_rules.h"

enum { KV_AUTHORITY_KEYS_MAX = 32 /* former ones that are looked at */ };

/* --- authority_keys.c --- */

/* Not the row of a former key, nor of one that waits for its certificate. */
bool kv_authority_is_current(const kv_authority_row *row);
/* "tls.2" is the second key of tls, "tls" the first. False: not a number. */
bool kv_authority_split(kv_slice name, kv_slice *base, uint32_t *number);
/* "tls", 2: "tls.2". */
kv_status kv_authority_numbered(kv_work *work, kv_slice name, int64_t number, kv_slice *out,
                                kv_error *err) KV_MUST_USE;
/* The row of that key of an authority; 0: the current one. */
kv_status kv_authority_of_key(kv_vault *vault, kv_work *work, const kv_authority_row *current,
                              uint32_t number, kv_authority_row *out, bool *exists,
                              kv_error *err) KV_MUST_USE;
/* The newest first. `all`: the current one before them. */
kv_status kv_authority_formers(kv_vault *vault, kv_work *work, const kv_authority_row *current,
                               kv_authority_row **out, size_t *count, kv_error *err) KV_MUST_USE;
kv_status kv_authority_all_keys(kv_vault *vault, kv_work *work, const kv_authority_row *current,
                                kv_authority_row **out, size_t *count, kv_error *err) KV_MUST_USE;
/* The new key that waits for its certificate. */
kv_status kv_authority_waiting(kv_vault *vault, kv_work *work, const kv_authority_row *current,
                               kv_authority_row *out, bool *exists, kv_error *err) KV_MUST_USE;
/* `next` takes the place of `old`, whose row moves to `former` and its list with it; all of them
 * live until the commit. */
kv_status kv_authority_succeed(kv_vault *vault, kv_work *work, const kv_authority_row *old,
                               kv_authority_row *next, kv_authority_row *former,
                               kv_crl_row *old_list, kv_change *change, kv_error *err) KV_MUST_USE;
/* The authority of this vault whose certificate is the first above `row`; a former key's stands for
 * the authority as it is now. */
kv_status kv_authority_above(kv_vault *vault, kv_work *work, const kv_authority_row *row,
                             kv_authority_row *out, bool *exists, kv_error *err) KV_MUST_USE;
/* What goes out with a certificate that it issued: itself and those above; of a root with a new
 * key, as long as the old one is valid, the new key signed with the old one, and the old root. Who
 * trusts either root has a path. */
kv_status kv_authority_served(kv_work *work, const kv_authority_row *row, kv_x509_list *out,
                              kv_error *err) KV_MUST_USE;
/* Where the listener of this server has what belongs to a key, by [pki] base_url; `given` is false
 * without one. */
kv_status kv_authority_urls(const kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                            const kv_authority_row *row, int64_t number, kv_revocation_config *out,
                            kv_error *err) KV_MUST_USE;

/* Destroys the key of a former one: nothing that it signed is valid. The row stays, to be listed.
 */
kv_status kv_authority_retire(kv_vault *vault, kv_work *work, const kv_authority_row *row,
                              kv_error *err) KV_MUST_USE;
/* Takes away key, responder, list and row; `step`: with a record of its own, else as the outcome of
 * the call. What it issued is gone already. */
kv_status kv_authority_remove(kv_vault *vault, kv_work *work, kv_authority_row *row, bool step,
                              kv_error *err) KV_MUST_USE;

/* --- authority_check.c --- */

struct kv_checks;
/* Which end soon, or have no valid list. */
kv_status kv_authorities_check(kv_vault *vault, struct kv_checks *checks,
                               kv_error *err) KV_MUST_USE;

/* --- authority_rechain.c --- */

/* Notes in a row that is to be stored: all chains of its vault that end with `before` (a
 * certificate and its own chain) are to end with `after`. So that is done even if a crash comes in
 * between. */
kv_status kv_authority_owe_chains(kv_work *work, kv_authority_row *row, const kv_slice before[2],
                                  const kv_slice after[2], kv_error *err) KV_MUST_USE;
/* Does what is noted there; `row` is as it is stored afterwards. A failure leaves the rest for
 * later: the old chains stay good for as long as they last. */
kv_status kv_authority_settle_chains(kv_vault *vault, kv_work *work, kv_authority_row *row,
                                     kv_error *err) KV_MUST_USE;
/* The same, where nobody can be told: what fails is logged, and the keeper does it later. */
void kv_authority_try_chains(kv_vault *vault, kv_work *work, const kv_authority_row *row);
