/* operation_names.c - how far each name of an order is, as JSON in the operation's row: an array of
 * [name, status, details, since]. */
#include <jansson.h>

#include "server/vault/operations/operation_rules.h"

enum { NAMES_MOST = 200, PARTS = 4 };

typedef json_t *names_json;

static void names_json_cleanup(names_json *json)
{
    json_decref(*json);
}

static json_t *text(kv_slice from)
{
    return json_stringn(from.len ? (const char *)from.data : "", from.len);
}

kv_status kv_names_store(kv_work *work, const kv_issuer_name *names, size_t count, kv_slice *out,
                         kv_error *err)
{
    KV_AUTO(names_json) list = json_array();
    size_t len;
    char *room;

    for (size_t i = 0; i < count && i < NAMES_MOST; i++) {
        json_t *one = json_array();

        if (json_array_append_new(one, text(names[i].name)) != 0 ||
            json_array_append_new(one, text(names[i].status)) != 0 ||
            json_array_append_new(one, text(names[i].details)) != 0 ||
            json_array_append_new(one, json_integer(names[i].since_ms)) != 0 ||
            json_array_append_new(list, one) != 0)
            return kv_fail(err, KV_INTERNAL, "the names of an order cannot be written");
    }
    len = json_dumpb(list, NULL, 0, JSON_COMPACT);
    room = kv_arena_alloc(work->arena, len);
    if (!room)
        return kv_arena_full(err);
    (void)json_dumpb(list, room, len, JSON_COMPACT);
    *out = kv_slice_of(room, len);
    return KV_OK;
}

static kv_status text_of(kv_work *work, const json_t *from, kv_slice *out, kv_error *err)
{
    return kv_arena_copy(work->arena,
                         kv_slice_of(json_string_value(from), json_string_length(from)), out, err);
}

kv_status kv_names_load(kv_work *work, kv_slice stored, const kv_issuer_name **out, size_t *count,
                        kv_error *err)
{
    KV_AUTO(names_json)
    list = stored.len ? json_loadb((const char *)stored.data, stored.len, 0, NULL) : NULL;
    kv_issuer_name *names = kv_arena_array(work->arena, json_array_size(list), sizeof(*names));

    if (!names)
        return kv_arena_full(err);
    *out = names;
    *count = json_array_size(list);
    for (size_t i = 0; i < *count; i++) {
        const json_t *one = json_array_get(list, i);

        if (json_array_size(one) != PARTS)
            return kv_fail(err, KV_INTERNAL, "the names of an order cannot be read");
        KV_TRY(text_of(work, json_array_get(one, 0), &names[i].name, err));
        KV_TRY(text_of(work, json_array_get(one, 1), &names[i].status, err));
        KV_TRY(text_of(work, json_array_get(one, 2), &names[i].details, err));
        names[i].since_ms = json_integer_value(json_array_get(one, 3));
    }
    return KV_OK;
}
