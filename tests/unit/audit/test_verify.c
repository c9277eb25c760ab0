/* test_verify.c - each way to tamper with a log is found, and named where it is. */
#include "server/audit/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/audit/frame.h"
#include "tests/unit/audit/sample_log.h"

static world_frame *record(sample_log *log, uint64_t sequence)
{
    for (unsigned i = 0; i < log->count; i++)
        if (log->frames[i].sequence == sequence)
            return &log->frames[i];
    fail_msg("no record %llu", (unsigned long long)sequence);
    return NULL;
}

static world_frame *checkpoint(sample_log *log, unsigned number)
{
    for (unsigned i = 0; i < log->count; i++)
        if (log->frames[i].checkpoint && number-- == 0)
            return &log->frames[i];
    fail_msg("no such checkpoint");
    return NULL;
}

static void assert_broken(kv_audit_report report, kv_audit_break why, const world_frame *where,
                          uint64_t sequence)
{
    if (report.broken != why)
        fail_msg("%s instead of %s: %s", kv_audit_break_name(report.broken),
                 kv_audit_break_name(why), report.what);
    assert_string_equal(report.segment, SAMPLE_SEGMENT);
    assert_int_equal(report.offset, where->offset);
    assert_int_equal(report.sequence, sequence);
    assert_int_equal(report.last, sequence - 1);
}

static void an_untouched_log_is_sound(void **state)
{
    kv_audit_report report = sample_log_verify(*state);

    assert_int_equal(report.broken, KV_AUDIT_SOUND);
    assert_int_equal(report.first, 1);
    assert_int_equal(report.last, SAMPLE_RECORDS);
    assert_int_equal(report.proved, SAMPLE_PROVED);
    assert_int_equal(report.checkpoints, 2);
    assert_int_equal(report.segments, 1);
    assert_true(report.proved_ms > 0);
}

static void every_edited_byte_of_a_record_is_found(void **state)
{
    sample_log *log = *state;
    const world_frame *frame = record(log, 3);

    for (size_t i = 0; i < frame->bytes; i++) {
        kv_audit_report report;

        log->bytes[frame->offset + i] ^= 0x40;
        report = sample_log_verify(log);
        if (!report.broken || report.offset != frame->offset || report.last != 2)
            fail_msg("byte %zu of the frame: %s at %llu", i, report.what,
                     (unsigned long long)report.offset);
        log->bytes[frame->offset + i] ^= 0x40;
    }
}

static void an_edit_with_a_new_checksum_is_found(void **state)
{
    sample_log *log = *state;
    const world_frame *frame = record(log, 3);

    log->bytes[frame->offset + 40] ^= 1;
    world_fix_crc(log->bytes + frame->offset, frame->bytes);
    assert_broken(sample_log_verify(log), KV_AUDIT_EDITED, frame, 3);
}

static void an_edit_with_a_new_hash_is_found_at_the_next_record(void **state)
{
    sample_log *log = *state;
    const world_frame *frame = record(log, 3), *before = record(log, 2);
    size_t message = frame->bytes - KV_FRAME_HEAD_BYTES - 1 - KV_FRAME_HASH_BYTES;
    uint8_t *at = log->bytes + frame->offset;

    at[40] ^= 1;
    kv_chain_hash(log->bytes + before->offset + before->bytes - KV_FRAME_HASH_BYTES,
                  kv_slice_of(at + KV_FRAME_HEAD_BYTES + 1, message),
                  at + frame->bytes - KV_FRAME_HASH_BYTES);
    world_fix_crc(at, frame->bytes);
    assert_broken(sample_log_verify(log), KV_AUDIT_EDITED, record(log, 4), 4);
}

static void a_dropped_record_is_named(void **state)
{
    sample_log *log = *state;
    world_frame gone = *record(log, 5);

    sample_log_arrange(log, (unsigned[]){ 0, 1, 2, 3, 4, 6, 7, 8, 9, 10 }, 10);
    assert_broken(sample_log_verify(log), KV_AUDIT_DROPPED, &gone, 5);
}

static void swapped_records_are_named(void **state)
{
    sample_log *log = *state;
    world_frame first = *record(log, 5);

    sample_log_arrange(log, (unsigned[]){ 0, 1, 2, 3, 4, 6, 5, 7, 8, 9 }, 10);
    assert_broken(sample_log_verify(log), KV_AUDIT_SWAPPED, &first, 5);
}

static void a_repeated_record_is_named(void **state)
{
    sample_log *log = *state;
    world_frame after = *record(log, 6);

    sample_log_arrange(log, (unsigned[]){ 0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9 }, 11);
    assert_broken(sample_log_verify(log), KV_AUDIT_REPEATED, &after, 6);
}

static void a_tail_cut_after_the_last_checkpoint_proves_less(void **state)
{
    sample_log *log = *state;
    kv_audit_report report;

    log->len = record(log, 11)->offset;
    report = sample_log_verify(log);
    assert_int_equal(report.broken, KV_AUDIT_SOUND);
    assert_int_equal(report.last, 10);
    assert_int_equal(report.proved, SAMPLE_PROVED);
}

static void a_tail_cut_inside_a_record_is_named(void **state)
{
    sample_log *log = *state;

    log->len = record(log, 11)->offset + 30;
    assert_broken(sample_log_verify(log), KV_AUDIT_CUT, record(log, 11), 11);
}

static void a_tail_cut_before_the_checkpoint_is_seen_with_the_anchor(void **state)
{
    sample_log *log = *state;
    kv_slice anchor = kv_slice_of(log->world.anchor, log->world.anchor_len);
    kv_audit_report report;

    log->len = record(log, 7)->offset;
    report = sample_log_verify(log);
    assert_int_equal(report.broken, KV_AUDIT_SOUND);
    assert_int_equal(report.proved, 0);
    report = world_verify(&log->world, anchor);
    assert_int_equal(report.broken, KV_AUDIT_CUT);
    assert_int_equal(report.offset, log->len);
    assert_int_equal(report.sequence, 7);
}

static void a_log_with_all_records_fits_its_anchor(void **state)
{
    sample_log *log = *state;

    assert_int_equal(
        world_verify(&log->world, kv_slice_of(log->world.anchor, log->world.anchor_len)).broken,
        KV_AUDIT_SOUND);
}

static void a_broken_checkpoint_signature_is_named(void **state)
{
    sample_log *log = *state;
    const world_frame *frame = checkpoint(log, 1);
    size_t message = frame->bytes - KV_FRAME_HEAD_BYTES - 1 - KV_FRAME_HASH_BYTES;
    uint8_t *at = log->bytes + frame->offset;

    /* The signature is the last field of the message. */
    at[KV_FRAME_HEAD_BYTES + message] ^= 1;
    kv_chain_hash(log->bytes + record(log, 8)->offset + record(log, 8)->bytes - KV_FRAME_HASH_BYTES,
                  kv_slice_of(at + KV_FRAME_HEAD_BYTES + 1, message),
                  at + frame->bytes - KV_FRAME_HASH_BYTES);
    world_fix_crc(at, frame->bytes);
    assert_broken(sample_log_verify(log), KV_AUDIT_BAD_SIGNATURE, frame, 9);
}

static void a_checkpoint_in_another_place_is_named(void **state)
{
    sample_log *log = *state;
    world_frame before = *record(log, 8);

    sample_log_arrange(log, (unsigned[]){ 0, 1, 2, 3, 4, 5, 6, 7, 9, 8 }, 10);
    assert_broken(sample_log_verify(log), KV_AUDIT_BAD_CHECKPOINT, &before, 8);
}

static void a_checkpoint_by_another_key_is_named(void **state)
{
    sample_log *log = *state;

    log->world.kid[0] = log->world.kid[0] == 'a' ? 'b' : 'a';
    assert_broken(sample_log_verify(log), KV_AUDIT_UNKNOWN_KEY, checkpoint(log, 0), 1);
}

static void every_edited_byte_of_the_header_is_found(void **state)
{
    sample_log *log = *state;

    for (size_t i = 0; i < KV_SEGMENT_HEADER_BYTES; i++) {
        kv_audit_report report;

        log->bytes[i] ^= 1;
        report = sample_log_verify(log);
        if (report.broken != KV_AUDIT_BAD_HEADER || report.offset != 0)
            fail_msg("byte %zu of the header: '%s'", i, report.what);
        log->bytes[i] ^= 1;
    }
}

static void a_header_with_a_new_checksum_does_not_fit_its_records(void **state)
{
    sample_log *log = *state;
    uint8_t *crc = log->bytes + KV_SEGMENT_HEADER_BYTES - 4;
    kv_audit_report report;
    uint32_t value;

    log->bytes[79] ^= 1; /* the time it was made */
    value = kv_crc32c(0, kv_slice_of(log->bytes, KV_SEGMENT_HEADER_BYTES - 4));
    for (int i = 3; i >= 0; i--, value >>= 8)
        crc[i] = (uint8_t)value;
    report = sample_log_verify(log);
    /* The first frame after the header is a checkpoint, which follows on the header, too. */
    assert_int_equal(report.broken, KV_AUDIT_BAD_CHECKPOINT);
    assert_int_equal(report.offset, KV_SEGMENT_HEADER_BYTES);
}

static void nothing_to_verify_is_an_error(void **state)
{
    kv_audit_verify_in in = { 0 };
    kv_audit_report report;
    kv_error err = { 0 };

    (void)state;
    assert_kv_fails(KV_NOT_FOUND, kv_audit_verify(&in, &report, &err));
}

/* --- several segments --- */

static int make_segments(void **state)
{
    sample_log *log = calloc(1, sizeof(*log));

    world_make(&log->world);
    log->world.config.segment_bytes = 65536;
    world_start(&log->world);
    world_post_many(&log->world, 1500);
    world_stop(&log->world);
    *state = log;
    return 0;
}

static kv_segment_header header_of(sample_log *log, const char *name)
{
    kv_segment_header header;
    size_t len;
    uint8_t *bytes = world_read(&log->world, name, &len);

    assert_true(kv_segment_header_parse(kv_slice_of(bytes, len), &header));
    free(bytes);
    return header;
}

/* The names of the segments in their order, found by following the numbers. */
static unsigned segment_names(sample_log *log, char names[][KV_SEGMENT_NAME_BYTES], unsigned most)
{
    unsigned count = 0;

    for (uint64_t first = 1; first <= 1600 && count < most; first++) {
        char name[KV_SEGMENT_NAME_BYTES], path[128];

        kv_segment_name(first, name);
        world_path(&log->world, name, path);
        if (access(path, R_OK) == 0)
            memcpy(names[count++], name, sizeof(name));
    }
    assert_true(count >= 4);
    return count;
}

static void a_chain_over_segments_is_sound(void **state)
{
    sample_log *log = *state;
    kv_audit_report report = world_verify(&log->world, KV_SLICE_NONE);

    assert_string_equal(report.what, "");
    assert_int_equal(report.broken, KV_AUDIT_SOUND);
    assert_true(report.segments >= 4);
    assert_true(report.last >= 1500);
    assert_int_equal(report.proved, report.last);
}

static void a_missing_segment_is_named(void **state)
{
    sample_log *log = *state;
    char names[64][KV_SEGMENT_NAME_BYTES], path[128];
    kv_audit_report report;

    (void)segment_names(log, names, 64);
    world_path(&log->world, names[1], path);
    assert_int_equal(unlink(path), 0);
    report = world_verify(&log->world, KV_SLICE_NONE);
    assert_int_equal(report.broken, KV_AUDIT_MISSING);
    assert_string_equal(report.segment, names[1]);
}

static void verification_starts_at_any_segment(void **state)
{
    sample_log *log = *state;
    char names[64][KV_SEGMENT_NAME_BYTES], path[128];
    kv_audit_report report;

    (void)segment_names(log, names, 64);
    world_path(&log->world, names[0], path);
    assert_int_equal(unlink(path), 0);
    report = world_verify(&log->world, KV_SLICE_NONE);
    assert_int_equal(report.broken, KV_AUDIT_SOUND);
    assert_int_equal(report.first, header_of(log, names[1]).first);
    assert_int_equal(report.proved, report.last);
}

static void a_cut_segment_in_the_middle_is_named(void **state)
{
    sample_log *log = *state;
    char names[64][KV_SEGMENT_NAME_BYTES];
    world_frame frames[SAMPLE_FRAMES];
    kv_audit_report report;
    uint8_t *bytes;
    unsigned count;
    size_t len;

    (void)segment_names(log, names, 64);
    bytes = world_read(&log->world, names[1], &len);
    count = world_frames(bytes, len, frames, SAMPLE_FRAMES);
    world_write(&log->world, names[1], bytes, frames[count - 3].offset);
    report = world_verify(&log->world, KV_SLICE_NONE);
    assert_int_equal(report.broken, KV_AUDIT_CUT);
    assert_string_equal(report.segment, names[1]);
    assert_int_equal(report.offset, frames[count - 3].offset);
    assert_int_equal(report.sequence, frames[count - 3].sequence);
    free(bytes);
}

static void a_segment_of_another_log_does_not_follow(void **state)
{
    sample_log *log = *state;
    char names[64][KV_SEGMENT_NAME_BYTES];
    uint8_t header[KV_SEGMENT_HEADER_BYTES];
    kv_segment_header other;
    kv_audit_report report;
    uint8_t *bytes;
    size_t len;

    (void)segment_names(log, names, 64);
    bytes = world_read(&log->world, names[2], &len);
    other = header_of(log, names[2]);
    other.before[0] ^= 1;
    kv_segment_header_pack(&other, header);
    memcpy(bytes, header, sizeof(header));
    world_write(&log->world, names[2], bytes, len);
    report = world_verify(&log->world, KV_SLICE_NONE);
    assert_int_equal(report.broken, KV_AUDIT_BAD_HEADER);
    assert_string_equal(report.segment, names[2]);
    free(bytes);
}

#define LOG_TEST(name)     cmocka_unit_test_setup_teardown(name, sample_log_open, sample_log_close)
#define SEGMENT_TEST(name) cmocka_unit_test_setup_teardown(name, make_segments, sample_log_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(an_untouched_log_is_sound),
        LOG_TEST(every_edited_byte_of_a_record_is_found),
        LOG_TEST(an_edit_with_a_new_checksum_is_found),
        LOG_TEST(an_edit_with_a_new_hash_is_found_at_the_next_record),
        LOG_TEST(a_dropped_record_is_named),
        LOG_TEST(swapped_records_are_named),
        LOG_TEST(a_repeated_record_is_named),
        LOG_TEST(a_tail_cut_after_the_last_checkpoint_proves_less),
        LOG_TEST(a_tail_cut_inside_a_record_is_named),
        LOG_TEST(a_tail_cut_before_the_checkpoint_is_seen_with_the_anchor),
        LOG_TEST(a_log_with_all_records_fits_its_anchor),
        LOG_TEST(a_broken_checkpoint_signature_is_named),
        LOG_TEST(a_checkpoint_in_another_place_is_named),
        LOG_TEST(a_checkpoint_by_another_key_is_named),
        LOG_TEST(every_edited_byte_of_the_header_is_found),
        LOG_TEST(a_header_with_a_new_checksum_does_not_fit_its_records),
        cmocka_unit_test(nothing_to_verify_is_an_error),
        SEGMENT_TEST(a_chain_over_segments_is_sound),
        SEGMENT_TEST(a_missing_segment_is_named),
        SEGMENT_TEST(verification_starts_at_any_segment),
        SEGMENT_TEST(a_cut_segment_in_the_middle_is_named),
        SEGMENT_TEST(a_segment_of_another_log_does_not_follow),
    };

    return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
