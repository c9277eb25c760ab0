/* wording.h - the small spellings of gRPC over HTTP/2.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

enum {
    KV_GRPC_PREFIX_BYTES = 5,
    KV_GRPC_TIMEOUT_TEXT_BYTES = 32,
};

/* Before each message: not compressed, and its length. */
void kv_grpc_prefix(uint32_t len, uint8_t out[KV_GRPC_PREFIX_BYTES]);
uint32_t kv_grpc_prefix_length(const uint8_t prefix[KV_GRPC_PREFIX_BYTES]);

/* "100m", "5S"; at most eight digits. Rounded up to milliseconds. False when malformed. */
bool kv_grpc_timeout_parse(kv_slice text, int64_t *ms);
/* NUL-terminated; never less than 1 ms. */
void kv_grpc_timeout_text(int64_t ms, char out[KV_GRPC_TIMEOUT_TEXT_BYTES]);

/* grpc-message: all but printable ASCII as %XX, '%' too. KV_BUSY when the arena is full. */
kv_status kv_grpc_percent(kv_arena *arena, kv_slice text, kv_slice *out, kv_error *err) KV_MUST_USE;
/* Lenient: what is not %XX stays as it is. */
kv_status kv_grpc_unpercent(kv_arena *arena, kv_slice text, kv_slice *out,
                            kv_error *err) KV_MUST_USE;

/* Headers whose name ends in "-bin": standard base64 without padding. */
kv_status kv_grpc_base64(kv_arena *arena, kv_slice bytes, kv_slice *out, kv_error *err) KV_MUST_USE;
/* Padding is optional. KV_BAD_REQUEST when malformed. */
kv_status kv_grpc_unbase64(kv_arena *arena, kv_slice text, kv_slice *out,
                           kv_error *err) KV_MUST_USE;

/* The status that a gRPC code stands for; KV_INTERNAL for codes that say nothing to us. */
kv_status kv_grpc_status_of(int code);
