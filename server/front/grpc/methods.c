/* methods.c - a hash from path to row. */
#include "server/front/grpc/methods.h"

#include <stdlib.h>

#include "server/base/hash.h"

typedef struct method {
    const char *path; /* borrowed from the row */
    size_t path_len;
    const kv_route *route;
    UT_hash_handle hh;
} method;

struct kv_methods {
    method *by_path;
    method entries[];
};

static kv_status add(kv_methods *methods, method *entry, const kv_route *route, kv_error *err)
{
    const char *path = route->at[KV_DOOR_GRPC].pattern;
    method *twin;

    *entry = (method){ .path = path, .path_len = strlen(path), .route = route };
    if (path[0] != '/' || !strchr(path + 1, '/'))
        return kv_fail(err, KV_BAD_REQUEST, "%s is not a gRPC path", path);
    HASH_FIND(hh, methods->by_path, path, entry->path_len, twin);
    if (twin)
        return kv_fail(err, KV_BAD_REQUEST, "two rows have the path %s", path);
    HASH_ADD_KEYPTR(hh, methods->by_path, entry->path, entry->path_len, entry);
    return KV_HASH_HAS(entry) ? KV_OK : kv_fail(err, KV_UNAVAILABLE, "out of memory");
}

kv_status kv_methods_new(const kv_route *routes, size_t count, kv_methods **out, kv_error *err)
{
    kv_methods *methods = calloc(1, sizeof(*methods) + count * sizeof(method));
    kv_status status = KV_OK;

    if (!methods)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < count && status == KV_OK; i++)
        if (routes[i].at[KV_DOOR_GRPC].pattern)
            status = add(methods, &methods->entries[i], &routes[i], err);
    if (status != KV_OK) {
        kv_methods_free(methods);
        return status;
    }
    *out = methods;
    return KV_OK;
}

void kv_methods_free(kv_methods *methods)
{
    if (!methods)
        return;
    HASH_CLEAR(hh, methods->by_path);
    free(methods);
}

const kv_route *kv_methods_find(const kv_methods *methods, kv_slice path)
{
    method *found;

    HASH_FIND(hh, methods->by_path, path.data, path.len, found);
    return found ? found->route : NULL;
}

bool kv_methods_has_service(const kv_methods *methods, kv_slice service)
{
    for (const method *entry = methods->by_path; entry; entry = entry->hh.next)
        if (entry->path_len > service.len + 1 && entry->path[service.len + 1] == '/' &&
            !memcmp(entry->path + 1, service.data, service.len))
            return true;
    return false;
}
