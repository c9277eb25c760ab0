/* test_segment.c - torn tails are cut and nothing else; full segments are closed for good. */
#include "server/audit/segment.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/audit/reader.h"
#include "tests/unit/audit/world.h"

#define FIRST_SEGMENT "00000000000000000001.kva"

enum { MOST_FRAMES = 64, SHORT_EVERY = 9 };

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

/* --- a torn tail --- */

/* Records without a checkpoint over them; returns the first segment's bytes. */
static uint8_t *make_tail(audit_world *world, world_frame *last, size_t *len)
{
    world_frame frames[MOST_FRAMES];
    unsigned count;
    uint8_t *bytes;

    world_start(world);
    world_post_many(world, 4);
    world->signer_fails = true;
    world_stop(world);
    world->signer_fails = false;
    bytes = world_read(world, FIRST_SEGMENT, len);
    count = world_frames(bytes, *len, frames, MOST_FRAMES);
    assert_int_equal(count, 5);
    *last = frames[count - 1];
    return bytes;
}

static void restart_with_tail(audit_world *world, const uint8_t *bytes, size_t len,
                              uint64_t records, bool and_post)
{
    uint8_t anchor[512];
    size_t anchor_len = world->anchor_len;

    memcpy(anchor, world->anchor, anchor_len);
    world_write(world, FIRST_SEGMENT, bytes, len);
    world_start(world);
    if (world_status(world).records != records)
        fail_msg("%llu records instead of %llu", (unsigned long long)world_status(world).records,
                 (unsigned long long)records);
    if (and_post)
        world_post_many(world, 1);
    world_stop(world);
    world_assert_sound(world, records + and_post);
    memcpy(world->anchor, anchor, anchor_len);
    world->anchor_len = anchor_len;
}

static void a_frame_torn_at_every_byte_is_cut(void **state)
{
    audit_world *world = *state;
    world_frame last;
    uint8_t *bytes, *torn;
    size_t len;

    world->config.segment_bytes = 65536;
    bytes = make_tail(world, &last, &len);
    torn = malloc(len);
    for (size_t kept = 0; kept < last.bytes; kept++) {
        /* Preallocated: zeros after what was written. Three records are untouched. */
        memcpy(torn, bytes, len);
        memset(torn + last.offset + kept, 0, len - last.offset - kept);
        restart_with_tail(world, torn, len, 3, kept % SHORT_EVERY == 0);
        /* Not preallocated: the file ends there. */
        if (kept % SHORT_EVERY == 0)
            restart_with_tail(world, torn, last.offset + kept, 3, true);
    }
    restart_with_tail(world, bytes, len, 4, true);
    free(torn);
    free(bytes);
}

static void what_is_cut_is_kept_aside(void **state)
{
    audit_world *world = *state;
    world_frame last;
    size_t len, kept;
    uint8_t *bytes = make_tail(world, &last, &len), *torn;

    restart_with_tail(world, bytes, last.offset + 50, 3, true);
    torn = world_read(world, "00000000000000000001.torn", &kept);
    assert_int_equal(kept, 50);
    assert_memory_equal(torn, bytes + last.offset, 50);
    free(torn);
    free(bytes);
}

static void damage_larger_than_one_write_is_not_a_torn_tail(void **state)
{
    audit_world *world = *state;
    world_frame frames[MOST_FRAMES];
    uint8_t *bytes;
    size_t len;

    world->config.segment_bytes = 8 * 1024 * 1024;
    world_start(world);
    world_post_many(world, 10000);
    world->signer_fails = true;
    world_stop(world);
    world->signer_fails = false;
    bytes = world_read(world, FIRST_SEGMENT, &len);
    assert_int_equal(world_frames(bytes, len, frames, MOST_FRAMES), MOST_FRAMES);
    bytes[frames[5].offset + 20] ^= 1;
    world_write(world, FIRST_SEGMENT, bytes, len);
    free(bytes);
    world_refuses_to_start(world, "damaged");
}

/* Bytes after the end are found wherever they are; zeros, written or only taken, are none. */
static void what_follows_the_end_is_found_behind_holes(void **state)
{
    enum { SIZE = 4 * 1024 * 1024, END = 855, ZEROS = 100000 };
    static const uint64_t places[] = { END, END + 1, 17239, 65535, 1024 * 1024, SIZE - 1 };
    static const uint8_t zeros[ZEROS], one = 1;
    const char *folder = ((audit_world *)*state)->config.folder;
    char path[KV_SEGMENT_PATH_BYTES];
    uint64_t rest = 1;
    kv_error err = { 0 };

    assert_int_equal(kv_segment_path(folder, FIRST_SEGMENT, path, &err), KV_OK);
    for (int taken = 0; taken < 2; taken++) {
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, SIZE), 0);
        assert_int_equal(taken ? posix_fallocate(fd, 0, SIZE) : 0, 0);
        assert_int_equal(pwrite(fd, zeros, ZEROS, 0), ZEROS);
        assert_int_equal(kv_segment_rest(folder, 1, END, &rest, &err), KV_OK);
        assert_int_equal(rest, 0);
        for (size_t i = 0; i < KV_COUNT(places); i++) {
            assert_int_equal(pwrite(fd, &one, 1, (off_t)places[i]), 1);
            assert_int_equal(kv_segment_rest(folder, 1, END, &rest, &err), KV_OK);
            assert_int_equal(rest, places[i] + 1 - END);
        }
        assert_int_equal(kv_segment_rest(folder, 1, SIZE, &rest, &err), KV_OK);
        assert_int_equal(rest, 0);
        assert_int_equal(close(fd), 0);
    }
}

/* --- closed segments --- */

static void full_segments_are_closed_and_known_to_the_store(void **state)
{
    audit_world *world = *state;

    world->config.segment_bytes = 65536;
    world_start(world);
    world_post_many(world, 1500);
    world_stop(world);
    assert_true(world->store->segment_count >= 3);
    assert_int_equal(world->store->segments[0], 1);
    assert_int_equal(world->store->pending_count, 0);
    world_assert_sound(world, 1500 + world->store->segment_count);
}

static void segments_left_open_are_closed_at_the_next_start(void **state)
{
    audit_world *world = *state;
    unsigned open;

    world->config.segment_bytes = 65536;
    world_start(world);
    world->signer_fails = true;
    world_post_many(world, 1500);
    world_stop(world);
    assert_int_equal(world->store->segment_count, 0);
    world->signer_fails = false;
    world_start(world);
    open = world->store->segment_count;
    assert_true(open >= 3);
    world_stop(world);
    world_assert_sound(world, 1500 + world->store->segment_count);
}

static void a_torn_closing_checkpoint_is_written_again(void **state)
{
    audit_world *world = *state;
    world_frame frames[1024];
    unsigned count;
    uint8_t *bytes;
    size_t len;

    world->config.segment_bytes = 65536;
    world_start(world);
    world_post_many(world, 600);
    world_stop(world);
    assert_int_equal(world->store->segment_count, 1);
    bytes = world_read(world, FIRST_SEGMENT, &len);
    count = world_frames(bytes, len, frames, 1024);
    assert_true(frames[count - 1].checkpoint);
    world_write(world, FIRST_SEGMENT, bytes, frames[count - 1].offset + 20);
    free(bytes);
    /* As if its head had not been stored yet; its record is of another version then. */
    world->store->segment_count = 0;
    world_start(world);
    assert_int_equal(world->store->segment_count, 1);
    world_stop(world);
    world_assert_sound(world, 602);
}

#define SEGMENT_TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEGMENT_TEST(a_frame_torn_at_every_byte_is_cut),
        SEGMENT_TEST(what_is_cut_is_kept_aside),
        SEGMENT_TEST(damage_larger_than_one_write_is_not_a_torn_tail),
        SEGMENT_TEST(what_follows_the_end_is_found_behind_holes),
        SEGMENT_TEST(full_segments_are_closed_and_known_to_the_store),
        SEGMENT_TEST(segments_left_open_are_closed_at_the_next_start),
        SEGMENT_TEST(a_torn_closing_checkpoint_is_written_again),
    };

    return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
