/* test_records.c - sealing, generations, watchers and the sweep. */
#include <stdio.h>
#include <unistd.h>

#include "server/store/row.h"
#include "tests/contract/store/store_fixture.h"

static const kv_table *const vaults = &kv_table_vaults;

static kv_vault_row *insert_vault(store_fixture *fixture, unsigned seed)
{
    kv_vault_row *row = fixture_row(vaults, &fixture->arena, seed, 0);
    kv_error err = { 0 };

    assert_kv_ok(fixture_insert(fixture, vaults, row, &err));
    return row;
}

static void seals_rows_of_sealed_tables_only(void **state)
{
    store_fixture *fixture = *state;
    kv_sealer sealer = kv_software_sealer_lend(fixture->sealer);
    kv_assignment_row *grant = fixture_row(&kv_table_assignments, &fixture->arena, 1, 0);
    kv_vault_row *vault = insert_vault(fixture, 1);
    kv_error err = { 0 };

    assert_int_equal(vault->head.seal.len, KV_SEAL_BYTES);
    assert_slice_equal(kv_slice_of(sealer.key_id, sizeof(sealer.key_id)), vault->head.seal_key);
    assert_kv_ok(fixture_insert(fixture, &kv_table_assignments, grant, &err));
    assert_int_equal(grant->head.seal.len, 0);
    assert_true(grant->head.generation > 0);
}

static int64_t frozen(void *context)
{
    return *(int64_t *)context;
}

/* With a clock that stands still, or goes back. */
static void never_gives_a_generation_twice(void **state)
{
    store_fixture *fixture = *state;
    int64_t time = 1000;
    kv_clock clock = { frozen, &time };
    kv_records_config config = {
        .store = fixture->store,
        .sealer = kv_software_sealer_lend(fixture->sealer),
        .clock = &clock,
        .instance = kv_slice_of(fixture_instance, sizeof(fixture_instance)),
    };
    kv_vault_row *row = fixture_row(vaults, &fixture->arena, 1, 0);
    int64_t last = 0;
    kv_error err = { 0 };

    kv_records_close(fixture->records);
    assert_kv_ok(kv_records_open(&config, &fixture->records, &err));
    for (unsigned i = 0; i < 10; i++) {
        assert_kv_ok(fixture_insert(fixture, vaults, row, &err));
        assert_true(row->head.generation > last);
        assert_true(row->head.generation >= 1000 * 1000);
        last = row->head.generation;
        assert_kv_ok(fixture_update(fixture, vaults, row, &err));
        assert_true(row->head.generation > last);
        last = row->head.generation;
        assert_kv_ok(fixture_delete(fixture, vaults, row, &err));
        time -= 10;
    }
}

static void refuses_to_apply_what_is_not_sealed(void **state)
{
    store_fixture *fixture = *state;
    kv_vault_row *row = fixture_row(vaults, &fixture->arena, 1, 0);
    kv_change change = { 0 };
    kv_error err = { 0 };

    assert_kv_ok(kv_change_insert(&change, vaults, row, &err));
    assert_kv_fails(KV_INTERNAL, kv_records_apply(fixture->records, &change, NULL, &err));
    assert_kv_ok(kv_records_seal(fixture->records, &change, &fixture->arena, &err));
    assert_kv_ok(kv_records_apply(fixture->records, &change, NULL, &err));
}

static void changes_nothing_when_the_token_is_away(void **state)
{
    store_fixture *fixture = *state;
    kv_vault_row *row = fixture_row(vaults, &fixture->arena, 1, 0);
    kv_error err = { 0 };

    kv_software_sealer_break(fixture->sealer, true);
    assert_kv_fails(KV_UNAVAILABLE, fixture_insert(fixture, vaults, row, &err));
    kv_software_sealer_break(fixture->sealer, false);
    assert_kv_fails(KV_NOT_FOUND,
                    kv_records_get(fixture->records, vaults, row, &fixture->arena, &err));
}

static void count_change(void *context, const kv_change *change)
{
    *(unsigned *)context += change->count;
}

static void tells_watchers_of_applied_changes_only(void **state)
{
    store_fixture *fixture = *state;
    kv_vault_row *row;
    unsigned seen[KV_WATCHERS] = { 0 };
    kv_error err = { 0 };

    for (unsigned i = 0; i < KV_WATCHERS; i++)
        assert_kv_ok(kv_records_watch(fixture->records, count_change, &seen[i], &err));
    assert_kv_fails(KV_INTERNAL, kv_records_watch(fixture->records, count_change, seen, &err));
    row = insert_vault(fixture, 1);
    row->head.generation--;
    assert_kv_fails(KV_CONFLICT, fixture_update(fixture, vaults, row, &err));
    for (unsigned i = 0; i < KV_WATCHERS; i++)
        assert_int_equal(seen[i], 1);
}

/* A seal key that has rolled: old rows by the old key, new ones by the new. */
static void accepts_seals_of_several_keys(void **state)
{
    store_fixture *fixture = *state;
    kv_software_sealer *older = fixture->sealer;
    kv_sealer old = kv_software_sealer_lend(older);
    kv_vault_row *row = insert_vault(fixture, 1);
    kv_error err = { 0 };

    fixture->sealer = kv_software_sealer_new();
    fixture_reopen(fixture);
    assert_kv_fails(KV_INTERNAL,
                    kv_records_get(fixture->records, vaults, row, &fixture->arena, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);

    assert_kv_ok(kv_records_add_seal_key(fixture->records, old.key_id, old.spki, &err));
    assert_kv_ok(kv_records_add_seal_key(fixture->records, old.key_id, old.spki, &err));
    assert_kv_ok(kv_records_get(fixture->records, vaults, row, &fixture->arena, &err));
    assert_kv_ok(fixture_update(fixture, vaults, row, &err));
    assert_kv_ok(kv_records_get(fixture->records, vaults, row, &fixture->arena, &err));
    assert_kv_ok(kv_records_sweep(fixture->records, NULL, &err));
    kv_software_sealer_free(older);
}

static void takes_only_good_seal_keys(void **state)
{
    store_fixture *fixture = *state;
    kv_sealer sealer = kv_software_sealer_lend(fixture->sealer);
    kv_error err = { 0 };

    assert_kv_fails(KV_BAD_REQUEST, kv_records_add_seal_key(fixture->records, sealer.key_id,
                                                            KV_SLICE("not a key"), &err));
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_records_add_seal_key(fixture->records, sealer.key_id, KV_SLICE_NONE, &err));
    for (unsigned i = 1; i < KV_SEAL_KEYS; i++) {
        sealer.key_id[0]++;
        assert_kv_ok(kv_records_add_seal_key(fixture->records, sealer.key_id, sealer.spki, &err));
    }
    sealer.key_id[0]++;
    assert_kv_fails(KV_BUSY,
                    kv_records_add_seal_key(fixture->records, sealer.key_id, sealer.spki, &err));
}

static void sweeps_a_sound_store(void **state)
{
    store_fixture *fixture = *state;
    const kv_table *const some[] = { vaults, NULL };
    kv_error err = { 0 };

    assert_kv_ok(kv_records_sweep(fixture->records, NULL, &err));
    for (size_t t = 0; t < kv_tables_count; t++)
        assert_kv_ok(fixture_insert(fixture, kv_tables[t],
                                    fixture_row(kv_tables[t], &fixture->arena, 1, 0), &err));
    for (unsigned i = 2; i < 200; i++) /* some pages */
        (void)insert_vault(fixture, i);
    assert_kv_ok(kv_records_sweep(fixture->records, NULL, &err));
    fixture_reopen(fixture);
    assert_kv_ok(kv_records_sweep(fixture->records, NULL, &err));
    assert_kv_ok(kv_records_sweep(fixture->records, some, &err));
}

/* Gives a row that is sound, but not the one that was asked for, as an edited index would. */
static kv_status get_another(kv_store *store, const kv_table *table, void *row, kv_arena *arena,
                             kv_error *err)
{
    kv_vault_row *vault = row;
    kv_vault_row *other = fixture_row(table, arena, 2, 0);

    vault->name = other->name;
    return kv_stores[0]->get(store, table, row, arena, err);
}

static kv_status scan_all(kv_store *store, const kv_scan *scan, kv_arena *arena, kv_rows *out,
                          kv_error *err)
{
    kv_scan all = { .table = scan->table, .limit = scan->limit };

    return kv_stores[0]->scan(store, &all, arena, out, err);
}

static void refuses_sound_rows_that_were_not_asked_for(void **state)
{
    store_fixture *fixture = *state;
    kv_store_ops lying = *fixture->ops;
    kv_vault_row *one = insert_vault(fixture, 1);
    kv_scan scan = { .table = vaults, .prefix = 1, .from = one, .limit = 10 };
    kv_rows rows;
    kv_error err = { 0 };

    (void)insert_vault(fixture, 2);
    assert_kv_ok(kv_records_scan(fixture->records, &scan, &fixture->arena, &rows, &err));
    lying.get = get_another;
    lying.scan = scan_all;
    fixture->store->ops = &lying;
    assert_kv_fails(KV_INTERNAL,
                    kv_records_get(fixture->records, vaults, one, &fixture->arena, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    assert_kv_fails(KV_INTERNAL,
                    kv_records_scan(fixture->records, &scan, &fixture->arena, &rows, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    fixture->store->ops = fixture->ops;
}

/* The operator hears of it, with table and key; see log.h. */
static void raises_an_alarm(void **state)
{
    store_fixture *fixture = *state;
    kv_vault_row *row = insert_vault(fixture, 1);
    char line[1024] = "";
    int ends[2];
    kv_error err = { 0 };
    kv_records_config config = { .store = fixture->store,
                                 .sealer = kv_software_sealer_lend(fixture->sealer),
                                 .instance =
                                     kv_slice_of(fixture_instance, sizeof(fixture_instance)) };

    assert_int_equal(pipe(ends), 0);
    config.log = kv_log_new(ends[1], KV_LOG_ERROR);
    kv_records_close(fixture->records);
    assert_kv_ok(kv_records_open(&config, &fixture->records, &err));
    assert_int_equal(fixture_attack(fixture, "UPDATE vaults SET retention_days = 1"), 1);
    assert_kv_fails(KV_INTERNAL,
                    kv_records_get(fixture->records, vaults, row, &fixture->arena, &err));
    assert_true(read(ends[0], line, sizeof(line) - 1) > 0);
    assert_non_null(strstr(line, "store.integrity"));
    assert_non_null(strstr(line, "table vaults"));
    kv_records_close(fixture->records);
    fixture->records = NULL;
    kv_log_free(config.log);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void needs_an_instance_of_sixteen_bytes(void **state)
{
    store_fixture *fixture = *state;
    kv_records *records;
    kv_records_config config = { .store = fixture->store,
                                 .sealer = kv_software_sealer_lend(fixture->sealer),
                                 .instance = KV_SLICE("short") };
    kv_error err = { 0 };

    assert_kv_fails(KV_INTERNAL, kv_records_open(&config, &records, &err));
}

#define RECORDS_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RECORDS_TEST(seals_rows_of_sealed_tables_only),
        RECORDS_TEST(never_gives_a_generation_twice),
        RECORDS_TEST(refuses_to_apply_what_is_not_sealed),
        RECORDS_TEST(changes_nothing_when_the_token_is_away),
        RECORDS_TEST(tells_watchers_of_applied_changes_only),
        RECORDS_TEST(accepts_seals_of_several_keys),
        RECORDS_TEST(takes_only_good_seal_keys),
        RECORDS_TEST(sweeps_a_sound_store),
        RECORDS_TEST(refuses_sound_rows_that_were_not_asked_for),
        RECORDS_TEST(raises_an_alarm),
        RECORDS_TEST(needs_an_instance_of_sixteen_bytes),
    };

    return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}
