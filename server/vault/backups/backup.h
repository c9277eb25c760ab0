/* backup.h - the container of a backup: rows of one object, each encrypted. Inner to vault.
 *
 *   "kvbackup" | version, 1 byte | collection, 1 byte | id of the backup key, 16 bytes | random id
 *   of this backup, 16 bytes | records
 *
 * A record is its length (4 bytes, big-endian) and what kv_token_encrypt gives; the last one is
 * empty. Each is bound to the header, to this installation, to its place and to being the last, so
 * nothing can be changed, left out, repeated or put in from elsewhere. A row is its table's name
 * and its columns with their names: what a later version adds is absent in an older backup, and
 * what this version does not know is refused.
 *
 * Threads: one owner at a time.
 */
#pragma once

#include "server/vault/vault_impl.h"

enum {
    KV_BACKUP_MAX = 1000 * 1000, /* bytes: has to fit in the request that restores it */
    KV_BACKUP_HEADER = 42,
    KV_BACKUP_ROWS = 4000
};

typedef struct kv_backup_writer {
    kv_key_ref key;
    uint8_t *bytes; /* room for KV_BACKUP_MAX */
    size_t len;
    uint32_t index; /* of the next record */
} kv_backup_writer;

/* `out` is all zero, or begun before: then it begins anew. */
kv_status kv_backup_begin(kv_vault *vault, kv_work *work, kv_collection collection,
                          kv_backup_writer *out, kv_error *err) KV_MUST_USE;
/* `value` stands in a row of secret_versions for its ciphertext; NULL: there is none.
 * KV_PRECONDITION when the backup gets longer than KV_BACKUP_MAX. */
kv_status kv_backup_add(kv_vault *vault, kv_work *work, kv_backup_writer *writer,
                        const kv_table *table, const void *row, const kv_secret_buf *value,
                        kv_error *err) KV_MUST_USE;
kv_status kv_backup_end(kv_vault *vault, kv_work *work, kv_backup_writer *writer, kv_slice *out,
                        kv_error *err) KV_MUST_USE;

typedef struct kv_backup_reader {
    kv_key_ref key;
    kv_slice header;
    kv_slice rest;
    uint32_t index;
} kv_backup_reader;

/* KV_BAD_REQUEST about `value`, in one wording for everything but a wrong collection and a newer
 * version. */
kv_status kv_backup_open(kv_vault *vault, kv_work *work, kv_slice value, kv_collection collection,
                         kv_backup_reader *out, kv_error *err) KV_MUST_USE;
/* The next row, in work's arena; `*table` is NULL at the end. `value` is what stood for a
 * ciphertext, empty if nothing did. Errors as kv_backup_open. */
kv_status kv_backup_next(kv_vault *vault, kv_work *work, kv_backup_reader *reader,
                         const kv_table **table, void **row, kv_secret_buf *value,
                         kv_error *err) KV_MUST_USE;

/* --- backup_row.c: pure functions --- */

/* The row as bytes. A row of secret_versions has `value` in place of key and ciphertext. */
kv_status kv_backup_row_encode(const kv_table *table, const void *row, const kv_secret_buf *value,
                               kv_secret_buf *out, kv_error *err) KV_MUST_USE;
/* The way back. KV_BAD_REQUEST about `value`: not such bytes, or a table or column that this
 * version does not know. */
kv_status kv_backup_row_decode(kv_slice bytes, kv_arena *arena, const kv_table **table, void **row,
                               kv_secret_buf *value, kv_error *err) KV_MUST_USE;
/* The wording for whatever is wrong with a backup. */
kv_status kv_backup_bad(kv_error *err);
