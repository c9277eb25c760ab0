/* records_sweep.c - every row looked at. */
#include "server/store/records_impl.h"
#include "server/store/row.h"
#include "server/store/schema.h"

enum { SWEEP_ROWS = 64, SWEEP_ALARMS = 100, SWEEP_ARENA_BYTES = 64 << 20 };

/* What a sweep has met so far. */
typedef struct findings {
    kv_error first;
    unsigned count;
} findings;

/* Tells the operator and lets the sweep go on, unless it is no row that is to blame. */
static kv_status take_finding(kv_records *records, kv_status status, findings *found, kv_error *err)
{
    if (status == KV_OK || err->reason != KV_REASON_INTEGRITY)
        return status;
    if (!found->count)
        found->first = *err;
    if (found->count++ < SWEEP_ALARMS)
        (void)kv_records_alarm(records, status, err);
    *err = (kv_error){ 0 };
    return KV_OK;
}

/* One page of a sweep: `last` keeps the key of the last row for the next one. */
static kv_status sweep_page(kv_records *records, const kv_table *table, kv_arena *arena,
                            kv_arena *keep, void *last, bool *more, findings *found, kv_error *err)
{
    kv_store *store = records->config.store;
    kv_scan scan = { .table = table, .from = last, .after = *more, .limit = SWEEP_ROWS };
    kv_rows rows = { 0 };
    const char *row;

    KV_TRY(store->ops->scan(store, &scan, arena, &rows, err));
    *more = rows.more;
    row = rows.rows;
    for (unsigned i = 0; i < rows.count; i++, row += table->row_size)
        KV_TRY(take_finding(records, kv_records_check_found(records, &scan, row, err), found, err));
    if (!rows.more)
        return KV_OK;

    row -= table->row_size;
    memcpy(last, row, table->row_size);
    kv_arena_cleanup(keep);
    for (unsigned i = 0; i < table->key_count; i++) {
        const kv_column *column = &table->columns[i];
        kv_slice copy;

        if (column->kind == KV_COLUMN_INTEGER)
            continue;
        KV_TRY(kv_arena_copy(keep, kv_row_slice(column, row), &copy, err));
        kv_row_set_slice(column, last, copy);
    }
    return KV_OK;
}

static kv_status sweep_table(kv_records *records, const kv_table *table, findings *found,
                             kv_error *err)
{
    KV_AUTO(kv_arena) base = KV_ARENA(1 << 16);
    KV_AUTO(kv_arena) keep = KV_ARENA(1 << 20);
    void *last = kv_arena_alloc(&base, table->row_size);
    bool more = false;

    if (!last)
        return kv_arena_full(err);
    do {
        KV_AUTO(kv_arena) page = KV_ARENA(SWEEP_ARENA_BYTES);

        if (atomic_load(&records->stopping))
            return kv_fail(err, KV_CANCELLED, "the server stops");
        KV_TRY(sweep_page(records, table, &page, &keep, last, &more, found, err));
    } while (more);
    return KV_OK;
}

kv_status kv_records_compare(kv_records *records, kv_error *err)
{
    kv_store *store = records->config.store;

    return kv_records_alarm(records, kv_store_compare(store, &records->stopping, err), err);
}

void kv_records_stop(kv_records *records)
{
    atomic_store(&records->stopping, true);
    if (records->verified)
        kv_verified_stop(records->verified);
}

kv_status kv_records_sweep(kv_records *records, const kv_table *const *tables, kv_error *err)
{
    const kv_table *const *end = tables ? NULL : kv_tables + kv_tables_count;
    findings found = { 0 };

    for (const kv_table *const *table = tables ? tables : kv_tables; table != end && *table;
         table++)
        if ((*table)->sealed)
            KV_TRY(take_finding(records, sweep_table(records, *table, &found, err), &found, err));
    if (!tables)
        KV_TRY(take_finding(records,
                            kv_store_compare(records->config.store, &records->stopping, err),
                            &found, err));
    if (!found.count)
        return KV_OK;
    *err = found.first;
    return err->status;
}
