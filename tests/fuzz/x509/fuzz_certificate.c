/* fuzz_certificate.c - certificates: what they say, lint, and the policy that is derived. */
#include <stdlib.h>

#include "server/x509/derive.h"
#include "server/x509/lint.h"

enum { ARENA = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA);
    kv_x509_derive how = { .content_type = KV_SLICE(KV_X509_CONTENT_PEM) };
    kv_x509_findings findings;
    kv_x509_policy policy;
    kv_x509_facts facts;
    kv_error err = { 0 };

    if (kv_x509_inspect(&arena, kv_slice_of(data, size), &facts, &err) != KV_OK) {
        if (err.status == KV_OK || err.status == KV_INTERNAL)
            abort();
        return 0;
    }
    (void)kv_x509_is_self_signed(kv_slice_of(data, size));
    kv_x509_lint(&facts, KV_X509_LINT_PRIVATE, &findings);
    kv_x509_lint(&facts, KV_X509_LINT_PUBLIC, &findings);
    kv_x509_policy_derive(&facts, &how, &policy);
    if (policy.x509_props.validity_months < 1)
        abort();
    if (kv_x509_policy_check(&arena, &policy, &err) == KV_INTERNAL)
        abort();
    return 0;
}
