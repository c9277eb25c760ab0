/* event_read.c - events are read past a cursor, and cursors are kept. */
#include "server/vault/events/event_rules.h"

int64_t kv_events_now(kv_vault *vault)
{
    return kv_outbox_settled(vault->outbox);
}

bool kv_events_wait(kv_vault *vault, int64_t after, kv_deadline deadline)
{
    return kv_outbox_wait(vault->outbox, after, NULL, deadline);
}

bool kv_events_wait_or_poke(kv_vault *vault, int64_t after, uint64_t *pokes, kv_deadline deadline)
{
    return kv_outbox_wait(vault->outbox, after, pokes, deadline);
}

void kv_events_poke(kv_vault *vault)
{
    kv_outbox_poke(vault->outbox);
}

kv_status kv_event_consumer_find(kv_vault *vault, kv_arena *arena, const char *name,
                                 kv_event_consumer_row *out, kv_error *err)
{
    kv_status status;

    *out = (kv_event_consumer_row){ .name = kv_slice_text(name) };
    status = kv_records_get(vault->config.records, &kv_table_event_consumers, out, arena, err);
    if (status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    *out = (kv_event_consumer_row){ .name = kv_slice_text(name) };
    return KV_OK;
}

/* Only what is settled: the rest is read another time. */
static void take_settled(const kv_rows *rows, int64_t settled, int64_t after, kv_event_page *out)
{
    const kv_event_row *events = rows->rows;
    unsigned count = 0;

    while (count < rows->count && events[count].sequence <= settled)
        count++;
    out->events = events;
    out->count = count;
    out->more = count == rows->count && rows->more;
    out->next = out->more ? events[count - 1].sequence : settled;
    if (out->next < after)
        out->next = after;
}

kv_status kv_events_read(kv_vault *vault, kv_arena *arena, const kv_event_query *query,
                         kv_event_page *out, kv_error *err)
{
    bool one_vault = query->vault_uid.len > 0;
    kv_event_row from = { .sequence = query->after, .vault_uid = query->vault_uid };
    kv_scan scan = { .table = &kv_table_events,
                     .index = one_vault ? 1 : 0,
                     .prefix = one_vault ? 1 : 0,
                     .from = &from,
                     .after = true,
                     .limit = query->limit };
    int64_t settled = kv_outbox_settled(vault->outbox);
    kv_event_consumer_row swept;
    kv_rows rows;

    *out = (kv_event_page){ 0 };
    KV_TRY(kv_records_scan_sound(vault->config.records, &scan, arena, &rows, err));
    take_settled(&rows, settled, query->after, out);
    /* Read last: what is swept between the two was not lost, but is said to be. */
    KV_TRY(kv_event_consumer_find(vault, arena, KV_EVENTS_SWEPT, &swept, err));
    out->lost = query->after > 0 && query->after < swept.cursor;
    return KV_OK;
}

/* --- cursors --- */

static kv_status check_name(const char *name, kv_error *err)
{
    size_t len = strlen(name);

    if (len > 0 && len <= KV_EVENT_CONSUMER_NAME_MAX &&
        len == strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-"))
        return KV_OK;
    return kv_fail(err, KV_BAD_REQUEST, "a consumer's name has 1 to %d of [a-z0-9-]",
                   KV_EVENT_CONSUMER_NAME_MAX);
}

static kv_status move(kv_vault *vault, kv_work *work, const char *name, int64_t cursor,
                      kv_change *change, kv_error *err)
{
    kv_event_consumer_row *row = kv_arena_alloc(work->arena, sizeof(*row));

    if (!row)
        return kv_arena_full(err);
    KV_TRY(kv_event_consumer_find(vault, work->arena, name, row, err));
    row->cursor = cursor;
    row->updated = work->now_ms;
    if (row->head.generation)
        return kv_change_update(change, &kv_table_event_consumers, row, err);
    return kv_change_insert(change, &kv_table_event_consumers, row, err);
}

kv_status kv_event_cursor_moves(kv_vault *vault, kv_work *work, const char *name, int64_t cursor,
                                kv_change *change, kv_error *err)
{
    KV_TRY(check_name(name, err));
    return move(vault, work, name, cursor, change, err);
}

kv_status kv_event_swept(kv_vault *vault, kv_work *work, int64_t sequence, kv_change *change,
                         kv_error *err)
{
    return move(vault, work, KV_EVENTS_SWEPT, sequence, change, err);
}

kv_status kv_event_move_cursor(kv_vault *vault, kv_work *work, const char *name, int64_t cursor,
                               kv_error *err)
{
    kv_change change = { 0 };

    KV_TRY(kv_event_cursor_moves(vault, work, name, cursor, &change, err));
    return kv_commit_step(vault, work, "EventCursorMove", &change, err);
}

kv_status kv_event_cursor(kv_vault *vault, kv_work *work, const char *name, int64_t *cursor,
                          kv_error *err)
{
    kv_event_consumer_row row;
    int64_t now = kv_events_now(vault);

    KV_TRY(check_name(name, err));
    KV_TRY(kv_event_consumer_find(vault, work->arena, name, &row, err));
    if (!row.head.generation)
        KV_TRY(kv_event_move_cursor(vault, work, name, now, err));
    *cursor = row.head.generation ? row.cursor : now;
    return KV_OK;
}
