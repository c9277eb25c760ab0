/* builtin.h - the issuers of this folder. Internal to it. */
#pragma once

#include "server/issuer/issuer.h"

extern const kv_issuer kv_issuer_self;
extern const kv_issuer kv_issuer_unknown;
extern const kv_issuer kv_issuer_local_ca;
extern const kv_issuer kv_issuer_acme;

/* "validity_self_signed: a self-signed certificate is ..." */
kv_status kv_issuer_tell_findings(kv_arena *arena, const kv_x509_findings *findings,
                                  kv_x509_list *out, kv_error *err) KV_MUST_USE;

/* `poll` and `cancel` of an issuer that answers at once: an order that was interrupted is submitted
 * again. */
kv_issuer_step kv_issuer_never_pending;
kv_issuer_step kv_issuer_nothing_to_cancel;
