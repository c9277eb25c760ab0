/* test_audit.c - posting from many threads, failing writes, counted refusals, checkpoints. */
#include "server/audit/audit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/unit/audit/world.h"

enum { THREADS = 64, POSTS_PER_THREAD = 50, SOON_MS = 60000 };

static int make(void **state)
{
    audit_world *world = calloc(1, sizeof(*world));

    world_make(world);
    *state = world;
    return 0;
}

static int drop(void **state)
{
    world_destroy(*state);
    free(*state);
    return 0;
}

/* --- many threads --- */

static void *post_some(void *world)
{
    for (unsigned i = 0; i < POSTS_PER_THREAD; i++) {
        kv_audit_entry entry = world_entry(world, "KeySign");

        if (world_post(world, &entry, false) != KV_OK)
            return world;
    }
    return NULL;
}

static void many_threads_post_at_once(void **state)
{
    audit_world *world = *state;
    pthread_t threads[THREADS];
    uint64_t expected = THREADS * POSTS_PER_THREAD;

    world->config.segment_bytes = 128 * 1024;
    world->config.checkpoint_records = 500;
    world_start(world);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_some, world), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        void *failed;

        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    world_stop(world);
    assert_true(world->store->segment_count >= 2);
    world_assert_sound(world, expected + world->store->segment_count);
}

/* Posted and not waited for: stopping must not lose them. */
typedef struct loose {
    kv_audit_ticket ticket;
    kv_audit_entry entry;
    kv_status status;
    bool finished;
} loose;

static void loose_done(kv_audit_ticket *ticket, kv_status status)
{
    loose *at = (loose *)ticket;

    at->finished = true;
    at->status = status;
}

static void what_is_posted_before_the_stop_is_written(void **state)
{
    audit_world *world = *state;
    loose *list = calloc(1000, sizeof(*list));

    world_start(world);
    for (unsigned i = 0; i < 1000; i++) {
        list[i].entry = world_entry(world, "KeySign");
        list[i].ticket = (kv_audit_ticket){ .entry = &list[i].entry, .done = loose_done };
        kv_audit_post(world->audit, &list[i].ticket);
    }
    world_stop(world);
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(list[i].finished);
        assert_int_equal(list[i].status, KV_OK);
    }
    free(list);
    world_assert_sound(world, 1000);
}

/* Told together: how many came at once is up to the disk, but each once and in order. */
typedef struct together {
    kv_audit_ticket ticket; /* first */
    kv_audit_entry entry;
    unsigned number, *next;
    kv_status status;
} together;

static void together_done(kv_audit_ticket *tickets, kv_status status)
{
    for (; tickets; tickets = tickets->next) {
        together *at = (together *)tickets;

        assert_int_equal(at->number, (*at->next)++);
        at->status = status;
    }
}

static void alone_done(kv_audit_ticket *ticket, kv_status status)
{
    assert_null(ticket->done_together);
    ticket->next = NULL;
    together_done(ticket, status);
}

/* Every third one stands between and is told alone; all of them come as one list. */
static void post_together(audit_world *world, together *list, unsigned count, unsigned *next)
{
    for (unsigned i = 0; i < count; i++) {
        bool alone = i % 3 == 2;

        list[i] = (together){ .entry = world_entry(world, "KeySign"), .number = i, .next = next };
        list[i].ticket = (kv_audit_ticket){ .entry = &list[i].entry,
                                            .next = i + 1 < count ? &list[i + 1].ticket : NULL,
                                            .done = alone ? alone_done : NULL,
                                            .done_together = alone ? NULL : together_done };
    }
    kv_audit_post(world->audit, &list[0].ticket);
}

static void a_list_is_recorded_and_told_in_order(void **state)
{
    enum { COUNT = 3000 };
    audit_world *world = *state;
    together *list = calloc(COUNT, sizeof(*list));
    unsigned next = 0;

    world_start(world);
    post_together(world, list, COUNT, &next);
    world_stop(world);
    assert_int_equal(next, COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(list[i].status, KV_OK);
    free(list);
    world_assert_sound(world, COUNT);
}

/* --- failing writes --- */

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_refuses_and_heals(void **state)
{
    audit_world *world = *state;
    kv_audit_entry entry = world_entry(world, "KeySign");

    world_start(world);
    world_post_many(world, 10);
    limit_files((rlim_t)world_status(world).durable + 10);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(world_post(world, &entry, false), KV_UNAVAILABLE);
        assert_true(world_status(world).failed);
        assert_int_equal(world_status(world).records, 10);
    }
    limit_files(RLIM_INFINITY);
    world_post_many(world, 10);
    assert_false(world_status(world).failed);
    assert_int_equal(world_status(world).records, 20);
    world_stop(world);
    world_assert_sound(world, 20);
}

static void a_list_on_a_full_disk_is_told_in_order_that_it_was_not_recorded(void **state)
{
    enum { COUNT = 9 };
    audit_world *world = *state;
    together list[COUNT];
    unsigned next = 0;

    world_start(world);
    world_post_many(world, 1);
    limit_files((rlim_t)world_status(world).durable + 10);
    post_together(world, list, COUNT, &next);
    world_stop(world);
    limit_files(RLIM_INFINITY);
    assert_int_equal(next, COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(list[i].status, KV_UNAVAILABLE);
}

static void a_full_disk_at_the_end_of_a_segment_refuses_and_heals(void **state)
{
    audit_world *world = *state;
    kv_audit_entry entry = world_entry(world, "KeySign");
    unsigned posted = 0;

    world->config.segment_bytes = 65536;
    world_start(world);
    /* The next segment can be made only as large as a file may be. */
    limit_files(65536 - 100);
    while (world_post(world, &entry, false) == KV_OK)
        posted++;
    assert_in_range(posted, 100, 1000);
    limit_files(RLIM_INFINITY);
    world_post_many(world, 5);
    world_stop(world);
    assert_int_equal(world->store->segment_count, 1);
    world_assert_sound(world, posted + 5 + 1);
}

static void wait_until_records(audit_world *world, uint64_t records)
{
    kv_deadline deadline = kv_deadline_in_ms(SOON_MS);

    while (world_status(world).records < records) {
        if (kv_deadline_passed(deadline))
            fail_msg("%llu records, not %llu", (unsigned long long)world_status(world).records,
                     (unsigned long long)records);
        usleep(1000);
    }
}

static void the_record_of_a_change_is_owed_until_it_is_written(void **state)
{
    audit_world *world = *state;
    kv_audit_entry entry = world_entry(world, "SecretSet");

    world_start(world);
    world_change(world, false);
    /* As the vault would: the pending row has the entry's request id. */
    memcpy(entry.request_id, world->store->pending[0].request_id, sizeof(entry.request_id));
    entry.store_version = world->store->state.version;
    memcpy(entry.store_digest, world->store->state.digest, sizeof(entry.store_digest));
    limit_files((rlim_t)world_status(world).durable + 10);
    assert_int_equal(world_post(world, &entry, true), KV_UNAVAILABLE);
    limit_files(RLIM_INFINITY);
    /* Nobody posts anything: it is tried again all the same. */
    wait_until_records(world, 1);
    assert_int_equal(world_status(world).store_version, world->store->state.version);
    assert_false(world_status(world).failed);
    world_stop(world);
    assert_int_equal(world->store->pending_count, 0);
    world_assert_sound(world, 1);
    world_start(world);
    assert_int_equal(world_status(world).records, 1);
}

/* --- checkpoints --- */

static void a_checkpoint_comes_after_so_many_records(void **state)
{
    audit_world *world = *state;
    kv_deadline deadline = kv_deadline_in_ms(SOON_MS);

    world->config.checkpoint_records = 10;
    world_start(world);
    world_post_many(world, 10);
    while (world_status(world).checkpoint_records < 10 && !kv_deadline_passed(deadline))
        usleep(1000);
    assert_int_equal(world_status(world).checkpoint_records, 10);
}

static void a_checkpoint_comes_after_so_much_time(void **state)
{
    audit_world *world = *state;
    kv_deadline deadline = kv_deadline_in_ms(SOON_MS);

    world->config.checkpoint_ms = 50;
    world_start(world);
    world_post_many(world, 3);
    while (world_status(world).checkpoint_records < 3 && !kv_deadline_passed(deadline))
        usleep(1000);
    assert_int_equal(world_status(world).checkpoint_records, 3);
}

static void a_signer_that_fails_blocks_nothing_and_is_seen(void **state)
{
    audit_world *world = *state;
    kv_error err = { 0 };

    world_start(world);
    world->signer_fails = true;
    world_post_many(world, 20);
    assert_kv_fails(KV_UNAVAILABLE, kv_audit_checkpoint(world->audit, &err));
    world_post_many(world, 20);
    assert_int_equal(world_status(world).records, 40);
    assert_int_equal(world_status(world).checkpoint_records, 0);
    world->signer_fails = false;
    assert_kv_ok(kv_audit_checkpoint(world->audit, &err));
    assert_int_equal(world_status(world).checkpoint_records, 40);
    assert_true(world_status(world).anchored);
    world_stop(world);
    world_assert_sound(world, 40);
}

static void a_failing_anchor_is_tried_again(void **state)
{
    audit_world *world = *state;
    kv_error err = { 0 };

    world_start(world);
    world_post_many(world, 2);
    pthread_mutex_lock(&world->mutex);
    world->anchor_fails = true;
    pthread_mutex_unlock(&world->mutex);
    assert_kv_fails(KV_UNAVAILABLE, kv_audit_checkpoint(world->audit, &err));
    assert_false(world_status(world).anchored);
    pthread_mutex_lock(&world->mutex);
    world->anchor_fails = false;
    pthread_mutex_unlock(&world->mutex);
    assert_kv_ok(kv_audit_checkpoint(world->audit, &err));
    assert_true(world_status(world).anchored);
}

static void a_checkpoint_without_news_signs_nothing(void **state)
{
    audit_world *world = *state;
    kv_error err = { 0 };
    unsigned before;

    world_start(world);
    before = world->signed_count;
    assert_kv_ok(kv_audit_checkpoint(world->audit, &err));
    assert_int_equal(world->signed_count, before);
}

/* --- refusals --- */

typedef struct counts {
    unsigned records;
    unsigned total;
    unsigned of_one_peer;
    unsigned overflow;
} counts;

static bool count(void *context, const kv_audit_record *record)
{
    counts *sum = context;

    sum->records++;
    sum->total += record->entry.count;
    if (kv_slice_equal(record->entry.peer, KV_SLICE("192.0.2.1")))
        sum->of_one_peer = record->entry.count;
    if (kv_slice_equal(record->entry.peer, KV_SLICE("*")))
        sum->overflow = record->entry.count;
    return true;
}

static counts count_all(audit_world *world)
{
    kv_audit_filter filter = { .from_ms = 1, .to_ms = INT64_MAX / 2 };
    counts sum = { 0 };
    kv_error err = { 0 };

    assert_kv_ok(kv_audit_search(world->audit, &filter, count, &sum, &err));
    return sum;
}

static void refusals_are_counted_into_one_record_a_second(void **state)
{
    audit_world *world = *state;
    kv_deadline deadline = kv_deadline_in_ms(SOON_MS);
    int64_t before = kv_monotonic_us(), took_us;
    counts got;

    world_start(world);
    for (unsigned i = 0; i < 300; i++) {
        kv_audit_entry entry = world_entry(world, "Handshake");
        char peer[32];

        (void)snprintf(peer, sizeof(peer), "192.0.2.%u:%u", i % 3 + 1, 1000 + i);
        entry.peer = kv_slice_text(peer);
        entry.status = KV_UNAUTHENTICATED;
        kv_audit_refused(world->audit, &entry);
    }
    took_us = kv_monotonic_us() - before;
    while ((got = count_all(world)).total < 300 && !kv_deadline_passed(deadline))
        usleep(10000);
    /* Three in a second, and seconds may have ended in between. */
    assert_in_range(got.records, 3, 3 * (2 + took_us / 1000000));
    assert_int_equal(got.total, 300);
}

static void refusals_before_the_stop_are_not_lost(void **state)
{
    audit_world *world = *state;
    counts got;

    world_start(world);
    for (unsigned i = 0; i < 100; i++) {
        kv_audit_entry entry = world_entry(world, "Handshake");

        entry.peer = KV_SLICE("192.0.2.1:7");
        entry.status = KV_UNAUTHENTICATED;
        kv_audit_refused(world->audit, &entry);
    }
    world_stop(world);
    world_start(world);
    got = count_all(world);
    assert_int_equal(got.total, 100);
}

#define AUDIT_TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUDIT_TEST(many_threads_post_at_once),
        AUDIT_TEST(what_is_posted_before_the_stop_is_written),
        AUDIT_TEST(a_list_is_recorded_and_told_in_order),
        AUDIT_TEST(a_full_disk_refuses_and_heals),
        AUDIT_TEST(a_list_on_a_full_disk_is_told_in_order_that_it_was_not_recorded),
        AUDIT_TEST(a_full_disk_at_the_end_of_a_segment_refuses_and_heals),
        AUDIT_TEST(the_record_of_a_change_is_owed_until_it_is_written),
        AUDIT_TEST(a_checkpoint_comes_after_so_many_records),
        AUDIT_TEST(a_checkpoint_comes_after_so_much_time),
        AUDIT_TEST(a_signer_that_fails_blocks_nothing_and_is_seen),
        AUDIT_TEST(a_failing_anchor_is_tried_again),
        AUDIT_TEST(a_checkpoint_without_news_signs_nothing),
        AUDIT_TEST(refusals_are_counted_into_one_record_a_second),
        AUDIT_TEST(refusals_before_the_stop_are_not_lost),
    };

    return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
