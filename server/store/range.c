/* range.c - keys as bytes that sort, and what a range adds to the digest of the store. */
#include "server/store/range.h"

#include <string.h>

#include "server/store/encode.h"
#include "server/store/row.h"

enum { INTEGER_BYTES = 8, ZERO_FOLLOWS = 0xff, END_ZEROS = 2 };

static const kv_slice domain = { (const uint8_t *)"keyvault range 1", 16 };

static bool put(kv_sorted_key *key, uint8_t byte)
{
    if (key->len == sizeof(key->bytes))
        return false;
    key->bytes[key->len++] = byte;
    return true;
}

/* Big-endian, the sign turned round: negative numbers come first. */
static bool put_integer(kv_sorted_key *key, int64_t value)
{
    uint64_t turned = (uint64_t)value ^ UINT64_C(1) << 63;

    for (int shift = 8 * (INTEGER_BYTES - 1); shift >= 0; shift -= 8)
        if (!put(key, (uint8_t)(turned >> shift)))
            return false;
    return true;
}

/* Two zeros end it, a zero inside is followed by 0xff: what begins like another comes first. */
static bool put_bytes(kv_sorted_key *key, kv_slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (!put(key, bytes.data[i]) || (!bytes.data[i] && !put(key, ZERO_FOLLOWS)))
            return false;
    for (unsigned i = 0; i < END_ZEROS; i++)
        if (!put(key, 0))
            return false;
    return true;
}

bool kv_sort_key(const kv_table *table, unsigned columns, const void *row, kv_sorted_key *out)
{
    out->len = 0;
    for (unsigned i = 0; i < columns; i++) {
        const kv_column *column = &table->columns[i];

        if (!(column->kind == KV_COLUMN_INTEGER ? put_integer(out, kv_row_integer(column, row))
                                                : put_bytes(out, kv_row_slice(column, row))))
            return false;
    }
    return true;
}

static bool take_integer(const kv_sorted_key *key, size_t *at, int64_t *out)
{
    uint64_t turned = 0;

    if (key->len - *at < INTEGER_BYTES)
        return false;
    for (int i = 0; i < INTEGER_BYTES; i++)
        turned = turned << 8 | key->bytes[(*at)++];
    *out = (int64_t)(turned ^ UINT64_C(1) << 63);
    return true;
}

static bool take_bytes(const kv_sorted_key *key, size_t *at, uint8_t *room, kv_slice *out)
{
    size_t len = 0;

    while (*at < key->len) {
        uint8_t byte = key->bytes[(*at)++];

        if (!byte) {
            if (*at == key->len)
                return false;
            if (!key->bytes[(*at)++]) {
                *out = kv_slice_of(room, len);
                return true;
            }
            if (key->bytes[*at - 1] != ZERO_FOLLOWS)
                return false;
        }
        room[len++] = byte;
    }
    return false;
}

bool kv_unsort_key(const kv_table *table, const kv_sorted_key *key,
                   uint8_t room[KV_RANGE_KEY_BYTES], void *row)
{
    size_t at = 0;

    for (unsigned i = 0; i < table->key_count; i++) {
        const kv_column *column = &table->columns[i];
        int64_t integer = 0;
        kv_slice bytes;

        /* What is read is never longer than what it is read from: `room` + `at` has room. */
        if (column->kind == KV_COLUMN_INTEGER) {
            if (!take_integer(key, &at, &integer))
                return false;
            kv_row_set_integer(column, row, integer);
        } else {
            if (!take_bytes(key, &at, room + at, &bytes))
                return false;
            kv_row_set_slice(column, row, bytes);
        }
    }
    return at == key->len;
}

int kv_sorted_key_compare(const kv_sorted_key *left, const kv_sorted_key *right)
{
    size_t common = left->len < right->len ? left->len : right->len;
    int order = memcmp(left->bytes, right->bytes, common);

    return order ? order : (left->len > right->len) - (left->len < right->len);
}

bool kv_sorted_key_until(const kv_sorted_key *key, const kv_sorted_key *prefix)
{
    size_t common = key->len < prefix->len ? key->len : prefix->len;

    return memcmp(key->bytes, prefix->bytes, common) <= 0;
}

/* --- the set of ranges --- */

static bool expand(const kv_table *table, const kv_range *range, kv_multiset *out)
{
    kv_encoder encoder = kv_encode_begin(EVP_shake256());
    uint8_t digest[KV_MULTISET_DIGEST_BYTES];
    bool good = kv_multiset_digest(&range->set, digest);

    kv_encode_bytes(&encoder, domain);
    kv_encode_bytes(&encoder, kv_slice_text(table->name));
    kv_encode_bytes(&encoder, kv_slice_of(range->first.bytes, range->first.len));
    kv_encode_integer(&encoder, range->rows);
    kv_encode_bytes(&encoder, kv_slice_of(digest, sizeof(digest)));
    return kv_encode_finish(&encoder, out->lanes, sizeof(out->lanes)) && good;
}

bool kv_ranges_add(kv_multiset *ranges, const kv_table *table, const kv_range *range)
{
    kv_multiset element;

    if (!expand(table, range, &element))
        return false;
    kv_multiset_plus(ranges, &element);
    return true;
}

bool kv_ranges_remove(kv_multiset *ranges, const kv_table *table, const kv_range *range)
{
    kv_multiset element;

    if (!expand(table, range, &element))
        return false;
    kv_multiset_minus(ranges, &element);
    return true;
}
