/* fuzz_certificate.c - certificates: what they say, lint, the policy that is derived, and their
 * timestamps of transparency logs. What begins with '{' is a list of such logs. */
#include <stdlib.h>

#include "server/x509/derive.h"
#include "server/x509/lint.h"
#include "server/x509/sct.h"
#include "tests/fuzz/x509/known_logs.h"

enum { ARENA = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_logs(kv_slice json)
{
    kv_log_list *list;
    kv_error err = { 0 };

    if (kv_log_list_parse(json, &list, &err) == KV_OK) {
        if (!list->count || list->count > KV_LOG_LIST_LOGS)
            abort();
        kv_log_list_free(list);
    } else if (err.status != KV_BAD_REQUEST || !err.message[0]) {
        abort();
    }
}

/* It stands for its own issuer, which it is not: nothing counts. Most have no timestamps. */
static void judge_timestamps(kv_arena *arena, kv_slice der)
{
    static const uint8_t extension[] = { 0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2 };
    kv_sct_in in = { .leaf = der, .issuer = der, .now_ms = INT64_C(1900000000000) };
    kv_log_list *list;
    kv_sct_verdict out;
    kv_error err = { 0 };

    if (!memmem(der.data, der.len, extension, sizeof(extension)))
        return;
    if (kv_log_list_parse(kv_slice_text(known_logs), &list, &err) != KV_OK)
        abort();
    in.logs = list;
    if (kv_sct_judge(arena, &in, &out, &err) == KV_OK && (out.enough || out.good))
        abort();
    kv_log_list_free(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA);
    kv_x509_derive how = { .content_type = KV_SLICE(KV_X509_CONTENT_PEM) };
    kv_x509_findings findings;
    kv_x509_policy policy;
    kv_x509_facts facts;
    kv_error err = { 0 };

    if (size && data[0] == '{')
        read_logs(kv_slice_of(data, size));
    if (kv_x509_inspect(&arena, kv_slice_of(data, size), &facts, &err) != KV_OK) {
        if (err.status == KV_OK || err.status == KV_INTERNAL)
            abort();
        return 0;
    }
    (void)kv_x509_is_self_signed(kv_slice_of(data, size));
    judge_timestamps(&arena, kv_slice_of(data, size));
    kv_x509_lint(&facts, KV_X509_LINT_PRIVATE, &findings);
    kv_x509_lint(&facts, KV_X509_LINT_PUBLIC, &findings);
    kv_x509_policy_derive(&facts, &how, &policy);
    if (policy.x509_props.validity_months < 1)
        abort();
    if (kv_x509_policy_check(&arena, &policy, &err) == KV_INTERNAL)
        abort();
    return 0;
}
