/* fuzz_segment.c - segments of the audit log as somebody may have left them: header, frames,
 * records, checkpoints. The CRCs are put right first, or nothing would get past them. */
#include <stdlib.h>
#include <string.h>

#include "server/audit/checkpoint.h"
#include "server/audit/frame.h"
#include "server/audit/record.h"

enum { ARENA = 1 << 20, MOST = 64 * 1024, HEADER_CRC_AT = KV_SEGMENT_HEADER_BYTES - 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_number(uint8_t *out, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(number >> (8 * (3 - i)));
}

static void read_record(kv_slice message)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA);
    uint8_t packed[KV_AUDIT_RECORD_BYTES];
    kv_audit_record record;
    kv_error err = { 0 };

    (void)kv_audit_record_number(message, KV_AUDIT_TIME_MS);
    (void)kv_audit_record_number(message, KV_AUDIT_STORE_VERSION);
    if (kv_audit_record_unpack(message, &arena, &record, &err) == KV_OK)
        (void)kv_audit_record_pack(&record, packed);
    else if (err.status != KV_BAD_REQUEST && err.status != KV_BUSY)
        abort();
}

/* What is read is spelled again in the same bytes: they are what is signed. */
static void read_checkpoint(kv_slice message)
{
    uint8_t again[KV_CHECKPOINT_BYTES];
    kv_checkpoint checkpoint;
    kv_error err = { 0 };

    if (kv_checkpoint_unpack(message, &checkpoint, &err) != KV_OK) {
        if (err.status != KV_BAD_REQUEST)
            abort();
        return;
    }
    if (!kv_slice_equal(message, kv_slice_of(again, kv_checkpoint_pack(&checkpoint, again))))
        abort();
    (void)kv_checkpoint_signed_by(&checkpoint, message);
}

/* As a reader goes through a segment; the frame at `at` gets the CRC it should have. */
static size_t read_frame(uint8_t *bytes, size_t size)
{
    size_t len = size < 4 ? 0
                          : (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 |
                                (size_t)bytes[2] << 8 | bytes[3];
    size_t whole = KV_FRAME_HEAD_BYTES + len + KV_FRAME_HASH_BYTES;
    kv_frame frame;

    if (size >= KV_FRAME_HEAD_BYTES && len <= KV_FRAME_PAYLOAD_BYTES && whole <= size)
        put_number(bytes + 4,
                   kv_crc32c(kv_crc32c(0, kv_slice_of(bytes, 4)),
                             kv_slice_of(bytes + KV_FRAME_HEAD_BYTES, len + KV_FRAME_HASH_BYTES)));
    if (kv_frame_parse(kv_slice_of(bytes, size), &frame) != KV_FRAME_GOOD)
        return 0;
    if (frame.kind == KV_FRAME_RECORD)
        read_record(frame.message);
    else if (frame.kind == KV_FRAME_CHECKPOINT)
        read_checkpoint(frame.message);
    return frame.bytes;
}

/* The header of what begins as one, with the CRC it should have; its length, or 0. */
static size_t read_header(uint8_t *bytes, size_t size)
{
    uint8_t again[KV_SEGMENT_HEADER_BYTES];
    kv_segment_header header;

    if (size < KV_SEGMENT_HEADER_BYTES || memcmp(bytes, "KVAUDIT1", 8) != 0)
        return 0;
    put_number(bytes + HEADER_CRC_AT, kv_crc32c(0, kv_slice_of(bytes, HEADER_CRC_AT)));
    if (!kv_segment_header_parse(kv_slice_of(bytes, size), &header))
        return 0;
    kv_segment_header_pack(&header, again);
    return sizeof(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = malloc(MOST);
    size_t step = 1;

    size = size < MOST ? size : MOST;
    if (!bytes)
        return 0;
    if (size)
        memcpy(bytes, data, size);
    for (size_t at = read_header(bytes, size); step && at < size; at += step)
        step = read_frame(bytes + at, size - at);
    free(bytes);
    return 0;
}
