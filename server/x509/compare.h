/* compare.h - what was requested against what an issuer made of it.
 *
 * Internal to this folder. Threads: any; pure functions.
 */
#pragma once

#include "server/x509/merge.h"
#include "server/x509/warnings.h"

/* `wanted` is the request's, `leaf` the certificate's. */
kv_status kv_x509_compare(const kv_x509_merge_in *in, const kv_x509_facts *wanted,
                          const kv_x509_facts *leaf, kv_x509_warnings *warnings,
                          kv_error *err) KV_MUST_USE;
