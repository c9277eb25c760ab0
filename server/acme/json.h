/* json.h - JSON from strangers, with bounds. Inner to this folder. */
#pragma once

#include <jansson.h>

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

typedef json_t *kv_acme_json;

static inline void kv_acme_json_cleanup(kv_acme_json *json)
{
    json_decref(*json);
}

/* An object; NULL for anything else. The caller frees it. */
json_t *kv_acme_parse(kv_slice text);
/* Compact, members in the order they were set. */
kv_status kv_acme_print(kv_arena *arena, const json_t *json, kv_slice *out,
                        kv_error *err) KV_MUST_USE;

/* The text of a member, borrowed from the JSON; empty when it is absent or no text. */
kv_slice kv_acme_text_of(const json_t *object, const char *name);
/* The same, copied, printable, and cut after `most` bytes: for people. */
kv_status kv_acme_words_of(kv_arena *arena, const json_t *object, const char *name, size_t most,
                           kv_slice *out, kv_error *err) KV_MUST_USE;
/* A URL that this server may follow (see kv_acme_url_good); NULL when it is absent. KV_UNAVAILABLE
 * when it is another. */
kv_status kv_acme_url_of(kv_arena *arena, const json_t *object, const char *name, const char **out,
                         kv_error *err) KV_MUST_USE;
