/* row_walk.c - rows of an index, from one on, changed a page at a time. */
#include "server/vault/row_walk.h"

#include "server/store/row.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"

enum { ROWS_PER_PAGE = 100, TRIES = 4 };

static kv_status copy_column(const kv_column *column, const void *row, kv_arena *arena, void *out,
                             kv_error *err)
{
    kv_slice copy;

    if (column->kind == KV_COLUMN_INTEGER) {
        kv_row_set_integer(column, out, kv_row_integer(column, row));
        return KV_OK;
    }
    KV_TRY(kv_arena_copy(arena, kv_row_slice(column, row), &copy, err));
    kv_row_set_slice(column, out, copy);
    return KV_OK;
}

kv_status kv_copy_row_key(const kv_table *table, const void *row, kv_arena *arena, void *out,
                          kv_error *err)
{
    for (unsigned i = 0; i < table->key_count; i++)
        KV_TRY(copy_column(&table->columns[i], row, arena, out, err));
    return KV_OK;
}

kv_status kv_copy_row_place(const kv_table *table, unsigned index, const void *row, kv_arena *arena,
                            void *out, kv_error *err)
{
    const kv_index *by = index ? &table->indexes[index - 1] : NULL;

    KV_TRY(kv_copy_row_key(table, row, arena, out, err));
    for (unsigned i = 0; by && i < by->column_count; i++)
        KV_TRY(copy_column(&table->columns[by->columns[i]], row, arena, out, err));
    return KV_OK;
}

typedef struct page {
    kv_rows rows;
    unsigned seen; /* of them, before the judge said stop */
    kv_change change;
} page;

static void *row_at(const kv_row_walk *walk, const page *at, unsigned number)
{
    return (char *)at->rows.rows + number * walk->table->row_size;
}

static kv_status judge(const kv_row_walk *walk, const kv_work *step, page *at, kv_error *err)
{
    KV_TRY(kv_change_room(&at->change, step->arena, ROWS_PER_PAGE, err));
    for (; at->seen < at->rows.count; at->seen++) {
        void *row = row_at(walk, at, at->seen);
        kv_row_verdict verdict = walk->judge(walk->context, step->now_ms, row);

        if (verdict == KV_ROW_STOP)
            return KV_OK;
        if (verdict == KV_ROW_CHANGE)
            KV_TRY(kv_change_update(&at->change, walk->table, row, err));
    }
    return KV_OK;
}

static bool is_last(const page *at)
{
    return !at->rows.more || at->seen < at->rows.count;
}

/* A judge may have changed the columns that the index is by: where the page ended is noted first.
 */
static kv_status read_page(kv_vault *vault, const kv_row_walk *walk, const kv_work *step,
                           const void *from, void *end, kv_arena *place, page *at, kv_error *err)
{
    kv_scan scan = { .table = walk->table,
                     .index = walk->index,
                     .from = from,
                     .after = true,
                     .limit = ROWS_PER_PAGE };

    KV_TRY(kv_records_scan_sound(vault->config.records, &scan, step->arena, &at->rows, err));
    return at->rows.count ? kv_copy_row_place(walk->table, walk->index,
                                              row_at(walk, at, at->rows.count - 1), place, end, err)
                          : KV_OK;
}

static kv_status change_page(kv_vault *vault, const kv_work *work, const kv_row_walk *walk,
                             const void *from, void *end, kv_arena *place, bool *last,
                             kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(KV_STEP_ARENA_BYTES);
    kv_work step = kv_step_of(work, &arena);
    page at = { 0 };

    KV_TRY(read_page(vault, walk, &step, from, end, place, &at, err));
    KV_TRY(judge(walk, &step, &at, err));
    *last = is_last(&at);
    return at.change.count ? kv_commit_step(vault, &step, walk->operation, &at.change, err) : KV_OK;
}

static kv_status try_page(kv_vault *vault, const kv_work *work, const kv_row_walk *walk,
                          const void *from, void *end, kv_arena *place, bool *last, kv_error *err)
{
    kv_status status = KV_CONFLICT;

    for (int i = 0; i < TRIES && status == KV_CONFLICT; i++) {
        *err = (kv_error){ 0 };
        status = change_page(vault, work, walk, from, end, place, last, err);
    }
    if (status != KV_CONFLICT)
        return status;
    *err = (kv_error){ 0 };
    return KV_OK;
}

kv_status kv_walk_rows(kv_vault *vault, const kv_work *work, const kv_row_walk *walk, kv_error *err)
{
    KV_AUTO(kv_arena) place = KV_ARENA(KV_STEP_ARENA_BYTES);
    void *ends[] = { kv_arena_alloc(&place, walk->table->row_size),
                     kv_arena_alloc(&place, walk->table->row_size) };
    const void *from = walk->from;
    bool last = false;

    if (!ends[0] || !ends[1])
        return kv_arena_full(err);
    for (unsigned i = 0; !last && !atomic_load(&vault->stopping); i ^= 1) {
        KV_TRY(try_page(vault, work, walk, from, ends[i], &place, &last, err));
        from = ends[i];
    }
    return KV_OK;
}
