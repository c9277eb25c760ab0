/* sample_log.c - see sample_log.h. */
#include "tests/unit/audit/sample_log.h"

#include <stdlib.h>
#include <string.h>

#include "server/audit/frame.h"

void sample_log_read(sample_log *log)
{
    free(log->bytes);
    log->bytes = world_read(&log->world, SAMPLE_SEGMENT, &log->len);
    log->count = world_frames(log->bytes, log->len, log->frames, SAMPLE_FRAMES);
    log->len = log->frames[log->count - 1].offset + log->frames[log->count - 1].bytes;
}

int sample_log_open(void **state)
{
    sample_log *log = calloc(1, sizeof(*log));
    kv_error err = { 0 };

    *state = log;
    world_make(&log->world);
    world_start(&log->world);
    world_post_many(&log->world, SAMPLE_PROVED);
    assert_kv_ok(kv_audit_checkpoint(log->world.audit, &err));
    world_post_many(&log->world, SAMPLE_RECORDS - SAMPLE_PROVED);
    log->world.signer_fails = true;
    world_stop(&log->world);
    sample_log_read(log);
    /* The checkpoint over nothing, eight records, a checkpoint, four records. */
    assert_int_equal(log->count, 14);
    return 0;
}

int sample_log_close(void **state)
{
    sample_log *log = *state;

    world_destroy(&log->world);
    free(log->bytes);
    free(log);
    return 0;
}

kv_audit_report sample_log_verify(sample_log *log)
{
    world_write(&log->world, SAMPLE_SEGMENT, log->bytes, log->len);
    return world_verify(&log->world, KV_SLICE_NONE);
}

void sample_log_arrange(sample_log *log, const unsigned *order, unsigned count)
{
    uint8_t *bytes = malloc(2 * log->len);
    size_t at = KV_SEGMENT_HEADER_BYTES;

    memcpy(bytes, log->bytes, at);
    for (unsigned i = 0; i < count; i++) {
        const world_frame *frame = &log->frames[order[i]];

        memcpy(bytes + at, log->bytes + frame->offset, frame->bytes);
        at += frame->bytes;
    }
    free(log->bytes);
    log->bytes = bytes;
    log->len = at;
}
