/* merge.h - brings a certificate that a CA made of our request to the key that waits for it.
 *
 * What is given may be DER, PEM, PKCS#7 (DER or PEM, also under a wrong label), and base64 of any
 * of them, even twice; in one piece or several, in any order.
 *
 * The checks, in this order: sizes and counts; exactly one certificate for the pending key; a CA's
 * certificate only if the policy wants one; the chain and every signature in it; dates; the names
 * and usages that were requested; lint. What an issuer may decide on its own (another subject, more
 * names, fewer usages) is a warning, unless `strict` says otherwise. Whether the same serial number
 * of the same issuer is used elsewhere is for the caller to ask, with `leaf`.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/x509/chain.h"
#include "server/x509/inspect.h"
#include "server/x509/lint.h"
#include "server/x509/policy.h"

enum {
    KV_X509_MERGE_MAX = 256 * 1024,  /* bytes of all pieces, as given */
    KV_X509_MERGE_CERTIFICATES = 20, /* all certificates together */
    KV_X509_MERGE_SKEW_MS = 5 * 60 * 1000
};

/* Makes errors of warnings. */
typedef enum kv_x509_strict {
    KV_X509_STRICT_SUBJECT = 1 << 0, /* the subject is the requested one */
    KV_X509_STRICT_NAMES = 1 << 1,   /* no names that were not requested */
    KV_X509_STRICT_USAGE = 1 << 2,   /* every requested usage is there */
    KV_X509_STRICT_LINT = 1 << 3,
    KV_X509_STRICT_CHAIN = 1 << 4 /* the chain reaches a self-signed certificate */
} kv_x509_strict;

typedef struct kv_x509_merge_in {
    kv_x509_list given;
    const char *field;            /* that errors name, such as "x5c" */
    kv_slice spki;                /* the pending key's, DER */
    kv_slice csr;                 /* the request, DER */
    const kv_x509_policy *policy; /* of the operation */
    kv_x509_list anchors;         /* DER: configured certificates that may complete the chain */
    kv_slice merged;              /* DER of what was merged before; empty: nothing */
    int64_t now_ms;
    int64_t requested_ms;     /* when the request was made; 0: nobody knows */
    kv_x509_lint_scope scope; /* 0: private */
    uint32_t strict;          /* kv_x509_strict bits */
    bool omit_root;
} kv_x509_merge_in;

typedef struct kv_x509_merged {
    kv_x509_list chain; /* DER, leaf first */
    kv_x509_list order; /* the certificates of `chain` as they were given */
    kv_x509_facts leaf;
    bool complete;         /* the chain reaches a self-signed certificate */
    bool repeated;         /* this leaf has been merged already: nothing is to be done */
    kv_x509_list warnings; /* sentences */
} kv_x509_merged;

/* KV_BAD_REQUEST naming the field, a message of its own for every check; KV_PRECONDITION when
 * another certificate was merged before; KV_INTERNAL when the request is none. */
kv_status kv_x509_merge(kv_arena *arena, const kv_x509_merge_in *in, kv_x509_merged *out,
                        kv_error *err) KV_MUST_USE;
