/* seal.h - signatures over rows: what is signed, and checking it in software.
 *
 * A seal is an ECDSA P-256 signature (r || s) over the SHA-256 of a domain string, the instance id,
 * the table's name, the generation and every column, encoded as encode.h says. So a row verifies
 * only in its own table, under its own key, at its own generation, on its own server.
 *
 * Threads: any, adding keys included.
 */
#pragma once

#include "server/base/error.h"
#include "server/store/records.h"

enum { KV_SEAL_DIGEST_BYTES = 32 };

typedef struct kv_seal_checker kv_seal_checker;

/* The digest that is signed. KV_INTERNAL when SHA-256 is not to be had. */
kv_status kv_seal_digest(kv_slice instance, const kv_table *table, const void *row,
                         uint8_t out[KV_SEAL_DIGEST_BYTES], kv_error *err) KV_MUST_USE;

/* `instance` is copied (16 bytes). NULL when out of memory. */
kv_seal_checker *kv_seal_checker_new(kv_slice instance);
void kv_seal_checker_free(kv_seal_checker *checker);

/* As kv_records_add_seal_key. */
kv_status kv_seal_checker_add(kv_seal_checker *checker, const uint8_t key_id[KV_SEAL_KEY_ID_BYTES],
                              kv_slice spki, kv_error *err) KV_MUST_USE;

/* KV_INTERNAL with KV_REASON_INTEGRITY; the detail says table, key and what is wrong. Rows that
 * verified before are recognised by a hash of (digest, seal, key id). */
kv_status kv_seal_check(kv_seal_checker *checker, const kv_table *table, const void *row,
                        kv_error *err) KV_MUST_USE;

/* The error of a row that cannot be trusted. */
kv_status kv_seal_broken(const kv_table *table, const void *row, const char *why, kv_error *err);
