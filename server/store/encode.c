/* encode.c - length-prefixed values into a message digest. */
#include "server/store/encode.h"

#include "server/store/row.h"

static void put(kv_encoder *encoder, const void *data, size_t len)
{
    if (!encoder->failed && len && EVP_DigestUpdate(encoder->digest, data, len) != 1)
        encoder->failed = true;
}

static void put_number(kv_encoder *encoder, uint64_t number)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(number >> (8 * (sizeof(bytes) - 1 - i)));
    put(encoder, bytes, sizeof(bytes));
}

kv_encoder kv_encode_begin(const EVP_MD *md)
{
    kv_encoder encoder = { .digest = EVP_MD_CTX_new() };

    encoder.failed = !encoder.digest || EVP_DigestInit_ex(encoder.digest, md, NULL) != 1;
    return encoder;
}

void kv_encode_integer(kv_encoder *encoder, int64_t value)
{
    put_number(encoder, sizeof(value));
    put_number(encoder, (uint64_t)value);
}

void kv_encode_bytes(kv_encoder *encoder, kv_slice bytes)
{
    put_number(encoder, bytes.len);
    put(encoder, bytes.data, bytes.len);
}

static void put_column(kv_encoder *encoder, const kv_column *column, const void *row)
{
    uint8_t kind = (uint8_t)column->kind;
    bool integer = column->kind == KV_COLUMN_INTEGER;

    if (integer ? kv_row_integer(column, row) == 0 : kv_row_slice(column, row).len == 0)
        return;
    kv_encode_bytes(encoder, kv_slice_text(column->name));
    put(encoder, &kind, 1);
    if (integer)
        kv_encode_integer(encoder, kv_row_integer(column, row));
    else
        kv_encode_bytes(encoder, kv_row_slice(column, row));
}

void kv_encode_key(kv_encoder *encoder, const kv_table *table, const void *row)
{
    kv_encode_bytes(encoder, kv_slice_text(table->name));
    for (unsigned i = 0; i < table->key_count; i++)
        put_column(encoder, &table->columns[i], row);
}

void kv_encode_columns(kv_encoder *encoder, const kv_table *table, const void *row)
{
    for (unsigned i = 0; i < table->column_count; i++)
        put_column(encoder, &table->columns[i], row);
}

bool kv_encode_finish(kv_encoder *encoder, void *out, size_t len)
{
    bool good = !encoder->failed;

    if (good) {
        const EVP_MD *md = EVP_MD_CTX_get0_md(encoder->digest);

        if (EVP_MD_get_flags(md) & EVP_MD_FLAG_XOF)
            good = EVP_DigestFinalXOF(encoder->digest, out, len) == 1;
        else
            good = len == (size_t)EVP_MD_get_size(md) &&
                   EVP_DigestFinal_ex(encoder->digest, out, NULL) == 1;
    }
    EVP_MD_CTX_free(encoder->digest);
    encoder->digest = NULL;
    encoder->failed = true;
    return good;
}

bool kv_encode_key_hash(const kv_table *table, const void *row, uint8_t out[KV_ENCODE_HASH_BYTES])
{
    kv_encoder encoder = kv_encode_begin(EVP_sha256());

    kv_encode_key(&encoder, table, row);
    return kv_encode_finish(&encoder, out, KV_ENCODE_HASH_BYTES);
}
