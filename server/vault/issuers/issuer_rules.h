/* issuer_rules.h - what files about issuers share, and what those about certificates ask them.
 * Inner to vault. */
#pragma once

#include "server/issuer/issuer.h"
#include "server/vault/messages/messages_issuers.h"
#include "server/vault/vault_impl.h"

/* The caller's principal id, borrowed from work. */
static inline kv_slice kv_asker(const kv_work *work)
{
    return kv_slice_of(work->caller->principal_id, sizeof(work->caller->principal_id));
}

enum { KV_ISSUERS_MAX = 100 }; /* of a vault */

/* --- issuer_choose.c --- */

/* An account at an authority that knows it by a key of ours. (issuer_enrolment.c) */
typedef struct kv_enrolment {
    kv_issuer_enrolment face;
    kv_enrolment_row row;
    kv_slice credential_uid; /* whose credential is of no use once there is an account */
    kv_vault *vault;
    kv_work *work;
} kv_enrolment;

/* Whom a policy's issuer.name stands for, ready to take an order. */
typedef struct kv_chosen_issuer {
    const kv_issuer *issuer;   /* the functions of its provider */
    kv_issuer_account account; /* all zero without an issuer object; borrows from here and work */
    kv_secret_buf credential;
    kv_slice credential_uid; /* of the issuer object as it was read; empty: there is none */
    kv_enrolment enrolment;
} kv_chosen_issuer;

void kv_chosen_issuer_cleanup(kv_chosen_issuer *chosen);

/* The functions of the issuer's provider. KV_BAD_REQUEST about policy.issuer.name when the vault
 * has no such issuer. */
kv_status kv_issuer_known(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                          kv_slice name, const kv_issuer **out, kv_error *err) KV_MUST_USE;
/* May the policy's issuer be used for its names by this principal? `requester` is a principal id;
 * empty or zero: nobody in particular (a renewal by schedule), so only the names are judged. The
 * record of the call names the issuer, and what it refused. KV_BAD_REQUEST: no such issuer;
 * KV_PRECONDITION with KV_REASON_DISABLED; KV_DENIED with KV_REASON_ISSUER_RULES says which name or
 * requester. */
kv_status kv_issuer_permit(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                           const kv_x509_policy *policy, kv_slice requester,
                           kv_error *err) KV_MUST_USE;
/* Are all names of what came back within the rules, those that nobody asked for too? Errors as
 * above. */
kv_status kv_issuer_permit_leaf(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                                const kv_x509_policy *policy, const kv_x509_facts *leaf,
                                kv_error *err) KV_MUST_USE;
/* As kv_issuer_permit, and opens the credential. `*out` must not move until its cleanup. */
kv_status kv_issuer_choose(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                           const kv_x509_policy *policy, kv_slice requester, kv_chosen_issuer *out,
                           kv_error *err) KV_MUST_USE;
/* What its certificates are held to: private and not strict where nobody has said. */
typedef struct kv_issuer_demands {
    kv_x509_lint_scope trust;
    bool strict_lint;
} kv_issuer_demands;
kv_status kv_issuer_demands_of(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                               kv_slice name, kv_issuer_demands *out, kv_error *err) KV_MUST_USE;
/* Only the issuer object and its credential, by name, for work that orders nothing (polling,
 * revoking, checking). KV_NOT_FOUND; a disabled one is found too. */
kv_status kv_issuer_open(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                         kv_slice name, kv_chosen_issuer *out, kv_error *err) KV_MUST_USE;

/* --- issuer_enrolment.c --- */

/* It has been used for good: nobody has to hear of its end any more. Changes the row alone. */
void kv_issuer_forget_credential(kv_issuer_row *row);

/* Finds the account of an issuer whose provider wants a key, or makes the key; `work` and `chosen`
 * must not move until its cleanup. Nothing for other providers. KV_CONFLICT when others were
 * first again and again. */
kv_status kv_enrolment_open(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                            kv_chosen_issuer *chosen, kv_error *err) KV_MUST_USE;
/* Makes the key that is to take over, unless there is one. KV_UNSUPPORTED without an account. */
kv_status kv_enrolment_next_key(kv_chosen_issuer *chosen, kv_error *err) KV_MUST_USE;

/* Has the authorities close all accounts that an issuer has or had. KV_UNSUPPORTED where its
 * provider has none. */
kv_status kv_enrolments_deactivate(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                                   const kv_issuer_row *issuer, kv_error *err) KV_MUST_USE;
/* Has the issuer an account with the authority of these settings? Nobody is asked. */
kv_status kv_enrolment_exists(kv_vault *vault, kv_work *work, const kv_issuer_row *issuer,
                              bool *out, kv_error *err) KV_MUST_USE;

/* Adds to the change that deletes an issuer: its accounts and their keys go. `ended` lives in
 * work's arena; after the commit the keys are destroyed. The change must be empty before. */
typedef struct kv_enrolments_ended {
    kv_token_object_row *keys;
    size_t count;
} kv_enrolments_ended;

kv_status kv_enrolments_end(kv_vault *vault, kv_work *work, const kv_issuer_row *issuer,
                            kv_change *change, kv_enrolments_ended *ended,
                            kv_error *err) KV_MUST_USE;
void kv_enrolments_destroy(kv_vault *vault, kv_work *work, const kv_enrolments_ended *ended);

/* --- issuer_account.c --- */

/* The account of an issuer as it is. */
kv_status kv_issuer_account_of(kv_vault *vault, kv_work *work, const kv_target *target,
                               kv_issuer_account_bundle *out, kv_error *err) KV_MUST_USE;

/* --- issuer_row.c --- */

/* The provider's functions; NULL when this server has no such provider. */
const kv_issuer *kv_provider_find(const kv_vault *vault, kv_slice provider);
/* In any case; `*exists`. */
kv_status kv_issuer_look_up(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_slice name,
                            kv_issuer_row *out, bool *exists, kv_error *err) KV_MUST_USE;
/* By the target, noted in work->entry. KV_NOT_FOUND. */
kv_status kv_issuer_find_row(kv_vault *vault, kv_work *work, const kv_target *target,
                             kv_vault_row *vault_row, kv_issuer_row *out,
                             kv_error *err) KV_MUST_USE;
kv_status kv_issuer_bundle_of(kv_work *work, const kv_vault_row *vault_row,
                              const kv_issuer_row *row, kv_issuer_bundle *out,
                              kv_error *err) KV_MUST_USE;
kv_status kv_issuer_admins_store(kv_work *work, const kv_issuer_admin *admins, size_t count,
                                 kv_slice *out, kv_error *err) KV_MUST_USE;
/* What the stored credential is bound to. */
kv_box kv_issuer_place(const kv_issuer_row *row);
/* Does it issue from an authority of this server? NULL is none. */
bool kv_issuer_is_local(const kv_issuer *issuer);
/* "Self" and "Unknown". */
bool kv_issuer_is_builtin(kv_slice name);

/* --- issuer_watch.c --- */

struct kv_checks;

/* For `server doctor`: credentials that end, issuers that are unwell or have had their orders. */
kv_status kv_issuers_check(kv_vault *vault, kv_work *work, struct kv_checks *checks,
                           kv_error *err) KV_MUST_USE;

/* --- issuer_get.c --- */

/* Issuers whose credential ends before `until_ms`, or has ended, soonest first: at most
 * KV_SCAN_LIMIT rows of kv_issuer_row, of all vaults. */
kv_status kv_issuers_expiring(kv_vault *vault, kv_work *work, int64_t until_ms, kv_rows *out,
                              kv_error *err) KV_MUST_USE;
/* With a vault that is purged. */
kv_status kv_issuers_forget(kv_vault *vault, kv_work *work, kv_slice vault_uid,
                            kv_error *err) KV_MUST_USE;
