/* stores.c - a row per backend; to add one, add its table of functions here. */
#include "server/store/stores.h"

#include "server/store/sqlite.h"

const kv_store_ops *const kv_stores[] = {
    &kv_sqlite_ops,
};

const size_t kv_stores_count = KV_COUNT(kv_stores);

kv_status kv_store_open(const char *url, bool create, kv_store **out, kv_error *err)
{
    for (size_t i = 0; i < kv_stores_count; i++) {
        size_t len = strlen(kv_stores[i]->scheme);

        if (strncmp(url, kv_stores[i]->scheme, len) == 0 && url[len] == ':')
            return kv_stores[i]->open(url, create, out, err);
    }
    return kv_fail(err, KV_UNSUPPORTED, "no kind of store goes by this URL");
}

void kv_store_close(kv_store *store)
{
    if (store)
        store->ops->close(store);
}

unsigned kv_store_schema_version(kv_store *store)
{
    return store->ops->schema ? store->ops->schema(store) : 0;
}
