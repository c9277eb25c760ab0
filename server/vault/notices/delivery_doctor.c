/* delivery_doctor.c - is everybody told what happens? */
#include "server/vault/checks.h"
#include "server/vault/notices/delivery_rules.h"
#include "server/vault/notices/webhook_rules.h"
#include "server/vault/own_step.h"

enum { TOLD_MOST = 10, LOOKED_AT_MOST = 100000 };

typedef struct count {
    kv_checks *checks;
    unsigned webhooks, told, waiting, dead, looked_at;
} count;

static kv_status see_webhook(kv_vault *vault, kv_own_step *at, void *row, void *context,
                             kv_error *err)
{
    const kv_webhook_row *webhook = row;
    kv_webhook_state state = kv_webhook_state_of(webhook);
    count *so_far = context;

    (void)vault;
    (void)at;
    so_far->webhooks++;
    if (so_far->told >= TOLD_MOST || state == KV_WEBHOOK_DISABLED ||
        (state == KV_WEBHOOK_ACTIVE && !webhook->failing_since))
        return KV_OK;
    so_far->told++;
    if (state == KV_WEBHOOK_ACTIVE)
        return kv_checks_add(
            so_far->checks, "webhook", KV_CHECK_WARNING, "'kvctl webhook test' asks it again", err,
            "'%.*s' took nothing for %lld minutes: %.*s", KV_SLICE_ARG(webhook->display_name),
            (long long)((so_far->checks->time_ms - webhook->failing_since) / 60000),
            KV_SLICE_ARG(webhook->last_error));
    return kv_checks_add(so_far->checks, "webhook", KV_CHECK_ERROR,
                         "look at the endpoint, then 'kvctl webhook test'", err,
                         state == KV_WEBHOOK_STOPPED ? "'%.*s' was stopped: %.*s"
                                                     : "'%.*s' has not agreed to get events: %.*s",
                         KV_SLICE_ARG(webhook->display_name), KV_SLICE_ARG(webhook->last_error));
}

static kv_status see_delivery(kv_vault *vault, kv_own_step *at, void *row, void *context,
                              kv_error *err)
{
    const kv_delivery_row *delivery = row;
    count *so_far = context;

    (void)vault;
    (void)at;
    if (++so_far->looked_at > LOOKED_AT_MOST)
        return kv_fail(err, KV_CANCELLED, "that is enough");
    if (kv_slice_equal(delivery->state, KV_DELIVERY_DEAD))
        so_far->dead++;
    else
        so_far->waiting++;
    return KV_OK;
}

kv_status kv_deliveries_check(kv_vault *vault, kv_checks *checks, kv_error *err)
{
    count so_far = { .checks = checks };
    kv_status status;

    KV_TRY(kv_each_row(vault, &kv_table_webhooks, see_webhook, &so_far, err));
    status = kv_each_row(vault, &kv_table_deliveries, see_delivery, &so_far, err);
    if (status != KV_OK && so_far.looked_at <= LOOKED_AT_MOST)
        return status;
    *err = (kv_error){ 0 };
    if (so_far.dead)
        KV_TRY(kv_checks_add(checks, "notification", KV_CHECK_WARNING,
                             "'kvctl webhook dead-letter list' and 'redeliver'", err,
                             "%u notices could not be delivered", so_far.dead));
    return kv_checks_add(checks, "notification", KV_CHECK_OK, "", err,
                         "%u webhooks; %u notices wait to be delivered", so_far.webhooks,
                         so_far.waiting);
}
