/* issuer_state.h - how an issuer of a vault is, how much it may be asked, and when not. Inner to
 * vault.
 *
 * Only issuers outside are watched; the others answer at once and cost nothing. The state is a
 * sealed row of its own, changed apart from the operation it was learned by: many operations of one
 * issuer would else be in each other's way.
 */
#pragma once

#include "server/lifecycle/blackout.h"
#include "server/lifecycle/gate.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/issuers/issuer_rules.h"

/* What its officer allows, and when its vault wants nothing to be renewed. */
typedef struct kv_issuer_limits {
    kv_budget orders;
    int64_t certificates_per_week; /* of the same names; 0: no limit */
    kv_blackout blackouts[2 * KV_BLACKOUTS_MAX];
    unsigned blackout_count;
} kv_issuer_limits;

enum { KV_ORDERS_PER_HOUR = 100, KV_CERTIFICATES_PER_WEEK = 5 }; /* what Let's Encrypt allows */

/* --- issuer_state.c --- */

/* `issuer`: lower case. One without an issuer object, or that is not outside, has no budgets. */
kv_status kv_issuer_limits_of(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                              kv_slice issuer, kv_issuer_limits *out, kv_error *err) KV_MUST_USE;
/* All zero but the key where there is none yet. */
kv_status kv_issuer_state_find(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_slice issuer,
                               kv_issuer_state_row *out, kv_error *err) KV_MUST_USE;
kv_health kv_issuer_health(const kv_issuer_state_row *state);
/* Why it is not asked now, in its own words where it has some; empty: it may be. */
kv_slice kv_issuer_trouble(const kv_issuer_state_row *state, int64_t now_ms);
/* The same for callers. */
kv_status kv_issuer_show_health(kv_vault *vault, kv_work *work, const kv_issuer_row *row,
                                kv_issuer_bundle *out, kv_error *err) KV_MUST_USE;
/* What a gate has to know of issuer and names; `policy` NULL: the names do not matter. `state` and
 * `health` are the caller's, `out` points to the latter. `life_ms`: of the certificates, 0: nobody
 * knows; short ones may come more often. */
kv_status kv_issuer_gate_facts(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                               kv_slice issuer, const kv_x509_policy *policy, int64_t life_ms,
                               kv_health *health, kv_gate_facts *out, kv_error *err) KV_MUST_USE;
/* One is on the way to find out whether it is well again. KV_CONFLICT: another was first. */
kv_status kv_issuer_probing(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                            kv_slice issuer, kv_error *err) KV_MUST_USE;
/* An order is about to be placed. */
kv_status kv_issuer_take_order(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                               kv_slice issuer, kv_error *err) KV_MUST_USE;
/* A certificate of these names has come: adds that to its change. `row` must live until the
 * commit. */
kv_status kv_issuer_take_names(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                               kv_slice issuer, const kv_x509_policy *policy, int64_t life_ms,
                               kv_name_budget_row *row, kv_change *change,
                               kv_error *err) KV_MUST_USE;
/* What came of a question. Tells once that it is unwell, once that it is well again, and wakes
 * those who wait for that. `*resume_at`: nobody asks it before; 0: anybody may. `why`: of a fault.
 */
kv_status kv_issuer_heard(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                          kv_slice issuer, kv_health_news *news, kv_slice why, int64_t *resume_at,
                          kv_error *err) KV_MUST_USE;

/* --- issuer_wake.c --- */

/* What waits for it becomes due, spread over a quarter of an hour. */
kv_status kv_issuer_wake(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_slice issuer,
                         kv_error *err) KV_MUST_USE;
/* Its officer has changed something: it counts as well until it shows otherwise. */
kv_status kv_issuer_try_again(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                              kv_slice issuer, kv_error *err) KV_MUST_USE;

/* --- blackouts.c --- */

/* Windows as a caller gives them, as they are stored; "none" alone is none. KV_BAD_REQUEST about
 * `field`, or an element of it. */
kv_status kv_blackouts_store(kv_work *work, const kv_x509_list *texts, const char *field,
                             kv_slice *out, kv_error *err) KV_MUST_USE;

/* What a change of blackouts has to know before it is made. */
typedef struct kv_blackout_change {
    kv_slice vault_uid;
    kv_slice issuer; /* lower case; empty: windows of the whole vault */
    int64_t until;   /* nobody waits for longer; 0: nobody waits */
} kv_blackout_change;

/* `vault_row`: as it is stored. `issuer`: lower case; empty for windows of the vault. `stored` and
 * `given`: the windows as they are and as they shall be; nobody is woken when that is the same. */
kv_status kv_blackout_change_begin(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                                   kv_slice issuer, kv_slice stored, kv_slice given,
                                   kv_blackout_change *out, kv_error *err) KV_MUST_USE;
/* After the commit: renewals that wait for the end of a window look again, spread over a quarter of
 * an hour. The change stands whatever comes of it; what could not be woken has its time. */
void kv_blackout_change_end(kv_vault *vault, kv_work *work, const kv_blackout_change *change);
