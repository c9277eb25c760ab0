/* certificate_transparency.c - what browsers will say, told before they are asked. */
#include "server/vault/certificates/certificate_transparency.h"

#include "server/x509/known_logs.h"
#include "server/x509/sct.h"

#define RULE "cert_transparency"

static bool is_wanted(const kv_transparency_in *in)
{
    return in->policy->issuer.cert_transparency_given && in->policy->issuer.cert_transparency;
}

/* The sentences of two lists behind the warnings. */
static kv_status add_warnings(kv_work *work, const kv_x509_list *first, const kv_x509_list *second,
                              kv_x509_list *warnings, kv_error *err)
{
    const kv_x509_list *lists[] = { first, second };
    size_t count = warnings->count;
    kv_slice *items =
        kv_arena_array(work->arena, count + first->count + second->count, sizeof(*items));

    if (!items)
        return kv_arena_full(err);
    for (size_t i = 0; i < count; i++)
        items[i] = warnings->items[i];
    for (size_t k = 0; k < KV_COUNT(lists); k++)
        for (size_t i = 0; i < lists[k]->count; i++)
            KV_TRY(kv_arena_print(work->arena, &items[count++], err, RULE ": %.*s",
                                  KV_SLICE_ARG(lists[k]->items[i])));
    *warnings = (kv_x509_list){ .items = items, .count = count };
    return KV_OK;
}

/* What is missing, and as much as there is room for of why single timestamps do not count. */
static kv_status refuse(kv_work *work, const kv_transparency_in *in, const kv_sct_verdict *verdict,
                        kv_error *err)
{
    kv_slice said = verdict->missing.items[0];

    for (size_t i = 1; i < verdict->missing.count; i++)
        KV_TRY(kv_arena_print(work->arena, &said, err, "%.*s; %.*s", KV_SLICE_ARG(said),
                              KV_SLICE_ARG(verdict->missing.items[i])));
    for (size_t i = 0; i < verdict->notes.count; i++)
        KV_TRY(kv_arena_print(work->arena, &said, err, "%.*s; %.*s", KV_SLICE_ARG(said),
                              KV_SLICE_ARG(verdict->notes.items[i])));
    return kv_fail_field(err, in->field, "it breaks the rule " RULE ": %.*s", KV_SLICE_ARG(said));
}

static kv_status without_list(kv_work *work, const kv_transparency_in *in, kv_x509_merged *merged,
                              int64_t *out, kv_error *err)
{
    kv_slice why = KV_SLICE("it could not be checked: this server has no list of logs "
                            "([certificates] ct_log_list)");
    kv_x509_list said = { .items = &why, .count = 1 };
    kv_x509_list nothing = { 0 };

    if (!is_wanted(in))
        return KV_OK;
    *out = KV_TRANSPARENCY_UNCHECKED;
    return add_warnings(work, &said, &nothing, &merged->warnings, err);
}

kv_status kv_transparency_judge(kv_vault *vault, kv_work *work, const kv_transparency_in *in,
                                kv_x509_merged *merged, int64_t *out, kv_error *err)
{
    kv_sct_in asked = { .leaf = merged->chain.items[0], .now_ms = work->now_ms };
    kv_sct_verdict verdict = { 0 };
    kv_status status = KV_OK;

    *out = KV_TRANSPARENCY_NOT_EXPECTED;
    if (in->trust != KV_X509_LINT_PUBLIC && !is_wanted(in))
        return KV_OK;
    if (merged->chain.count > 1)
        asked.issuer = merged->chain.items[1];
    asked.logs = kv_known_logs_borrow(vault->config.known_logs);
    if (asked.logs)
        status = kv_sct_judge(work->arena, &asked, &verdict, err);
    kv_known_logs_return(vault->config.known_logs);
    KV_TRY(status);
    if (!asked.logs)
        return without_list(work, in, merged, out, err);
    if (!verdict.enough && is_wanted(in))
        return refuse(work, in, &verdict, err);
    *out = verdict.enough ? KV_TRANSPARENCY_SUFFICIENT : KV_TRANSPARENCY_INSUFFICIENT;
    return add_warnings(work, &verdict.missing, &verdict.notes, &merged->warnings, err);
}
