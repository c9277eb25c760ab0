/* checkpoint.h - a signed statement of how far the chain goes.
 *
 * Encoded as the protobuf message keyvault.v1.AuditCheckpoint. The signature is ECDSA P-256 (r ||
 * s) over the SHA-256 of the encoding without the signature field.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

typedef struct kv_checkpoint {
    uint64_t sequence; /* of the last record it covers; 0: none yet */
    uint8_t head[32];  /* that record's hash; zero for sequence 0 */
    int64_t time_ms;
    int64_t store_version; /* of the newest change in the chain so far */
    uint8_t store_digest[32];
    uint8_t node[16];
    char kid[33];
    uint8_t signature[64];
} kv_checkpoint;

enum { KV_CHECKPOINT_BYTES = 512 };

/* The message with its signature; gives how many bytes (at most KV_CHECKPOINT_BYTES). */
size_t kv_checkpoint_pack(const kv_checkpoint *checkpoint, uint8_t out[KV_CHECKPOINT_BYTES]);
/* KV_BAD_REQUEST for bytes that are not a checkpoint. */
kv_status kv_checkpoint_unpack(kv_slice bytes, kv_checkpoint *out, kv_error *err) KV_MUST_USE;
/* What is signed. */
void kv_checkpoint_digest(const kv_checkpoint *checkpoint, uint8_t digest[32]);
/* True when the signature is good under the DER public key. */
bool kv_checkpoint_signed_by(const kv_checkpoint *checkpoint, kv_slice spki);
