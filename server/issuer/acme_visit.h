/* acme_visit.h - what the files about ACME share. Internal to this folder. */
#pragma once

#include "server/acme/client.h"
#include "server/challenge/challenge.h"
#include "server/issuer/issuer.h"

enum { KV_ACME_PROOFS_MOST = 4 };

/* A way to prove control over names, in the order of preference. */
typedef struct kv_acme_proof {
    kv_slice type;
    kv_slice settings; /* JSON object, as the solver takes it; empty: none */
} kv_acme_proof;

/* Settings of an issuer object, read. */
typedef struct kv_acme_settings {
    const char *directory;
    kv_slice contacts[KV_ACME_CONTACTS_MOST];
    size_t contact_count;
    kv_acme_proof proofs[KV_ACME_PROOFS_MOST];
    size_t proof_count;
    kv_slice profile;
    kv_slice preferred_chain; /* common name of the root; empty: the authority's choice */
} kv_acme_settings;

/* KV_BAD_REQUEST with field "settings". (acme_settings.c) */
kv_status kv_acme_settings_read(kv_arena *arena, kv_slice json, kv_acme_settings *out,
                                kv_error *err) KV_MUST_USE;
kv_status kv_acme_account_judge(const kv_issuer_account *account, kv_arena *arena,
                                kv_error *err) KV_MUST_USE;

/* One step at an authority. */
typedef struct kv_acme_visit {
    const kv_issuer_account *account;
    kv_acme_settings settings;
    kv_acme_client client;
    kv_acme_key next; /* that is to take over */
} kv_acme_visit;

/* --- acme_account.c --- */

/* Reads the settings and the directory: of the enrolment's realm, if there is one. `now_us`:
 * kv_monotonic_us() when it was `now_ms`; waits that the authority asks for are counted from then.
 * Statuses as in client.h. `out` must not move afterwards. */
kv_status kv_acme_visit_begin(const kv_issuer_account *account, kv_arena *arena,
                              kv_deadline deadline, int64_t now_ms, int64_t now_us,
                              kv_acme_visit *out, kv_error *err) KV_MUST_USE;
/* The same, with the account: found or made. */
kv_status kv_acme_visit_enrol(kv_acme_visit *visit, kv_error *err) KV_MUST_USE;
kv_status kv_acme_visit_new_key(kv_acme_visit *visit, kv_error *err) KV_MUST_USE;
kv_status kv_acme_visit_deactivate(kv_acme_visit *visit, kv_error *err) KV_MUST_USE;

/* --- acme_names.c --- */

/* What is to be certified: host names and addresses of the policy, each once. KV_PRECONDITION when
 * there are others, none, or too many. */
kv_status kv_acme_names_of(kv_arena *arena, const kv_x509_policy *policy, const kv_acme_name **out,
                           size_t *count, kv_error *err) KV_MUST_USE;

/* --- acme_proofs.c --- */

typedef struct kv_acme_progress {
    kv_issuer_name *names;
    size_t count;
    bool failed; /* a name is invalid for good */
    bool final;  /* and will be again */
    bool all;    /* every name is valid */
    kv_slice code;
    int64_t wait_ms; /* before the authority is asked again; -1: as usual */
} kv_acme_progress;

/* Looks at every authorization of the order; shows proofs and has them looked at where that is
 * still to be done. */
kv_status kv_acme_prove(kv_acme_visit *visit, const kv_issuer_order *order, const kv_acme_order *of,
                        kv_acme_progress *out, kv_error *err) KV_MUST_USE;
/* Takes proofs away; `end`: what is not proved is given up. Best effort. */
void kv_acme_unprove(kv_acme_visit *visit, const kv_issuer_order *order, const kv_acme_order *of,
                     bool end);

/* --- acme_chain.c --- */

/* Certificates of a PEM text, DER. KV_UNAVAILABLE when it is none. */
kv_status kv_acme_chain_read(kv_arena *arena, kv_slice pem, kv_x509_list *out,
                             kv_error *err) KV_MUST_USE;
/* Does the chain end in, or below, a certificate of that common name? */
bool kv_acme_chain_ends_in(const kv_x509_list *chain, kv_slice root);
kv_status kv_acme_chain_get(kv_acme_visit *visit, const char *url, kv_x509_list *chain,
                            kv_x509_list *warnings, kv_error *err) KV_MUST_USE;

/* --- acme_upkeep.c: functions of the row, see issuer.h --- */

kv_status kv_acme_step_revoke(const kv_issuer_order *order, kv_issuer_revocation why,
                              kv_error *err);
kv_status kv_acme_step_hint(const kv_issuer_order *order, kv_issuer_window *out, kv_error *err);
kv_status kv_acme_step_check(const kv_issuer_account *account, kv_arena *arena,
                             kv_deadline deadline, kv_slice *record, kv_error *err);
kv_status kv_acme_step_new_key(const kv_issuer_account *account, kv_arena *arena,
                               kv_deadline deadline, kv_error *err);
kv_status kv_acme_step_deactivate(const kv_issuer_account *account, kv_arena *arena,
                                  kv_deadline deadline, kv_error *err);
kv_status kv_acme_step_realm(const kv_issuer_account *account, kv_arena *arena, kv_slice *out,
                             kv_error *err);
