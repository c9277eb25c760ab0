/* sample_log.h - an audit log of one segment in a folder of its own, to be damaged: eight records,
 * a checkpoint, four more, stopped without a last checkpoint.
 */
#pragma once

#include "server/audit/verify.h"
#include "tests/unit/audit/world.h"

#define SAMPLE_SEGMENT "00000000000000000001.kva"

enum { SAMPLE_RECORDS = 12, SAMPLE_PROVED = 8, SAMPLE_FRAMES = 512 };

typedef struct sample_log {
    audit_world world;
    uint8_t *bytes;
    size_t len; /* up to the end of the last frame */
    world_frame frames[SAMPLE_FRAMES];
    unsigned count;
} sample_log;

/* Of cmocka: a sample_log as the state. */
int sample_log_open(void **state);
int sample_log_close(void **state);

/* Takes bytes and frames from the file. */
void sample_log_read(sample_log *log);
/* Puts the bytes into the file and verifies it. */
kv_audit_report sample_log_verify(sample_log *log);
/* A copy of the frames in another order, in `bytes`; the checksums stay right. */
void sample_log_arrange(sample_log *log, const unsigned *order, unsigned count);
