/* encode.h - rows as bytes to hash: two different rows never give the same bytes.
 *
 * Every value is preceded by its length (8 bytes, big-endian), every column by its name and kind. A
 * column that is 0 or empty is left out, so a column added later leaves the hash of older rows as
 * it was. The bytes go straight to a message digest.
 *
 * Threads: one owner at a time.
 */
#pragma once

#include <stdbool.h>

#include <openssl/evp.h>

#include "server/store/table.h"

enum { KV_ENCODE_HASH_BYTES = 32 };

typedef struct kv_encoder {
    EVP_MD_CTX *digest;
    bool failed; /* an update failed or there is no digest; finishing says so */
} kv_encoder;

/* `md` such as EVP_sha256(). End with kv_encode_finish in any case. */
kv_encoder kv_encode_begin(const EVP_MD *md);
void kv_encode_integer(kv_encoder *encoder, int64_t value);
void kv_encode_bytes(kv_encoder *encoder, kv_slice bytes);
/* Table name and the columns of its primary key. */
void kv_encode_key(kv_encoder *encoder, const kv_table *table, const void *row);
/* Every column, those of the key too. */
void kv_encode_columns(kv_encoder *encoder, const kv_table *table, const void *row);
/* Fills `out` (for an extendable digest as long as wanted, else exactly its size); false when
 * anything failed since the beginning. Frees the digest. */
bool kv_encode_finish(kv_encoder *encoder, void *out, size_t len);

/* SHA-256 of kv_encode_key. False when the digest fails. */
bool kv_encode_key_hash(const kv_table *table, const void *row, uint8_t out[KV_ENCODE_HASH_BYTES]);
