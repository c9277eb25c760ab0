/* scan.h - every key on the tokens against the one template of its class, and against our rows.
 *
 * Nothing is changed: what is found is logged (token.key.*) and told.
 */
#pragma once

#include "pkcs11/token_key.h"
#include "server/vault/vault.h"

typedef enum kv_finding_kind {
    KV_FINDING_UNKNOWN,     /* no row knows it: another installation's, or a restored token */
    KV_FINDING_MISSING,     /* a row's key is not on the token */
    KV_FINDING_DIFFERS,     /* an attribute is not as the class has it */
    KV_FINDING_EXTRACTABLE, /* the token would give it out */
    KV_FINDING_OTHER_CLASS, /* it can do what its row does not say */
    KV_FINDING_OTHER_KEY,   /* its public half is not that of the row */
    KV_FINDING_TWICE,       /* two keys with one id */
    KV_FINDING_NO_ID,       /* half a key, or not ours */
    KV_FINDING_KINDS
} kv_finding_kind;

typedef struct kv_finding {
    kv_finding_kind kind;
    kv_duty duty;
    char id[2 * KV_KEY_ID_BYTES + 1]; /* hex; "" without */
    char label[KV_KEY_LABEL_MAX + 1];
    const char *attribute; /* "CKA_DECRYPT"; "" with most */
} kv_finding;

typedef void kv_finding_visit(void *context, const kv_finding *found);

typedef struct kv_scan_how {
    bool prove; /* every asymmetric key proves that it is the one of its row: milliseconds each */
    kv_finding_visit *visit; /* NULL: the log is enough */
    void *context;
    unsigned seen;                    /* out: keys on the tokens */
    unsigned found[KV_FINDING_KINDS]; /* out: how many of each */
} kv_scan_how;

/* KV_TIMEOUT past the work's deadline, KV_CANCELLED when the server stops: what was found until
 * then has been told. KV_UNAVAILABLE when a token does not answer. Threads: worker or keeper. */
kv_status kv_vault_scan(kv_vault *vault, kv_work *work, kv_scan_how *how,
                        kv_error *err) KV_MUST_USE;
typedef struct kv_scanned {
    unsigned keys;            /* on the tokens */
    unsigned unknown_objects; /* keys without a row: reported, never destroyed */
    unsigned missing_objects; /* rows whose key is not on the token: an alarm, never deleted */
} kv_scanned;

/* Looks at every key on the tokens and every row of one, and logs what is wrong (token.key.*).
 * Seconds with many keys; `prove`: a millisecond more for each. Callers may be served
 * meanwhile. KV_UNAVAILABLE when a token does not answer; KV_CANCELLED after kv_vault_stop(). */
kv_status kv_vault_scan_all(kv_vault *vault, bool prove, kv_scanned *out,
                            kv_error *err) KV_MUST_USE;
/* The word for the log and for people: "missing", "differs", ... */
const char *kv_finding_word(kv_finding_kind kind);
