/* crl.h - builds certificate revocation lists (RFC 5280, section 5).
 *
 * Version 2, complete for its scope (no delta): authority key identifier, CRL number, reason code
 * (absent for "unspecified"), invalidity date, and where the list is a shard a critical issuing
 * distribution point. Entries stand in the order of their serial numbers. The algorithm is the one
 * of certificate.h; after signing the signature is verified in software.
 *
 * Threads: any, as far as the signer allows.
 */
#pragma once

#include "server/x509/signer.h"

/* One certificate that is no longer to be trusted. */
typedef struct kv_x509_revoked {
    kv_slice serial;       /* 1 to 20 bytes, big-endian, positive */
    int64_t revoked_ms;    /* when, since the Unix epoch; not in the future */
    int reason;            /* CRLReason; not certificateHold (6), 7 or removeFromCRL (8) */
    int64_t invalid_since; /* when the key is known or suspected to be lost, ms; 0: not known */
} kv_x509_revoked;

typedef struct kv_x509_crl_build {
    kv_slice issuer; /* the issuer's certificate, DER, with a subject key identifier */
    kv_x509_signer signer;
    const kv_x509_revoked *revoked; /* in any order, each serial once */
    size_t count;
    uint64_t number; /* greater than that of every list before it; positive */
    kv_slice shard;  /* the http:// URL of this list's distribution point; empty: the only list */
    int64_t now_ms;
    int64_t next_ms; /* when the next list is there at the latest */
} kv_x509_crl_build;

/* KV_BAD_REQUEST naming the field that breaks a rule above, KV_PRECONDITION when the issuer's
 * certificate may not sign lists or is not valid now, KV_INTERNAL when the signature does not
 * verify, KV_BUSY when the arena is full, and whatever the signer says. `out` is DER, in the
 * arena. */
kv_status kv_x509_crl_build_der(kv_arena *arena, const kv_x509_crl_build *in, kv_slice *out,
                                kv_error *err) KV_MUST_USE;
