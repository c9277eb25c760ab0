/* extensions.h - the parts that certificates and requests have in common.
 *
 * Internal to this folder. Nothing is built from strings that OpenSSL would parse: a name can never
 * smuggle in a second one.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/x509/openssl.h"
#include "server/x509/policy.h"

/* The policy's subject. The caller frees it. */
kv_status kv_x509_subject_build(kv_arena *arena, const kv_x509_policy *policy, X509_NAME **out,
                                kv_error *err) KV_MUST_USE;

/* Basic constraints, key usage, extended key usage, alternative names: as many as the policy has.
 * The caller frees them. */
kv_status kv_x509_extensions_build(const kv_x509_policy *policy, STACK_OF(X509_EXTENSION) **out,
                                   kv_error *err) KV_MUST_USE;
