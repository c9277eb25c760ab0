/* sqlite_ranges.c - rows counted by ranges of their keys, and compared with what was counted. */
#include <stdio.h>

#include "server/store/row.h"
#include "server/store/sqlite.h"

#define RANGE_COLUMNS "\"id\", \"first\", \"rows\", \"multiset\""

/* A range as it is stored. */
typedef struct stored {
    int64_t id; /* 0: not stored */
    kv_range range;
} stored;

static kv_status not_hashed(kv_error *err)
{
    return kv_fail(err, KV_INTERNAL, "a row could not be hashed");
}

static kv_slice slice_of_key(const kv_sorted_key *key)
{
    return kv_slice_of(key->bytes, key->len);
}

/* --- ranges in and out of the database --- */

static bool take_key(kv_sqlite_use use, int number, kv_sorted_key *out)
{
    const void *data = sqlite3_column_blob(use.statement, number);
    int len = sqlite3_column_bytes(use.statement, number);

    if (sqlite3_column_type(use.statement, number) != SQLITE_BLOB || len > KV_RANGE_KEY_BYTES)
        return false;
    out->len = (size_t)len;
    if (len)
        memcpy(out->bytes, data, (size_t)len);
    return true;
}

/* RANGE_COLUMNS, which begin with result `number`. */
static kv_status take_range(kv_sqlite_use use, int number, stored *out, kv_error *err)
{
    const void *lanes;

    if (!take_key(use, number + 1, &out->range.first))
        return kv_sqlite_malformed("store_ranges", "first", err);
    if (sqlite3_column_type(use.statement, number + 2) != SQLITE_INTEGER)
        return kv_sqlite_malformed("store_ranges", "rows", err);
    lanes = sqlite3_column_blob(use.statement, number + 3);
    if (sqlite3_column_type(use.statement, number + 3) != SQLITE_BLOB ||
        sqlite3_column_bytes(use.statement, number + 3) != KV_MULTISET_BYTES)
        return kv_sqlite_malformed("store_ranges", "multiset", err);
    out->id = sqlite3_column_int64(use.statement, number);
    out->range.rows = sqlite3_column_int64(use.statement, number + 2);
    memcpy(out->range.set.lanes, lanes, KV_MULTISET_BYTES);
    return KV_OK;
}

/* The range of a key. The first one of a table begins before every key; it has no rows when it is
 * not stored. */
static kv_status find(kv_sqlite_db *db, const kv_table *table, const kv_sorted_key *key,
                      stored *out, kv_error *err)
{
    KV_AUTO(kv_sqlite_use) use = KV_SQLITE_NO_USE;
    bool there = false;

    KV_TRY(kv_sqlite_db_use_fixed(db, KV_SQLITE_RANGE,
                                  "SELECT " RANGE_COLUMNS " FROM \"store_ranges\" "
                                  "WHERE \"of_table\" = $1 AND \"first\" <= $2 "
                                  "ORDER BY \"first\" DESC LIMIT 1",
                                  &use, err));
    if (!kv_sqlite_bind_text(use, 1, kv_slice_text(table->name)) ||
        !kv_sqlite_bind_blob(use, 2, slice_of_key(key)))
        return kv_sqlite_not_bound(err);
    KV_TRY(kv_sqlite_step(db, use, &there, err));
    if (there)
        return take_range(use, 0, out, err);
    *out = (stored){ 0 };
    return KV_OK;
}

/* Where the range that begins with `first` ends. */
static kv_status find_next(kv_sqlite_db *db, const kv_table *table, const kv_sorted_key *first,
                           kv_sorted_key *out, bool *last, kv_error *err)
{
    KV_AUTO(kv_sqlite_use) use = KV_SQLITE_NO_USE;
    bool there = false;

    KV_TRY(kv_sqlite_db_use_fixed(db, KV_SQLITE_NEXT_RANGE,
                                  "SELECT \"first\" FROM \"store_ranges\" "
                                  "WHERE \"of_table\" = $1 AND \"first\" > $2 "
                                  "ORDER BY \"first\" LIMIT 1",
                                  &use, err));
    if (!kv_sqlite_bind_text(use, 1, kv_slice_text(table->name)) ||
        !kv_sqlite_bind_blob(use, 2, slice_of_key(first)))
        return kv_sqlite_not_bound(err);
    KV_TRY(kv_sqlite_step(db, use, &there, err));
    *last = !there;
    if (there && !take_key(use, 0, out))
        return kv_sqlite_malformed("store_ranges", "first", err);
    return KV_OK;
}

static kv_status insert_range(kv_sqlite_db *db, const kv_table *table, const kv_range *range,
                              kv_error *err)
{
    KV_AUTO(kv_sqlite_use) use = KV_SQLITE_NO_USE;

    KV_TRY(kv_sqlite_db_use_fixed(db, KV_SQLITE_ADD_RANGE,
                                  "INSERT INTO \"store_ranges\" (\"of_table\", \"first\", "
                                  "\"rows\", \"multiset\") VALUES ($1, $2, $3, $4)",
                                  &use, err));
    if (!kv_sqlite_bind_text(use, 1, kv_slice_text(table->name)) ||
        !kv_sqlite_bind_blob(use, 2, slice_of_key(&range->first)) ||
        !kv_sqlite_bind_integer(use, 3, range->rows) ||
        !kv_sqlite_bind_blob(use, 4, kv_slice_of(range->set.lanes, KV_MULTISET_BYTES)))
        return kv_sqlite_not_bound(err);
    return kv_sqlite_finish(db, use, err);
}

static kv_status update_range(kv_sqlite_db *db, const stored *at, kv_error *err)
{
    KV_AUTO(kv_sqlite_use) use = KV_SQLITE_NO_USE;

    KV_TRY(kv_sqlite_db_use_fixed(db, KV_SQLITE_SET_RANGE,
                                  "UPDATE \"store_ranges\" SET \"rows\" = $1, \"multiset\" = $2 "
                                  "WHERE \"id\" = $3",
                                  &use, err));
    if (!kv_sqlite_bind_integer(use, 1, at->range.rows) ||
        !kv_sqlite_bind_blob(use, 2, kv_slice_of(at->range.set.lanes, KV_MULTISET_BYTES)) ||
        !kv_sqlite_bind_integer(use, 3, at->id))
        return kv_sqlite_not_bound(err);
    return kv_sqlite_finish(db, use, err);
}

static kv_status delete_range(kv_sqlite_db *db, const stored *at, kv_error *err)
{
    KV_AUTO(kv_sqlite_use) use = KV_SQLITE_NO_USE;

    KV_TRY(kv_sqlite_db_use_fixed(db, KV_SQLITE_DROP_RANGE,
                                  "DELETE FROM \"store_ranges\" WHERE \"id\" = $1", &use, err));
    if (!kv_sqlite_bind_integer(use, 1, at->id))
        return kv_sqlite_not_bound(err);
    return kv_sqlite_finish(db, use, err);
}

/* --- counting the rows of one --- */

/* What is counted of one range: the first `cut` rows, and those behind them. */
typedef struct counted {
    int64_t cut;
    kv_range lower;
    kv_range upper;
} counted;

/* The bytes stay SQLite's, until the next step. */
static kv_status borrow_column(kv_sqlite_use use, int number, const kv_table *table,
                               const kv_column *column, void *row, kv_error *err)
{
    const void *data;

    if (column->kind == KV_COLUMN_INTEGER)
        return kv_sqlite_read_column(use, number, table, column, NULL, row, err);
    if ((sqlite3_column_type(use.statement, number) == SQLITE_TEXT) !=
        (column->kind == KV_COLUMN_TEXT))
        return kv_sqlite_malformed(table->name, column->name, err);
    data = sqlite3_column_blob(use.statement, number);
    kv_row_set_slice(column, row,
                     kv_slice_of(data, (size_t)sqlite3_column_bytes(use.statement, number)));
    return KV_OK;
}

/* One result of KV_SQL_WALK. */
static kv_status take_row(kv_sqlite_use use, const kv_table *table, void *row, kv_sorted_key *key,
                          int64_t *generation, kv_error *err)
{
    int last = (int)table->key_count;

    for (int i = 0; i < last; i++)
        KV_TRY(borrow_column(use, i, table, &table->columns[i], row, err));
    if (sqlite3_column_type(use.statement, last) != SQLITE_INTEGER ||
        !kv_sort_key(table, table->key_count, row, key))
        return kv_sqlite_malformed(table->name, "generation", err);
    *generation = sqlite3_column_int64(use.statement, last);
    return KV_OK;
}

static kv_status count_row(const kv_table *table, const void *row, const kv_sorted_key *key,
                           int64_t generation, counted *out, kv_error *err)
{
    kv_range *range = out->lower.rows < out->cut ? &out->lower : &out->upper;

    if (range == &out->upper && !range->rows)
        range->first = *key;
    range->rows++;
    return kv_multiset_add(&range->set, table, row, generation) ? KV_OK : not_hashed(err);
}

/* A row of this table whose key is `first`. */
static kv_status row_at(const kv_table *table, const kv_sorted_key *first,
                        uint8_t room[KV_RANGE_KEY_BYTES], void *row, kv_error *err)
{
    return kv_unsort_key(table, first, room, row)
               ? KV_OK
               : kv_sqlite_malformed("store_ranges", "first", err);
}

/* Every row from `first` to before `next` (NULL: to the end). */
static kv_status count_rows(kv_sqlite_db *db, const kv_table *table, const kv_sorted_key *first,
                            const kv_sorted_key *next, counted *out, kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 16);
    KV_AUTO(kv_sqlite_use) use = KV_SQLITE_NO_USE;
    kv_sql_shape shape = { .table = table, .verb = KV_SQL_WALK, .after = first->len > 0 };
    void *row = kv_arena_alloc(&arena, table->row_size);
    uint8_t room[KV_RANGE_KEY_BYTES];
    bool there = false;

    if (!row)
        return kv_arena_full(err);
    KV_TRY(kv_sqlite_db_use(db, &shape, &use, err));
    if (first->len) {
        KV_TRY(row_at(table, first, room, row, err));
        for (unsigned i = 0; i < table->key_count; i++)
            if (!kv_sqlite_bind_column(use, (int)i + 1, &table->columns[i], row))
                return kv_sqlite_not_bound(err);
    }
    KV_TRY(kv_sqlite_step(db, use, &there, err));
    while (there) {
        kv_sorted_key key;
        int64_t generation = 0;

        KV_TRY(take_row(use, table, row, &key, &generation, err));
        if (next && kv_sorted_key_compare(&key, next) >= 0)
            return KV_OK;
        KV_TRY(count_row(table, row, &key, generation, out, err));
        KV_TRY(kv_sqlite_step(db, use, &there, err));
    }
    return KV_OK;
}

/* Says in which range; rows cannot be told by what is left of them. */
static kv_status differs(kv_sqlite_db *db, const kv_table *table, const kv_sorted_key *first,
                         kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 16);
    void *row = kv_arena_alloc(&arena, table->row_size);
    kv_store_state state = { 0 };
    uint8_t room[KV_RANGE_KEY_BYTES];
    char key[KV_ROW_KEY_BYTES] = "the beginning";

    if (!row)
        return kv_arena_full(err);
    if (first->len && kv_unsort_key(table, first, room, row))
        kv_row_key_text(table, row, key);
    KV_TRY(kv_sqlite_load_state(db, &state, NULL, err));
    kv_fail(err, KV_INTERNAL, "stored data failed its integrity check");
    kv_because(err, KV_REASON_INTEGRITY);
    return kv_note(err,
                   "table %s, from %s: rows were taken away, added or put back: the set of rows is "
                   "not the one of version %lld",
                   table->name, key, (long long)state.version);
}

/* Are the rows of `at` those that were counted when they changed? */
static kv_status check(kv_sqlite_db *db, const kv_table *table, const stored *at,
                       const kv_sorted_key *next, kv_error *err)
{
    counted all = { .cut = INT64_MAX };

    KV_TRY(count_rows(db, table, &at->range.first, next, &all, err));
    if (all.lower.rows != at->range.rows ||
        memcmp(all.lower.set.lanes, at->range.set.lanes, KV_MULTISET_BYTES) != 0)
        return differs(db, table, &at->range.first, err);
    return KV_OK;
}

/* --- what a change does to them --- */

static kv_status add_range(kv_sqlite_db *db, const kv_table *table, const kv_range *range,
                           kv_multiset *ranges, kv_error *err)
{
    KV_TRY(insert_range(db, table, range, err));
    return kv_ranges_add(ranges, table, range) ? KV_OK : not_hashed(err);
}

/* Only what was counted is cut: rows that somebody else put there must not become good by it. */
static kv_status cut(kv_sqlite_db *db, const kv_table *table, stored *at, kv_multiset *ranges,
                     kv_error *err)
{
    counted halves = { .cut = at->range.rows / 2, .lower.first = at->range.first };
    kv_multiset both;
    kv_sorted_key next;
    bool last = false;

    KV_TRY(find_next(db, table, &at->range.first, &next, &last, err));
    KV_TRY(count_rows(db, table, &at->range.first, last ? NULL : &next, &halves, err));
    both = halves.lower.set;
    kv_multiset_plus(&both, &halves.upper.set);
    if (halves.lower.rows + halves.upper.rows != at->range.rows ||
        memcmp(both.lanes, at->range.set.lanes, KV_MULTISET_BYTES) != 0)
        return differs(db, table, &at->range.first, err);
    at->range = halves.lower;
    return add_range(db, table, &halves.upper, ranges, err);
}

/* Its keys become part of the range before it, whose rows may be trusted already: so there must be
 * none. */
static kv_status drop(kv_sqlite_db *db, const kv_table *table, const stored *at, kv_error *err)
{
    kv_sorted_key next;
    bool last = false;

    KV_TRY(find_next(db, table, &at->range.first, &next, &last, err));
    KV_TRY(check(db, table, at, last ? NULL : &next, err));
    return delete_range(db, at, err);
}

static kv_status count_in(const kv_change_op *op, kv_range *range, kv_error *err)
{
    const kv_row_head *head = kv_row_head_const(op->row);
    bool good = true;

    if (op->kind != KV_CHANGE_INSERT)
        good = kv_multiset_remove(&range->set, op->table, op->row, op->expected);
    if (op->kind != KV_CHANGE_DELETE)
        good = good && kv_multiset_add(&range->set, op->table, op->row, head->generation);
    range->rows += (op->kind == KV_CHANGE_INSERT) - (op->kind == KV_CHANGE_DELETE);
    return good ? KV_OK : not_hashed(err);
}

kv_status kv_sqlite_count_op(kv_sqlite_db *db, const kv_change_op *op, kv_multiset *ranges,
                             kv_error *err)
{
    const kv_table *table = op->table;
    kv_sorted_key key;
    stored at;

    if (!table->sealed)
        return KV_OK;
    if (!kv_sort_key(table, table->key_count, op->row, &key))
        return kv_fail(err, KV_INTERNAL, "a key of %s is too long", table->name);
    KV_TRY(find(db, table, &key, &at, err));
    if (at.id && !kv_ranges_remove(ranges, table, &at.range))
        return not_hashed(err);
    KV_TRY(count_in(op, &at.range, err));

    if (!at.id)
        return add_range(db, table, &at.range, ranges, err);
    if (!at.range.rows)
        return drop(db, table, &at, err);
    if (at.range.rows > KV_RANGE_ROWS)
        KV_TRY(cut(db, table, &at, ranges, err));
    KV_TRY(update_range(db, &at, err));
    return kv_ranges_add(ranges, table, &at.range) ? KV_OK : not_hashed(err);
}

/* --- looked at again --- */

static kv_status look(kv_sqlite_db *db, const kv_table *table, const kv_sorted_key *key, bool count,
                      kv_span *out, kv_error *err)
{
    stored at;

    KV_TRY(find(db, table, key, &at, err));
    KV_TRY(find_next(db, table, &at.range.first, &out->next, &out->last, err));
    out->first = at.range.first;
    return count ? check(db, table, &at, out->last ? NULL : &out->next, err) : KV_OK;
}

static const kv_table *table_called(kv_sqlite_use use, int number)
{
    const char *name = (const char *)sqlite3_column_text(use.statement, number);

    for (size_t i = 0; name && i < kv_tables_count; i++)
        if (kv_tables[i]->sealed && !strcmp(kv_tables[i]->name, name))
            return kv_tables[i];
    return NULL;
}

static kv_status sum_ranges(kv_sqlite_db *db, kv_multiset *out, kv_error *err)
{
    KV_AUTO(kv_sqlite_use) use = KV_SQLITE_NO_USE;
    bool there = false;

    KV_TRY(kv_sqlite_db_use_fixed(db, KV_SQLITE_RANGES,
                                  "SELECT \"of_table\", " RANGE_COLUMNS " FROM \"store_ranges\"",
                                  &use, err));
    KV_TRY(kv_sqlite_step(db, use, &there, err));
    while (there) {
        const kv_table *table = table_called(use, 0);
        stored at;

        if (!table)
            return kv_sqlite_malformed("store_ranges", "of_table", err);
        KV_TRY(take_range(use, 1, &at, err));
        if (!kv_ranges_add(out, table, &at.range))
            return not_hashed(err);
        KV_TRY(kv_sqlite_step(db, use, &there, err));
    }
    return KV_OK;
}

static kv_status check_ranges(kv_sqlite_db *db, kv_error *err)
{
    kv_multiset sum = { 0 }, wanted;
    kv_store_state state;

    KV_TRY(kv_sqlite_load_state(db, &state, &wanted, err));
    KV_TRY(sum_ranges(db, &sum, err));
    if (memcmp(sum.lanes, wanted.lanes, KV_MULTISET_BYTES) == 0)
        return KV_OK;
    kv_fail(err, KV_INTERNAL, "stored data failed its integrity check");
    kv_because(err, KV_REASON_INTEGRITY);
    return kv_note(err, "table store_ranges: the set of rows is not the one of version %lld",
                   (long long)state.version);
}

/* In the table itself, past every index. */
static kv_status check_count(kv_sqlite_db *db, const kv_table *table, kv_error *err)
{
    char text[KV_SQL_BYTES];
    int64_t rows = 0, wanted = 0;

    (void)snprintf(text, sizeof(text), "SELECT count(*) FROM \"%s\" NOT INDEXED", table->name);
    KV_TRY(kv_sqlite_db_number(db, text, 0, &rows, err));
    (void)snprintf(text, sizeof(text),
                   "SELECT sum(\"rows\") FROM \"store_ranges\" WHERE \"of_table\" = '%s'",
                   table->name);
    KV_TRY(kv_sqlite_db_number(db, text, 0, &wanted, err));
    return rows == wanted ? KV_OK : differs(db, table, &(kv_sorted_key){ 0 }, err);
}

static kv_status begin(kv_store *store, kv_sqlite_lease *lease, kv_error *err)
{
    KV_TRY(kv_sqlite_reader((kv_sqlite *)store, lease, err));
    return kv_sqlite_db_run(lease->db, "BEGIN", err);
}

static void end(const kv_sqlite_lease *lease)
{
    (void)sqlite3_exec(lease->db->handle, "ROLLBACK", NULL, NULL, NULL);
}

kv_status kv_sqlite_compare_ranges(kv_store *store, kv_error *err)
{
    KV_AUTO(kv_sqlite_lease) lease = KV_SQLITE_NO_LEASE;
    kv_status status;

    KV_TRY(begin(store, &lease, err));
    status = check_ranges(lease.db, err);
    end(&lease);
    return status;
}

kv_status kv_sqlite_compare_count(kv_store *store, const kv_table *table, kv_error *err)
{
    KV_AUTO(kv_sqlite_lease) lease = KV_SQLITE_NO_LEASE;
    kv_status status;

    KV_TRY(begin(store, &lease, err));
    status = check_count(lease.db, table, err);
    end(&lease);
    return status;
}

kv_status kv_sqlite_range(kv_store *store, const kv_table *table, const kv_sorted_key *key,
                          bool count, kv_span *out, kv_error *err)
{
    KV_AUTO(kv_sqlite_lease) lease = KV_SQLITE_NO_LEASE;
    kv_status status;

    KV_TRY(begin(store, &lease, err));
    status = look(lease.db, table, key, count, out, err);
    end(&lease);
    return status;
}
