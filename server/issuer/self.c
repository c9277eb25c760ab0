/* self.c - issuer Self: the certificate is signed by its own key, at once. */
#include "server/issuer/builtin.h"

kv_status kv_issuer_tell_findings(kv_arena *arena, const kv_x509_findings *findings,
                                  kv_x509_list *out, kv_error *err)
{
    kv_slice *texts = kv_arena_array(arena, findings->count, sizeof(kv_slice));

    if (!texts)
        return kv_arena_full(err);
    for (size_t i = 0; i < findings->count; i++)
        KV_TRY(kv_arena_print(arena, &texts[i], err, "%s: %s", findings->items[i]->id,
                              findings->items[i]->message));
    *out = (kv_x509_list){ .items = texts, .count = findings->count };
    return KV_OK;
}

static kv_status submit(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    kv_slice *chain = kv_arena_array(order->arena, 1, sizeof(kv_slice));
    kv_x509_build in = { .policy = order->policy,
                         .spki = order->spki,
                         .now_ms = order->now_ms,
                         .scope = KV_X509_LINT_PRIVATE };
    kv_issuer_answer answer = { .state = KV_ISSUER_ISSUED };
    kv_x509_built built;

    if (!chain)
        return kv_arena_full(err);
    if (!order->signer)
        return kv_fail(err, KV_INTERNAL, "issuer Self needs the key itself");
    in.signer = *order->signer;
    KV_TRY(kv_x509_certificate_build(order->arena, &in, &built, err));
    KV_TRY(kv_issuer_tell_findings(order->arena, &built.findings, &answer.warnings, err));
    chain[0] = built.der;
    answer.chain = (kv_x509_list){ .items = chain, .count = 1 };
    *out = answer;
    return KV_OK;
}

const kv_issuer kv_issuer_self = {
    .provider = KV_X509_ISSUER_SELF,
    .auto_renew = true,
    .submit = submit,
    .poll = kv_issuer_never_pending,
    .cancel = kv_issuer_nothing_to_cancel,
};
