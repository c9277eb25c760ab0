/* tls_records.h - TLS records as no library would send them: empty, or of any type, and keys
 * changed at will. For clients whose own library did the handshake and sends nothing by itself
 * after it.
 *
 * Threads: one owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "server/base/slice.h"

enum {
    RECORDS_MOST = 64, /* bytes of a record's content */
    RECORDS_SECRET = 32,
    RECORDS_BYTES = RECORDS_MOST + 64, /* of what records_seal() writes */
};

/* Of AES-128-GCM with SHA-256, the only suite that is spoken here. */
typedef struct records {
    bool tls12;
    uint8_t secret[RECORDS_SECRET]; /* of TLS 1.3 */
    uint8_t key[16];
    uint8_t iv[12]; /* of TLS 1.2 only the first 4 */
    uint64_t sequence;
} records;

/* Before the handshake: its secrets go to `out`, which stays as long as the context. */
void records_listen(SSL_CTX *context, records *out);
/* After it, while nothing has been written over `ssl`. */
void records_begin(records *it, SSL *ssl);
/* Encrypts one record. Its length. */
size_t records_seal(records *it, uint8_t type, kv_slice content, uint8_t out[RECORDS_BYTES]);
/* What is sealed from now on has the next keys, as a KeyUpdate has told. */
void records_next_keys(records *it);
