/* backup_box.c - the container of a backup, closed by a key on the `system` token.
 *
 * The key is born with the first backup and named in `signers`; older ones go on opening what they
 * closed. It is never a vault's: a backup outlives its vault.
 */
#include "pkcs11/token_cipher.h"
#include "server/vault/backups/backup.h"

enum {
    VERSION = 1,
    AT_VERSION = 8,
    AT_COLLECTION = 9,
    AT_KEY = 10,
    AT_ID = 26,
    LENGTH_BYTES = 4,
    BOUND_BYTES = KV_BACKUP_HEADER + KV_UID_BYTES + LENGTH_BYTES + 1,
    KEYS_READ = 1000,
    ATTEMPTS = 3
};

static const uint8_t magic[AT_VERSION] = { 'k', 'v', 'b', 'a', 'c', 'k', 'u', 'p' };
#define PURPOSE KV_SLICE("backup")

/* The newest backup key, or the one called `wanted`; NULL when there is none. */
static kv_status find_key(kv_vault *vault, kv_work *work, kv_slice wanted,
                          const kv_signer_row **out, kv_error *err)
{
    kv_signer_row from = { 0 };
    kv_scan scan = { .table = &kv_table_signers, .from = &from, .limit = KEYS_READ };
    kv_rows rows;

    *out = NULL;
    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    for (unsigned i = 0; i < rows.count; i++) {
        const kv_signer_row *row = (const kv_signer_row *)rows.rows + i;

        if (kv_slice_equal(row->purpose, PURPOSE) && row->key_id.len == KV_KEY_ID_BYTES &&
            (!wanted.len || kv_slice_equal(row->key_id, wanted)) &&
            (!*out || row->created > (*out)->created))
            *out = row;
    }
    return KV_OK;
}

static kv_status new_key(kv_vault *vault, kv_work *work, kv_error *err)
{
    kv_signer_row signer = { .purpose = PURPOSE, .created = work->now_ms };
    kv_token_object_row key;
    kv_key_use_row use;
    kv_birth birth;
    kv_change change = { 0 };
    kv_status status;

    KV_TRY(kv_new_version(work, &signer.kid, err));
    KV_TRY(kv_box_new_key(vault, work, KV_SLICE_NONE, &birth, &key, &use, err));
    signer.key_id = key.key_id;
    KV_TRY(kv_change_update(&change, &kv_table_token_objects, &key, err));
    KV_TRY(kv_change_insert(&change, &kv_table_key_uses, &use, err));
    KV_TRY(kv_change_insert(&change, &kv_table_signers, &signer, err));
    status = kv_commit_step(vault, work, "BackupKeyCreate", &change, err);
    if (status != KV_OK)
        kv_birth_undo(vault, work, &birth);
    return status;
}

/* The key that closes now, with one use counted. */
static kv_status take_key(kv_vault *vault, kv_work *work, kv_key_ref *out, kv_error *err)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        const kv_signer_row *row;
        bool full = true;

        KV_TRY(find_key(vault, work, KV_SLICE_NONE, &row, err));
        if (row)
            KV_TRY(kv_key_use_take(vault, work, row->key_id, &full, err));
        if (!full) {
            *out = (kv_key_ref){ .class = KV_CLASS_SECRET };
            memcpy(out->id, row->key_id.data, KV_KEY_ID_BYTES);
            return KV_OK;
        }
        KV_TRY(new_key(vault, work, err));
    }
    return kv_fail(err, KV_BUSY, "the backup key is being rolled by others; try again");
}

/* What the record in a place is bound to. */
static void bind(const kv_vault *vault, const uint8_t *header, uint32_t index, bool last,
                 uint8_t out[BOUND_BYTES])
{
    memcpy(out, header, KV_BACKUP_HEADER);
    out += KV_BACKUP_HEADER;
    memcpy(out, vault->instance, KV_UID_BYTES);
    out += KV_UID_BYTES;
    for (unsigned i = 0; i < LENGTH_BYTES; i++)
        *out++ = (uint8_t)(index >> (8 * (LENGTH_BYTES - 1 - i)));
    *out = last;
}

kv_status kv_backup_begin(kv_vault *vault, kv_work *work, kv_collection collection,
                          kv_backup_writer *out, kv_error *err)
{
    kv_slice id;

    KV_TRY(take_key(vault, work, &out->key, err));
    KV_TRY(kv_new_uid(work, &id, err));
    if (!out->bytes)
        out->bytes = kv_arena_alloc(work->arena, KV_BACKUP_MAX);
    if (!out->bytes)
        return kv_arena_full(err);
    memcpy(out->bytes, magic, sizeof(magic));
    out->bytes[AT_VERSION] = VERSION;
    out->bytes[AT_COLLECTION] = (uint8_t)collection;
    memcpy(out->bytes + AT_KEY, out->key.id, KV_KEY_ID_BYTES);
    memcpy(out->bytes + AT_ID, id.data, id.len);
    out->len = KV_BACKUP_HEADER;
    out->index = 0;
    return KV_OK;
}

static kv_status too_long(kv_error *err)
{
    return kv_fail(err, KV_PRECONDITION, "with all its versions the backup has more than %d bytes",
                   KV_BACKUP_MAX);
}

static kv_status add_record(kv_vault *vault, kv_work *work, kv_backup_writer *writer,
                            kv_slice plaintext, bool last, kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(2 * KV_BACKUP_MAX);
    kv_token *token = kv_tokens_get(vault->config.tokens, KV_DUTY_SYSTEM);
    uint8_t bound[BOUND_BYTES];
    kv_slice sealed = KV_SLICE_NONE;
    bool full = false;

    if (writer->index) /* the first use was counted with the key */
        KV_TRY(kv_key_use_take(vault, work, kv_slice_of(writer->key.id, sizeof(writer->key.id)),
                               &full, err));
    if (full)
        return kv_fail(err, KV_BUSY, "the backup key is being rolled; try again");
    if (plaintext.len > KV_BACKUP_MAX)
        return too_long(err);
    bind(vault, writer->bytes, writer->index, last, bound);
    KV_TRY(kv_token_encrypt(token, &writer->key, plaintext, kv_slice_of(bound, sizeof(bound)),
                            &arena, &sealed, err));
    if (sealed.len + LENGTH_BYTES > KV_BACKUP_MAX - writer->len)
        return too_long(err);
    for (unsigned i = 0; i < LENGTH_BYTES; i++)
        writer->bytes[writer->len++] = (uint8_t)(sealed.len >> (8 * (LENGTH_BYTES - 1 - i)));
    memcpy(writer->bytes + writer->len, sealed.data, sealed.len);
    writer->len += sealed.len;
    writer->index++;
    return KV_OK;
}

kv_status kv_backup_add(kv_vault *vault, kv_work *work, kv_backup_writer *writer,
                        const kv_table *table, const void *row, const kv_secret_buf *value,
                        kv_error *err)
{
    KV_AUTO(kv_secret_buf) plaintext = KV_SECRET_NONE;

    if (writer->index == KV_BACKUP_ROWS)
        return kv_fail(err, KV_PRECONDITION, "a backup has at most %d rows", KV_BACKUP_ROWS);
    KV_TRY(kv_backup_row_encode(table, row, value, &plaintext, err));
    return add_record(vault, work, writer, kv_secret_buf_slice(&plaintext), false, err);
}

kv_status kv_backup_end(kv_vault *vault, kv_work *work, kv_backup_writer *writer, kv_slice *out,
                        kv_error *err)
{
    KV_TRY(add_record(vault, work, writer, KV_SLICE_NONE, true, err));
    *out = kv_slice_of(writer->bytes, writer->len);
    return KV_OK;
}

/* --- reading --- */

kv_status kv_backup_open(kv_vault *vault, kv_work *work, kv_slice value, kv_collection collection,
                         kv_backup_reader *out, kv_error *err)
{
    const kv_signer_row *row;

    if (value.len < KV_BACKUP_HEADER ||
        !kv_slice_equal(kv_slice_of(value.data, sizeof(magic)), kv_slice_of(magic, sizeof(magic))))
        return kv_backup_bad(err);
    if (value.data[AT_VERSION] > VERSION)
        return kv_fail_field(err, "value", "was made by a newer version of the server");
    if (value.data[AT_VERSION] != VERSION)
        return kv_backup_bad(err);
    if (value.data[AT_COLLECTION] != collection && value.data[AT_COLLECTION] &&
        value.data[AT_COLLECTION] < KV_COLLECTION_COUNT)
        return kv_fail_field(err, "value", "is the backup of a %s, not of a %s",
                             kv_collection_noun((kv_collection)value.data[AT_COLLECTION]),
                             kv_collection_noun(collection));
    if (value.data[AT_COLLECTION] != collection)
        return kv_backup_bad(err);
    KV_TRY(find_key(vault, work, kv_slice_of(value.data + AT_KEY, KV_KEY_ID_BYTES), &row, err));
    if (!row)
        return kv_backup_bad(err);
    *out = (kv_backup_reader){
        .key = { .class = KV_CLASS_SECRET },
        .header = kv_slice_of(value.data, KV_BACKUP_HEADER),
        .rest = kv_slice_of(value.data + KV_BACKUP_HEADER, value.len - KV_BACKUP_HEADER),
    };
    memcpy(out->key.id, row->key_id.data, KV_KEY_ID_BYTES);
    return KV_OK;
}

/* `*last`: nothing comes after it. */
static kv_status next_record(kv_backup_reader *reader, kv_slice *out, bool *last, kv_error *err)
{
    size_t len = 0;

    if (reader->rest.len < LENGTH_BYTES || reader->index > KV_BACKUP_ROWS)
        return kv_backup_bad(err);
    for (unsigned i = 0; i < LENGTH_BYTES; i++)
        len = len << 8 | reader->rest.data[i];
    if (len > reader->rest.len - LENGTH_BYTES)
        return kv_backup_bad(err);
    *out = kv_slice_of(reader->rest.data + LENGTH_BYTES, len);
    reader->rest =
        kv_slice_of(reader->rest.data + LENGTH_BYTES + len, reader->rest.len - LENGTH_BYTES - len);
    *last = !reader->rest.len;
    return KV_OK;
}

kv_status kv_backup_next(kv_vault *vault, kv_work *work, kv_backup_reader *reader,
                         const kv_table **table, void **row, kv_secret_buf *value, kv_error *err)
{
    KV_AUTO(kv_secret_buf) plaintext = KV_SECRET_NONE;
    kv_token *token = kv_tokens_get(vault->config.tokens, KV_DUTY_SYSTEM);
    uint8_t bound[BOUND_BYTES];
    kv_status status;
    kv_slice sealed = KV_SLICE_NONE;
    bool last = false;

    *table = NULL;
    *row = NULL;
    KV_TRY(next_record(reader, &sealed, &last, err));
    bind(vault, reader->header.data, reader->index++, last, bound);
    status = kv_token_decrypt(token, &reader->key, sealed, kv_slice_of(bound, sizeof(bound)),
                              &plaintext, err);
    if (status == KV_BAD_REQUEST)
        return kv_backup_bad(err);
    KV_TRY(status);
    if (last)
        return plaintext.len ? kv_backup_bad(err) : KV_OK;
    return kv_backup_row_decode(kv_secret_buf_slice(&plaintext), work->arena, table, row, value,
                                err);
}
