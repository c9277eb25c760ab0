/* sqlite_pool.c - who may use which connection. */
#include "server/store/sqlite.h"

kv_status kv_sqlite_reader(kv_sqlite *store, kv_sqlite_lease *out, kv_error *err)
{
    if (!kv_turn_take(&store->reader_turn, kv_deadline_in_ms(KV_SQLITE_WAIT_MS)))
        return kv_fail(err, KV_BUSY, "the store is busy");
    pthread_mutex_lock(&store->idle_mutex);
    *out = (kv_sqlite_lease){ store, store->idle[--store->idle_count] };
    pthread_mutex_unlock(&store->idle_mutex);
    return KV_OK;
}

kv_status kv_sqlite_writer(kv_sqlite *store, kv_sqlite_lease *out, kv_error *err)
{
    if (!kv_turn_take(&store->writer_turn, kv_deadline_in_ms(KV_SQLITE_WAIT_MS)))
        return kv_fail(err, KV_BUSY, "the store is busy");
    *out = (kv_sqlite_lease){ store, &store->writer };
    return KV_OK;
}

void kv_sqlite_lease_cleanup(kv_sqlite_lease *lease)
{
    kv_sqlite *store = lease->store;

    if (!store)
        return;
    if (lease->db == &store->writer) {
        kv_turn_give(&store->writer_turn);
    } else {
        pthread_mutex_lock(&store->idle_mutex);
        store->idle[store->idle_count++] = lease->db;
        pthread_mutex_unlock(&store->idle_mutex);
        kv_turn_give(&store->reader_turn);
    }
    *lease = KV_SQLITE_NO_LEASE;
}
