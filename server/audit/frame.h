/* frame.h - the bytes of a segment file: a header, then frames.
 *
 * A segment is named after the first sequence number it may hold, 20 digits, and ".kva". Numbers
 * are big-endian.
 *
 *   header  8 magic "KVAUDIT1" · 4 format version · 4 header length (160) · 16 node · 8 first
 *           sequence number · 32 hash of the record before · 8 created (ms; or
 *           since when the first record was owed) · 8 store version ·
 *           32 store digest · 32 signer kid (hex) · 4 zero · 4 CRC-32C of all before
 *   frame   4 payload length · 4 CRC-32C of length, payload and hash · payload · 32 hash
 *
 * A length of zero, or the end of the file, ends the segment. The payload is a kind byte and a
 * protobuf message. The hash of a record is SHA-256(hash before || message); the first record of a
 * segment follows on SHA-256(hash of the record before || header), so an edited header breaks the
 * chain. A checkpoint frame has the hash a record in its place would have, but the chain goes on
 * from the record before it. Before the first record of all stands a hash of 32 zero bytes.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/base/error.h"
#include "server/base/slice.h"

enum {
    KV_SEGMENT_HEADER_BYTES = 160,
    KV_SEGMENT_VERSION = 1,
    KV_SEGMENT_NAME_BYTES = 32, /* "00000000000000000001.kva" */
    KV_FRAME_HEAD_BYTES = 8,
    KV_FRAME_HASH_BYTES = 32,
    KV_FRAME_PAYLOAD_BYTES = 32768, /* most */
    KV_FRAME_BYTES = KV_FRAME_HEAD_BYTES + KV_FRAME_PAYLOAD_BYTES + KV_FRAME_HASH_BYTES
};

typedef enum kv_frame_kind { KV_FRAME_RECORD = 1, KV_FRAME_CHECKPOINT = 2 } kv_frame_kind;

typedef struct kv_segment_header {
    uint8_t node[16];
    uint64_t first;
    uint8_t before[32]; /* hash of record first - 1 */
    int64_t created_ms;
    int64_t store_version; /* of the newest change in the chain so far */
    uint8_t store_digest[32];
    char kid[33];
} kv_segment_header;

uint32_t kv_crc32c(uint32_t crc, kv_slice bytes);

void kv_segment_name(uint64_t first, char name[KV_SEGMENT_NAME_BYTES]);
/* False for any other file name. */
bool kv_segment_name_parse(const char *name, uint64_t *first);

void kv_segment_header_pack(const kv_segment_header *header, uint8_t out[KV_SEGMENT_HEADER_BYTES]);
/* False when magic, version, length or CRC are wrong. */
bool kv_segment_header_parse(kv_slice bytes, kv_segment_header *out);

/* SHA-256(before || bytes). */
void kv_chain_hash(const uint8_t before[32], kv_slice bytes, uint8_t out[32]);

/* What kv_frame_pack writes for a message of `len` bytes. */
static inline size_t kv_frame_bytes(size_t len)
{
    return KV_FRAME_HEAD_BYTES + 1 + len + KV_FRAME_HASH_BYTES;
}

/* Writes kv_frame_bytes(message.len) bytes; `hash` receives the frame's hash. */
void kv_frame_pack(kv_frame_kind kind, kv_slice message, const uint8_t before[32], uint8_t *out,
                   uint8_t hash[32]);

typedef struct kv_frame {
    kv_frame_kind kind;
    kv_slice message; /* borrowed from the bytes that were parsed */
    uint8_t hash[32]; /* as stored */
    size_t bytes;     /* of the whole frame */
} kv_frame;

typedef enum kv_frame_state {
    KV_FRAME_GOOD, /* length, kind and CRC are right; the hash is not looked at */
    KV_FRAME_END,  /* length zero, or no bytes left */
    KV_FRAME_BAD,  /* a length, CRC or kind that is impossible */
    KV_FRAME_CUT   /* goes on past the end */
} kv_frame_state;

kv_frame_state kv_frame_parse(kv_slice bytes, kv_frame *out);
