/* certificate_transparency.h - has the world been told of a certificate? Inner to vault. */
#pragma once

#include "server/vault/vault_impl.h"
#include "server/x509/lint.h"
#include "server/x509/merge.h"

/* As operations store and answer it. */
typedef enum kv_transparency {
    KV_TRANSPARENCY_NOT_EXPECTED, /* or nobody has brought a certificate yet */
    KV_TRANSPARENCY_SUFFICIENT,   /* browsers are content with its timestamps */
    KV_TRANSPARENCY_INSUFFICIENT,
    KV_TRANSPARENCY_UNCHECKED, /* expected, but this server has no log list */
    KV_TRANSPARENCIES
} kv_transparency;

typedef struct kv_transparency_in {
    const kv_x509_policy *policy;
    kv_x509_lint_scope trust; /* of the issuer; 0: private */
    const char *field;        /* that errors name */
} kv_transparency_in;

/* Of what an authority outside made: expected when its issuer is trusted by the public, or the
 * policy says `cert_transparency`. What is missing is added to the warnings. KV_BAD_REQUEST naming
 * the rule when the policy says so and something is missing. */
kv_status kv_transparency_judge(kv_vault *vault, kv_work *work, const kv_transparency_in *in,
                                kv_x509_merged *merged, int64_t *out, kv_error *err) KV_MUST_USE;
