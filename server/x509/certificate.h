/* certificate.h - builds X.509 certificates from a policy and a public key.
 *
 * Version 3; a positive random serial of 16 bytes; not-before ten minutes ago; not-after the
 * policy's calendar months from now; basic constraints and key usage critical; extended key usage;
 * subject alternative names, critical when the subject is empty; subject and authority key
 * identifiers. RSA keys sign sha256WithRSAEncryption, P-256, P-384 and P-521 ECDSA with SHA-256,
 * SHA-384 and SHA-512. Before signing the lint runs and the name constraints of the issuer and of
 * those above it are asked; after it the signature is verified in
 * software and the DER is parsed again.
 *
 * Threads: any, as far as the signer allows.
 */
#pragma once

#include "server/x509/authority.h"
#include "server/x509/calendar.h"
#include "server/x509/lint.h"
#include "server/x509/policy.h"
#include "server/x509/signer.h"

enum { KV_X509_BACKDATE_MS = 600 * 1000, KV_X509_SERIAL_BYTES = 16 };

typedef struct kv_x509_build {
    const kv_x509_policy *policy;       /* checked */
    kv_slice spki;                      /* the subject's public key, DER, of the policy's kind */
    kv_x509_signer signer;              /* the issuer's key; self-signed: the subject's */
    kv_slice issuer;                    /* the issuer's certificate, DER; empty: self-signed */
    kv_x509_list above;                 /* the CAs above the issuer, for their name constraints */
    const kv_x509_authority *authority; /* what the issuer writes into it; NULL: nothing */
    kv_slice serial; /* empty: random; else 1 to 20 bytes, big-endian, positive */
    /* A certificate of the same authority, DER: its subject, basic and name constraints and key
     * usage are taken as they are, with the same key its key identifier too. Empty: the policy's.
     */
    kv_slice like;
    /* The issuer is the subject with another key (RFC 4210, section 4.4): path length and name
     * constraints do not count it (RFC 5280, sections 4.2.1.9 and 4.2.1.10). */
    bool rollover;
    int64_t until_ms; /* not-after at the latest; 0: no such bound */
    int64_t now_ms;
    kv_x509_lint_scope scope; /* KV_X509_LINT_PRIVATE or KV_X509_LINT_PUBLIC */
} kv_x509_build;

typedef struct kv_x509_built {
    kv_slice der; /* in the arena */
    kv_x509_facts facts;
    kv_x509_findings findings; /* warnings only */
} kv_x509_built;

/* KV_BAD_REQUEST when the policy cannot be a certificate or breaks a lint rule that is an error
 * (the message names the rule) or the authority one of its own, KV_PRECONDITION when the issuer's
 * certificate is not a CA's, has a path length or name constraints that do not allow it, or has
 * expired (a certificate never outlives its issuer's: not-after is cut to it), KV_INTERNAL when the
 * public key has another kind or the signature does not verify, and whatever the signer says. */
kv_status kv_x509_certificate_build(kv_arena *arena, const kv_x509_build *in, kv_x509_built *out,
                                    kv_error *err) KV_MUST_USE;
