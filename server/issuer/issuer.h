/* issuer.h - one interface for everybody who turns a request into a certificate.
 *
 * An issuer is a row of functions. The vault stores each step of an operation before it calls the
 * next function, so that a crash can be resumed: `submit` says at most once what `poll` and `fetch`
 * may ask as often as they like. An issuer that needs time or the network answers `submit` with
 * KV_ISSUER_PENDING and an external id; one that needs neither answers with the certificate.
 *
 * An `outside` issuer is asked by the vault's worker, each answer stored before the next question.
 * `submit` is repeated with the same `operation` and `attempt` when its answer was lost: where an
 * order costs money it looks for that order first.
 * Threads: workers of the slow lane.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/clock.h"
#include "server/base/error.h"
#include "server/base/secret_buf.h"
#include "server/issuer/local.h"
#include "server/issuer/world.h"
#include "server/x509/certificate.h"

typedef enum kv_issuer_state {
    KV_ISSUER_PENDING,   /* ask again after retry_ms; 0: nothing to ask, somebody must act */
    KV_ISSUER_READY,     /* `fetch` will give the certificate */
    KV_ISSUER_ISSUED,    /* `chain` is the certificate */
    KV_ISSUER_REFUSED,   /* for good; `code` and `details` say why */
    KV_ISSUER_RETRYABLE, /* this attempt failed; a new order may succeed */
    KV_ISSUER_CANCELLED
} kv_issuer_state;

/* What an operation wants. All of it lives as long as the call of the function. */
typedef struct kv_issuer_order {
    kv_slice operation; /* unique for ever: with `attempt` the caller's id for idempotent orders */
    unsigned attempt;   /* from 1; grows when the issuer answered RETRYABLE, never for silence */
    const kv_issuer_account *account;
    const kv_x509_policy *policy; /* checked */
    kv_slice csr;                 /* PKCS#10, DER */
    kv_slice spki;                /* the key's public half, DER */
    const kv_x509_signer *signer; /* the key, for issuers that sign with it; NULL after submit */
    const kv_issuer_local *local; /* the authority to issue from; NULL: another provider */
    kv_slice external_id;         /* what submit answered; empty before */
    /* The certificate, for revoke and renewal_hint; with submit what is to be followed, if any. */
    kv_x509_list chain;
    const kv_issuer_name *names; /* as the last answer had them */
    size_t name_count;
    int64_t begun_ms; /* when the operation began */
    int64_t now_ms;   /* waits in an answer begin here */
    int64_t now_us;   /* kv_monotonic_us() then */
    kv_deadline deadline;
    kv_arena *arena; /* answers live here */
} kv_issuer_order;

typedef struct kv_issuer_answer {
    kv_issuer_state state;
    kv_slice external_id;  /* to be stored and given back; may be empty */
    unsigned retry_ms;     /* with PENDING: when to ask again */
    kv_x509_list chain;    /* with ISSUED: DER, leaf first */
    kv_x509_list warnings; /* what lint or the issuer remarked, for the caller */
    kv_slice code;         /* with REFUSED and RETRYABLE: the issuer's own */
    kv_slice details;      /* status words for the caller, a sentence */
    /* With REFUSED or RETRYABLE: it is the account's fault or the whole service's, not this
     * order's. The order is kept and tried again; others wait until the issuer is well. */
    bool issuer_fault;
    /* The issuer wants to be left alone as a whole for so long (429, 503 with Retry-After): nobody
     * asks it anything until then. 0: no. A RETRYABLE with it was no order yet: the same `attempt`
     * is submitted again. */
    unsigned pause_ms;
    const kv_issuer_name *names; /* how far each name is; none: as before */
    size_t name_count;
} kv_issuer_answer;

/* When a certificate is best renewed; both 0: the issuer has no opinion. */
typedef struct kv_issuer_window {
    int64_t from_ms;
    int64_t until_ms;
    unsigned retry_ms;    /* when to ask again, as the issuer says; 0: it does not say */
    kv_slice explanation; /* URL of a page for people about the window; may be empty */
} kv_issuer_window;

typedef enum kv_issuer_revocation { /* CRLReason of RFC 5280 */
                                    KV_ISSUER_UNSPECIFIED = 0,
                                    KV_ISSUER_KEY_COMPROMISE = 1,
                                    KV_ISSUER_AFFILIATION_CHANGED = 3,
                                    KV_ISSUER_SUPERSEDED = 4,
                                    KV_ISSUER_CESSATION = 5
} kv_issuer_revocation;

typedef kv_status kv_issuer_step(const kv_issuer_order *order, kv_issuer_answer *out,
                                 kv_error *err);

/* A status other than KV_OK means that the issuer gave no answer (the step may be tried again);
 * whatever it did answer, refusals too, is a state. A function that is NULL is not supported. */
typedef struct kv_issuer {
    const char *provider; /* Self, Unknown, and later the providers of issuer objects */
    bool auto_renew;      /* can renew without a human */
    bool needs_account;   /* works for an issuer object, not by its own name */
    bool outside;         /* reaches somebody: the order is stored first, a worker carries it out */
    kv_issuer_step *submit;
    kv_issuer_step *poll;
    kv_issuer_step *fetch;
    kv_issuer_step *cancel; /* best effort */
    kv_status (*revoke)(const kv_issuer_order *order, kv_issuer_revocation why, kv_error *err);
    kv_status (*renewal_hint)(const kv_issuer_order *order, kv_issuer_window *out, kv_error *err);
    /* `record`: what has to stand in the DNS for every name before an order (dns-persist-01), as
     * the value of a TXT record; untouched: nothing, or nobody knows. */
    kv_status (*check_credentials)(const kv_issuer_account *account, kv_arena *arena,
                                   kv_deadline deadline, kv_slice *record, kv_error *err);
    /* Judges account id, settings and whether there is a credential (it is not opened) when an
     * issuer is stored; touches nothing outside. KV_BAD_REQUEST names "settings", "provider",
     * "credentials.account_id" or "credentials.pwd". NULL: any JSON object will do. */
    kv_status (*check_account)(const kv_issuer_account *account, kv_arena *arena, kv_error *err);
    /* Whose account a key of the token is for: the authority, as text. NULL: there is no key. */
    kv_status (*realm)(const kv_issuer_account *account, kv_arena *arena, kv_slice *out,
                       kv_error *err);
    /* Has it take the enrolment's next key in place of the one in use. */
    kv_status (*new_key)(const kv_issuer_account *account, kv_arena *arena, kv_deadline deadline,
                         kv_error *err);
    /* Has it close the enrolment's account for good. KV_OK too where it has no such account. */
    kv_status (*deactivate)(const kv_issuer_account *account, kv_arena *arena, kv_deadline deadline,
                            kv_error *err);
} kv_issuer;

extern const kv_issuer *const kv_issuers[];
extern const size_t kv_issuers_count;

/* By provider name, in any case; NULL when there is none. */
const kv_issuer *kv_issuer_find(kv_slice provider);

/* Calls the function of the row, or fails with KV_UNSUPPORTED naming the provider. */
kv_status kv_issuer_submit(const kv_issuer *issuer, const kv_issuer_order *order,
                           kv_issuer_answer *out, kv_error *err) KV_MUST_USE;
kv_status kv_issuer_poll(const kv_issuer *issuer, const kv_issuer_order *order,
                         kv_issuer_answer *out, kv_error *err) KV_MUST_USE;
kv_status kv_issuer_fetch(const kv_issuer *issuer, const kv_issuer_order *order,
                          kv_issuer_answer *out, kv_error *err) KV_MUST_USE;
kv_status kv_issuer_cancel(const kv_issuer *issuer, const kv_issuer_order *order,
                           kv_issuer_answer *out, kv_error *err) KV_MUST_USE;
kv_status kv_issuer_revoke(const kv_issuer *issuer, const kv_issuer_order *order,
                           kv_issuer_revocation why, kv_error *err) KV_MUST_USE;
/* An issuer without an opinion gives an empty window. */
kv_status kv_issuer_renewal_hint(const kv_issuer *issuer, const kv_issuer_order *order,
                                 kv_issuer_window *out, kv_error *err) KV_MUST_USE;
kv_status kv_issuer_check_credentials(const kv_issuer *issuer, const kv_issuer_account *account,
                                      kv_arena *arena, kv_deadline deadline, kv_slice *record,
                                      kv_error *err) KV_MUST_USE;
kv_status kv_issuer_new_key(const kv_issuer *issuer, const kv_issuer_account *account,
                            kv_arena *arena, kv_deadline deadline, kv_error *err) KV_MUST_USE;
kv_status kv_issuer_deactivate(const kv_issuer *issuer, const kv_issuer_account *account,
                               kv_arena *arena, kv_deadline deadline, kv_error *err) KV_MUST_USE;
