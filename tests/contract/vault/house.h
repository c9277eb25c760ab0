/* house.h - a whole server without its doors, on a test bench: tokens, store, records, audit, auth
 * and vault, with a clock the test sets, and calls that go through the real dispatcher.
 *
 * The tokens are the fake's (or SoftHSM's); store and audit log live in a temporary folder. A house
 * can be shut and opened again, and it can die: from the n-th change of the store on nothing can be
 * stored and no key reaches (or leaves) a token, so what a restart finds is what a kill at that
 * instant would have left. One house at a time.
 *
 * Threads: the test's main thread; services are those of the real server.
 */
#pragma once

#include <stdatomic.h>

#include "server/auth/access.h"
#include "server/core/services.h"
#include "server/store/schema.h"
#include "server/system_keys.h"
#include "server/vault/operations/operations.h"
#include "server/vault/scan.h"
#include "tests/contract/auth/test_certificates.h"
#include "tests/support/fake_token.h"
#include "tests/support/kv_cmocka.h"
#include "tests/support/softhsm.h"

#define HOUSE_NOW_MS INT64_C(1795176000000) /* 2026-11-20T12:00:00Z */

enum { HOUSE_MEMORY = 16 << 20, HOUSE_JOBS = 16 };

/* The provider of issuers that tests can use; its orders wait for ever. (house_issuer.c) */
#define HOUSE_PROVIDER "HouseCA"
extern const kv_issuer house_provider;
extern const kv_issuer *const house_issuers[1];

/* What has to fail, beside the seal, once a house is dead. */
typedef enum house_death {
    HOUSE_KEYS_STAY,  /* nothing can be destroyed any more: made keys are left behind */
    HOUSE_NO_NEW_KEYS /* nothing gets to the token any more */
} house_death;

typedef struct house {
    kv_softhsm *hsm; /* NULL: the fake */
    kv_secret_buf pin;
    kv_token_config configs[3]; /* keys, system, perhaps ca */
    unsigned token_count;
    char folder[96];
    char database[160], audit_folder[160]; /* the first is a file */
    kv_tokens *tokens;
    kv_identity identity;
    kv_system_key audit_key, token_key;
    kv_store *store;
    const kv_store_ops *real_ops;
    kv_store_ops ops; /* those, but a change can be the last one */
    kv_records *records;
    kv_audit *audit;
    kv_auth *auth;
    kv_vault *vault;
    kv_reconciled reconciled; /* by the last opening */
    kv_scanned scanned;       /* after it */
    kv_clock clock;
    _Atomic int64_t now_ms;
    uint64_t secret_key_uses;
    const kv_issuer *const *issuers; /* of the test's own; from the next opening on */
    size_t issuer_count;
    struct kv_known_logs *known_logs; /* of the test's own; from the next opening on */
    uint64_t events_keep;             /* as kv_vault_config has it; from the next opening on */
    made_certificate *admin;          /* of the first access administrator, "root" */
    kv_principal admin_principal;
    made_certificate *reader; /* of the principal that reads secrets; NULL before the first */
    kv_services services;
    kv_mailbox *box;
    atomic_int dies_in; /* changes until death; 0: not planned */
    house_death death;
    atomic_bool dead;
    atomic_int doubts_in; /* changes until one is in doubt (house_disk.h); 0: not planned */
    int doubt;            /* house_doubt */
    struct {
        const kv_table *table; /* NULL: not planned, or it has happened */
        unsigned times;
        void (*what)(struct house *h, void *context);
        void *context;
    } meanwhile;
    kv_arena arena; /* as long as the house */
    kv_arena jobs[HOUSE_JOBS];
    unsigned next_job;
    kv_arena kept_arena; /* the test's own */
    kv_slice kept;
} house;

house *house_new(bool softhsm);
house *house_new_pki(void); /* on fake tokens, one for certificate authorities too */
void house_free(house *h);
/* Closes everything and opens it again, as a restart does. The status of reconciliation. */
kv_status house_restart(house *h, kv_error *err) KV_MUST_USE;
/* What a start does for the vault, and what follows it. */
kv_status house_reconcile(house *h, kv_error *err) KV_MUST_USE;
/* Only the first half, and only the second. */
void house_shut(house *h);
kv_status house_open(house *h, kv_error *err) KV_MUST_USE;

/* Death after `changes` more changes of the store; a restart revives. */
void house_die_after(house *h, unsigned changes, house_death death);
/* What somebody else does before the next changes, so many of them, with a row of this table are
 * stored: between what a call read and what it makes of it. Its own changes are not among them. */
void house_meanwhile(house *h, const kv_table *table, unsigned times,
                     void (*what)(house *h, void *context), void *context);
/* Waits until both tokens answer, at most ten seconds. */
void house_wait_for_tokens(house *h);

/* A client certificate of this name, valid from 2020 to 2040; freed by the caller. */
made_certificate *house_certificate(const char *name);

/* --- operations without the dispatcher --- */

/* What one call brings; its arena lives until HOUSE_JOBS more calls have been made. */
typedef struct house_job {
    kv_work work;
    kv_audit_entry entry;
    kv_caller caller;
} house_job;

void house_begin(house *h, house_job *job);
/* Writes the record, as a server would before it answers. */
void house_end(house *h, house_job *job, kv_status status);

/* status = HOUSE_DO(h, kv_key_get, &in, &out); uses the local variable `err`. */
#define HOUSE_DO(h, operation, in, out)                             \
    ({                                                              \
        house_job job_;                                             \
        kv_status status_;                                          \
                                                                    \
        house_begin(h, &job_);                                      \
        err = (kv_error){ 0 };                                      \
        status_ = operation((h)->vault, &job_.work, in, out, &err); \
        house_end(h, &job_, status_);                               \
        status_;                                                    \
    })

/* --- looking at what is there --- */

/* Keys on a token (private and secret ones), the server's own not among them. */
unsigned house_keys_on_token(house *h, kv_duty duty);
/* What a statement like "SELECT count(*) FROM ..." says. The database stays open until the shut. */
unsigned house_count(house *h, const char *sql);
void house_look_away(void);
/* Runs SQL behind the server's back; how many rows it changed. */
int house_attack(house *h, const char *sql);
/* Both sides agree: nothing on a token without a `ready` row, no operation in `working`, nothing
 * marked for purge, the sweep of all seals passes, the audit log holds every change. */
void house_assert_tidy(house *h);
