/* vault.h - the vault layer: what the operations of this server mean.
 *
 * A kv_vault is the whole container of all vaults: it owns the rules, the caches and the order in
 * which store, tokens and issuers are used. One file per operation or close family; each operation
 * takes (vault, work, in, out, err) with the structs of messages.h, checks meaning (names, states,
 * algorithms), never form, and never permission: dispatch has done that, except where the
 * permission depends on the object.
 *
 * Threads:  workers. No lock is held across a token, the store or the audit log.
 * Lifetime: opened after tokens, records, auth and audit; closed before them.
 */
#pragma once

#include "pkcs11/tokens.h"
#include "server/auth/auth.h"
#include "server/issuer/issuer.h"
#include "server/store/records.h"
#include "server/vault/work.h"

typedef struct kv_vault kv_vault;

struct kv_checks;

/* How people and programs are told. All borrowed. */
typedef struct kv_vault_notify {
    struct kv_http *http;             /* NULL: no webhooks are called */
    const struct kv_postman *postman; /* NULL: this server sends no mail */
    const char *origin;               /* DNS name of this server; NULL: "localhost" */
    unsigned threads;                 /* that call webhooks; 0: 1 */
    unsigned tries;                   /* before a delivery is a dead letter; 0: 10 */
    unsigned retry_percent;           /* of the usual waits; 0: 100 */
    unsigned digest_hour;             /* UTC, of the daily mail */
    int64_t mail_interval_ms;         /* between two mails to one contact */
} kv_vault_notify;

typedef struct kv_vault_config {
    kv_records *records;
    kv_tokens *tokens;
    kv_auth *auth;
    struct kv_audit *audit;
    kv_log *log;
    const kv_clock *clock;      /* NULL: the system's */
    kv_slice node;              /* 16 bytes: which server this is */
    kv_slice instance;          /* 16 bytes: which installation the data belongs to */
    uint64_t secret_key_uses;   /* encryptions before a vault's key rolls; 0: 2^31 */
    const char *version;        /* of the program; static */
    unsigned orders_per_issuer; /* threads that may be with one issuer at once; 0: 2 */
    unsigned orders_per_vault;  /* with the issuers of one vault; 0: any number */
    int64_t checkpoint_ms;      /* how often the audit log is to have one; 0: not watched */
    /* What the doctor looks at beside the vaults themselves; NULL: nothing. Any worker. */
    kv_status (*check)(void *context, struct kv_checks *checks, kv_error *err);
    void *check_context;      /* borrowed */
    const char *pki_base_url; /* of the plain HTTP listener, for clients; NULL: none */
    kv_slice audit_kid;       /* of the audit signer; borrowed */
    kv_slice audit_spki;      /* its public key, DER; borrowed */
    kv_vault_notify notify;
    const kv_issuer *const *issuers; /* beside those of kv_issuers, for tests; borrowed */
    size_t issuer_count;
    int64_t events_keep_ms; /* how long events are kept; 0: 30 days */
    uint64_t events_keep;   /* how many at most; 0: 100,000 */
    /* How this server proves control over names, for issuers that ask; borrowed. */
    const struct kv_challenge_solver *solvers;
    size_t solver_count;
    struct kv_http *http;             /* outgoing connections of issuers; borrowed; NULL: none */
    struct kv_acme_memory *acme;      /* see server/acme/memory.h; borrowed; may be NULL */
    struct kv_known_logs *known_logs; /* see server/x509/known_logs.h; borrowed; may be NULL */
} kv_vault_config;

kv_status kv_vault_open(const kv_vault_config *config, kv_vault **out, kv_error *err) KV_MUST_USE;
void kv_vault_close(kv_vault *vault);

/* Brings token and store together after a crash: rolls back births that were not finished, destroys
 * what was being destroyed, finishes purges, fails operations whose worker died. Before serving. */
typedef struct kv_reconciled {
    unsigned births_rolled_back;
    unsigned destroyed;
    unsigned purges_finished;
    unsigned operations_resumed;
} kv_reconciled;

kv_status kv_vault_reconcile(kv_vault *vault, kv_reconciled *out, kv_error *err) KV_MUST_USE;

/* Purges what is past its retention, or was to be purged and is not gone yet; called by the
 * server's timer. `*purged` counts. KV_CANCELLED after kv_vault_stop(). */
kv_status kv_vault_purge_due(kv_vault *vault, unsigned *purged, kv_error *err) KV_MUST_USE;
/* KV_PRECONDITION when an authority that vouches for callers is one that issues here, or stands
 * above one. Before serving. */
kv_status kv_vault_check_authorities(kv_vault *vault, kv_error *err) KV_MUST_USE;
/* Makes the revocation lists and responders that are due; called by the server's timer. `*made`
 * counts those that were. One authority that cannot stops no other: that is in the log. */
kv_status kv_vault_crls_due(kv_vault *vault, unsigned *made, kv_error *err) KV_MUST_USE;
/* Could a purge that a caller asked for not be finished in its time? */
bool kv_vault_owes_purge(const kv_vault *vault);
/* Takes one step of one operation that is due at an issuer: asks and stores the answer. Several
 * threads may, `orders_per_issuer` of them for one issuer and `orders_per_vault` for one vault;
 * what they are at is passed over.
 * `*next_at`: wall time when to call again, now or in the past for at once; 0: nothing is due.
 * What the issuer says or does not say is stored in the operation; a status is trouble here. */
kv_status kv_vault_step_operation(kv_vault *vault, int64_t *next_at, kv_error *err) KV_MUST_USE;
/* Begins one renewal that is due: the next version by the stored policy. `*next_at` as above. What
 * an issuer refuses is no status: it is logged, and tried again. */
kv_status kv_vault_step_renewal(kv_vault *vault, int64_t *next_at, kv_error *err) KV_MUST_USE;
/* Announces one end of a version that is near or there. `*next_at` as above. */
kv_status kv_vault_step_expiry(kv_vault *vault, int64_t *next_at, kv_error *err) KV_MUST_USE;
/* Does one thing that is due with a key: its next version, the notice that its policy asks for, the
 * retirement of a version that has been followed. `*next_at` and errors as above. */
kv_status kv_vault_step_rotation(kv_vault *vault, int64_t *next_at, kv_error *err) KV_MUST_USE;
/* The clock was set back by so much: what waits does not wait for that in addition. Less than a
 * minute does not matter. */
kv_status kv_vault_clock_set_back(kv_vault *vault, int64_t back_ms, kv_error *err) KV_MUST_USE;
/* Waits until that time (0: for no time in particular), until something becomes due earlier, or at
 * most a minute, since another server may have added work. `*seen` is the waiting thread's own, 0
 * at first: what happened since its last wait is not missed. False: the vault stops. */
bool kv_vault_wait_for_steps(kv_vault *vault, int64_t next_at, uint64_t *seen);
/* --- telling (delivery_*.c) --- */

/* Finds out what is still to be told. Before the steps below. */
kv_status kv_vault_open_postbox(kv_vault *vault, kv_error *err) KV_MUST_USE;
/* How far the planning is; zero at the start. */
typedef struct kv_planned {
    int64_t cursor;    /* of events (events.h) */
    unsigned unstored; /* events that concerned nobody: to pass them is stored now and then */
} kv_planned;

/* Plans the deliveries of what happened since the last call. `*more`: at once again; else, when
 * something has happened past the cursor. One caller at a time. */
kv_status kv_vault_plan_deliveries(kv_vault *vault, kv_planned *planned, bool *more,
                                   kv_error *err) KV_MUST_USE;
/* Sends to one webhook, or mails one contact, whose turn it is. `*next_at` as above. What they
 * answer is stored; a status is trouble here. */
kv_status kv_vault_step_webhook(kv_vault *vault, int64_t *next_at, kv_error *err) KV_MUST_USE;
kv_status kv_vault_step_mail(kv_vault *vault, int64_t *next_at, kv_error *err) KV_MUST_USE;
/* Waits until that time or for more to send. False: the vault stops. */
bool kv_vault_wait_for_deliveries(kv_vault *vault, int64_t next_at);
/* Forgets dead letters of more than 30 days ago; called by the server's timer. */
kv_status kv_vault_sweep_dead_letters(kv_vault *vault, unsigned *removed,
                                      kv_error *err) KV_MUST_USE;

/* False after kv_vault_stop(). */
bool kv_vault_running(const kv_vault *vault);
/* The server stops: purges break off after the step at hand; the next start goes on. Any thread. */
void kv_vault_stop(kv_vault *vault);
