/* event_sweep.c - old events go: by age and by number, oldest first. The newest one stays, so that
 * numbers go on from it after a restart, whatever the clock says. */
#include "server/vault/events/event_rules.h"
#include "server/vault/own_step.h"

enum { ROWS_PER_STEP = 200, COUNT_ARENA_BYTES = 4 << 20, KEEP_DAYS = 30, KEEP = 100000 };

static int64_t keep_ms(const kv_vault *vault)
{
    return vault->config.events_keep_ms ? vault->config.events_keep_ms
                                        : (int64_t)KEEP_DAYS * KV_DAY_MS;
}

static uint64_t keep(const kv_vault *vault)
{
    return vault->config.events_keep ? vault->config.events_keep : KEEP;
}

/* Seals do not matter for a number. */
static kv_status count(kv_vault *vault, uint64_t *out, kv_error *err)
{
    kv_store *store = kv_records_store(vault->config.records);
    kv_event_row from = { 0 };
    kv_scan scan = {
        .table = &kv_table_events, .from = &from, .after = true, .limit = KV_SCAN_LIMIT
    };
    bool more = true;

    *out = 0;
    while (more) {
        KV_AUTO(kv_arena) arena = KV_ARENA(COUNT_ARENA_BYTES);
        kv_rows rows;

        if (atomic_load(&vault->stopping))
            return kv_fail(err, KV_CANCELLED, "the server stops");
        KV_TRY(store->ops->scan(store, &scan, &arena, &rows, err));
        *out += rows.count;
        more = rows.more;
        if (rows.count)
            from.sequence = ((const kv_event_row *)rows.rows)[rows.count - 1].sequence;
    }
    return KV_OK;
}

typedef struct sweep {
    uint64_t surplus; /* too many by so many */
    int64_t before;   /* and those from before that time */
    unsigned removed;
    bool more;
} sweep;

static kv_status remove_some(kv_vault *vault, kv_work *work, sweep *at, kv_error *err)
{
    kv_event_row from = { 0 };
    kv_scan scan = { .table = &kv_table_events, .from = &from, .limit = ROWS_PER_STEP };
    kv_change change = { 0 };
    unsigned number = 0;
    kv_event_row *events;
    kv_rows rows;

    KV_TRY(kv_records_scan_sound(vault->config.records, &scan, work->arena, &rows, err));
    KV_TRY(kv_change_room(&change, work->arena, rows.count + 1, err));
    events = rows.rows;
    while (number < rows.count && (number + 1 < rows.count || rows.more) &&
           (at->surplus > number || events[number].time < at->before)) {
        KV_TRY(kv_change_delete(&change, &kv_table_events, &events[number], err));
        number++;
    }
    at->more = number && number == rows.count;
    at->surplus -= at->surplus < number ? at->surplus : number;
    at->removed += number;
    if (!number)
        return KV_OK;
    KV_TRY(kv_event_swept(vault, work, events[number - 1].sequence, &change, err));
    return kv_commit_step(vault, work, "EventSweep", &change, err);
}

/* There is a mark from the first sweep on. */
static kv_status mark(kv_vault *vault, kv_work *work, kv_error *err)
{
    kv_event_consumer_row row;
    kv_change change = { 0 };

    KV_TRY(kv_event_consumer_find(vault, work->arena, KV_EVENTS_SWEPT, &row, err));
    if (row.head.generation)
        return KV_OK;
    KV_TRY(kv_event_swept(vault, work, 0, &change, err));
    return kv_commit_step(vault, work, "EventSweep", &change, err);
}

kv_status kv_events_sweep(kv_vault *vault, unsigned *removed, kv_error *err)
{
    uint64_t all = 0;
    sweep at = { .before = kv_clock_now_ms(vault->config.clock) - keep_ms(vault), .more = true };
    kv_status status = count(vault, &all, err);

    if (all > keep(vault))
        at.surplus = all - keep(vault);
    while (status == KV_OK && at.more) {
        kv_own_step step;

        if (atomic_load(&vault->stopping))
            return kv_fail(err, KV_CANCELLED, "the server stops");
        status = kv_own_step_begin(vault, &step, err);
        if (status == KV_OK)
            status = mark(vault, &step.work, err);
        if (status == KV_OK)
            status = remove_some(vault, &step.work, &at, err);
        kv_own_step_end(&step);
    }
    *removed = at.removed;
    return status;
}
