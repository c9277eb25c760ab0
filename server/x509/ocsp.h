/* ocsp.h - answers to questions whether a certificate is revoked (RFC 6960, RFC 8954).
 *
 * The certificates asked for are those of one issuer, named by SHA-1 or SHA-256. An answer is
 * signed by a delegated responder, whose certificate is in it and whose key names it; a nonce of at
 * most 32 bytes is given back.
 *
 * Threads: any, as far as the signer allows.
 */
#pragma once

#include "server/x509/signer.h"

enum { KV_X509_OCSP_REQUEST_MAX = 4096, KV_X509_OCSP_IDS_MAX = 16 };

typedef enum kv_x509_ocsp_error { /* OCSPResponseStatus */
                                  KV_X509_OCSP_MALFORMED = 1,
                                  KV_X509_OCSP_INTERNAL = 2,
                                  KV_X509_OCSP_TRY_LATER = 3,
                                  KV_X509_OCSP_UNAUTHORIZED = 6
} kv_x509_ocsp_error;

typedef struct kv_x509_ocsp_question {
    kv_slice serials[KV_X509_OCSP_IDS_MAX]; /* big-endian, in the arena */
    size_t count;
    bool foreign; /* another issuer's is among them */
    bool nonce;
} kv_x509_ocsp_question;

typedef enum kv_x509_ocsp_state { /* CertStatus */
                                  KV_X509_OCSP_GOOD = 0,
                                  KV_X509_OCSP_REVOKED = 1,
                                  KV_X509_OCSP_UNKNOWN = 2
} kv_x509_ocsp_state;

typedef struct kv_x509_ocsp_status {
    kv_x509_ocsp_state state;
    int64_t revoked_ms;
    int reason; /* CRLReason */
} kv_x509_ocsp_status;

typedef struct kv_x509_ocsp_answer {
    kv_slice request;                    /* DER, as it was read */
    const kv_x509_ocsp_status *statuses; /* in the order of the question */
    size_t count;
    kv_slice responder; /* certificate, DER, with a subject key identifier */
    kv_x509_signer signer;
    int64_t now_ms;
    int64_t next_ms; /* when there is a newer answer */
} kv_x509_ocsp_answer;

/* KV_BAD_REQUEST for what is not exactly one request of 1 to KV_X509_OCSP_IDS_MAX certificates, is
 * longer than KV_X509_OCSP_REQUEST_MAX or has a nonce of another length than 1 to 32. */
kv_status kv_x509_ocsp_read(kv_arena *arena, kv_slice request, kv_slice issuer,
                            kv_x509_ocsp_question *out, kv_error *err) KV_MUST_USE;
/* `out`: an OCSPResponse, DER, in the arena. KV_INTERNAL when the signature does not verify. */
kv_status kv_x509_ocsp_answer_der(kv_arena *arena, const kv_x509_ocsp_answer *in, kv_slice *out,
                                  kv_error *err) KV_MUST_USE;
/* An OCSPResponse without an answer; `out` has 5 bytes. */
void kv_x509_ocsp_refusal(kv_x509_ocsp_error why, uint8_t out[5]);
