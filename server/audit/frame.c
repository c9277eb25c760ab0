/* frame.c - packing and parsing of segment headers and frames. */
#include "server/audit/frame.h"

#include <stdio.h>

/* The plain SHA-256 functions cannot fail and allocate nothing, which a hash per record needs;
 * OpenSSL 3 calls them deprecated. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/sha.h>

#include "server/base/text.h"

enum { HEADER_CRC_AT = KV_SEGMENT_HEADER_BYTES - 4, NAME_DIGITS = 20 };

static const char magic[8] = { 'K', 'V', 'A', 'U', 'D', 'I', 'T', '1' };

static void put32(uint8_t *out, uint32_t value)
{
    for (int i = 3; i >= 0; i--, value >>= 8)
        out[i] = (uint8_t)value;
}

static void put64(uint8_t *out, uint64_t value)
{
    put32(out, (uint32_t)(value >> 32));
    put32(out + 4, (uint32_t)value);
}

static uint32_t get32(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static uint64_t get64(const uint8_t *in)
{
    return (uint64_t)get32(in) << 32 | get32(in + 4);
}

void kv_segment_name(uint64_t first, char name[KV_SEGMENT_NAME_BYTES])
{
    (void)snprintf(name, KV_SEGMENT_NAME_BYTES, "%020llu.kva", (unsigned long long)first);
}

bool kv_segment_name_parse(const char *name, uint64_t *first)
{
    if (strlen(name) != NAME_DIGITS + 4 || strcmp(name + NAME_DIGITS, ".kva") != 0)
        return false;
    return kv_text_number(kv_slice_of(name, NAME_DIGITS), UINT64_MAX, first);
}

void kv_segment_header_pack(const kv_segment_header *header, uint8_t out[KV_SEGMENT_HEADER_BYTES])
{
    memset(out, 0, KV_SEGMENT_HEADER_BYTES);
    memcpy(out, magic, 8);
    put32(out + 8, KV_SEGMENT_VERSION);
    put32(out + 12, KV_SEGMENT_HEADER_BYTES);
    memcpy(out + 16, header->node, 16);
    put64(out + 32, header->first);
    memcpy(out + 40, header->before, 32);
    put64(out + 72, (uint64_t)header->created_ms);
    put64(out + 80, (uint64_t)header->store_version);
    memcpy(out + 88, header->store_digest, 32);
    memcpy(out + 120, header->kid, 32);
    put32(out + HEADER_CRC_AT, kv_crc32c(0, kv_slice_of(out, HEADER_CRC_AT)));
}

bool kv_segment_header_parse(kv_slice bytes, kv_segment_header *out)
{
    const uint8_t *in = bytes.data;

    if (bytes.len < KV_SEGMENT_HEADER_BYTES ||
        !kv_slice_starts_with(bytes, kv_slice_of(magic, sizeof(magic))) ||
        get32(in + 8) != KV_SEGMENT_VERSION || get32(in + 12) != KV_SEGMENT_HEADER_BYTES ||
        get32(in + HEADER_CRC_AT) != kv_crc32c(0, kv_slice_of(in, HEADER_CRC_AT)))
        return false;
    memcpy(out->node, in + 16, 16);
    out->first = get64(in + 32);
    memcpy(out->before, in + 40, 32);
    out->created_ms = (int64_t)get64(in + 72);
    out->store_version = (int64_t)get64(in + 80);
    memcpy(out->store_digest, in + 88, 32);
    memcpy(out->kid, in + 120, 32);
    out->kid[32] = '\0';
    return true;
}

void kv_chain_hash(const uint8_t before[32], kv_slice bytes, uint8_t out[32])
{
    SHA256_CTX context;

    SHA256_Init(&context);
    SHA256_Update(&context, before, 32);
    SHA256_Update(&context, bytes.data, bytes.len);
    SHA256_Final(out, &context);
}

/* Of length, payload and hash, which stand around the checksum itself. */
static uint32_t frame_crc(const uint8_t *frame, size_t payload)
{
    uint32_t crc = kv_crc32c(0, kv_slice_of(frame, 4));

    return kv_crc32c(crc, kv_slice_of(frame + KV_FRAME_HEAD_BYTES, payload + KV_FRAME_HASH_BYTES));
}

void kv_frame_pack(kv_frame_kind kind, kv_slice message, const uint8_t before[32], uint8_t *out,
                   uint8_t hash[32])
{
    size_t payload = 1 + message.len;
    uint8_t *at = out + KV_FRAME_HEAD_BYTES;

    put32(out, (uint32_t)payload);
    *at++ = (uint8_t)kind;
    memmove(at, message.data, message.len);
    kv_chain_hash(before, kv_slice_of(at, message.len), hash);
    memcpy(at + message.len, hash, KV_FRAME_HASH_BYTES);
    put32(out + 4, frame_crc(out, payload));
}

kv_frame_state kv_frame_parse(kv_slice bytes, kv_frame *out)
{
    size_t payload;

    if (bytes.len == 0)
        return KV_FRAME_END;
    if (bytes.len < 4)
        return KV_FRAME_CUT;
    payload = get32(bytes.data);
    if (payload == 0)
        return KV_FRAME_END;
    if (payload > KV_FRAME_PAYLOAD_BYTES)
        return KV_FRAME_BAD;
    if (bytes.len < KV_FRAME_HEAD_BYTES + payload + KV_FRAME_HASH_BYTES)
        return KV_FRAME_CUT;
    if (get32(bytes.data + 4) != frame_crc(bytes.data, payload))
        return KV_FRAME_BAD;
    out->kind = (kv_frame_kind)bytes.data[KV_FRAME_HEAD_BYTES];
    if (out->kind != KV_FRAME_RECORD && out->kind != KV_FRAME_CHECKPOINT)
        return KV_FRAME_BAD;
    out->message = kv_slice_of(bytes.data + KV_FRAME_HEAD_BYTES + 1, payload - 1);
    memcpy(out->hash, bytes.data + KV_FRAME_HEAD_BYTES + payload, KV_FRAME_HASH_BYTES);
    out->bytes = KV_FRAME_HEAD_BYTES + payload + KV_FRAME_HASH_BYTES;
    return KV_FRAME_GOOD;
}
