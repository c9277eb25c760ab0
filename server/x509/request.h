/* request.h - certification requests (PKCS#10).
 *
 * Subject and public key, and requested extensions: key usage (critical), extended key usage,
 * subject alternative names, basic constraints. Signed like a certificate, verified afterwards.
 *
 * Threads: any, as far as the signer allows.
 */
#pragma once

#include "server/x509/policy.h"
#include "server/x509/signer.h"

/* `policy` is checked; `signer` has the key of `spki` (DER). `out` is DER in the arena.
 * KV_INTERNAL when the public key is not of the policy's kind or the signature does not verify,
 * and whatever the signer says. */
kv_status kv_x509_request_build(kv_arena *arena, const kv_x509_policy *policy, kv_slice spki,
                                const kv_x509_signer *signer, kv_slice *out,
                                kv_error *err) KV_MUST_USE;
