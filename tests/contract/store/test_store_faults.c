/* test_store_faults.c - killed, full, too new, taken: the store stays whole and says what is wrong.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "server/store/row.h"
#include "tests/contract/store/store_fixture.h"

enum { KILLS = 5 };

static const kv_table *const vaults = &kv_table_vaults;

/* Two rows go together in every change, so half a change would show. */
static kv_status insert_pair(store_fixture *fixture, unsigned number, kv_store_state *state,
                             kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 20);
    kv_change change = { 0 };
    kv_slice request;

    KV_TRY(kv_arena_print(&arena, &request, err, "request %u", number));
    change.pending = (kv_pending){ KV_SLICE("node"), request, KV_SLICE("record") };
    KV_TRY(kv_change_insert(&change, vaults, fixture_row(vaults, &arena, number, 0), err));
    KV_TRY(kv_change_insert(&change, &kv_table_principals,
                            fixture_row(&kv_table_principals, &arena, number, 0), err));
    KV_TRY(kv_records_seal(fixture->records, &change, &arena, err));
    return kv_records_apply(fixture->records, &change, state, err);
}

/* Tells each acknowledged change through the pipe until it is killed. */
static void insert_for_ever(store_fixture *fixture, int to, unsigned first)
{
    kv_error err = { 0 };

    if (fixture_start(fixture, true, &err) != KV_OK)
        _exit(2);
    for (unsigned number = first;; number++) {
        kv_store_state state;

        if (insert_pair(fixture, number, &state, &err) != KV_OK)
            _exit(3);
        if (write(to, &number, sizeof(number)) != (ssize_t)sizeof(number))
            _exit(4);
    }
}

/* The number of the last acknowledged change. */
static unsigned kill_in_the_middle(store_fixture *fixture, unsigned first, unsigned after)
{
    unsigned number = first, last = first - 1;
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        insert_for_ever(fixture, ends[1], first);
    }
    (void)close(ends[1]);
    while (read(ends[0], &number, sizeof(number)) == (ssize_t)sizeof(number)) {
        last = number;
        if (last == first + after) {
            (void)usleep(300 * after); /* somewhere in a later change */
            assert_int_equal(kill(child, SIGKILL), 0);
        }
    }
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    return last;
}

static unsigned count_rows(store_fixture *fixture, const kv_table *table)
{
    kv_scan scan = { .table = table, .limit = KV_SCAN_LIMIT };
    kv_rows rows = { 0 };
    kv_error err = { 0 };

    assert_kv_ok(kv_records_scan(fixture->records, &scan, &fixture->arena, &rows, &err));
    assert_false(rows.more);
    return rows.count;
}

static void keeps_whole_changes_when_killed(void **state)
{
    store_fixture *fixture = *state;
    unsigned acknowledged = 0, pending_count;
    kv_pending_row *pending;
    kv_error err = { 0 };

    fixture_shut(fixture); /* no open file may cross the fork */
    for (unsigned i = 0; i < KILLS; i++) {
        unsigned found;

        acknowledged = kill_in_the_middle(fixture, acknowledged + 1, 3 + i);
        assert_kv_ok(fixture_start(fixture, false, &err));
        found = count_rows(fixture, vaults);
        assert_true(found == acknowledged || found == acknowledged + 1);
        assert_int_equal(count_rows(fixture, &kv_table_principals), found);
        assert_kv_ok(kv_records_sweep(fixture->records, NULL, &err));
        assert_kv_ok(fixture->ops->pending(fixture->store, KV_SLICE("node"), &fixture->arena,
                                           &pending, &pending_count, &err));
        assert_int_equal(pending_count, found);
        assert_int_equal(pending[found - 1].state.version, found);
        fixture_shut(fixture);
        acknowledged = found;
    }
    assert_kv_ok(fixture_start(fixture, false, &err));
}

/* Runs until the store refuses, then gives it room again. Not in the parent: a limit on the size of
 * files stays. */
static int fill_the_disk(store_fixture *fixture)
{
    struct rlimit limit = { 600 << 10, RLIM_INFINITY };
    kv_store_state before = { 0 }, after = { 0 };
    unsigned number = 0;
    kv_error err = { 0 };

    (void)signal(SIGXFSZ, SIG_IGN);
    if (fixture_start(fixture, true, &err) != KV_OK || setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 2;
    while (insert_pair(fixture, ++number, &before, &err) == KV_OK)
        if (number > 5000)
            return 3;
    if (err.status != KV_UNAVAILABLE || !strstr(err.detail, "sqlite"))
        return 4;
    if (fixture->ops->state(fixture->store, &after, &err) != KV_OK ||
        memcmp(&before, &after, sizeof(before)) != 0)
        return 5;
    if (insert_pair(fixture, number, &before, &err) != KV_UNAVAILABLE)
        return 6;

    limit.rlim_cur = RLIM_INFINITY;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 ||
        insert_pair(fixture, number, &before, &err) != KV_OK)
        return 7;
    return kv_records_sweep(fixture->records, NULL, &err) == KV_OK ? 0 : 8;
}

static void survives_a_full_disk(void **state)
{
    store_fixture *fixture = *state;
    kv_error err = { 0 };
    pid_t child;
    int status;

    fixture_shut(fixture);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(fill_the_disk(fixture));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_kv_ok(fixture_start(fixture, false, &err));
    assert_kv_ok(kv_records_sweep(fixture->records, NULL, &err));
}

static void refuses_a_newer_schema(void **state)
{
    store_fixture *fixture = *state;
    kv_error err = { 0 };

    fixture_shut(fixture);
    (void)fixture_attack(fixture, "INSERT INTO schema_version VALUES (4711, 1)");
    assert_kv_fails(KV_PRECONDITION, fixture_start(fixture, false, &err));
    assert_non_null(strstr(err.message, "4711"));
    (void)fixture_attack(fixture, "DELETE FROM schema_version WHERE version = 4711");
    assert_kv_ok(fixture_start(fixture, false, &err));
}

static void refuses_a_second_server(void **state)
{
    store_fixture *fixture = *state;
    kv_store *second = NULL;
    kv_error err = { 0 };

    assert_kv_fails(KV_PRECONDITION, kv_store_open(fixture->url, true, &second, &err));
    assert_string_equal(err.message, "another server has this store open");
    assert_null(second);
    fixture_shut(fixture);
    assert_kv_ok(kv_store_open(fixture->url, false, &second, &err));
    kv_store_close(second);
    assert_kv_ok(fixture_start(fixture, false, &err));
}

static void lets_others_look(void **state)
{
    store_fixture *fixture = *state;
    kv_error err = { 0 };

    (void)fixture_attack(fixture, "SELECT count(*) FROM vaults");
    assert_kv_ok(fixture_insert(fixture, vaults, fixture_row(vaults, &fixture->arena, 1, 0), &err));
}

static void says_when_another_program_writes(void **state)
{
    store_fixture *fixture = *state;
    kv_vault_row *row = fixture_row(vaults, &fixture->arena, 1, 0);
    sqlite3 *other = NULL;
    kv_error err = { 0 };

    assert_int_equal(sqlite3_open(fixture->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_kv_fails(KV_UNAVAILABLE, fixture_insert(fixture, vaults, row, &err));
    assert_true(err.retry_ms > 0);
    assert_kv_fails(KV_NOT_FOUND,
                    kv_records_get(fixture->records, vaults, row, &fixture->arena, &err));
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_kv_ok(fixture_insert(fixture, vaults, row, &err));
}

static void keeps_its_files_to_itself(void **state)
{
    static const char *const suffixes[] = { "", "-wal", ".lock" };
    store_fixture *fixture = *state;
    mode_t before = umask(0);
    kv_error err = { 0 };

    fixture_shut(fixture);
    assert_int_equal(unlink(fixture->path), 0);
    assert_kv_ok(fixture_start(fixture, true, &err));
    (void)umask(before);
    for (size_t i = 0; i < KV_COUNT(suffixes); i++) {
        char name[256];
        struct stat seen;

        (void)snprintf(name, sizeof(name), "%s%s", fixture->path, suffixes[i]);
        assert_int_equal(stat(name, &seen), 0);
        assert_int_equal(seen.st_mode & 0777, 0600);
    }
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void refuses_what_is_no_store(void **state)
{
    store_fixture *fixture = *state;
    kv_store *store = NULL;
    char url[256];
    kv_error err = { 0 };

    assert_kv_fails(KV_UNSUPPORTED, kv_store_open("paper:/x", true, &store, &err));
    assert_kv_fails(KV_UNSUPPORTED, kv_store_open("sqlite", true, &store, &err));
    assert_kv_fails(KV_BAD_REQUEST, kv_store_open("sqlite:", true, &store, &err));
    (void)snprintf(url, sizeof(url), "%s.absent", fixture->url);
    assert_kv_fails(KV_UNAVAILABLE, kv_store_open(url, false, &store, &err));
    (void)snprintf(url, sizeof(url), "%s/absent/store.db", fixture->url);
    assert_kv_fails(KV_UNAVAILABLE, kv_store_open(url, true, &store, &err));
}

static void refuses_the_databases_of_others(void **state)
{
    store_fixture *fixture = *state;
    kv_error err = { 0 };

    fixture_shut(fixture);
    (void)fixture_attack(fixture, "DROP TABLE schema_version");
    assert_kv_fails(KV_PRECONDITION, fixture_start(fixture, false, &err));
    write_file(fixture->path, "this is a letter, not a database, and long enough to be seen as one "
                              "that is none because its first sixteen bytes are not the magic");
    assert_kv_fails(KV_INTERNAL, fixture_start(fixture, false, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
}

#define FAULT_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAULT_TEST(keeps_whole_changes_when_killed),
        FAULT_TEST(survives_a_full_disk),
        FAULT_TEST(refuses_a_newer_schema),
        FAULT_TEST(refuses_a_second_server),
        FAULT_TEST(lets_others_look),
        FAULT_TEST(says_when_another_program_writes),
        FAULT_TEST(keeps_its_files_to_itself),
        FAULT_TEST(refuses_what_is_no_store),
        FAULT_TEST(refuses_the_databases_of_others),
    };

    return cmocka_run_group_tests_name("store faults", tests, NULL, NULL);
}
