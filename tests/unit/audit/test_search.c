/* test_search.c - filters, pages, and an export that verifies elsewhere. */
#include "server/audit/search.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/audit/frame.h"
#include "tests/unit/audit/world.h"

enum { START_MS = 1795216980000, RECORDS = 20, EXPORT_BYTES = 10000 };

static int make(void **state)
{
    audit_world *world = calloc(1, sizeof(*world));

    world_make(world);
    world->now_ms = START_MS;
    world_start(world);
    *state = world;
    return 0;
}

static int drop(void **state)
{
    world_destroy(*state);
    free(*state);
    return 0;
}

/* Record n at START_MS + n seconds; every fourth is refused, every fifth is a SecretGet. */
static void post_mixed(audit_world *world)
{
    for (unsigned i = 0; i < RECORDS; i++) {
        kv_audit_entry entry = world_entry(world, i % 5 == 0 ? "SecretGet" : "KeySign");

        entry.time_ms = START_MS + 1000 * (int64_t)i;
        entry.status = i % 4 == 0 ? KV_DENIED : KV_OK;
        entry.has_principal = true;
        entry.principal_id[0] = (uint8_t)(i % 2);
        entry.vault = i < 10 ? KV_SLICE("Payments") : KV_SLICE("payroll");
        entry.collection = i % 5 == 0 ? KV_SLICE("secrets") : KV_SLICE("keys");
        entry.name = i % 10 == 0 ? KV_SLICE("db") : KV_SLICE("web");
        assert_int_equal(world_post(world, &entry, false), KV_OK);
    }
}

typedef struct hits {
    unsigned count;
    unsigned most; /* 0: all */
    uint64_t first;
    uint64_t last;
} hits;

static bool hit(void *context, const kv_audit_record *record)
{
    hits *got = context;

    if (got->count++ == 0)
        got->first = record->sequence;
    else
        assert_true(record->sequence > got->last);
    got->last = record->sequence;
    return got->count != got->most;
}

static const kv_audit_filter everything = { .from_ms = START_MS, .to_ms = START_MS + 1000000 };

static unsigned found(audit_world *world, kv_audit_filter filter)
{
    hits got = { 0 };
    kv_error err = { 0 };

    assert_kv_ok(kv_audit_search(world->audit, &filter, hit, &got, &err));
    return got.count;
}

static void a_time_range_is_required(void **state)
{
    audit_world *world = *state;
    kv_audit_filter filter = { 0 };
    kv_error err = { 0 };
    hits got = { 0 };

    assert_kv_fails(KV_BAD_REQUEST, kv_audit_search(world->audit, &filter, hit, &got, &err));
    assert_string_equal(err.field, "from_ms");
    filter.from_ms = filter.to_ms = 5;
    assert_kv_fails(KV_BAD_REQUEST, kv_audit_search(world->audit, &filter, hit, &got, &err));
    assert_string_equal(err.field, "to_ms");
}

static void each_filter_counts(void **state)
{
    audit_world *world = *state;
    kv_audit_filter filter;

    post_mixed(world);
    assert_int_equal(found(world, everything), RECORDS);

    filter = everything;
    filter.from_ms = START_MS + 3000;
    filter.to_ms = START_MS + 7000;
    assert_int_equal(found(world, filter), 4);

    filter = everything;
    filter.operation = KV_SLICE("SecretGet");
    assert_int_equal(found(world, filter), 4);

    filter = everything;
    filter.vault = KV_SLICE("payments");
    assert_int_equal(found(world, filter), 10);

    filter = everything;
    filter.collection = KV_SLICE("secrets");
    filter.name = KV_SLICE("DB");
    assert_int_equal(found(world, filter), 2);

    filter = everything;
    filter.has_principal = true;
    filter.principal_id[0] = 1;
    assert_int_equal(found(world, filter), 10);

    filter = everything;
    filter.has_status = true;
    filter.status = KV_DENIED;
    assert_int_equal(found(world, filter), 5);

    filter = everything;
    filter.has_succeeded = true;
    assert_int_equal(found(world, filter), 5);
    filter.succeeded = true;
    assert_int_equal(found(world, filter), 15);

    filter = everything;
    filter.vault = KV_SLICE("nowhere");
    assert_int_equal(found(world, filter), 0);
}

static void a_search_goes_on_after_a_page(void **state)
{
    audit_world *world = *state;
    kv_audit_filter filter = everything;
    hits got = { .most = 7 };
    kv_error err = { 0 };

    post_mixed(world);
    assert_kv_ok(kv_audit_search(world->audit, &filter, hit, &got, &err));
    assert_int_equal(got.count, 7);
    assert_int_equal(got.last, 7);
    filter.after = got.last;
    got = (hits){ 0 };
    assert_kv_ok(kv_audit_search(world->audit, &filter, hit, &got, &err));
    assert_int_equal(got.first, 8);
    assert_int_equal(got.count, RECORDS - 7);
}

static void a_search_gives_up_at_its_deadline(void **state)
{
    audit_world *world = *state;
    kv_audit_filter filter = everything;
    hits got = { 0 };
    kv_error err = { 0 };

    world_post_many(world, 1100);
    filter.deadline = kv_deadline_in_ms(-1);
    assert_kv_fails(KV_TIMEOUT, kv_audit_search(world->audit, &filter, hit, &got, &err));
}

/* Many segments, a minute of the chosen clock each post. */
static void post_hours(audit_world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        world->now_ms += 60000;
        world_post_many(world, 1);
    }
}

static void restart_small(audit_world *world)
{
    world_stop(world);
    world->config.segment_bytes = 65536;
    world_start(world);
}

static void a_search_finds_its_segments(void **state)
{
    audit_world *world = *state;
    kv_audit_filter filter;

    restart_small(world);
    post_hours(world, 1500);
    for (unsigned hour = 0; hour < 25; hour += 3) {
        filter = (kv_audit_filter){ .from_ms = START_MS + 1 + hour * 3600000,
                                    .to_ms = START_MS + 1 + (hour + 1) * 3600000,
                                    .operation = KV_SLICE("KeySign") };
        assert_int_equal(found(world, filter), 60);
    }
}

static unsigned found_between(audit_world *world, int64_t from_ms, int64_t to_ms)
{
    return found(world, (kv_audit_filter){
                            .from_ms = from_ms, .to_ms = to_ms, .operation = KV_SLICE("KeySign") });
}

/* As by a filter that reads everything. */
static void all_is_found(audit_world *world, const int64_t *times, unsigned count)
{
    for (unsigned i = 0; i < count; i += 20) {
        unsigned same = 0;

        for (unsigned k = 0; k < count; k++)
            same += times[k] == times[i];
        assert_int_equal(found_between(world, times[i], times[i] + 1), same);
    }
}

/* By ten hours, twice: segments begin before, between and after; the last step is in the one that
 * is written now. */
static void a_clock_that_was_set_back_hides_nothing(void **state)
{
    enum { HOURS = 25, A_MINUTE = 60000 };
    audit_world *world = *state;
    static int64_t times[HOURS * 60];
    unsigned count = 0;

    restart_small(world);
    for (unsigned hour = 0; hour < HOURS; hour++) {
        if (hour == 12 || hour == HOURS - 1)
            world->now_ms -= 10 * 60 * A_MINUTE;
        for (unsigned i = 0; i < 60; i++) {
            world->now_ms += A_MINUTE;
            times[count++] = world->now_ms;
            world_post_many(world, 1);
        }
    }
    all_is_found(world, times, count);
}

/* While the next segment cannot be begun, the record of a change is owed; it is written there hours
 * later, with its own time. */
static void a_record_that_was_owed_is_found(void **state)
{
    enum { AN_HOUR = 3600000, MOST_TRIES = 100 };
    audit_world *world = *state;
    char folder[128], file[160];
    uint64_t records;
    int64_t then;
    unsigned tries = 0;

    restart_small(world);
    while (world_status(world).durable < 65536 - 2048)
        world_post_many(world, 1);
    world_path(world, "segment.new", folder);
    (void)snprintf(file, sizeof(file), "%s/in the way", folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(mkdir(file, 0700), 0);
    then = world->now_ms + 60000;
    world->now_ms = then;
    records = world_status(world).records;
    for (; !world_status(world).failed; tries++) {
        kv_audit_entry entry = world_entry(world, "KeySign");

        assert_true(tries < MOST_TRIES);
        (void)world_post(world, &entry, true);
    }
    world->now_ms += 3 * AN_HOUR;
    assert_int_equal(rmdir(file), 0);
    assert_int_equal(rmdir(folder), 0);
    /* It works again with the next segment, and the records follow. */
    while (world_status(world).records < records + tries)
        (void)usleep(10000);
    assert_int_equal(found_between(world, then, then + 1), tries);
    /* Nor when it is not the last one any more. */
    for (uint64_t active = world_status(world).active; world_status(world).active == active;)
        world_post_many(world, 10);
    assert_int_equal(found_between(world, then, then + 1), tries);
}

/* Its record says when it began, and is the first of a segment; the one before was in use until
 * then. */
static void a_call_that_took_hours_hides_nothing(void **state)
{
    enum { MOST = 1000, A_MINUTE = 60000 };
    audit_world *world = *state;
    static int64_t times[MOST];
    unsigned count = 0;
    uint64_t active;
    int64_t began;

    restart_small(world);
    active = world_status(world).active;
    began = world->now_ms;
    while (world_status(world).durable < 65536 - 4096) {
        assert_true(count < MOST);
        world->now_ms += A_MINUTE;
        times[count++] = world->now_ms;
        world_post_many(world, 1);
    }
    while (world_status(world).active == active) {
        kv_audit_entry entry = world_entry(world, "EventWatch");

        entry.time_ms = began;
        assert_int_equal(world_post(world, &entry, false), KV_OK);
    }
    all_is_found(world, times, count);
}

static void *post_meanwhile(void *world)
{
    world_post_many(world, 600);
    return NULL;
}

static void a_search_runs_beside_posts(void **state)
{
    audit_world *world = *state;
    kv_audit_filter filter = { .from_ms = 1, .to_ms = INT64_MAX / 2 };
    pthread_t poster;
    unsigned last = 0;

    restart_small(world);
    assert_int_equal(pthread_create(&poster, NULL, post_meanwhile, world), 0);
    while (last < 600) {
        unsigned now = found(world, filter);

        assert_true(now >= last);
        last = now;
    }
    pthread_join(poster, NULL);
}

/* --- export --- */

/* Everything that is durable, written to another folder. */
static void export_to(audit_world *world, kv_audit_cursor *cursor, const char *folder)
{
    kv_audit_chunk chunk;

    do {
        KV_AUTO(kv_arena) arena = KV_ARENA(65536);
        kv_error err = { 0 };
        char path[256];
        FILE *file;

        assert_kv_ok(kv_audit_export(world->audit, cursor, EXPORT_BYTES, &arena, &chunk, &err));
        assert_true(chunk.bytes.len <= EXPORT_BYTES);
        if (chunk.bytes.len == 0)
            break;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, chunk.name);
        file = fopen(path, chunk.offset ? "r+be" : "wbe");
        assert_non_null(file);
        assert_int_equal(fseek(file, (long)chunk.offset, SEEK_SET), 0);
        assert_int_equal(fwrite(chunk.bytes.data, 1, chunk.bytes.len, file), chunk.bytes.len);
        assert_int_equal(fclose(file), 0);
    } while (chunk.bytes.len > 0);
}

static kv_audit_report verify_at(audit_world *world, const char *folder)
{
    kv_audit_key key = world_key(world);
    kv_audit_verify_in in = { .keys = &key, .key_count = 1 };
    kv_audit_report report;
    kv_error err = { 0 };

    assert_kv_ok(kv_audit_verify_folder(folder, &in, &report, &err));
    return report;
}

static void an_export_verifies_elsewhere(void **state)
{
    audit_world *world = *state;
    kv_audit_cursor cursor = { 0 };
    char folder[] = "/tmp/kv-export-XXXXXX";
    kv_audit_report report;
    kv_error err = { 0 };

    assert_non_null(mkdtemp(folder));
    restart_small(world);
    world_post_many(world, 1000);
    assert_kv_ok(kv_audit_checkpoint(world->audit, &err));
    export_to(world, &cursor, folder);
    report = verify_at(world, folder);
    assert_string_equal(report.what, "");
    assert_true(report.last >= 1000);
    assert_int_equal(report.proved, report.last);
    /* It goes on where it ended. */
    world_post_many(world, 500);
    export_to(world, &cursor, folder);
    report = verify_at(world, folder);
    assert_string_equal(report.what, "");
    assert_true(report.last >= 1500);
    world_remove_folder(folder);
}

static void an_export_begins_at_a_record(void **state)
{
    audit_world *world = *state;
    kv_audit_cursor cursor;
    kv_error err = { 0 };

    restart_small(world);
    world_post_many(world, 1000);
    assert_kv_ok(kv_audit_locate(world->audit, 1, &cursor, &err));
    assert_int_equal(cursor.segment, 1);
    assert_kv_ok(kv_audit_locate(world->audit, 0, &cursor, &err));
    assert_int_equal(cursor.segment, 1);
    assert_kv_ok(kv_audit_locate(world->audit, 900, &cursor, &err));
    assert_in_range(cursor.segment, 2, 900);
    assert_kv_fails(KV_NOT_FOUND, kv_audit_locate(world->audit, 5000, &cursor, &err));
}

static void a_segment_that_is_not_there_is_not_found(void **state)
{
    audit_world *world = *state;
    KV_AUTO(kv_arena) arena = KV_ARENA(65536);
    kv_audit_cursor cursor = { .segment = 7 };
    kv_audit_chunk chunk;
    kv_error err = { 0 };

    assert_kv_fails(KV_NOT_FOUND,
                    kv_audit_export(world->audit, &cursor, 100, &arena, &chunk, &err));
}

/* One bit of the file is the other way; the same again puts it back. */
static void flip(const char *path, off_t place)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, place), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, place), 1);
    (void)close(fd);
}

/* Who searches what somebody has edited is told so, and not that there is nothing. */
static void a_damaged_segment_is_told_of(void **state)
{
    /* In the header, and at the beginning and within the first frame. */
    static const off_t places[] = { 8, KV_SEGMENT_HEADER_BYTES, KV_SEGMENT_HEADER_BYTES + 30 };
    audit_world *world = *state;
    char path[128];
    kv_error err = { 0 };

    post_mixed(world);
    world_path(world, "00000000000000000001.kva", path);
    for (size_t i = 0; i < KV_COUNT(places); i++) {
        hits got = { 0 };

        flip(path, places[i]);
        err = (kv_error){ 0 };
        assert_kv_fails(KV_INTERNAL, kv_audit_search(world->audit, &everything, hit, &got, &err));
        assert_int_equal(err.reason, KV_REASON_INTEGRITY);
        flip(path, places[i]);
    }
    assert_int_equal(found(world, everything), RECORDS);
}

#define SEARCH_TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEARCH_TEST(a_time_range_is_required),
        SEARCH_TEST(each_filter_counts),
        SEARCH_TEST(a_search_goes_on_after_a_page),
        SEARCH_TEST(a_search_gives_up_at_its_deadline),
        SEARCH_TEST(a_search_finds_its_segments),
        SEARCH_TEST(a_clock_that_was_set_back_hides_nothing),
        SEARCH_TEST(a_record_that_was_owed_is_found),
        SEARCH_TEST(a_call_that_took_hours_hides_nothing),
        SEARCH_TEST(a_search_runs_beside_posts),
        SEARCH_TEST(a_damaged_segment_is_told_of),
        SEARCH_TEST(an_export_verifies_elsewhere),
        SEARCH_TEST(an_export_begins_at_a_record),
        SEARCH_TEST(a_segment_that_is_not_there_is_not_found),
    };

    return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}
