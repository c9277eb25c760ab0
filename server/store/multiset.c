/* multiset.c - sums of SHAKE256 expansions. */
#include "server/store/multiset.h"

#include "server/store/encode.h"

static const kv_slice domain = { (const uint8_t *)"keyvault multiset 1", 19 };

static bool expand(const kv_table *table, const void *row, int64_t generation, kv_multiset *out)
{
    kv_encoder encoder = kv_encode_begin(EVP_shake256());

    kv_encode_bytes(&encoder, domain);
    kv_encode_integer(&encoder, generation);
    kv_encode_key(&encoder, table, row);
    return kv_encode_finish(&encoder, out->lanes, sizeof(out->lanes));
}

static unsigned lane(const kv_multiset *set, size_t i)
{
    return (unsigned)set->lanes[2 * i] << 8 | set->lanes[2 * i + 1];
}

static void set_lane(kv_multiset *set, size_t i, unsigned value)
{
    set->lanes[2 * i] = (uint8_t)(value >> 8);
    set->lanes[2 * i + 1] = (uint8_t)value;
}

void kv_multiset_plus(kv_multiset *set, const kv_multiset *other)
{
    for (size_t i = 0; i < KV_MULTISET_LANES; i++)
        set_lane(set, i, lane(set, i) + lane(other, i));
}

void kv_multiset_minus(kv_multiset *set, const kv_multiset *other)
{
    for (size_t i = 0; i < KV_MULTISET_LANES; i++)
        set_lane(set, i, lane(set, i) - lane(other, i));
}

bool kv_multiset_add(kv_multiset *set, const kv_table *table, const void *row, int64_t generation)
{
    kv_multiset element;

    if (!expand(table, row, generation, &element))
        return false;
    kv_multiset_plus(set, &element);
    return true;
}

bool kv_multiset_remove(kv_multiset *set, const kv_table *table, const void *row,
                        int64_t generation)
{
    kv_multiset element;

    if (!expand(table, row, generation, &element))
        return false;
    kv_multiset_minus(set, &element);
    return true;
}

bool kv_multiset_digest(const kv_multiset *set, uint8_t out[KV_MULTISET_DIGEST_BYTES])
{
    return EVP_Digest(set->lanes, sizeof(set->lanes), out, NULL, EVP_sha256(), NULL) == 1;
}
