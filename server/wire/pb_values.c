/* pb_values.c - the values that many requests have: times, ids, tags, attributes, sets. */
#include "server/base/text.h"
#include "server/wire/pb_impl.h"

_Static_assert((int)KV_KEY_TYPE_EC == KEYVAULT__V1__KEY_TYPE__KEY_TYPE_EC &&
                   (int)KV_KEY_TYPE_RSA == KEYVAULT__V1__KEY_TYPE__KEY_TYPE_RSA &&
                   (int)KV_KEY_TYPE_OCT == KEYVAULT__V1__KEY_TYPE__KEY_TYPE_OCT &&
                   (int)KV_KEY_TYPE_OKP == KEYVAULT__V1__KEY_TYPE__KEY_TYPE_OKP,
               "the numbers of the .proto");
_Static_assert((int)KV_CURVE_P256 == KEYVAULT__V1__CURVE__CURVE_P256 &&
                   (int)KV_CURVE_P384 == KEYVAULT__V1__CURVE__CURVE_P384 &&
                   (int)KV_CURVE_P521 == KEYVAULT__V1__CURVE__CURVE_P521 &&
                   (int)KV_CURVE_P256K == KEYVAULT__V1__CURVE__CURVE_P256K &&
                   (int)KV_CURVE_ED25519 == KEYVAULT__V1__CURVE__CURVE_ED25519,
               "the numbers of the .proto");
_Static_assert(KV_KEY_OP_SIGN == 1u << KEYVAULT__V1__KEY_OPERATION__KEY_OPERATION_SIGN &&
                   KV_KEY_OP_UNWRAP_KEY ==
                       1u << KEYVAULT__V1__KEY_OPERATION__KEY_OPERATION_UNWRAP_KEY &&
                   KV_KEY_OP_IMPORT == 1u << KEYVAULT__V1__KEY_OPERATION__KEY_OPERATION_IMPORT,
               "the numbers of the .proto");

/* 9999-12-31T23:59:59Z */
#define LAST_SECOND INT64_C(253402300799)

static const char *const collections[KV_COLLECTION_COUNT] = { "", "certificates", "keys",
                                                              "secrets" };

kv_status kv_pb_collection(const char *text, kv_collection *out, kv_error *err)
{
    for (int i = 0; i < KV_COLLECTION_COUNT; i++)
        if (!strcmp(text, collections[i])) {
            *out = (kv_collection)i;
            return KV_OK;
        }
    return kv_fail_field(err, "collection", "must be certificates, keys or secrets");
}

const char *kv_pb_collection_name(kv_collection collection)
{
    return collections[collection];
}

kv_status kv_pb_time(int64_t seconds, const char *field, int64_t *out, kv_error *err)
{
    if (seconds < 0 || seconds > LAST_SECOND)
        return kv_fail_field(err, field, "must be seconds since 1970, before the year 10000");
    *out = seconds * 1000;
    return KV_OK;
}

kv_status kv_pb_id(kv_arena *arena, const char *text, const char *field, bool optional,
                   kv_slice *out, kv_error *err)
{
    kv_slice digits = kv_slice_text(text);
    uint8_t *bytes;

    if (optional && !digits.len) {
        *out = KV_SLICE_NONE;
        return KV_OK;
    }
    bytes = kv_arena_alloc(arena, 16);
    if (!bytes)
        return kv_arena_full(err);
    if (digits.len != 32 || !kv_unhex(digits, bytes, 16))
        return kv_fail_field(err, field, "must be 32 hexadecimal digits");
    *out = kv_slice_of(bytes, 16);
    return KV_OK;
}

kv_status kv_pb_fixed(ProtobufCBinaryData bytes, size_t must, const char *field, kv_slice *out,
                      kv_error *err)
{
    if (bytes.len != must)
        return kv_fail_field(err, field, "must be %zu bytes long", must);
    *out = kv_pb_slice(bytes);
    return KV_OK;
}

kv_status kv_pb_attributes_in(const Keyvault__V1__AttributesInput *from, kv_attributes_in *out,
                              kv_error *err)
{
    if (!from)
        return KV_OK;
    out->has_enabled = from->has_enabled_case != 0;
    out->enabled = out->has_enabled && from->enabled;
    out->has_not_before = from->has_not_before_case != 0;
    if (out->has_not_before)
        KV_TRY(kv_pb_time(from->not_before, "attributes.not_before", &out->not_before, err));
    out->has_expires = from->has_expires_case != 0;
    if (out->has_expires)
        KV_TRY(kv_pb_time(from->expires, "attributes.expires", &out->expires, err));
    return KV_OK;
}

kv_status kv_pb_tags_in(size_t count, Keyvault__V1__Tag *const *from, kv_arena *arena, kv_tags *out,
                        kv_error *err)
{
    kv_tag *items = kv_arena_array(arena, count, sizeof(*items));

    if (!items)
        return kv_arena_full(err);
    for (size_t i = 0; i < count; i++) {
        items[i].name = kv_slice_text(from[i]->name);
        items[i].value = kv_slice_text(from[i]->value);
    }
    *out = (kv_tags){ .given = count > 0, .items = items, .count = count };
    return KV_OK;
}

kv_status kv_pb_tag_list_in(const Keyvault__V1__TagList *from, kv_arena *arena, kv_tags *out,
                            kv_error *err)
{
    if (!from)
        return KV_OK;
    KV_TRY(kv_pb_tags_in(from->n_items, from->items, arena, out, err));
    out->given = true;
    return KV_OK;
}

uint32_t kv_pb_mask(size_t count, const int *numbers)
{
    uint32_t mask = 0;

    for (size_t i = 0; i < count; i++)
        if (numbers[i] > 0 && numbers[i] < 32)
            mask |= UINT32_C(1) << numbers[i];
    return mask;
}

kv_status kv_pb_texts_in(size_t count, char *const *from, kv_arena *arena, kv_x509_list *out,
                         kv_error *err)
{
    kv_slice *items = kv_arena_array(arena, count, sizeof(*items));

    if (!items)
        return kv_arena_full(err);
    for (size_t i = 0; i < count; i++)
        items[i] = kv_slice_text(from[i]);
    *out = (kv_x509_list){ .items = items, .count = count };
    return KV_OK;
}

kv_status kv_pb_x5c_in(size_t count, const ProtobufCBinaryData *from, kv_arena *arena,
                       kv_x509_list *out, kv_error *err)
{
    kv_slice *items;

    if (!count)
        return kv_fail_field(err, "x5c", "is required");
    if (count > KV_X5C_MAX)
        return kv_fail_field(err, "x5c", "has at most %d elements", KV_X5C_MAX);
    items = kv_arena_array(arena, count, sizeof(*items));
    if (!items)
        return kv_arena_full(err);
    for (size_t i = 0; i < count; i++)
        items[i] = kv_pb_slice(from[i]);
    *out = (kv_x509_list){ .items = items, .count = count };
    return KV_OK;
}
