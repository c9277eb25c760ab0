/* test_startup.c - a log goes on only where it fits its anchor and its store. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/audit/frame.h"
#include "tests/unit/audit/world.h"

#define FIRST_SEGMENT "00000000000000000001.kva"

enum { MOST_FRAMES = 64 };

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

static void the_first_start_signs_and_anchors_the_empty_chain(void **state)
{
    audit_world *world = *state;
    kv_audit_status status;

    world_start(world);
    status = world_status(world);
    assert_int_equal(status.records, 0);
    assert_int_equal(status.first, 1);
    assert_true(status.anchored);
    assert_true(status.checkpoint_ms > 0);
    assert_int_equal(status.store_version, world->store->state.version);
    assert_true(world->anchor_len > 0);
    world_assert_sound(world, 0);
}

static void the_chain_goes_on_after_a_restart(void **state)
{
    audit_world *world = *state;

    for (unsigned i = 1; i <= 4; i++) {
        world_start(world);
        assert_int_equal(world_status(world).records, 5 * (i - 1));
        world_post_many(world, 5);
        world_stop(world);
        world_assert_sound(world, 5 * i);
    }
}

static void a_second_process_is_kept_out(void **state)
{
    audit_world *world = *state;
    kv_audit *other = NULL;
    kv_error err = { 0 };

    world_start(world);
    assert_kv_fails(KV_PRECONDITION, kv_audit_start(&world->config, &other, &err));
    assert_null(other);
}

static void a_chain_is_created_once(void **state)
{
    audit_world *world = *state;
    kv_error err = { 0 };

    world_start(world);
    world_post_many(world, 1);
    world_stop(world);
    world->config.create = true;
    assert_kv_fails(KV_EXISTS, kv_audit_start(&world->config, &world->audit, &err));
}

static void a_creation_that_failed_may_be_run_again(void **state)
{
    audit_world *world = *state;
    kv_error err = { 0 };

    world->anchor_fails = true;
    assert_kv_fails(KV_UNAVAILABLE, kv_audit_start(&world->config, &world->audit, &err));
    world->anchor_fails = false;
    world_start(world);
    world_stop(world);
    /* And after that, as long as there is no record: another node, another store. */
    world->node[0] ^= 1;
    world->store->state.version++;
    world->config.create = true;
    world_start(world);
    world_post_many(world, 2);
    world_stop(world);
    world_assert_sound(world, 2);
}

static void remove_log(audit_world *world)
{
    char path[128];

    world_path(world, FIRST_SEGMENT, path);
    assert_int_equal(unlink(path), 0);
}

static void an_empty_folder_with_an_anchor_is_refused(void **state)
{
    audit_world *world = *state;
    kv_error err = { 0 };

    world_start(world);
    world_post_many(world, 1);
    world_stop(world);
    remove_log(world);
    world_refuses_to_start(world, "the anchor is not");
    world->config.create = true;
    assert_kv_fails(KV_EXISTS, kv_audit_start(&world->config, &world->audit, &err));
}

static void an_empty_folder_with_a_used_store_is_refused(void **state)
{
    audit_world *world = *state;

    world->config.create = false;
    world_refuses_to_start(world, "the store is not");
}

static void a_chain_without_its_anchor_is_refused(void **state)
{
    audit_world *world = *state;

    world_start(world);
    world_stop(world);
    world->anchor_len = 0;
    world_refuses_to_start(world, "does not hold the anchor");
}

static void an_edited_anchor_is_refused(void **state)
{
    audit_world *world = *state;

    world_start(world);
    world_stop(world);
    world->anchor[world->anchor_len - 1] ^= 1;
    world_refuses_to_start(world, "not signed");
}

static void the_log_of_another_server_is_refused(void **state)
{
    audit_world *world = *state;

    world_start(world);
    world_stop(world);
    world->node[0] ^= 1;
    world_refuses_to_start(world, "another server");
}

static void older_segments_put_back_are_refused(void **state)
{
    audit_world *world = *state;
    uint8_t *older;
    size_t len;

    world_start(world);
    world_post_many(world, 3);
    world_stop(world);
    older = world_read(world, FIRST_SEGMENT, &len);
    world_start(world);
    world_post_many(world, 3);
    world_stop(world);
    world_write(world, FIRST_SEGMENT, older, len);
    free(older);
    world_refuses_to_start(world, "older than its anchor");
}

static void an_edited_record_before_the_anchor_is_refused(void **state)
{
    audit_world *world = *state;
    world_frame frames[MOST_FRAMES];
    uint8_t *bytes;
    size_t len;

    world_start(world);
    world_post_many(world, 6);
    world_stop(world);
    bytes = world_read(world, FIRST_SEGMENT, &len);
    assert_true(world_frames(bytes, len, frames, MOST_FRAMES) >= 7);
    bytes[frames[3].offset + 40] ^= 1;
    world_write(world, FIRST_SEGMENT, bytes, len);
    world_refuses_to_start(world, "older than its anchor");
    world_fix_crc(bytes + frames[3].offset, frames[3].bytes);
    world_write(world, FIRST_SEGMENT, bytes, len);
    free(bytes);
    world_refuses_to_start(world, "damaged");
}

/* --- the store --- */

static void changes_survive_a_restart(void **state)
{
    audit_world *world = *state;

    world_start(world);
    for (int i = 0; i < 5; i++)
        world_change(world, true);
    world_stop(world);
    assert_int_equal(world->store->pending_count, 0);
    world_start(world);
    assert_int_equal(world_status(world).records, 5);
    assert_int_equal(world_status(world).store_version, world->store->state.version);
}

static void an_older_store_is_refused(void **state)
{
    audit_world *world = *state;
    kv_store_state older;

    world_start(world);
    world_change(world, true);
    older = world->store->state;
    world_change(world, true);
    world_stop(world);
    world->store->state = older;
    world_refuses_to_start(world, "the store is older");
}

static void a_store_changed_outside_is_refused(void **state)
{
    audit_world *world = *state;

    world_start(world);
    world_change(world, true);
    world_stop(world);
    world->store->state.version++;
    world_refuses_to_start(world, "does not know of it");
    world->store->state.version--;
    world->store->state.digest[0] ^= 1;
    world_refuses_to_start(world, "is not what");
}

static void the_newest_change_counts_not_the_last(void **state)
{
    audit_world *world = *state;
    kv_audit_entry first = world_entry(world, "SecretSet"),
                   second = world_entry(world, "KeyCreate");

    world_start(world);
    world_change(world, false);
    first.store_version = world->store->state.version;
    memcpy(first.store_digest, world->store->state.digest, 32);
    world_change(world, false);
    second.store_version = world->store->state.version;
    memcpy(second.store_digest, world->store->state.digest, 32);
    world->store->pending_count = 0;
    assert_int_equal(world_post(world, &second, false), KV_OK);
    assert_int_equal(world_post(world, &first, false), KV_OK);
    world_stop(world);
    world_start(world);
    assert_int_equal(world_status(world).store_version, second.store_version);
}

static void forgets_pending(audit_world *world)
{
    unsigned left = 1;

    while (left) {
        (void)usleep(1000);
        pthread_mutex_lock(&world->store->mutex);
        left = world->store->pending_count;
        pthread_mutex_unlock(&world->store->mutex);
    }
}

/* As somebody does who cuts the log back to the anchor, and leaves the database as it is: the
 * newest change has its pending row still, and says what the store is. */
static void a_log_that_was_cut_behind_its_anchor_is_refused(void **state)
{
    audit_world *world = *state;
    uint8_t anchor[sizeof(world->anchor)], *bytes;
    size_t anchor_len, len;
    kv_error err = { 0 };

    world_start(world);
    world_change(world, true);
    assert_kv_ok(kv_audit_checkpoint(world->audit, &err));
    bytes = world_read(world, FIRST_SEGMENT, &len);
    anchor_len = world->anchor_len;
    memcpy(anchor, world->anchor, anchor_len);
    world_change(world, true);
    world_change(world, true);
    forgets_pending(world);
    world->store->keep_pending = true;
    world_change(world, true);
    world_stop(world);
    assert_int_equal(world->store->pending_count, 1);
    world_write(world, FIRST_SEGMENT, bytes, len);
    memcpy(world->anchor, anchor, anchor_len);
    world->anchor_len = anchor_len;
    world_refuses_to_start(world, "it was cut");
    free(bytes);
}

static void changes_without_record_are_appended(void **state)
{
    audit_world *world = *state;

    world_start(world);
    world_change(world, true);
    world_change(world, false);
    world_change(world, false);
    world_stop(world);
    assert_int_equal(world->store->pending_count, 2);
    world_start(world);
    assert_int_equal(world_status(world).records, 3);
    assert_int_equal(world_status(world).store_version, world->store->state.version);
    assert_int_equal(world_status(world).checkpoint_records, 3);
    world_stop(world);
    assert_int_equal(world->store->pending_count, 0);
    world_assert_sound(world, 3);
}

static void pending_records_in_the_chain_are_not_appended_again(void **state)
{
    audit_world *world = *state;

    world_start(world);
    world->store->keep_pending = true;
    for (int i = 0; i < 10; i++)
        world_change(world, true);
    world_stop(world);
    assert_int_equal(world->store->pending_count, 10);
    world->store->keep_pending = false;
    world_start(world);
    assert_int_equal(world_status(world).records, 10);
    world_stop(world);
    assert_int_equal(world->store->pending_count, 0);
}

static void pending_records_are_found_in_older_segments(void **state)
{
    audit_world *world = *state;

    world->config.segment_bytes = 65536;
    world_start(world);
    /* As after a kill between the changes and the chain, that of a segment's head with them. */
    world->store->keep_pending = true;
    world_change(world, true);
    world_post_many(world, 1200);
    world_stop(world);
    assert_true(world->store->segment_count >= 2);
    world->store->keep_pending = false;
    world_start(world);
    /* The change, the posts, and a record for each closed segment: nothing twice. */
    assert_int_equal(world_status(world).records, 1201 + world->store->segment_count);
    world_stop(world);
    world_assert_sound(world, 1201 + world->store->segment_count);
}

/* A record says when its call began, hours ago, and is the first of a segment. */
static void pending_records_are_found_before_a_call_that_took_hours(void **state)
{
    enum { HOURS_MS = 3 * 3600 * 1000 };
    audit_world *world = *state;
    kv_audit_report before;
    uint64_t active;

    world->config.segment_bytes = 65536;
    world->store->keep_pending = true;
    world_start(world);
    while (world_status(world).durable < 65536 - 4096)
        world_post_many(world, 1);
    active = world_status(world).active;
    world_change(world, true);
    while (world_status(world).active == active) {
        kv_audit_entry entry = world_entry(world, "EventWatch");

        entry.time_ms -= HOURS_MS;
        assert_int_equal(world_post(world, &entry, false), KV_OK);
    }
    world_stop(world);
    before = world_verify(world, KV_SLICE_NONE);
    assert_int_equal(before.broken, KV_AUDIT_SOUND);
    world_start(world);
    assert_int_equal(world_status(world).records, before.last);
}

static bool count_one(void *context, const kv_audit_record *record)
{
    if (strcmp(record->entry.operation, "SecretSet") == 0)
        (*(unsigned *)context)++;
    return true;
}

static void many_missing_records_fill_segments(void **state)
{
    audit_world *world = *state;
    kv_audit_filter filter = { .from_ms = 1, .to_ms = INT64_MAX / 2 };
    kv_error err = { 0 };
    unsigned found = 0;

    world->config.segment_bytes = 65536;
    world_start(world);
    for (int i = 0; i < 1000; i++)
        world_change(world, false);
    world_stop(world);
    world_start(world);
    assert_kv_ok(kv_audit_search(world->audit, &filter, count_one, &found, &err));
    assert_int_equal(found, 1000);
    world_stop(world);
    world_assert_sound(world, 1000 + world->store->segment_count);
    assert_true(world->store->segment_count > 0);
    assert_int_equal(world->store->pending_count, 0);
}

static void a_damaged_pending_record_is_refused(void **state)
{
    audit_world *world = *state;

    world_start(world);
    world_change(world, false);
    world_stop(world);
    world->store->pending[0].record[0] ^= 0xff;
    world_refuses_to_start(world, "not written by this server");
    world_authenticate(world, &world->store->pending[0]);
    world_refuses_to_start(world, "damaged");
}

#define START_TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        START_TEST(the_first_start_signs_and_anchors_the_empty_chain),
        START_TEST(the_chain_goes_on_after_a_restart),
        START_TEST(a_second_process_is_kept_out),
        START_TEST(a_chain_is_created_once),
        START_TEST(a_creation_that_failed_may_be_run_again),
        START_TEST(an_empty_folder_with_an_anchor_is_refused),
        START_TEST(an_empty_folder_with_a_used_store_is_refused),
        START_TEST(a_chain_without_its_anchor_is_refused),
        START_TEST(an_edited_anchor_is_refused),
        START_TEST(the_log_of_another_server_is_refused),
        START_TEST(older_segments_put_back_are_refused),
        START_TEST(an_edited_record_before_the_anchor_is_refused),
        START_TEST(changes_survive_a_restart),
        START_TEST(an_older_store_is_refused),
        START_TEST(a_store_changed_outside_is_refused),
        START_TEST(the_newest_change_counts_not_the_last),
        START_TEST(a_log_that_was_cut_behind_its_anchor_is_refused),
        START_TEST(changes_without_record_are_appended),
        START_TEST(pending_records_in_the_chain_are_not_appended_again),
        START_TEST(pending_records_are_found_in_older_segments),
        START_TEST(pending_records_are_found_before_a_call_that_took_hours),
        START_TEST(many_missing_records_fill_segments),
        START_TEST(a_damaged_pending_record_is_refused),
    };

    return cmocka_run_group_tests_name("startup", tests, NULL, NULL);
}
