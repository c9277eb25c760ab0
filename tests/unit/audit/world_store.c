/* world_store.c - a store in memory that counts its changes. */
#include <stdlib.h>

#include <openssl/sha.h>

#include "server/store/schema.h"
#include "tests/unit/audit/world.h"

static void count_change(world_store *store)
{
    store->state.version++;
    SHA256((const uint8_t *)&store->state.version, sizeof(store->state.version),
           store->state.digest);
}

static kv_status store_get(kv_store *base, const kv_table *table, void *row, kv_arena *arena,
                           kv_error *err)
{
    world_store *store = (world_store *)base;
    kv_segment_row *segment = row;
    bool found = false;

    (void)arena;
    if (table != &kv_table_segments)
        return kv_fail(err, KV_INTERNAL, "no such table here");
    pthread_mutex_lock(&store->mutex);
    for (unsigned i = 0; i < store->segment_count; i++)
        found = found || store->segments[i] == segment->id;
    pthread_mutex_unlock(&store->mutex);
    return found ? KV_OK : kv_fail(err, KV_NOT_FOUND, "no such row");
}

static kv_status store_apply(kv_store *base, const kv_change *change, kv_store_state *state,
                             kv_error *err)
{
    world_store *store = (world_store *)base;
    const kv_pending *from = &change->pending;

    pthread_mutex_lock(&store->mutex);
    if (store->pending_count == WORLD_PENDING || store->segment_count == WORLD_SEGMENTS ||
        from->record.len > WORLD_RECORD_BYTES) {
        pthread_mutex_unlock(&store->mutex);
        return kv_fail(err, KV_UNAVAILABLE, "the store of the test is full");
    }
    count_change(store);
    for (unsigned i = 0; i < change->count; i++)
        store->segments[store->segment_count++] = ((const kv_segment_row *)change->few[i].row)->id;
    if (from->request_id.len) {
        world_pending *to = &store->pending[store->pending_count++];

        memcpy(to->request_id, from->request_id.data, sizeof(to->request_id));
        memcpy(to->record, from->record.data, from->record.len);
        to->len = from->record.len;
        to->state = store->state;
        to->mac_len = 0;
        if (change->pending_mac.make) {
            to->mac_len = sizeof(to->mac);
            (void)change->pending_mac.make(change->pending_mac.context, from, &to->state, to->mac);
        }
    }
    *state = store->state;
    pthread_mutex_unlock(&store->mutex);
    return KV_OK;
}

static kv_status store_state(kv_store *base, kv_store_state *state, kv_error *err)
{
    world_store *store = (world_store *)base;

    (void)err;
    pthread_mutex_lock(&store->mutex);
    *state = store->state;
    pthread_mutex_unlock(&store->mutex);
    return KV_OK;
}

static kv_status store_pending(kv_store *base, kv_slice node, kv_arena *arena, kv_pending_row **out,
                               unsigned *count, kv_error *err)
{
    world_store *store = (world_store *)base;
    kv_pending_row *rows = kv_arena_array(arena, store->pending_count, sizeof(*rows));

    if (!rows)
        return kv_arena_full(err);
    for (unsigned i = 0; i < store->pending_count; i++) {
        const world_pending *from = &store->pending[i];

        rows[i] = (kv_pending_row){ .node = node, .state = from->state };
        KV_TRY(kv_arena_copy(arena, kv_slice_of(from->mac, from->mac_len), &rows[i].mac, err));
        KV_TRY(kv_arena_copy(arena, kv_slice_of(from->request_id, 16), &rows[i].request_id, err));
        KV_TRY(kv_arena_copy(arena, kv_slice_of(from->record, from->len), &rows[i].record, err));
    }
    *out = rows;
    *count = store->pending_count;
    return KV_OK;
}

static void forget(world_store *store, kv_slice id)
{
    for (unsigned i = 0; i < store->pending_count; i++)
        if (kv_slice_equal(id, kv_slice_of(store->pending[i].request_id, 16))) {
            store->pending[i] = store->pending[--store->pending_count];
            return;
        }
}

static kv_status store_pending_done(kv_store *base, kv_slice node, const kv_slice *request_ids,
                                    unsigned count, kv_error *err)
{
    world_store *store = (world_store *)base;

    (void)node;
    (void)err;
    pthread_mutex_lock(&store->mutex);
    for (unsigned i = 0; i < count && !store->keep_pending; i++)
        forget(store, request_ids[i]);
    pthread_mutex_unlock(&store->mutex);
    return KV_OK;
}

static const kv_store_ops store_ops = { .scheme = "world",
                                        .get = store_get,
                                        .apply = store_apply,
                                        .state = store_state,
                                        .pending = store_pending,
                                        .pending_done = store_pending_done };

world_store *world_store_new(void)
{
    world_store *store = calloc(1, sizeof(*store));

    assert_non_null(store);
    store->base.ops = &store_ops;
    pthread_mutex_init(&store->mutex, NULL);
    count_change(store);
    return store;
}

void world_store_free(world_store *store)
{
    pthread_mutex_destroy(&store->mutex);
    free(store);
}
