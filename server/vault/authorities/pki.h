/* pki.h - what everybody may ask of the certificate authorities, without saying who they are.
 *
 * Threads: any that may use the store and the `ca` token.
 */
#pragma once

#include "server/vault/messages/messages_authorities.h"
#include "server/vault/vault.h"

typedef struct kv_pki_name {
    kv_slice vault;
    kv_slice authority;
} kv_pki_name;

typedef struct kv_pki_ocsp {
    kv_slice der;      /* an OCSPResponse, refusals too */
    int64_t max_age_s; /* 0: not to be kept */
    int64_t this_ms;   /* when it was signed; 0: a refusal */
    int64_t next_ms;   /* until when it holds */
} kv_pki_ocsp;

/* Results are in the arena. KV_NOT_FOUND: there is none; else as kv_records_get. */
kv_status kv_pki_crl(kv_vault *vault, const kv_pki_name *name, kv_arena *arena, kv_crl_bundle *out,
                     kv_error *err) KV_MUST_USE;
kv_status kv_pki_certificate(kv_vault *vault, const kv_pki_name *name, kv_arena *arena,
                             kv_slice *out, kv_error *err) KV_MUST_USE;
/* What is wrong with the request, or here, is in the answer; fails with KV_BUSY and KV_INTERNAL. */
kv_status kv_pki_ocsp_answer(kv_vault *vault, const kv_pki_name *name, kv_slice request,
                             kv_arena *arena, kv_pki_ocsp *out, kv_error *err) KV_MUST_USE;
