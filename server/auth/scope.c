/* scope.c - reading scopes, and what they cover. */
#include "server/auth/scope.h"

#include <stdio.h>

#include "server/base/text.h"

static const char *const collections[KV_COLLECTION_COUNT] = {
    [KV_COLLECTION_NONE] = "",
    [KV_COLLECTION_CERTIFICATES] = "certificates",
    [KV_COLLECTION_KEYS] = "keys",
    [KV_COLLECTION_SECRETS] = "secrets",
};

const char *kv_collection_text(kv_collection collection)
{
    return (unsigned)collection < KV_COLLECTION_COUNT ? collections[collection] : "";
}

static bool is_name(kv_slice text)
{
    if (text.len == 0 || text.len > KV_SCOPE_NAME_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-'))
            return false;
    }
    return true;
}

/* Takes "/segment" off the front; false when there is none left. */
static bool next_segment(kv_slice *rest, kv_slice *out)
{
    size_t len = 1;

    if (rest->len == 0 || rest->data[0] != '/')
        return false;
    while (len < rest->len && rest->data[len] != '/')
        len++;
    *out = kv_slice_of(rest->data + 1, len - 1);
    *rest = kv_slice_of(rest->data + len, rest->len - len);
    return true;
}

static bool read_collection(kv_slice text, kv_collection *out)
{
    for (unsigned i = KV_COLLECTION_NONE + 1; i < KV_COLLECTION_COUNT; i++) {
        if (kv_slice_equal(text, kv_slice_text(collections[i]))) {
            *out = (kv_collection)i;
            return true;
        }
    }
    return false;
}

bool kv_scope_read(kv_slice text, kv_scope *out)
{
    kv_scope scope = { 0 };
    kv_slice rest = text;
    kv_slice segment;

    if (kv_slice_equal(text, KV_SLICE("/"))) {
        *out = scope;
        return true;
    }
    if (!next_segment(&rest, &segment) || !kv_slice_equal(segment, KV_SLICE("vaults")) ||
        !next_segment(&rest, &scope.vault) || !is_name(scope.vault))
        return false;
    if (rest.len > 0 &&
        (!next_segment(&rest, &segment) || !read_collection(segment, &scope.collection)))
        return false;
    if (rest.len > 0 && (!next_segment(&rest, &scope.name) || !is_name(scope.name)))
        return false;
    if (rest.len > 0)
        return false;
    *out = scope;
    return true;
}

kv_status kv_scope_parse(kv_arena *arena, kv_slice text, const char *field, kv_slice *out,
                         kv_error *err)
{
    kv_slice lower;
    kv_scope scope;

    if (text.len >= KV_SCOPE_TEXT_MAX)
        return kv_fail_field(err, field, "is longer than a scope can be");
    KV_TRY(kv_text_lower(arena, text, &lower, err));
    if (!kv_scope_read(lower, &scope))
        return kv_fail_field(err, field,
                             "must be /, /vaults/{vault}, or that followed by /certificates, "
                             "/keys or /secrets and, at most, one /{name}");
    *out = lower;
    return KV_OK;
}

static bool collection_covered(const kv_scope *scope, const kv_resource *resource)
{
    if (scope->collection == KV_COLLECTION_NONE || scope->collection == resource->collection)
        return true;
    /* A certificate brings its own key and secret along, and nothing else of those collections. */
    return scope->collection == KV_COLLECTION_CERTIFICATES && resource->managed &&
           resource->name.len > 0 &&
           (resource->collection == KV_COLLECTION_KEYS ||
            resource->collection == KV_COLLECTION_SECRETS);
}

bool kv_scope_covers(const kv_scope *scope, const kv_resource *resource)
{
    if (scope->vault.len == 0)
        return true;
    if (!kv_text_equal_nocase(scope->vault, resource->vault))
        return false;
    if (!collection_covered(scope, resource))
        return false;
    return scope->name.len == 0 || kv_text_equal_nocase(scope->name, resource->name);
}

bool kv_scopes_overlap(const kv_scope *a, const kv_scope *b)
{
    if (a->vault.len == 0 || b->vault.len == 0)
        return true;
    if (!kv_text_equal_nocase(a->vault, b->vault))
        return false;
    return a->name.len == 0 || b->name.len == 0 || kv_text_equal_nocase(a->name, b->name);
}

kv_resource kv_scope_resource(const kv_scope *scope, bool managed)
{
    return (kv_resource){ .vault = scope->vault,
                          .collection = scope->collection,
                          .name = scope->name,
                          .managed = managed };
}

/* The caller's own spelling goes into a message, so only what can be a name is repeated. */
static kv_slice shown(kv_slice name)
{
    return kv_text_printable(name) && name.len <= KV_SCOPE_NAME_MAX ? name : KV_SLICE("?");
}

void kv_resource_text(const kv_resource *resource, char *out, size_t size)
{
    kv_slice vault = shown(resource->vault);
    kv_slice name = shown(resource->name);
    const char *collection = kv_collection_text(resource->collection);

    if (resource->vault.len == 0)
        snprintf(out, size, "/");
    else if (resource->collection == KV_COLLECTION_NONE)
        snprintf(out, size, "/vaults/%.*s", KV_SLICE_ARG(vault));
    else if (resource->name.len == 0)
        snprintf(out, size, "/vaults/%.*s/%s", KV_SLICE_ARG(vault), collection);
    else
        snprintf(out, size, "/vaults/%.*s/%s/%.*s", KV_SLICE_ARG(vault), collection,
                 KV_SLICE_ARG(name));
}
