/* test_crash.c - the audit log over a real store, killed in the middle of everything.
 *
 * A child posts records and changes from several threads and says on a pipe what was acknowledged.
 * After SIGKILL the log must start, hold every acknowledged record exactly once, and agree with the
 * store and the anchor, which are files here. Then older files are put back.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/audit/world.h"

enum { ROUNDS = 12, THREADS = 8, RUN_US = 60000, MOST_IDS = 400000, ID_BYTES = 16 };
enum { PATIENCE_MS = 20000 };

typedef struct crash_house {
    audit_world world; /* its folder, signer and node; store and anchor are replaced */
    char store[128];
    char anchor[128];
    kv_store *database;
    uint8_t (*acknowledged)[ID_BYTES];
    size_t count;
} crash_house;

/* --- an anchor in a file --- */

static kv_status read_anchor(void *context, kv_arena *arena, kv_slice *out, kv_error *err)
{
    crash_house *house = context;
    FILE *file = fopen(house->anchor, "rbe");
    uint8_t bytes[512];
    size_t len = file ? fread(bytes, 1, sizeof(bytes), file) : 0;

    if (file)
        (void)fclose(file);
    return kv_arena_copy(arena, kv_slice_of(bytes, len), out, err);
}

static kv_status write_anchor(void *context, kv_slice value, kv_error *err)
{
    crash_house *house = context;
    char fresh[160];
    FILE *file;

    (void)snprintf(fresh, sizeof(fresh), "%s.new", house->anchor);
    file = fopen(fresh, "wbe");
    if (!file || fwrite(value.data, 1, value.len, file) != value.len || fclose(file) != 0 ||
        rename(fresh, house->anchor) != 0)
        return kv_fail(err, KV_UNAVAILABLE, "no anchor");
    return KV_OK;
}

static void open_store(crash_house *house)
{
    char url[160];
    kv_error err = { 0 };

    (void)snprintf(url, sizeof(url), "sqlite:%s", house->store);
    assert_kv_ok(kv_store_open(url, true, &house->database, &err));
    house->world.config.store = house->database;
}

static void close_store(crash_house *house)
{
    kv_store_close(house->database);
    house->database = NULL;
}

static int make(void **state)
{
    crash_house *house = calloc(1, sizeof(*house));

    world_make(&house->world);
    world_path(&house->world, "store.db", house->store);
    world_path(&house->world, "anchor", house->anchor);
    house->world.config.segment_bytes = 65536;
    house->world.config.checkpoint_records = 200;
    house->world.config.checkpoint_ms = 20;
    house->world.config.anchor =
        (kv_audit_anchor){ .read = read_anchor, .write = write_anchor, .context = house };
    house->acknowledged = calloc(MOST_IDS, sizeof(*house->acknowledged));
    *state = house;
    return 0;
}

static int drop(void **state)
{
    crash_house *house = *state;

    world_stop(&house->world);
    if (house->database)
        close_store(house);
    world_destroy(&house->world);
    free(house->acknowledged);
    free(house);
    return 0;
}

/* --- the child --- */

typedef struct child {
    crash_house *house;
    int out;
} child;

static kv_status change(crash_house *house, kv_audit_entry *entry)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(65536);
    kv_change change = { .pending = { .node = house->world.config.node,
                                      .request_id = kv_slice_of(entry->request_id, ID_BYTES) },
                         .pending_mac = house->world.config.pending_mac };
    kv_store_state after;
    kv_error err = { 0 };

    KV_TRY(kv_audit_encode(entry, &arena, &change.pending.record, &err));
    KV_TRY(house->database->ops->apply(house->database, &change, &after, &err));
    entry->store_version = after.version;
    memcpy(entry->store_digest, after.digest, sizeof(entry->store_digest));
    return KV_OK;
}

static void *work(void *context)
{
    child *self = context;

    for (unsigned i = 0;; i++) {
        kv_audit_entry entry = world_entry(&self->house->world, "KeySign");
        bool changes = i % 5 == 0;

        if (changes && change(self->house, &entry) != KV_OK)
            _exit(2);
        if (world_post(&self->house->world, &entry, changes) != KV_OK ||
            write(self->out, entry.request_id, ID_BYTES) != ID_BYTES)
            _exit(3);
    }
    return NULL;
}

static void run_child(crash_house *house, int out)
{
    child self = { .house = house, .out = out };
    pthread_t threads[THREADS];
    kv_error err = { 0 };

    open_store(house);
    if (kv_audit_start(&house->world.config, &house->world.audit, &err) != KV_OK) {
        (void)fprintf(stderr, "%s (%s)\n", err.message, err.detail);
        _exit(4);
    }
    for (unsigned i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, &self) != 0)
            _exit(5);
    for (;;)
        pause();
}

static void read_ids(crash_house *house, int from)
{
    while (house->count < MOST_IDS &&
           read(from, house->acknowledged[house->count], ID_BYTES) == ID_BYTES)
        house->count++;
}

/* `worked`: not before something was acknowledged. */
static void live_and_die(crash_house *house, unsigned run_us, bool worked)
{
    struct pollfd said = { .events = POLLIN };
    int ends[2], status = 0;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(ends[0]);
        run_child(house, ends[1]);
    }
    (void)close(ends[1]);
    said.fd = ends[0];
    if (worked)
        assert_int_equal(poll(&said, 1, PATIENCE_MS), 1);
    usleep(run_us);
    assert_int_equal(kill(pid, SIGKILL), 0);
    read_ids(house, ends[0]);
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status))
        fail_msg("the child ended with %d", WEXITSTATUS(status));
}

/* --- what is left --- */

typedef struct ids {
    uint8_t (*list)[ID_BYTES];
    size_t count;
} ids;

static bool collect(void *context, const kv_audit_record *record)
{
    ids *all = context;

    if (all->count < MOST_IDS)
        memcpy(all->list[all->count++], record->entry.request_id, ID_BYTES);
    return true;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, ID_BYTES);
}

static void assert_all_there_once(crash_house *house)
{
    ids all = { .list = calloc(MOST_IDS, sizeof(*all.list)) };
    kv_audit_filter filter = { .from_ms = 1, .to_ms = INT64_MAX / 2 };
    kv_error err = { 0 };

    assert_non_null(all.list);
    assert_kv_ok(kv_audit_search(house->world.audit, &filter, collect, &all, &err));
    qsort(all.list, all.count, sizeof(*all.list), by_bytes);
    for (size_t i = 1; i < all.count; i++)
        assert_int_not_equal(memcmp(all.list[i - 1], all.list[i], ID_BYTES), 0);
    for (size_t i = 0; i < house->count; i++)
        assert_non_null(
            bsearch(house->acknowledged[i], all.list, all.count, sizeof(*all.list), by_bytes));
    free(all.list);
}

static void assert_sound(crash_house *house)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(4096);
    kv_slice anchor;
    kv_error err = { 0 };
    kv_audit_report report;

    assert_kv_ok(read_anchor(house, &arena, &anchor, &err));
    report = world_verify(&house->world, anchor);
    if (report.broken)
        fail_msg("%s: %s", kv_audit_break_name(report.broken), report.what);
    assert_int_equal(report.proved, report.last);
}

static void check(crash_house *house)
{
    open_store(house);
    world_start(&house->world);
    assert_all_there_once(house);
    world_stop(&house->world);
    close_store(house);
    assert_sound(house);
}

static void nothing_acknowledged_is_lost_to_a_kill(void **state)
{
    crash_house *house = *state;

    check(house);
    for (unsigned round = 0; round < ROUNDS; round++) {
        live_and_die(house, RUN_US + 7919 * round, round % 3 != 0);
        /* Every other kill is followed by a start that is killed, too. */
        if (round % 2)
            check(house);
    }
    check(house);
    assert_true(house->count >= ROUNDS / 2);
}

static void copy(const char *from, const char *to)
{
    FILE *in = fopen(from, "rbe"), *out = fopen(to, "wbe");
    uint8_t bytes[65536];
    size_t got;

    assert_non_null(in);
    assert_non_null(out);
    while ((got = fread(bytes, 1, sizeof(bytes), in)) > 0)
        assert_int_equal(fwrite(bytes, 1, got, out), got);
    (void)fclose(in);
    assert_int_equal(fclose(out), 0);
}

static void make_changes(crash_house *house, unsigned count)
{
    open_store(house);
    world_start(&house->world);
    for (unsigned i = 0; i < count; i++) {
        kv_audit_entry entry = world_entry(&house->world, "SecretSet");

        assert_int_equal(change(house, &entry), KV_OK);
        assert_int_equal(world_post(&house->world, &entry, true), KV_OK);
    }
    world_stop(&house->world);
    close_store(house);
}

static void an_older_database_put_back_is_refused(void **state)
{
    crash_house *house = *state;
    char older[160];

    make_changes(house, 3);
    (void)snprintf(older, sizeof(older), "%s.older", house->store);
    copy(house->store, older);
    make_changes(house, 3);
    copy(older, house->store);
    open_store(house);
    world_refuses_to_start(&house->world, "the store is older");
}

static void a_change_without_record_is_refused(void **state)
{
    crash_house *house = *state;
    kv_change unrecorded = { 0 };
    kv_store_state after;
    kv_error err = { 0 };

    make_changes(house, 3);
    open_store(house);
    assert_kv_ok(house->database->ops->apply(house->database, &unrecorded, &after, &err));
    world_refuses_to_start(&house->world, "does not know of it");
}

#define CRASH_TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CRASH_TEST(nothing_acknowledged_is_lost_to_a_kill),
        CRASH_TEST(an_older_database_put_back_is_refused),
        CRASH_TEST(a_change_without_record_is_refused),
    };

    return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
