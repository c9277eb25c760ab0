/* chain.h - puts certificates in order, from the leaf to the root, and proves each step.
 *
 * A certificate's issuer is one whose subject is its issuer name, whose key identifier does not
 * contradict it, and whose key made its signature. Where several are (cross-certificates), one that
 * is valid now and lasts longest is taken. Nothing is fetched.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/x509/policy.h"

typedef struct kv_x509_chain_in {
    kv_x509_list certificates; /* DER */
    size_t leaf;               /* which of them */
    kv_x509_list anchors;      /* DER: may complete the chain; never reported as unrelated */
    int64_t now_ms;
    const char *field; /* that errors name */
    bool need_complete;
    bool omit_root; /* a self-signed certificate that ends the chain is left away */
} kv_x509_chain_in;

typedef struct kv_x509_chain {
    kv_x509_list certificates; /* DER, leaf first; borrowed of the input, the array in the arena */
    bool complete;             /* it reaches a self-signed certificate */
    bool root_included;        /* and that is the last one */
    size_t unrelated;          /* how many of the input are in no chain of the leaf */
    size_t expired;            /* how many issuers are not valid now */
    kv_slice missing;          /* the name of the issuer that is not there, when incomplete */
} kv_x509_chain;

/* KV_BAD_REQUEST when an element is not a certificate, an issuer by name is there but did not make
 * the signature, an issuer is not a CA, a path length or a name constraint is broken, the chain is
 * longer than KV_X509_CHAIN_MAX, or (need_complete) an issuer is missing. */
kv_status kv_x509_chain_build(kv_arena *arena, const kv_x509_chain_in *in, kv_x509_chain *out,
                              kv_error *err) KV_MUST_USE;

/* The certificates of `chain` in the order in which `given` has them; those that it has not stand
 * at the end. KV_BUSY when the arena is full. */
kv_status kv_x509_chain_order(kv_arena *arena, kv_x509_list chain, kv_x509_list given,
                              kv_x509_list *out, kv_error *err) KV_MUST_USE;
