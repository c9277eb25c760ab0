/* delivery_webhook.c - a turn of one webhook: the event that is due first is sent. */
#include "server/vault/notices/delivery_rules.h"
#include "server/vault/notices/webhook_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"

enum {
    SLOW_MS = 2000,
    FIRST_REST_MS = 1000,
    LONGEST_REST_MS = 60 * 1000,
    DELETED_WAIT_MS = 60 * 60 * 1000,
    MINUTE_MS = 60 * 1000
};

/* Three days, in percent of which a delivery is given up: as long as one is tried. */
static const int64_t give_up_ms = INT64_C(3) * 24 * 60 * 60 * 1000;

/* What is not ours to see to the end: somebody else changed the webhook, and that counts. */
static kv_status note(kv_vault *vault, kv_work *work, kv_webhook_row *row, const char *operation,
                      kv_change *change, kv_error *err)
{
    kv_status status = kv_change_update(change, &kv_table_webhooks, row, err);

    if (status == KV_OK)
        status = kv_commit_step(vault, work, operation, change, err);
    if (status != KV_CONFLICT)
        return status;
    *err = (kv_error){ 0 };
    return KV_OK;
}

/* Nothing more is sent to it; contacts are told. */
static kv_status stop(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                      kv_webhook_row *row, kv_slice why, const kv_webhook_result *result,
                      kv_error *err)
{
    kv_event_row event = { .cause = why, .error_message = result->why };
    kv_change change = { 0 };

    kv_event_place(vault_row, NULL, &event);
    event.object_uid = row->uid;
    event.name = row->display_name;
    row->stopped = why;
    row->last_error = result->why;
    row->updated = work->now_ms;
    kv_log_write(
        vault->config.log, KV_LOG_WARNING, "webhook.stopped",
        (kv_log_field[]){ { "why", kv_slice_equal(why, KV_STOPPED_GONE) ? "gone" : "failing", 0 },
                          { 0 } });
    KV_TRY(kv_event_add(work, KV_EVENT_WEBHOOK_DISABLED, &event, &change, err));
    return note(vault, work, row, "WebhookStop", &change, err);
}

/* The webhook's own row says since when nothing was taken. */
static kv_status remember(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                          kv_webhook_row *row, const kv_webhook_result *result, bool died,
                          kv_error *err)
{
    unsigned percent =
        vault->config.notify.retry_percent ? vault->config.notify.retry_percent : 100;
    kv_change change = { 0 };

    if (result->verdict == KV_WEBHOOK_GONE)
        return stop(vault, work, vault_row, row, KV_STOPPED_GONE, result, err);
    if (result->verdict == KV_WEBHOOK_TAKEN) {
        if (!row->failing_since)
            return KV_OK;
        row->failing_since = 0;
        row->last_error = KV_SLICE_NONE;
        return note(vault, work, row, "WebhookWorks", &change, err);
    }
    if (died && row->failing_since &&
        work->now_ms - row->failing_since >= give_up_ms / 100 * percent)
        return stop(vault, work, vault_row, row, KV_STOPPED_FAILING, result, err);
    if (row->failing_since)
        return KV_OK;
    row->failing_since = work->now_ms;
    row->last_error = result->why;
    return note(vault, work, row, "WebhookFails", &change, err);
}

static int64_t rest_ms(unsigned troubles)
{
    int64_t rest = FIRST_REST_MS;

    while (troubles-- && rest < LONGEST_REST_MS)
        rest *= 2;
    return rest < LONGEST_REST_MS ? rest : LONGEST_REST_MS;
}

static void plan_next(kv_vault *vault, const kv_webhook_row *row, const kv_webhook_result *result,
                      int64_t took_ms, kv_turn_end *end)
{
    int64_t now_ms = kv_clock_now_ms(vault->config.clock);
    bool failed = result->verdict != KV_WEBHOOK_TAKEN;
    int64_t wait_ms = row->rate ? MINUTE_MS / row->rate : 0;

    *end = (kv_turn_end){ .due_at = now_ms, .tried = true, .trouble = failed || took_ms > SLOW_MS };
    if (failed)
        wait_ms = rest_ms(kv_postbox_troubles(vault->postbox, row->uid.data));
    if (failed && result->wait_ms > wait_ms)
        wait_ms = result->wait_ms;
    end->not_before = wait_ms ? now_ms + wait_ms : 0;
}

static kv_status send_one(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                          kv_webhook_row *row, kv_delivery_row *delivery, kv_turn_end *end,
                          kv_error *err)
{
    int64_t began = kv_monotonic_us();
    kv_webhook_result result = { 0 };
    kv_attempt attempt;
    kv_slice id;
    bool died = false;

    KV_TRY(kv_arena_print(work->arena, &id, err, "evt_%lld", (long long)delivery->sequence));
    KV_TRY(kv_webhook_deliver(vault, work, row, id, delivery->body, &result, err));
    plan_next(vault, row, &result, (kv_monotonic_us() - began) / 1000, end);
    attempt = (kv_attempt){ .done = result.verdict == KV_WEBHOOK_TAKEN,
                            .wait_ms = result.wait_ms,
                            .status = result.status,
                            .why = result.why };
    /* For one that is gone it waits until somebody sets the webhook anew. */
    if (result.verdict != KV_WEBHOOK_GONE)
        KV_TRY(kv_delivery_settle(vault, work, delivery, &attempt, &died, err));
    return remember(vault, work, vault_row, row, &result, died, err);
}

static kv_status turn(kv_vault *vault, kv_work *work, kv_slice target, kv_turn_end *end,
                      kv_error *err)
{
    kv_delivery_row delivery;
    kv_vault_row vault_row;
    kv_webhook_row row;
    bool exists = false;
    kv_status status = kv_webhook_by_uid(vault, work, target, &row, err);

    *end = (kv_turn_end){ 0 };
    if (status == KV_OK)
        status = kv_vault_by_uid(vault, work, row.vault_uid, &vault_row, err);
    if (status == KV_NOT_FOUND)
        return kv_turn_throw_away(vault, work, target, end, err);
    KV_TRY(status);
    if (kv_webhook_state_of(&row) != KV_WEBHOOK_ACTIVE)
        return KV_OK;
    if (vault_row.deleted) {
        end->due_at = work->now_ms + DELETED_WAIT_MS;
        return KV_OK;
    }
    work->entry->vault = vault_row.display_name;
    work->entry->collection = KV_SLICE("webhooks");
    work->entry->name = row.display_name;
    KV_TRY(kv_delivery_first(vault, work, target, &delivery, &exists, err));
    if (!exists)
        return KV_OK;
    if (delivery.next_at > work->now_ms) {
        end->due_at = delivery.next_at;
        return KV_OK;
    }
    return send_one(vault, work, &vault_row, &row, &delivery, end, err);
}

kv_status kv_vault_step_webhook(kv_vault *vault, int64_t *next_at, kv_error *err)
{
    return kv_take_turn(vault, KV_CHANNEL_WEBHOOK, turn, next_at, err);
}
