/* delivery_turn.c - turns of targets, and what becomes of an attempt. */
#include "server/notify/webhook.h"
#include "server/vault/notices/delivery_rules.h"
#include "server/vault/own_step.h"

enum { SETTLE_TRIES = 5, TURN_MS = 60 * 1000, HOUR_MS = 60 * 60 * 1000, ERROR_MAX = 300 };

int64_t kv_digest_at(int64_t now_ms, unsigned hour)
{
    int64_t at = now_ms / KV_DAY_MS * KV_DAY_MS + (int64_t)hour * HOUR_MS;

    return at > now_ms ? at : at + KV_DAY_MS;
}

static uint64_t seed_of(const kv_delivery_row *row)
{
    uint64_t seed = (uint64_t)row->sequence * UINT64_C(0x9e3779b97f4a7c15);

    for (size_t i = 0; i < row->target.len; i++)
        seed = seed * 31 + row->target.data[i];
    return seed ^ seed >> 31;
}

/* Not in the middle of a character. */
static kv_slice cut(kv_slice text)
{
    if (text.len <= ERROR_MAX)
        return text;
    text.len = ERROR_MAX;
    while (text.len && (text.data[text.len] & 0xc0) == 0x80)
        text.len--;
    return text;
}

/* Later, or never. */
static void fail(const kv_vault *vault, const kv_work *work, kv_delivery_row *row,
                 const kv_attempt *attempt)
{
    const kv_vault_notify *notify = &vault->config.notify;
    unsigned tries = notify->tries ? notify->tries : KV_WEBHOOK_TRIES;
    unsigned percent = notify->retry_percent ? notify->retry_percent : 100;
    int64_t wait_ms;

    row->attempts++;
    row->last_status = attempt->status;
    row->last_error = cut(attempt->why);
    row->updated = work->now_ms;
    wait_ms = kv_webhook_wait_ms((unsigned)row->attempts, seed_of(row), percent);
    if (attempt->for_good || row->attempts >= tries || !wait_ms)
        row->state = KV_DELIVERY_DEAD;
    /* From now on, not from when it was taken up: the endpoint may have taken its time. */
    row->next_at = kv_clock_now_ms(vault->config.clock) +
                   (wait_ms > attempt->wait_ms ? wait_ms : attempt->wait_ms);
}

static kv_status settle_once(kv_vault *vault, kv_work *work, kv_delivery_row *row,
                             const kv_attempt *attempt, kv_error *err)
{
    const char *operation = "NotificationRetry";
    kv_change change = { 0 };
    kv_delivery_row next;

    if (attempt->done) {
        operation = "NotificationDeliver";
        KV_TRY(kv_change_delete(&change, &kv_table_deliveries, row, err));
    } else {
        fail(vault, work, row, attempt);
        KV_TRY(kv_change_update(&change, &kv_table_deliveries, row, err));
    }
    if (kv_slice_equal(row->state, KV_DELIVERY_DEAD))
        operation = "NotificationGiveUp";
    if (attempt->done || kv_slice_equal(row->state, KV_DELIVERY_DEAD))
        KV_TRY(kv_delivery_release(vault, work, row, &next, &change, err));
    return kv_commit_step(vault, work, operation, &change, err);
}

/* A plan may touch the row meanwhile, to be sure that what it puts behind it is not forgotten. */
kv_status kv_delivery_settle(kv_vault *vault, kv_work *work, const kv_delivery_row *row,
                             const kv_attempt *attempt, bool *died, kv_error *err)
{
    *died = false;
    for (int i = 0; i < SETTLE_TRIES; i++) {
        kv_delivery_row now = { .target = row->target, .sequence = row->sequence };
        kv_status status =
            kv_records_get(vault->config.records, &kv_table_deliveries, &now, work->arena, err);

        if (status == KV_NOT_FOUND) {
            *err = (kv_error){ 0 };
            return KV_OK;
        }
        KV_TRY(status);
        status = settle_once(vault, work, &now, attempt, err);
        if (status == KV_CONFLICT) {
            *err = (kv_error){ 0 };
            continue;
        }
        *died = kv_slice_equal(now.state, KV_DELIVERY_DEAD);
        return status;
    }
    return kv_fail(err, KV_BUSY, "a delivery is being changed by others");
}

kv_status kv_take_turn(kv_vault *vault, kv_channel channel, kv_turn *turn, int64_t *next_at,
                       kv_error *err)
{
    int64_t now_ms = kv_clock_now_ms(vault->config.clock);
    uint8_t target[KV_TARGET_BYTES];
    kv_turn_end end = { 0 };
    kv_own_step at;
    kv_status status;

    if (!kv_postbox_take(vault->postbox, channel, now_ms, target, next_at))
        return KV_OK;
    status = kv_own_step_begin(vault, &at, err);
    if (status == KV_OK) {
        at.entry.operation = "Notification";
        at.work.deadline = kv_deadline_in_ms(TURN_MS);
        status = turn(vault, &at.work, kv_slice_of(target, sizeof(target)), &end, err);
    }
    /* Whatever it was, it is still in the store. */
    if (status != KV_OK)
        end = (kv_turn_end){ .due_at = now_ms, .not_before = now_ms + TURN_MS };
    kv_postbox_give_back(vault->postbox, target, &end);
    kv_own_step_end(&at);
    *next_at = now_ms;
    return status;
}

kv_status kv_turn_throw_away(kv_vault *vault, kv_work *work, kv_slice target, kv_turn_end *end,
                             kv_error *err)
{
    bool more = false;

    *err = (kv_error){ 0 };
    KV_TRY(kv_deliveries_drop(vault, work, target, &more, err));
    end->due_at = more ? work->now_ms : 0;
    return KV_OK;
}

bool kv_vault_wait_for_deliveries(kv_vault *vault, int64_t next_at)
{
    return kv_postbox_wait(vault->postbox, kv_clock_now_ms(vault->config.clock), next_at);
}
