/* delivery_plan.c - what happened becomes something to be told to somebody.
 *
 * One change makes the deliveries of a few events and moves the cursor past them: none is lost, and
 * none is planned twice.
 */
#include "server/base/text.h"
#include "server/notify/letters.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/notices/contact_rules.h"
#include "server/vault/notices/delivery_rules.h"
#include "server/vault/notices/webhook_rules.h"
#include "server/vault/own_step.h"

enum {
    EVENTS_PER_CHANGE = 10,
    ROWS_MOST = EVENTS_PER_CHANGE * (KV_WEBHOOKS_MAX + KV_CONTACTS_MAX),
    LOOK_BACK = 16,
    LOOK_BACK_BYTES = 1 << 20,
    UNSTORED_MOST = 1000
};

typedef struct plan {
    kv_vault *vault;
    kv_work *work;
    kv_change change;
    kv_delivery_row *rows; /* ROWS_MOST of them */
    unsigned count;
    kv_delivery_row *touched; /* as many */
    unsigned touched_count;
} plan;

static bool same_line(const kv_delivery_row *a, const kv_delivery_row *b)
{
    return kv_slice_equal(a->target, b->target) && kv_slice_equal(a->object_uid, b->object_uid);
}

/* One page of its object's deliveries after `*sequence`, which moves to the last of them. True: one
 * is still to be delivered, and it is `*sequence`. */
static kv_status look_back(plan *at, const kv_delivery_row *row, int64_t *sequence, bool *found,
                           bool *more, kv_error *err)
{
    KV_AUTO(kv_arena) page = KV_ARENA(LOOK_BACK_BYTES);
    kv_delivery_row from = { .target = row->target,
                             .object_uid = row->object_uid,
                             .sequence = *sequence };
    kv_scan scan = { .table = &kv_table_deliveries,
                     .index = 2,
                     .prefix = 2,
                     .from = &from,
                     .after = *sequence > 0,
                     .limit = LOOK_BACK };
    const kv_delivery_row *rows;
    kv_rows read;

    KV_TRY(kv_records_scan_sound(at->vault->config.records, &scan, &page, &read, err));
    rows = read.rows;
    *more = read.more;
    for (unsigned i = 0; i < read.count && !*found; i++) {
        *found = !kv_slice_equal(rows[i].state, KV_DELIVERY_DEAD);
        *sequence = rows[i].sequence;
    }
    return KV_OK;
}

/* The first one of its object that is still to be delivered, for those behind it wait for it; NULL:
 * there is none. */
static kv_status first_before(plan *at, const kv_delivery_row *row, kv_delivery_row **out,
                              kv_error *err)
{
    kv_delivery_row *first = kv_arena_alloc(at->work->arena, sizeof(*first));
    int64_t sequence = 0;
    bool found = false;
    bool more = true;
    kv_status status;

    *out = NULL;
    if (!first)
        return kv_arena_full(err);
    while (more && !found)
        KV_TRY(look_back(at, row, &sequence, &found, &more, err));
    if (!found)
        return KV_OK;
    *first = (kv_delivery_row){ .target = row->target, .sequence = sequence };
    status = kv_records_get(at->vault->config.records, &kv_table_deliveries, first, at->work->arena,
                            err);
    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return kv_fail(err, KV_CONFLICT, "it was delivered meanwhile");
    }
    *out = first;
    return status;
}

/* Behind another one of its object it is held. That one is touched: if it is being delivered in
 * this moment, one of the two changes is made again. */
static kv_status line_up(plan *at, kv_delivery_row *row, kv_error *err)
{
    kv_delivery_row *before = NULL;

    row->state = KV_DELIVERY_WAITING;
    /* Mails name what is oldest first. */
    if (!row->object_uid.len || kv_slice_equal(row->channel, KV_CHANNEL_MAIL_NAME))
        return KV_OK;
    for (unsigned i = 0; i < at->count; i++) {
        if (!same_line(&at->rows[i], row))
            continue;
        row->state = KV_DELIVERY_HELD;
        return KV_OK;
    }
    KV_TRY(first_before(at, row, &before, err));
    if (!before)
        return KV_OK;
    row->state = KV_DELIVERY_HELD;
    before->updated = at->work->now_ms;
    at->touched[at->touched_count] = *before;
    return kv_change_update(&at->change, &kv_table_deliveries, &at->touched[at->touched_count++],
                            err);
}

static kv_status add(plan *at, const kv_delivery_row *row, kv_error *err)
{
    kv_delivery_row *kept = &at->rows[at->count];

    *kept = *row;
    kept->created = at->work->now_ms;
    kept->updated = at->work->now_ms;
    KV_TRY(line_up(at, kept, err));
    at->count++;
    return kv_change_insert(&at->change, &kv_table_deliveries, kept, err);
}

static kv_status for_webhooks(plan *at, const kv_event_row *event, kv_delivery_row *row,
                              kv_error *err)
{
    const kv_webhook_row *webhooks;
    kv_x509_list types;
    kv_rows rows;

    KV_TRY(kv_webhooks_of(at->vault, at->work, event->vault_uid, &rows, err));
    webhooks = rows.rows;
    row->channel = KV_CHANNEL_WEBHOOK_NAME;
    row->next_at = at->work->now_ms;
    for (unsigned i = 0; i < rows.count; i++) {
        if (kv_webhook_state_of(&webhooks[i]) != KV_WEBHOOK_ACTIVE)
            continue;
        KV_TRY(kv_texts_load(at->work, webhooks[i].types, &types, err));
        if (!kv_webhook_wants(types.items, types.count, event->type))
            continue;
        row->target = webhooks[i].uid;
        KV_TRY(add(at, row, err));
    }
    return KV_OK;
}

static kv_status for_contacts(plan *at, const kv_event_row *event, kv_delivery_row *row,
                              kv_error *err)
{
    unsigned hour = at->vault->config.notify.digest_hour;
    kv_vault_row vault_row = { .display_name = event->vault };
    kv_contacts_row stored;
    kv_contacts contacts;
    bool exists = false;

    if (!at->vault->config.notify.postman || !kv_letter_wanted(event->type, event->cause))
        return KV_OK;
    KV_TRY(kv_contacts_find(at->vault, at->work, event->vault_uid, &stored, &exists, err));
    if (!exists)
        return KV_OK;
    KV_TRY(kv_contacts_of(at->work, &vault_row, &stored, &contacts, err));
    row->channel = KV_CHANNEL_MAIL_NAME;
    row->next_at = stored.digest && !kv_letter_urgent(event->type)
                       ? kv_digest_at(at->work->now_ms, hour)
                       : at->work->now_ms;
    for (size_t i = 0; i < contacts.count; i++) {
        row->address = contacts.items[i].email;
        KV_TRY(kv_contact_target(at->work, event->vault_uid, row->address, &row->target, err));
        KV_TRY(add(at, row, err));
    }
    return KV_OK;
}

/* A webhook or a contact that cannot be trusted is told nothing; the others are. */
static kv_status unless_broken(plan *at, const kv_event_row *event, kv_status status, kv_error *err)
{
    if (status != KV_INTERNAL)
        return status;
    kv_log_write(at->vault->config.log, KV_LOG_ERROR, "notification.not_planned",
                 (kv_log_field[]){ { "why", err->message, 0 },
                                   { "detail", err->detail, 0 },
                                   { "event", NULL, event->sequence },
                                   { 0 } });
    *err = (kv_error){ 0 };
    return KV_OK;
}

static kv_status plan_event(plan *at, const kv_event_row *event, kv_error *err)
{
    kv_delivery_row row = { .sequence = event->sequence,
                            .vault_uid = event->vault_uid,
                            .object_uid = event->object_uid,
                            .type = event->type };
    kv_slice id;

    if (!event->vault_uid.len)
        return KV_OK;
    KV_TRY(kv_arena_print(at->work->arena, &id, err, "evt_%lld", (long long)event->sequence));
    KV_TRY(kv_event_cloud(at->vault, at->work->arena, event, id, &row.body, err));
    KV_TRY(unless_broken(at, event, for_webhooks(at, event, &row, err), err));
    return unless_broken(at, event, for_contacts(at, event, &row, err), err);
}

static void wake(const plan *at)
{
    for (unsigned i = 0; i < at->count; i++) {
        const kv_delivery_row *row = &at->rows[i];

        if (kv_slice_equal(row->state, KV_DELIVERY_WAITING))
            kv_postbox_add(at->vault->postbox, row->target,
                           kv_slice_equal(row->channel, KV_CHANNEL_MAIL_NAME) ? KV_CHANNEL_MAIL
                                                                              : KV_CHANNEL_WEBHOOK,
                           row->next_at);
    }
}

static kv_status make_room(plan *at, kv_error *err)
{
    kv_arena *arena = at->work->arena;

    at->rows = kv_arena_array(arena, ROWS_MOST, sizeof(*at->rows));
    at->touched = kv_arena_array(arena, ROWS_MOST, sizeof(*at->touched));
    if (!at->rows || !at->touched)
        return kv_arena_full(err);
    return kv_change_room(&at->change, arena, 2 * ROWS_MOST + 1, err);
}

/* What concerns nobody costs no change of its own. */
static kv_status store(plan *at, kv_planned *planned, const kv_event_page *page, kv_error *err)
{
    planned->unstored += page->count;
    if (at->count || planned->unstored > UNSTORED_MOST) {
        KV_TRY(kv_event_cursor_moves(at->vault, at->work, KV_NOTIFY_CONSUMER, page->next,
                                     &at->change, err));
        KV_TRY(kv_commit_step(at->vault, at->work, "NotificationPlan", &at->change, err));
        planned->unstored = 0;
    }
    planned->cursor = page->next;
    wake(at);
    return KV_OK;
}

static kv_status pass(kv_vault *vault, kv_work *work, kv_planned *planned, bool *more,
                      kv_error *err)
{
    plan at = { .vault = vault, .work = work };
    kv_event_query query = { .limit = EVENTS_PER_CHANGE };
    kv_event_page page;

    if (!planned->cursor)
        KV_TRY(kv_event_cursor(vault, work, KV_NOTIFY_CONSUMER, &planned->cursor, err));
    query.after = planned->cursor;
    KV_TRY(kv_events_read(vault, work->arena, &query, &page, err));
    *more = page.more;
    if (page.lost)
        kv_log_write(vault->config.log, KV_LOG_ERROR, "notification.events_lost", NULL);
    if (!page.count) {
        planned->cursor = page.next;
        return KV_OK;
    }
    KV_TRY(make_room(&at, err));
    for (unsigned i = 0; i < page.count; i++)
        KV_TRY(plan_event(&at, &page.events[i], err));
    return store(&at, planned, &page, err);
}

kv_status kv_vault_plan_deliveries(kv_vault *vault, kv_planned *planned, bool *more, kv_error *err)
{
    kv_own_step at;
    kv_status status = kv_own_step_begin(vault, &at, err);

    *more = false;
    if (status == KV_OK) {
        at.entry.operation = "NotificationPlan";
        status = pass(vault, &at.work, planned, more, err);
    }
    kv_own_step_end(&at);
    if (status != KV_CONFLICT)
        return status;
    /* A delivery ended meanwhile, or another server was first. */
    *err = (kv_error){ 0 };
    *planned = (kv_planned){ 0 };
    *more = true;
    return KV_OK;
}

/* --- at the start --- */

/* One row of each target: a jump through the primary key. */
kv_status kv_vault_open_postbox(kv_vault *vault, kv_error *err)
{
    uint8_t last[KV_TARGET_BYTES] = { 0 };
    kv_delivery_row from = { .target = kv_slice_of(last, sizeof(last)) };
    kv_scan scan = { .table = &kv_table_deliveries, .from = &from, .limit = 1 };

    for (;;) {
        const kv_delivery_row *row;
        kv_own_step at;
        kv_rows rows = { 0 };
        kv_status status = kv_own_step_begin(vault, &at, err);

        if (status == KV_OK)
            status = kv_records_scan(vault->config.records, &scan, &at.arena, &rows, err);
        row = rows.rows;
        if (status == KV_OK && rows.count && row->target.len == sizeof(last)) {
            memcpy(last, row->target.data, sizeof(last));
            kv_postbox_add(vault->postbox, row->target,
                           kv_slice_equal(row->channel, KV_CHANNEL_MAIL_NAME) ? KV_CHANNEL_MAIL
                                                                              : KV_CHANNEL_WEBHOOK,
                           at.work.now_ms);
        }
        kv_own_step_end(&at);
        if (status != KV_OK || !rows.count)
            return status;
        from.sequence = INT64_MAX;
        scan.after = true;
    }
}
