/* delivery_rows.c - rows of what is still to be told: found, released, listed, tried again. */
#include <stdio.h>

#include <openssl/sha.h>

#include "server/base/text.h"
#include "server/vault/notices/delivery_rules.h"
#include "server/vault/notices/webhook_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/own_step.h"
#include "server/vault/values.h"

enum { ROWS_PER_STEP = 100, DEAD_LETTER_DAYS = 30, ID_DIGITS = 2 * KV_TARGET_BYTES };

kv_status kv_contact_target(kv_work *work, kv_slice vault_uid, kv_slice address, kv_slice *out,
                            kv_error *err)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    kv_slice lower;
    uint8_t *bytes;

    KV_TRY(kv_text_lower(work->arena, address, &lower, err));
    bytes = kv_arena_alloc(work->arena, vault_uid.len + lower.len);
    if (!bytes)
        return kv_arena_full(err);
    memcpy(bytes, vault_uid.data, vault_uid.len);
    memcpy(bytes + vault_uid.len, lower.data, lower.len);
    (void)SHA256(bytes, vault_uid.len + lower.len, hash);
    return kv_arena_copy(work->arena, kv_slice_of(hash, KV_TARGET_BYTES), out, err);
}

kv_status kv_delivery_first(kv_vault *vault, kv_work *work, kv_slice target, kv_delivery_row *out,
                            bool *exists, kv_error *err)
{
    kv_delivery_row from = { .target = target, .state = KV_DELIVERY_WAITING };
    kv_scan scan = {
        .table = &kv_table_deliveries, .index = 1, .prefix = 2, .from = &from, .limit = 1
    };
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    *exists = rows.count > 0;
    if (*exists)
        *out = *(const kv_delivery_row *)rows.rows;
    return KV_OK;
}

kv_status kv_delivery_release(kv_vault *vault, kv_work *work, const kv_delivery_row *row,
                              kv_delivery_row *next, kv_change *change, kv_error *err)
{
    kv_delivery_row from = { .target = row->target,
                             .object_uid = row->object_uid,
                             .sequence = row->sequence };
    kv_scan scan = { .table = &kv_table_deliveries,
                     .index = 2,
                     .prefix = 2,
                     .from = &from,
                     .after = true,
                     .limit = ROWS_PER_STEP };
    const kv_delivery_row *found;
    kv_rows rows;

    if (!row->object_uid.len)
        return KV_OK;
    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    found = rows.rows;
    for (unsigned i = 0; i < rows.count; i++) {
        if (!kv_slice_equal(found[i].state, KV_DELIVERY_HELD))
            continue;
        *next = found[i];
        next->state = KV_DELIVERY_WAITING;
        next->next_at = work->now_ms;
        next->updated = work->now_ms;
        return kv_change_update(change, &kv_table_deliveries, next, err);
    }
    return KV_OK;
}

static kv_status drop(kv_vault *vault, kv_work *step, const kv_scan *scan, const char *operation,
                      bool *more, kv_error *err)
{
    kv_change change = { 0 };
    kv_delivery_row *found;
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, scan, step->arena, &rows, err));
    *more = rows.more;
    if (!rows.count)
        return KV_OK;
    found = rows.rows;
    KV_TRY(kv_change_room(&change, step->arena, rows.count, err));
    for (unsigned i = 0; i < rows.count; i++)
        KV_TRY(kv_change_delete(&change, &kv_table_deliveries, &found[i], err));
    return kv_commit_step(vault, step, operation, &change, err);
}

kv_status kv_deliveries_drop(kv_vault *vault, kv_work *step, kv_slice target, bool *more,
                             kv_error *err)
{
    kv_delivery_row from = { .target = target };
    kv_scan scan = {
        .table = &kv_table_deliveries, .prefix = 1, .from = &from, .limit = ROWS_PER_STEP
    };

    return drop(vault, step, &scan, "NotificationDrop", more, err);
}

kv_status kv_deliveries_forget(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_error *err)
{
    kv_delivery_row from = { .vault_uid = vault_uid };
    kv_scan scan = { .table = &kv_table_deliveries,
                     .index = 3,
                     .prefix = 1,
                     .from = &from,
                     .limit = ROWS_PER_STEP };
    bool more = true;

    while (more) {
        KV_AUTO(kv_arena) arena = KV_ARENA(KV_STEP_ARENA_BYTES);
        kv_work step = kv_step_of(work, &arena);

        KV_TRY(drop(vault, &step, &scan, "VaultPurgeDeliveries", &more, err));
    }
    return KV_OK;
}

/* --- dead letters --- */

typedef struct sweep {
    int64_t before_ms;
    unsigned removed;
} sweep;

static kv_status sweep_one(kv_vault *vault, kv_own_step *at, void *row, void *context,
                           kv_error *err)
{
    const kv_delivery_row *delivery = row;
    kv_change change = { 0 };
    sweep *so_far = context;
    kv_status status;

    if (!kv_slice_equal(delivery->state, KV_DELIVERY_DEAD) ||
        delivery->updated >= so_far->before_ms)
        return KV_OK;
    KV_TRY(kv_change_delete(&change, &kv_table_deliveries, row, err));
    status = kv_commit_step(vault, &at->work, "DeadLetterForget", &change, err);
    so_far->removed += status == KV_OK;
    if (status != KV_CONFLICT)
        return status;
    *err = (kv_error){ 0 };
    return KV_OK;
}

kv_status kv_vault_sweep_dead_letters(kv_vault *vault, unsigned *removed, kv_error *err)
{
    sweep so_far = { .before_ms = kv_clock_now_ms(vault->config.clock) -
                                  (int64_t)DEAD_LETTER_DAYS * KV_DAY_MS };
    kv_status status = kv_each_row(vault, &kv_table_deliveries, sweep_one, &so_far, err);

    *removed = so_far.removed;
    return status;
}

static kv_status begin(kv_vault *vault, kv_work *work, const kv_target *target, kv_vault_row *out,
                       kv_error *err)
{
    work->entry->collection = KV_SLICE("webhooks");
    return kv_find_vault(vault, work, target->vault, out, err);
}

static kv_status id_of(kv_work *work, const kv_delivery_row *row, kv_slice *out, kv_error *err)
{
    char digits[ID_DIGITS + 1];

    if (row->target.len != KV_TARGET_BYTES)
        return kv_fail(err, KV_INTERNAL, "a delivery's target has %zu bytes", row->target.len);
    kv_hex(row->target, digits);
    return kv_arena_print(work->arena, out, err, "%s-%lld", digits, (long long)row->sequence);
}

/* "target-sequence" as in id_of(). */
static bool parse_id(kv_work *work, kv_slice id, kv_slice *target, int64_t *sequence)
{
    uint8_t *bytes = kv_arena_alloc(work->arena, KV_TARGET_BYTES);
    uint64_t number = 0;

    if (!bytes || id.len <= ID_DIGITS + 1 || id.data[ID_DIGITS] != '-' ||
        !kv_unhex(kv_slice_of(id.data, ID_DIGITS), bytes, KV_TARGET_BYTES) ||
        !kv_text_number(kv_slice_of(id.data + ID_DIGITS + 1, id.len - ID_DIGITS - 1), INT64_MAX,
                        &number))
        return false;
    *target = kv_slice_of(bytes, KV_TARGET_BYTES);
    *sequence = (int64_t)number;
    return true;
}

static kv_status letter_of(kv_vault *vault, kv_work *work, const kv_delivery_row *row,
                           kv_dead_letter *out, kv_error *err)
{
    kv_webhook_row webhook = { 0 };
    kv_status status = KV_OK;

    KV_TRY(id_of(work, row, &out->id, err));
    if (kv_slice_equal(row->channel, KV_CHANNEL_WEBHOOK_NAME))
        status = kv_webhook_by_uid(vault, work, row->target, &webhook, err);
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    if (status == KV_NOT_FOUND)
        *err = (kv_error){ 0 };
    out->channel = row->channel;
    out->to = webhook.display_name.len ? webhook.display_name : row->address;
    out->type = row->type;
    out->sequence = row->sequence;
    out->attempts = row->attempts;
    out->last_status = row->last_status;
    out->last_error = row->last_error;
    out->created = row->created;
    out->updated = row->updated;
    out->body = row->body;
    return KV_OK;
}

static bool for_auditors(const kv_delivery_row *row)
{
    return kv_webhook_for_auditors(&row->type, 1);
}

/* In no particular order but a stable one. */
kv_status kv_vault_dead_letters(kv_vault *vault, kv_work *work, const kv_dead_letter_list_in *in,
                                kv_dead_letter_list *out, kv_error *err)
{
    kv_delivery_row from = { .state = KV_DELIVERY_DEAD };
    kv_scan scan = { .table = &kv_table_deliveries, .index = 3, .prefix = 2, .from = &from };
    const kv_delivery_row *found;
    kv_dead_letter *items;
    kv_vault_row vault_row;
    size_t count = 0;
    kv_rows rows;

    KV_TRY(begin(vault, work, &in->target, &vault_row, err));
    KV_TRY(kv_page_check(&in->page, &scan.limit, err));
    from.vault_uid = vault_row.uid;
    scan.after = in->page.token.len > 0;
    if (scan.after && !parse_id(work, in->page.token, &from.target, &from.sequence))
        return kv_page_refused(err);
    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    found = rows.rows;
    items = kv_arena_array(work->arena, rows.count, sizeof(*items));
    if (!items)
        return kv_arena_full(err);
    for (unsigned i = 0; i < rows.count; i++) {
        bool may;

        KV_TRY(kv_webhook_permits(vault, work, &vault_row, for_auditors(&found[i]), &may, err));
        if (may)
            KV_TRY(letter_of(vault, work, &found[i], &items[count++], err));
    }
    *out = (kv_dead_letter_list){ .items = items, .count = count };
    return rows.more ? id_of(work, &found[rows.count - 1], &out->next_page_token, err) : KV_OK;
}

static kv_channel channel_of(const kv_delivery_row *row)
{
    return kv_slice_equal(row->channel, KV_CHANNEL_MAIL_NAME) ? KV_CHANNEL_MAIL
                                                              : KV_CHANNEL_WEBHOOK;
}

/* The dead letters that are asked for; at most as many as one change takes. */
static kv_status choose(kv_vault *vault, kv_work *work, const kv_redeliver_in *in,
                        const kv_vault_row *vault_row, kv_rows *out, kv_error *err)
{
    kv_delivery_row *from = kv_arena_alloc(work->arena, sizeof(*from));
    kv_scan scan = {
        .table = &kv_table_deliveries, .index = 3, .prefix = 2, .from = from, .limit = ROWS_PER_STEP
    };
    kv_webhook_row webhook;
    kv_vault_row ignored;

    if (!from)
        return kv_arena_full(err);
    *from = (kv_delivery_row){ .vault_uid = vault_row->uid, .state = KV_DELIVERY_DEAD };
    if (in->target.issuer.len) {
        KV_TRY(kv_webhook_find(vault, work, &in->target, &ignored, &webhook, err));
        from->target = webhook.uid;
        scan.index = 1;
    }
    /* All there are: whoever writes the vault may have them sent, and sees their number. */
    if (!in->id.len && !in->target.issuer.len)
        KV_TRY(kv_webhook_permit(vault, work, vault_row, false, err));
    if (!in->id.len)
        return kv_records_scan(vault->config.records, &scan, work->arena, out, err);
    if (!parse_id(work, in->id, &from->target, &from->sequence))
        return kv_fail_field(err, "id", "is none of a dead letter");
    KV_TRY(kv_records_get(vault->config.records, &kv_table_deliveries, from, work->arena, err));
    if (!kv_slice_equal(from->vault_uid, vault_row->uid) ||
        !kv_slice_equal(from->state, KV_DELIVERY_DEAD))
        return kv_fail(err, KV_NOT_FOUND, "there is no such dead letter");
    *out = (kv_rows){ .rows = from, .count = 1 };
    return kv_webhook_permit(vault, work, vault_row, for_auditors(from), err);
}

kv_status kv_vault_redeliver(kv_vault *vault, kv_work *work, const kv_redeliver_in *in,
                             kv_redelivered *out, kv_error *err)
{
    kv_change change = { 0 };
    kv_delivery_row *found;
    kv_vault_row vault_row;
    kv_rows rows;
    kv_status status;

    KV_TRY(begin(vault, work, &in->target, &vault_row, err));
    status = choose(vault, work, in, &vault_row, &rows, err);
    if (status == KV_NOT_FOUND && in->id.len) {
        *err = (kv_error){ 0 };
        return kv_fail(err, KV_NOT_FOUND, "there is no such dead letter");
    }
    KV_TRY(status);
    found = rows.rows;
    KV_TRY(kv_change_room(&change, work->arena, rows.count + 1, err));
    for (unsigned i = 0; i < rows.count; i++) {
        found[i].state = KV_DELIVERY_WAITING;
        found[i].attempts = 0;
        found[i].next_at = work->now_ms;
        found[i].updated = work->now_ms;
        KV_TRY(kv_change_update(&change, &kv_table_deliveries, &found[i], err));
    }
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    for (unsigned i = 0; i < rows.count; i++)
        kv_postbox_add(vault->postbox, found[i].target, channel_of(&found[i]), work->now_ms);
    *out = (kv_redelivered){ .count = rows.count, .more = rows.more };
    return KV_OK;
}
