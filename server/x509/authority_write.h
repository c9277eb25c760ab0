/* authority_write.h - puts an authority's extensions into a certificate that is being built.
 *
 * Internal to this folder. Threads: any; pure functions.
 */
#pragma once

#include "server/x509/authority.h"
#include "server/x509/constraints.h"
#include "server/x509/openssl.h"

/* The authority is a checked one. KV_INTERNAL when out of memory. */
kv_status kv_x509_authority_write(X509 *certificate, const kv_x509_authority *authority,
                                  kv_error *err) KV_MUST_USE;
/* The constraints are checked ones; none writes nothing. */
kv_status kv_x509_constraints_write(kv_arena *arena, X509 *certificate,
                                    const kv_x509_constraints *constraints,
                                    kv_error *err) KV_MUST_USE;
