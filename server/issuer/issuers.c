/* issuers.c - everybody who can issue. To add an issuer, add a row and the file it names. */
#include "server/base/text.h"
#include "server/issuer/builtin.h"

const kv_issuer *const kv_issuers[] = {
    &kv_issuer_self,
    &kv_issuer_unknown,
    &kv_issuer_local_ca,
    &kv_issuer_acme,
};

const size_t kv_issuers_count = KV_COUNT(kv_issuers);

const kv_issuer *kv_issuer_find(kv_slice provider)
{
    for (size_t i = 0; i < kv_issuers_count; i++)
        if (kv_text_equal_nocase(provider, kv_slice_text(kv_issuers[i]->provider)))
            return kv_issuers[i];
    return NULL;
}

static kv_status step(const kv_issuer *issuer, kv_issuer_step *function, const char *what,
                      const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    kv_issuer_answer answer = { 0 };

    if (!function)
        return kv_fail(err, KV_UNSUPPORTED, "issuer %s cannot %s", issuer->provider, what);
    KV_TRY(function(order, &answer, err));
    *out = answer;
    return KV_OK;
}

kv_status kv_issuer_submit(const kv_issuer *issuer, const kv_issuer_order *order,
                           kv_issuer_answer *out, kv_error *err)
{
    return step(issuer, issuer->submit, "take orders", order, out, err);
}

kv_status kv_issuer_poll(const kv_issuer *issuer, const kv_issuer_order *order,
                         kv_issuer_answer *out, kv_error *err)
{
    return step(issuer, issuer->poll, "be asked for progress", order, out, err);
}

kv_status kv_issuer_fetch(const kv_issuer *issuer, const kv_issuer_order *order,
                          kv_issuer_answer *out, kv_error *err)
{
    return step(issuer, issuer->fetch, "hand out certificates", order, out, err);
}

kv_status kv_issuer_cancel(const kv_issuer *issuer, const kv_issuer_order *order,
                           kv_issuer_answer *out, kv_error *err)
{
    return step(issuer, issuer->cancel, "cancel orders", order, out, err);
}

kv_status kv_issuer_revoke(const kv_issuer *issuer, const kv_issuer_order *order,
                           kv_issuer_revocation why, kv_error *err)
{
    if (!issuer->revoke)
        return kv_fail(err, KV_UNSUPPORTED, "issuer %s cannot revoke", issuer->provider);
    return issuer->revoke(order, why, err);
}

kv_status kv_issuer_renewal_hint(const kv_issuer *issuer, const kv_issuer_order *order,
                                 kv_issuer_window *out, kv_error *err)
{
    kv_issuer_window window = { 0 };

    if (issuer->renewal_hint)
        KV_TRY(issuer->renewal_hint(order, &window, err));
    *out = window;
    return KV_OK;
}

kv_status kv_issuer_check_credentials(const kv_issuer *issuer, const kv_issuer_account *account,
                                      kv_arena *arena, kv_deadline deadline, kv_slice *record,
                                      kv_error *err)
{
    *record = KV_SLICE_NONE;
    if (!issuer->check_credentials)
        return kv_fail(err, KV_UNSUPPORTED, "issuer %s has no credentials", issuer->provider);
    return issuer->check_credentials(account, arena, deadline, record, err);
}

kv_status kv_issuer_new_key(const kv_issuer *issuer, const kv_issuer_account *account,
                            kv_arena *arena, kv_deadline deadline, kv_error *err)
{
    if (!issuer->new_key)
        return kv_fail(err, KV_UNSUPPORTED, "issuer %s has no account key", issuer->provider);
    return issuer->new_key(account, arena, deadline, err);
}

kv_status kv_issuer_deactivate(const kv_issuer *issuer, const kv_issuer_account *account,
                               kv_arena *arena, kv_deadline deadline, kv_error *err)
{
    if (!issuer->deactivate)
        return kv_fail(err, KV_UNSUPPORTED, "issuer %s has no account that can be closed from here",
                       issuer->provider);
    return issuer->deactivate(account, arena, deadline, err);
}

kv_status kv_issuer_never_pending(const kv_issuer_order *order, kv_issuer_answer *out,
                                  kv_error *err)
{
    (void)order;
    (void)err;
    *out = (kv_issuer_answer){ .state = KV_ISSUER_RETRYABLE,
                               .details = KV_SLICE("The certificate was not signed.") };
    return KV_OK;
}

kv_status kv_issuer_nothing_to_cancel(const kv_issuer_order *order, kv_issuer_answer *out,
                                      kv_error *err)
{
    (void)order;
    (void)err;
    *out = (kv_issuer_answer){ .state = KV_ISSUER_CANCELLED };
    return KV_OK;
}
