/* authority.h - what a certification authority writes into the certificates it issues.
 *
 * Where its revocation list, its OCSP responder and its own certificate are (CRL distribution
 * points, authority information access), certificate policies, and for a CA below it how many more
 * may follow (path length).
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/base/error.h"
#include "server/base/slice.h"
#include "server/x509/constraints.h"
#include "server/x509/policy.h"

enum { KV_X509_PATH_LENGTH_MAX = 15, KV_X509_CERTIFICATE_POLICIES_MAX = 16 };

/* URLs are http:// ones, at most 2,048 bytes; empty: not written. */
typedef struct kv_x509_authority {
    kv_slice crl_url;
    kv_slice ocsp_url;
    kv_slice issuer_url;                    /* the issuer's certificate, DER */
    kv_x509_list policies;                  /* dotted object identifiers, each once */
    bool ocsp_no_check;                     /* of a responder: nobody asks whether it is revoked */
    bool path_limited;                      /* write path_length; only for a CA */
    unsigned path_length;                   /* 0: it issues to no CA */
    const kv_x509_constraints *constraints; /* checked; only for a CA; NULL: none */
} kv_x509_authority;

/* KV_BAD_REQUEST naming the member ("authority.crl_url") that breaks a rule above; `ca` says
 * whether the certificate is to be a CA's. */
kv_status kv_x509_authority_check(const kv_x509_authority *authority, bool ca,
                                  kv_error *err) KV_MUST_USE;
