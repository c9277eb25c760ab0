/* test_verified.c - rows are compared with the digest before they are used. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>

#include "tests/contract/store/many_rows.h"

enum { PAGE = 100 };

static const kv_table *const table = &kv_table_principals;
static const kv_table *const first_tables[] = { &kv_table_signers, NULL };

/* The store as the comparing thread sees it. */
typedef struct held {
    kv_store base;
    kv_store *inner;
    pthread_t reader; /* who is never held */
    pthread_mutex_t mutex;
    pthread_cond_t opened;
    bool open;
    unsigned busy; /* so often it is told to come again */
} held;

static kv_status held_compare_ranges(kv_store *base, kv_error *err)
{
    kv_store *inner = ((held *)base)->inner;

    return inner->ops->compare_ranges(inner, err);
}

static kv_status held_range(kv_store *base, const kv_table *of, const kv_sorted_key *key,
                            bool count, kv_span *out, kv_error *err)
{
    held *self = (held *)base;
    bool busy;

    pthread_mutex_lock(&self->mutex);
    while (of == table && !self->open && !pthread_equal(pthread_self(), self->reader))
        (void)pthread_cond_wait(&self->opened, &self->mutex);
    busy = of == table && self->busy && !pthread_equal(pthread_self(), self->reader);
    self->busy -= busy;
    pthread_mutex_unlock(&self->mutex);
    return busy ? kv_fail(err, KV_BUSY, "come again")
                : self->inner->ops->range(self->inner, of, key, count, out, err);
}

static const kv_store_ops held_ops = { .compare_ranges = held_compare_ranges, .range = held_range };

static void let_go(held *self)
{
    pthread_mutex_lock(&self->mutex);
    self->open = true;
    pthread_cond_signal(&self->opened);
    pthread_mutex_unlock(&self->mutex);
}

/* As after a start: caches are empty. */
static kv_verified *begin_held(store_fixture *fixture, held *self)
{
    kv_verified *verified;
    kv_error err = { 0 };

    fixture_reopen(fixture);
    *self = (held){ .base = { &held_ops }, .inner = fixture->store, .reader = pthread_self() };
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->opened, NULL);
    verified = kv_verified_begin(&self->base, first_tables);
    assert_non_null(verified);
    assert_kv_ok(kv_verified_wait(verified, 1, &err));
    kv_records_trust(fixture->records, verified);
    return verified;
}

static void end_held(store_fixture *fixture, held *self, kv_verified *verified)
{
    let_go(self);
    kv_verified_free(verified);
    kv_records_trust(fixture->records, NULL);
    pthread_cond_destroy(&self->opened);
    pthread_mutex_destroy(&self->mutex);
}

/* The id of the row that is `place` rows from the first. */
static kv_principal_row *row_in_order(store_fixture *fixture, unsigned place)
{
    kv_principal_row *row = many_row(fixture, 1);
    sqlite3 *handle = NULL;
    sqlite3_stmt *statement = NULL;
    char text[96];
    kv_error err = { 0 };

    (void)snprintf(text, sizeof(text), "SELECT id FROM principals ORDER BY id LIMIT 1 OFFSET %u",
                   place);
    assert_int_equal(sqlite3_open_v2(fixture->path, &handle, SQLITE_OPEN_READONLY, NULL), 0);
    assert_int_equal(sqlite3_prepare_v2(handle, text, -1, &statement, NULL), 0);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_kv_ok(kv_arena_copy(
        &fixture->arena,
        kv_slice_of(sqlite3_column_blob(statement, 0), (size_t)sqlite3_column_bytes(statement, 0)),
        &row->id, &err));
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(handle);
    return row;
}

static kv_status get(store_fixture *fixture, kv_principal_row *row, kv_error *err)
{
    *err = (kv_error){ 0 };
    return kv_records_get(fixture->records, table, row, &fixture->arena, err);
}

/* An older row with its good seal where the newer one was; everything else is as it was. */
static void put_older_back(store_fixture *fixture, kv_principal_row *row)
{
    kv_error err = { 0 };

    (void)fixture_attack(fixture, "CREATE TABLE aside AS SELECT * FROM principals");
    assert_kv_ok(get(fixture, row, &err));
    row->disabled = !row->disabled;
    assert_kv_ok(fixture_update(fixture, table, row, &err));
    assert_true(fixture_attack(fixture,
                               "DELETE FROM principals WHERE generation = (SELECT max(generation) "
                               "FROM principals);"
                               "INSERT INTO principals SELECT * FROM aside WHERE id NOT IN (SELECT "
                               "id FROM principals); DROP TABLE aside") >= 0);
}

/* How many pages are given out before one is refused. */
static unsigned sound_pages(store_fixture *fixture, bool *refused)
{
    kv_principal_row *last = NULL;
    kv_rows rows = { .more = true };
    kv_error err = { 0 };
    unsigned pages = 0;

    while (rows.more) {
        kv_scan scan = { .table = table, .from = last, .after = last != NULL, .limit = PAGE };
        kv_status status = kv_records_scan(fixture->records, &scan, &fixture->arena, &rows, &err);

        *refused = status != KV_OK;
        if (*refused) {
            many_assert_broken(status, &err);
            return pages;
        }
        last = (kv_principal_row *)rows.rows + rows.count - 1;
        pages++;
    }
    return pages;
}

static void an_older_row_spoils_its_range_alone(void **state)
{
    store_fixture *fixture = *state;
    kv_principal_row *bad, *beside, *far, *none;
    kv_verified *verified;
    bool refused = false;
    kv_error err = { 0 };
    held self;

    many_insert(fixture, ROWS);
    bad = row_in_order(fixture, ROWS - 2);
    beside = row_in_order(fixture, ROWS - 1);
    far = row_in_order(fixture, 1);
    none = row_in_order(fixture, 1);
    none->id.len--;
    put_older_back(fixture, bad);
    verified = begin_held(fixture, &self);

    for (int i = 0; i < 2; i++) {
        assert_kv_ok(get(fixture, far, &err));
        assert_int_equal(get(fixture, none, &err), KV_NOT_FOUND);
        many_assert_broken(get(fixture, bad, &err), &err);
        many_assert_broken(get(fixture, beside, &err), &err);
    }
    assert_true(sound_pages(fixture, &refused) > 5);
    assert_true(refused);

    let_go(&self);
    many_assert_broken(kv_verified_finish(verified, &err), &err);
    assert_kv_ok(get(fixture, far, &err));
    many_assert_broken(get(fixture, bad, &err), &err);
    end_held(fixture, &self, verified);
}

static void a_row_taken_away_is_not_just_not_found(void **state)
{
    store_fixture *fixture = *state;
    kv_principal_row *gone, *beside;
    kv_verified *verified;
    bool refused = false;
    kv_error err = { 0 };
    held self;

    many_insert(fixture, ROWS);
    gone = row_in_order(fixture, 0);
    beside = row_in_order(fixture, 1);
    assert_int_equal(fixture_attack(fixture, "DELETE FROM principals WHERE id = (SELECT min(id) "
                                             "FROM principals)"),
                     1);
    verified = begin_held(fixture, &self);
    many_assert_broken(get(fixture, gone, &err), &err);
    many_assert_broken(get(fixture, beside, &err), &err);
    assert_int_equal(sound_pages(fixture, &refused), 0);
    assert_true(refused);
    assert_kv_ok(get(fixture, row_in_order(fixture, ROWS - 2), &err));
    end_held(fixture, &self, verified);
}

/* What an index finds is looked up in the digest by its key. */
static void an_index_leads_to_ranges_too(void **state)
{
    kv_scan scan = { .table = table, .index = 1, .prefix = 1, .limit = 10 }; /* by name */
    store_fixture *fixture = *state;
    kv_principal_row *bad, *good;
    kv_verified *verified;
    kv_error err = { 0 };
    kv_rows rows;
    held self;

    many_insert(fixture, ROWS);
    bad = row_in_order(fixture, 3);
    good = row_in_order(fixture, ROWS - 3);
    put_older_back(fixture, bad);
    assert_kv_ok(get(fixture, good, &err));
    verified = begin_held(fixture, &self);
    scan.from = good;
    assert_kv_ok(kv_records_scan(fixture->records, &scan, &fixture->arena, &rows, &err));
    assert_int_equal(rows.count, 1);
    scan.from = bad;
    many_assert_broken(kv_records_scan(fixture->records, &scan, &fixture->arena, &rows, &err),
                       &err);
    many_assert_broken(kv_records_scan_sound(fixture->records, &scan, &fixture->arena, &rows, &err),
                       &err);
    end_held(fixture, &self, verified);
}

/* Changes go on while rows are compared, and do not make good what was not. */
static void changes_do_not_make_it_good(void **state)
{
    store_fixture *fixture = *state;
    kv_principal_row *bad, *beside;
    kv_verified *verified;
    kv_error err = { 0 };
    held self;

    many_insert(fixture, KV_RANGE_ROWS - 1);
    bad = row_in_order(fixture, 3);
    beside = row_in_order(fixture, 4);
    assert_kv_ok(get(fixture, beside, &err));
    put_older_back(fixture, bad);
    verified = begin_held(fixture, &self);
    assert_kv_ok(fixture_update(fixture, table, beside, &err));
    assert_kv_ok(fixture_delete(fixture, table, beside, &err));
    many_assert_broken(get(fixture, bad, &err), &err);
    /* Too many now: to be cut, it would have to be counted anew. */
    assert_kv_ok(fixture_insert(fixture, table, many_row(fixture, ROWS + 1), &err));
    assert_kv_ok(fixture_insert(fixture, table, many_row(fixture, ROWS + 2), &err));
    many_assert_broken(fixture_insert(fixture, table, many_row(fixture, ROWS + 3), &err), &err);
    many_assert_broken(fixture_insert(fixture, table, many_row(fixture, ROWS + 3), &err), &err);
    many_assert_broken(get(fixture, bad, &err), &err);
    end_held(fixture, &self, verified);
    many_assert_broken(kv_records_compare(fixture->records, &err), &err);
}

static void everything_goes_on_meanwhile(void **state)
{
    store_fixture *fixture = *state;
    kv_verified *verified;
    bool refused = false;
    kv_error err = { 0 };
    held self;

    many_insert(fixture, ROWS);
    verified = begin_held(fixture, &self);
    assert_kv_ok(kv_records_whole(fixture->records, &kv_table_signers, &err));
    assert_int_equal(kv_records_whole(fixture->records, table, &err), KV_UNAVAILABLE);
    err = (kv_error){ 0 };
    assert_int_equal(sound_pages(fixture, &refused), ROWS / PAGE);
    assert_false(refused);
    assert_kv_ok(many_change(fixture, kv_change_update, 1, 100, &err));
    assert_kv_ok(many_change(fixture, kv_change_delete, 101, 1500, &err));
    assert_kv_ok(many_change(fixture, kv_change_insert, ROWS + 1, ROWS + 1200, &err));
    let_go(&self);
    assert_kv_ok(many_change(fixture, kv_change_delete, ROWS + 1, ROWS + 1200, &err));
    assert_kv_ok(kv_verified_finish(verified, &err));
    assert_kv_ok(kv_records_whole(fixture->records, table, &err));
    assert_int_equal(sound_pages(fixture, &refused), (ROWS - 1400) / PAGE);
    end_held(fixture, &self, verified);
    assert_kv_ok(kv_records_compare(fixture->records, &err));
}

static void a_comparison_can_be_stopped(void **state)
{
    store_fixture *fixture = *state;
    kv_verified *verified;
    kv_error err = { 0 };
    held self;

    many_insert(fixture, BATCH);
    verified = begin_held(fixture, &self);
    kv_records_stop(fixture->records);
    let_go(&self);
    assert_int_equal(kv_verified_finish(verified, &err), KV_CANCELLED);
    assert_kv_ok(get(fixture, many_row(fixture, 1), &err));
    end_held(fixture, &self, verified);
}

static void a_busy_store_is_asked_again(void **state)
{
    store_fixture *fixture = *state;
    kv_verified *verified;
    kv_error err = { 0 };
    held self;

    many_insert(fixture, BATCH);
    verified = begin_held(fixture, &self);
    pthread_mutex_lock(&self.mutex);
    self.busy = 2;
    pthread_mutex_unlock(&self.mutex);
    let_go(&self);
    assert_kv_ok(kv_verified_finish(verified, &err));
    assert_int_equal(self.busy, 0);
    end_held(fixture, &self, verified);
}

/* Before the doors open, there is nobody to wait for. */
static void a_start_does_not_ask_again(void **state)
{
    static const kv_table *const first[] = { &kv_table_principals, NULL };
    store_fixture *fixture = *state;
    kv_verified *verified;
    kv_error err = { 0 };
    held self = { .base = { &held_ops },
                  .inner = fixture->store,
                  .reader = pthread_self(),
                  .open = true,
                  .busy = 1 };

    pthread_mutex_init(&self.mutex, NULL);
    pthread_cond_init(&self.opened, NULL);
    verified = kv_verified_begin(&self.base, first);
    assert_non_null(verified);
    assert_int_equal(kv_verified_wait(verified, 0, &err), KV_BUSY);
    end_held(fixture, &self, verified);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(an_older_row_spoils_its_range_alone),
        STORE_TEST(a_row_taken_away_is_not_just_not_found),
        STORE_TEST(an_index_leads_to_ranges_too),
        STORE_TEST(changes_do_not_make_it_good),
        STORE_TEST(everything_goes_on_meanwhile),
        STORE_TEST(a_comparison_can_be_stopped),
        STORE_TEST(a_busy_store_is_asked_again),
        STORE_TEST(a_start_does_not_ask_again),
    };

    return cmocka_run_group_tests_name("verified", tests, NULL, NULL);
}
