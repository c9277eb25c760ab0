/* records.c - the sealed view of the store. */
#include <stdlib.h>

#include "server/store/records_impl.h"
#include "server/store/row.h"

enum { ALARM_EVERY_US = 10000000 };

kv_status kv_records_open(const kv_records_config *config, kv_records **out, kv_error *err)
{
    kv_records *records;
    kv_status status;

    if (config->instance.len != KV_INSTANCE_BYTES)
        return kv_fail(err, KV_INTERNAL, "an instance id has %d bytes", KV_INSTANCE_BYTES);
    records = calloc(1, sizeof(*records));
    if (!records)
        return kv_fail(err, KV_BUSY, "out of memory");

    records->config = *config;
    memcpy(records->instance, config->instance.data, KV_INSTANCE_BYTES);
    records->config.instance = kv_slice_of(records->instance, KV_INSTANCE_BYTES);
    records->checker = kv_seal_checker_new(records->config.instance);
    if (records->checker)
        status =
            kv_seal_checker_add(records->checker, config->sealer.key_id, config->sealer.spki, err);
    else
        status = kv_fail(err, KV_BUSY, "out of memory");
    if (status != KV_OK) {
        kv_records_close(records);
        return status;
    }
    *out = records;
    return KV_OK;
}

void kv_records_close(kv_records *records)
{
    if (!records)
        return;
    kv_seal_checker_free(records->checker);
    free(records);
}

kv_status kv_records_add_seal_key(kv_records *records, const uint8_t key_id[KV_SEAL_KEY_ID_BYTES],
                                  kv_slice spki, kv_error *err)
{
    return kv_seal_checker_add(records->checker, key_id, spki, err);
}

void kv_records_trust(kv_records *records, kv_verified *verified)
{
    records->verified = verified;
}

kv_store *kv_records_store(kv_records *records)
{
    return records->config.store;
}

kv_status kv_records_alarm(kv_records *records, kv_status status, const kv_error *err)
{
    if (status != KV_OK && err->reason == KV_REASON_INTEGRITY)
        kv_log_write(records->config.log, KV_LOG_ERROR, "store.integrity",
                     (kv_log_field[]){ { "detail", err->detail, 0 }, { 0 } });
    return status;
}

/* A sound row in the wrong place: an edited index can lead a search astray. */
static kv_status check_place(const kv_table *table, const unsigned *columns, unsigned count,
                             const void *asked, const void *row, kv_error *err)
{
    for (unsigned i = 0; i < count; i++)
        if (!kv_row_column_equal(&table->columns[columns[i]], asked, row))
            return kv_seal_broken(table, row, "it is not the row that was asked for", err);
    return KV_OK;
}

static kv_status get_checked(kv_records *records, const kv_table *table, void *row, kv_arena *arena,
                             kv_error *err)
{
    kv_store *store = records->config.store;
    unsigned key[KV_TABLE_COLUMNS];
    unsigned count = kv_table_order(table, 0, key);
    void *found = kv_arena_alloc(arena, table->row_size);

    if (!found)
        return kv_arena_full(err);
    KV_TRY(kv_verified_row(records->verified, table, row, err));
    memcpy(found, row, table->row_size);
    KV_TRY(store->ops->get(store, table, found, arena, err));
    KV_TRY(check_place(table, key, count, row, found, err));
    if (table->sealed)
        KV_TRY(kv_seal_check(records->checker, table, found, err));
    memcpy(row, found, table->row_size);
    return KV_OK;
}

kv_status kv_records_get(kv_records *records, const kv_table *table, void *row, kv_arena *arena,
                         kv_error *err)
{
    return kv_records_alarm(records, get_checked(records, table, row, arena, err), err);
}

kv_status kv_records_check_found(kv_records *records, const kv_scan *scan, const void *row,
                                 kv_error *err)
{
    unsigned order[KV_TABLE_COLUMNS];

    (void)kv_table_order(scan->table, scan->index, order);
    KV_TRY(check_place(scan->table, order, scan->prefix, scan->from, row, err));
    return scan->table->sealed ? kv_seal_check(records->checker, scan->table, row, err) : KV_OK;
}

/* Of what an index found, each row; that none is missing from the index is known once the store is
 * verified as a whole. */
static kv_status check_ranges(kv_records *records, const kv_scan *scan, const kv_rows *rows,
                              kv_error *err)
{
    const char *row = rows->rows;

    if (!scan->index)
        return kv_verified_scan(records->verified, scan, rows, err);
    for (unsigned i = 0; i < rows->count; i++, row += scan->table->row_size)
        KV_TRY(kv_verified_row(records->verified, scan->table, row, err));
    return KV_OK;
}

static kv_status check_rows(kv_records *records, const kv_scan *scan, const kv_rows *rows,
                            kv_error *err)
{
    const char *row = rows->rows;

    for (unsigned i = 0; i < rows->count; i++, row += scan->table->row_size)
        KV_TRY(kv_records_check_found(records, scan, row, err));
    return KV_OK;
}

kv_status kv_records_scan(kv_records *records, const kv_scan *scan, kv_arena *arena, kv_rows *out,
                          kv_error *err)
{
    kv_store *store = records->config.store;
    kv_rows rows = { 0 };

    KV_TRY(kv_records_alarm(records, store->ops->scan(store, scan, arena, &rows, err), err));
    KV_TRY(kv_records_alarm(records, check_ranges(records, scan, &rows, err), err));
    KV_TRY(kv_records_alarm(records, check_rows(records, scan, &rows, err), err));
    *out = rows;
    return KV_OK;
}

kv_status kv_records_whole(kv_records *records, const kv_table *table, kv_error *err)
{
    return kv_verified_table(records->verified, table, err);
}

/* A row that stays broken is met at every step: one alarm tells as much as a thousand. */
static void alarm_seldom(kv_records *records, const kv_error *err)
{
    int64_t now = kv_monotonic_us();
    int64_t quiet = atomic_load(&records->quiet_until_us);

    if (now >= quiet &&
        atomic_compare_exchange_strong(&records->quiet_until_us, &quiet, now + ALARM_EVERY_US))
        (void)kv_records_alarm(records, err->status, err);
}

/* Moves the sound rows of a page behind the `*count` that are there, up to `limit`. */
static kv_status take_sound(kv_records *records, const kv_scan *scan, const kv_rows *page,
                            char *rows, unsigned *count, kv_error *err)
{
    const char *row = page->rows;

    for (unsigned i = 0; i < page->count; i++, row += scan->table->row_size) {
        kv_status status = kv_records_check_found(records, scan, row, err);

        if (status == KV_OK)
            memcpy(rows + (*count)++ * scan->table->row_size, row, scan->table->row_size);
        else if (err->reason != KV_REASON_INTEGRITY)
            return status;
        else
            alarm_seldom(records, err);
        *err = (kv_error){ 0 };
    }
    return KV_OK;
}

kv_status kv_records_scan_sound(kv_records *records, const kv_scan *scan, kv_arena *arena,
                                kv_rows *out, kv_error *err)
{
    kv_store *store = records->config.store;
    kv_scan rest = *scan;
    kv_rows page = { 0 };
    unsigned count = 0;
    char *rows = kv_arena_array(arena, scan->limit, scan->table->row_size);

    if (!rows)
        return kv_arena_full(err);
    do {
        rest.limit = scan->limit - count;
        KV_TRY(kv_records_alarm(records, store->ops->scan(store, &rest, arena, &page, err), err));
        KV_TRY(kv_records_alarm(records, check_ranges(records, &rest, &page, err), err));
        KV_TRY(take_sound(records, scan, &page, rows, &count, err));
        if (page.count)
            rest.from = (const char *)page.rows + (page.count - 1) * (size_t)scan->table->row_size;
        rest.after = true;
    } while (page.more && count < scan->limit);
    *out = (kv_rows){ .rows = rows, .count = count, .more = page.more };
    return KV_OK;
}

static kv_status gather(kv_change *change, kv_change_op op, kv_error *err)
{
    kv_change_op *ops = change->many ? change->many : change->few;
    unsigned room = change->many ? change->room : KV_CHANGE_OPS;

    if (change->count == room)
        return kv_fail(err, KV_INTERNAL, "a change has more than %u rows", room);
    ops[change->count++] = op;
    return KV_OK;
}

kv_status kv_change_room(kv_change *change, kv_arena *arena, unsigned rows, kv_error *err)
{
    if (rows < KV_CHANGE_OPS)
        return KV_OK;
    rows++; /* what the commit adds */
    change->many = kv_arena_array(arena, rows, sizeof(*change->many));
    if (!change->many)
        return kv_arena_full(err);
    change->room = rows;
    return KV_OK;
}

kv_status kv_change_insert(kv_change *change, const kv_table *table, void *row, kv_error *err)
{
    return gather(change, (kv_change_op){ KV_CHANGE_INSERT, table, row, 0 }, err);
}

kv_status kv_change_update(kv_change *change, const kv_table *table, void *row, kv_error *err)
{
    int64_t read = kv_row_head_of(row)->generation;

    return gather(change, (kv_change_op){ KV_CHANGE_UPDATE, table, row, read }, err);
}

kv_status kv_change_delete(kv_change *change, const kv_table *table, void *row, kv_error *err)
{
    int64_t read = kv_row_head_of(row)->generation;

    return gather(change, (kv_change_op){ KV_CHANGE_DELETE, table, row, read }, err);
}

static kv_status seal_row(kv_records *records, const kv_table *table, void *row, kv_arena *arena,
                          kv_error *err)
{
    const kv_sealer *sealer = &records->config.sealer;
    kv_row_head *head = kv_row_head_of(row);
    uint8_t digest[KV_SEAL_DIGEST_BYTES], seal[KV_SEAL_BYTES];

    head->seal = head->seal_key = KV_SLICE_NONE;
    if (!table->sealed)
        return KV_OK;
    if (!sealer->sign)
        return kv_fail(err, KV_UNAVAILABLE, "there is no seal key to write with");
    KV_TRY(kv_seal_digest(records->config.instance, table, row, digest, err));
    KV_TRY(sealer->sign(sealer->context, digest, seal, err));
    KV_TRY(kv_arena_copy(arena, kv_slice_of(seal, sizeof(seal)), &head->seal, err));
    return kv_arena_copy(arena, kv_slice_of(sealer->key_id, KV_SEAL_KEY_ID_BYTES), &head->seal_key,
                         err);
}

/* Larger than `read`, than the time in microseconds, and than any given out before: a key that is
 * deleted and used again within one tick of the clock does not meet an old generation either. */
static int64_t next_generation(kv_records *records, int64_t read)
{
    int64_t now = kv_clock_now_ms(records->config.clock) * 1000;
    int64_t least = read + 1 > now ? read + 1 : now;
    int64_t last = atomic_load(&records->last_generation);
    int64_t next;

    do {
        next = least > last ? least : last + 1;
    } while (!atomic_compare_exchange_weak(&records->last_generation, &last, next));
    return next;
}

kv_status kv_records_seal(kv_records *records, kv_change *change, kv_arena *arena, kv_error *err)
{
    for (unsigned i = 0; i < change->count; i++) {
        const kv_change_op *op = &kv_change_ops(change)[i];
        void *row = (void *)op->row; /* kv_change_insert and kv_change_update got it to write to */

        if (op->kind == KV_CHANGE_DELETE)
            continue;
        kv_row_head_of(row)->generation = next_generation(records, op->expected);
        KV_TRY(seal_row(records, op->table, row, arena, err));
    }
    return KV_OK;
}

static bool is_sealed(const kv_change_op *op)
{
    const kv_row_head *head = kv_row_head_const(op->row);

    if (op->kind == KV_CHANGE_DELETE)
        return true;
    return head->generation > op->expected &&
           (!op->table->sealed || head->seal.len == KV_SEAL_BYTES);
}

void kv_records_authenticate(kv_records *records, kv_pending_mac mac)
{
    records->pending_mac = mac;
}

kv_status kv_records_apply(kv_records *records, const kv_change *change, kv_store_state *state,
                           kv_error *err)
{
    kv_store *store = records->config.store;
    kv_change whole = *change;
    kv_store_state after;

    whole.pending_mac = records->pending_mac;
    for (unsigned i = 0; i < change->count; i++)
        if (!is_sealed(&kv_change_ops(change)[i]))
            return kv_fail(err, KV_INTERNAL, "a row of %s was not sealed",
                           kv_change_ops(change)[i].table->name);
    KV_TRY(kv_records_alarm(records, store->ops->apply(store, &whole, &after, err), err));
    if (state)
        *state = after;
    for (unsigned i = 0; i < records->watch_count; i++)
        records->watches[i].watcher(records->watches[i].context, change);
    return KV_OK;
}

kv_status kv_records_watch(kv_records *records, kv_records_watcher *watcher, void *context,
                           kv_error *err)
{
    if (records->watch_count == KV_WATCHERS)
        return kv_fail(err, KV_INTERNAL, "there are more than %d watchers", KV_WATCHERS);
    records->watches[records->watch_count++] = (kv_watch_entry){ watcher, context };
    return KV_OK;
}
