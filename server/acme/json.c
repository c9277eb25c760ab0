/* json.c - JSON from strangers, with bounds. */
#include "server/acme/json.h"

#include "server/acme/messages.h"
#include "server/base/text.h"

json_t *kv_acme_parse(kv_slice text)
{
    json_t *json = text.len
                       ? json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL)
                       : NULL;

    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

kv_status kv_acme_print(kv_arena *arena, const json_t *json, kv_slice *out, kv_error *err)
{
    size_t len = json ? json_dumpb(json, NULL, 0, JSON_COMPACT) : 0;
    char *text = kv_arena_alloc(arena, len);

    if (!len)
        return kv_fail(err, KV_BUSY, "out of memory");
    if (!text)
        return kv_arena_full(err);
    if (json_dumpb(json, text, len, JSON_COMPACT) != len)
        return kv_fail(err, KV_INTERNAL, "JSON cannot be written");
    *out = kv_slice_of(text, len);
    return KV_OK;
}

kv_slice kv_acme_text_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_string(value))
        return KV_SLICE_NONE;
    return kv_slice_of(json_string_value(value), json_string_length(value));
}

/* Of well-formed UTF-8, at most `most` bytes that end with a whole character. */
static size_t whole_characters(kv_slice text, size_t most)
{
    if (text.len <= most)
        return text.len;
    while (most > 0 && (text.data[most] & 0xc0) == 0x80)
        most--;
    return most;
}

kv_status kv_acme_words_of(kv_arena *arena, const json_t *object, const char *name, size_t most,
                           kv_slice *out, kv_error *err)
{
    kv_slice text = kv_acme_text_of(object, name);
    size_t len = whole_characters(text, most);
    uint8_t *words = kv_arena_alloc(arena, len);

    if (!words)
        return kv_arena_full(err);
    for (size_t i = 0; i < len; i++)
        words[i] = text.data[i] < 0x20 || text.data[i] == 0x7f ? ' ' : text.data[i];
    *out = kv_slice_of(words, len);
    /* Control characters of more than one byte. */
    if (!kv_text_printable(*out))
        *out = KV_SLICE_NONE;
    return KV_OK;
}

kv_status kv_acme_url_of(kv_arena *arena, const json_t *object, const char *name, const char **out,
                         kv_error *err)
{
    kv_slice text = kv_acme_text_of(object, name);

    *out = NULL;
    if (!text.len)
        return KV_OK;
    if (!kv_acme_url_good(text))
        return kv_fail(err, KV_UNAVAILABLE,
                       "the authority's answer has a URL in \"%s\" that is not to be followed",
                       name);
    return kv_arena_text(arena, text, out, err);
}
