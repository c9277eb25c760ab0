/* wording.c - prefixes, timeouts, percent and base64. */
#include "server/front/grpc/wording.h"

#include <inttypes.h>
#include <stdio.h>

#include <openssl/evp.h>

#include "server/base/text.h"

enum { MOST_DIGITS = 8 };

void kv_grpc_prefix(uint32_t len, uint8_t out[KV_GRPC_PREFIX_BYTES])
{
    out[0] = 0;
    out[1] = (uint8_t)(len >> 24);
    out[2] = (uint8_t)(len >> 16);
    out[3] = (uint8_t)(len >> 8);
    out[4] = (uint8_t)len;
}

uint32_t kv_grpc_prefix_length(const uint8_t prefix[KV_GRPC_PREFIX_BYTES])
{
    return (uint32_t)prefix[1] << 24 | (uint32_t)prefix[2] << 16 | (uint32_t)prefix[3] << 8 |
           prefix[4];
}

bool kv_grpc_timeout_parse(kv_slice text, int64_t *ms)
{
    uint64_t number;
    int64_t value;

    if (text.len < 2 || text.len > MOST_DIGITS + 1 ||
        !kv_text_number(kv_slice_of(text.data, text.len - 1), 99999999, &number))
        return false;
    value = (int64_t)number;
    switch (text.data[text.len - 1]) {
    case 'H':
        *ms = value * 3600 * 1000;
        return true;
    case 'M':
        *ms = value * 60 * 1000;
        return true;
    case 'S':
        *ms = value * 1000;
        return true;
    case 'm':
        *ms = value;
        return true;
    case 'u':
        *ms = (value + 999) / 1000;
        return true;
    case 'n':
        *ms = (value + 999999) / 1000000;
        return true;
    default:
        return false;
    }
}

void kv_grpc_timeout_text(int64_t ms, char out[KV_GRPC_TIMEOUT_TEXT_BYTES])
{
    const int64_t most = 99999999;

    if (ms < 1)
        ms = 1;
    if (ms <= most)
        (void)snprintf(out, KV_GRPC_TIMEOUT_TEXT_BYTES, "%" PRId64 "m", ms);
    else if (ms / 1000 <= most)
        (void)snprintf(out, KV_GRPC_TIMEOUT_TEXT_BYTES, "%" PRId64 "S", ms / 1000);
    else
        (void)snprintf(out, KV_GRPC_TIMEOUT_TEXT_BYTES, "%" PRId64 "S", most);
}

kv_status kv_grpc_percent(kv_arena *arena, kv_slice text, kv_slice *out, kv_error *err)
{
    static const char digits[] = "0123456789ABCDEF";
    uint8_t *data = kv_arena_alloc(arena, text.len * 3);
    size_t len = 0;

    if (!data)
        return kv_arena_full(err);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if (c >= 0x20 && c <= 0x7e && c != '%') {
            data[len++] = c;
            continue;
        }
        data[len++] = '%';
        data[len++] = (uint8_t)digits[c >> 4];
        data[len++] = (uint8_t)digits[c & 15];
    }
    *out = kv_slice_of(data, len);
    return KV_OK;
}

kv_status kv_grpc_unpercent(kv_arena *arena, kv_slice text, kv_slice *out, kv_error *err)
{
    uint8_t *data = kv_arena_alloc(arena, text.len);
    size_t len = 0;

    if (!data)
        return kv_arena_full(err);
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '%' && i + 2 < text.len &&
            kv_unhex(kv_slice_of(text.data + i + 1, 2), data + len, 1)) {
            i += 2;
            len++;
            continue;
        }
        data[len++] = text.data[i];
    }
    *out = kv_slice_of(data, len);
    return KV_OK;
}

kv_status kv_grpc_base64(kv_arena *arena, kv_slice bytes, kv_slice *out, kv_error *err)
{
    uint8_t *data = kv_arena_alloc(arena, (bytes.len + 2) / 3 * 4 + 1);
    size_t len;

    if (!data)
        return kv_arena_full(err);
    len = (size_t)EVP_EncodeBlock(data, bytes.data, (int)bytes.len);
    while (len && data[len - 1] == '=')
        len--;
    *out = kv_slice_of(data, len);
    return KV_OK;
}

kv_status kv_grpc_unbase64(kv_arena *arena, kv_slice text, kv_slice *out, kv_error *err)
{
    size_t padded, len, missing;
    uint8_t *padded_text, *data;
    int got;

    while (text.len && text.data[text.len - 1] == '=')
        text.len--;
    padded = (text.len + 3) / 4 * 4;
    missing = padded - text.len;
    if (missing == 3)
        return kv_fail(err, KV_BAD_REQUEST, "malformed base64");
    padded_text = kv_arena_alloc(arena, padded + 1);
    data = kv_arena_alloc(arena, padded / 4 * 3 + 1);
    if (!padded_text || !data)
        return kv_arena_full(err);
    if (text.len)
        memcpy(padded_text, text.data, text.len);
    memset(padded_text + text.len, '=', missing);
    got = EVP_DecodeBlock(data, padded_text, (int)padded);
    if (got < 0)
        return kv_fail(err, KV_BAD_REQUEST, "malformed base64");
    len = (size_t)got - missing;
    *out = kv_slice_of(data, len);
    return KV_OK;
}

kv_status kv_grpc_status_of(int code)
{
    for (kv_status status = KV_OK; status < KV_STATUS_COUNT; status++)
        if (kv_status_spelling(status)->grpc == code)
            return status;
    return code == 11 ? KV_BAD_REQUEST : KV_INTERNAL; /* 11 is OUT_OF_RANGE */
}
