/* certificate_json.c - the small JSON values of an operation's row, and joined chains. */
#include <stdlib.h>

#include <jansson.h>

#include "server/vault/certificates/certificate_rules.h"

static kv_status dump(kv_work *work, KV_TAKES json_t *value, kv_slice *out, kv_error *err)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    kv_status status = text ? kv_arena_copy(work->arena, kv_slice_text(text), out, err)
                            : kv_fail(err, KV_BUSY, "out of memory");

    free(text);
    json_decref(value);
    return status;
}

static json_t *parse(kv_slice stored)
{
    return json_loadb((const char *)stored.data, stored.len, JSON_REJECT_DUPLICATES, NULL);
}

static json_t *tags_object(const kv_tags *tags)
{
    json_t *object = json_object();
    char name[KV_TAG_NAME_MAX + 1];

    for (size_t i = 0; i < tags->count; i++) {
        memcpy(name, tags->items[i].name.data, tags->items[i].name.len);
        name[tags->items[i].name.len] = '\0';
        if (json_object_set_new(object, name,
                                json_stringn((const char *)tags->items[i].value.data,
                                             tags->items[i].value.len)) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

kv_status kv_start_store(kv_work *work, bool enabled, const kv_tags *tags, kv_slice *out,
                         kv_error *err)
{
    return dump(work, json_pack("{s:b,s:o}", "enabled", (int)enabled, "tags", tags_object(tags)),
                out, err);
}

kv_status kv_start_load(kv_work *work, kv_slice stored, bool *enabled, kv_slice *tags,
                        kv_error *err)
{
    json_t *root = parse(stored);
    json_t *tag_object = json_object_get(root, "tags");
    kv_status status;

    if (!json_is_object(tag_object)) {
        json_decref(root);
        return kv_fail(err, KV_INTERNAL, "an operation's row is not well formed");
    }
    *enabled = json_is_true(json_object_get(root, "enabled"));
    status = dump(work, json_incref(tag_object), tags, err);
    json_decref(root);
    return status;
}

kv_status kv_texts_store(kv_work *work, const kv_x509_list *texts, kv_slice *out, kv_error *err)
{
    json_t *array = json_array();

    for (size_t i = 0; i < texts->count; i++) {
        const kv_slice *text = &texts->items[i];
        const char *data = text->len ? (const char *)text->data : "";

        if (json_array_append_new(array, json_stringn(data, text->len)) != 0) {
            json_decref(array);
            return kv_fail(err, KV_BUSY, "out of memory");
        }
    }
    return dump(work, array, out, err);
}

kv_status kv_texts_load(kv_work *work, kv_slice stored, kv_x509_list *out, kv_error *err)
{
    json_t *array = parse(stored);
    size_t count = json_array_size(array);
    kv_slice *items = kv_arena_array(work->arena, count, sizeof(*items));
    kv_status status = items ? KV_OK : kv_arena_full(err);

    for (size_t i = 0; status == KV_OK && i < count; i++) {
        json_t *text = json_array_get(array, i);

        status = kv_arena_copy(work->arena,
                               kv_slice_of(json_string_value(text), json_string_length(text)),
                               &items[i], err);
    }
    json_decref(array);
    *out = (kv_x509_list){ .items = items, .count = status == KV_OK ? count : 0 };
    return status;
}

kv_status kv_chain_join(kv_work *work, const kv_x509_list *chain, size_t from, kv_slice *out,
                        kv_error *err)
{
    size_t len = 0;
    uint8_t *at;

    for (size_t i = from; i < chain->count; i++)
        len += chain->items[i].len;
    at = kv_arena_alloc(work->arena, len);
    if (!at)
        return kv_arena_full(err);
    *out = kv_slice_of(at, len);
    for (size_t i = from; i < chain->count; i++) {
        memcpy(at, chain->items[i].data, chain->items[i].len);
        at += chain->items[i].len;
    }
    return KV_OK;
}

/* The length of the DER SEQUENCE at the start of `der`; 0 when there is none. */
static size_t sequence_len(kv_slice der)
{
    size_t len = 0;
    size_t digits;

    if (der.len < 2 || der.data[0] != 0x30)
        return 0;
    if (der.data[1] < 0x80)
        return (size_t)der.data[1] + 2;
    digits = der.data[1] & 0x7f;
    if (digits == 0 || digits > 3 || der.len < 2 + digits)
        return 0;
    for (size_t i = 0; i < digits; i++)
        len = len << 8 | der.data[2 + i];
    return len + 2 + digits;
}

enum { CHAIN_MOST = 20 };

kv_status kv_chain_split(kv_work *work, kv_slice leaf, kv_slice rest, kv_x509_list *out,
                         kv_error *err)
{
    kv_slice *items = kv_arena_array(work->arena, CHAIN_MOST, sizeof(*items));
    size_t count = 0;

    if (!items)
        return kv_arena_full(err);
    items[count++] = leaf;
    while (rest.len) {
        size_t len = sequence_len(rest);

        if (!len || len > rest.len || count == CHAIN_MOST)
            return kv_fail(err, KV_INTERNAL, "a stored chain is not well formed");
        items[count++] = kv_slice_of(rest.data, len);
        rest = kv_slice_of(rest.data + len, rest.len - len);
    }
    *out = (kv_x509_list){ .items = items, .count = count };
    return KV_OK;
}
