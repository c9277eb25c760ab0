/* pending.c - matching pending rows with the chain, and appending what is missing. */
#include "server/audit/pending.h"

#include <stdlib.h>

#include <openssl/crypto.h>

enum { RECORD_ARENA_BYTES = 65536 };

static int by_version(const void *a, const void *b)
{
    const kv_pending_row *left = a, *right = b;

    return (left->state.version > right->state.version) -
           (left->state.version < right->state.version);
}

/* The database is not trusted: only what this server wrote is appended, or believed. */
static kv_status check_ours(const kv_audit *audit, const kv_pending_row *row, kv_error *err)
{
    const kv_pending_mac *mac = &audit->config.pending_mac;
    kv_pending pending = { row->node, row->request_id, row->record };
    uint8_t right[KV_PENDING_MAC_BYTES];

    if (!mac->make)
        return KV_OK;
    if (mac->make(mac->context, &pending, &row->state, right) && row->mac.len == sizeof(right) &&
        CRYPTO_memcmp(right, row->mac.data, sizeof(right)) == 0)
        return KV_OK;
    kv_fail(err, KV_INTERNAL, "a pending audit record was not written by this server");
    return kv_because(err, KV_REASON_INTEGRITY);
}

kv_status kv_unchained_read(kv_audit *audit, kv_arena *arena, kv_unchained *out, kv_error *err)
{
    kv_store *store = audit->config.store;
    kv_unchained found = { .earliest_ms = INT64_MAX, .least = INT64_MAX };

    KV_TRY(store->ops->pending(store, audit->config.node, arena, &found.rows, &found.count, err));
    found.chained = kv_arena_array(arena, found.count, sizeof(*found.chained));
    if (!found.chained)
        return kv_arena_full(err);
    if (found.count > 0)
        qsort(found.rows, found.count, sizeof(*found.rows), by_version);
    for (unsigned i = 0; i < found.count; i++) {
        int64_t time_ms = (int64_t)kv_audit_record_number(found.rows[i].record, KV_AUDIT_TIME_MS);

        if (found.rows[i].request_id.len != KV_REQUEST_ID_BYTES) {
            kv_fail(err, KV_INTERNAL, "a pending audit record is damaged");
            return kv_because(err, KV_REASON_INTEGRITY);
        }
        KV_TRY(check_ours(audit, &found.rows[i], err));
        if (time_ms < found.earliest_ms)
            found.earliest_ms = time_ms;
        if (found.rows[i].state.version < found.least)
            found.least = found.rows[i].state.version;
    }
    *out = found;
    return KV_OK;
}

void kv_unchained_meet(kv_unchained *unchained, kv_slice message)
{
    int64_t version = (int64_t)kv_audit_record_number(message, KV_AUDIT_STORE_VERSION);
    KV_AUTO(kv_arena) arena = KV_ARENA(RECORD_ARENA_BYTES);
    kv_audit_record record;
    kv_error unused = { 0 };

    if (version < unchained->least ||
        kv_audit_record_unpack(message, &arena, &record, &unused) != KV_OK)
        return;
    for (unsigned i = 0; i < unchained->count; i++)
        if (unchained->rows[i].state.version == version &&
            kv_slice_equal(unchained->rows[i].request_id,
                           kv_slice_of(record.entry.request_id, KV_REQUEST_ID_BYTES)))
            unchained->chained[i] = true;
}

static kv_status append_row(kv_audit *audit, const kv_pending_row *row, kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(RECORD_ARENA_BYTES);
    int64_t now_ms = kv_clock_now_ms(audit->config.clock);
    kv_closing *closing = NULL;
    kv_audit_record record;
    kv_chain_room room;

    if (kv_audit_record_unpack(row->record, &arena, &record, err) != KV_OK) {
        kv_fail(err, KV_INTERNAL, "a pending audit record is damaged");
        return kv_because(err, KV_REASON_INTEGRITY);
    }
    record.entry.store_version = row->state.version;
    memcpy(record.entry.store_digest, row->state.digest, sizeof(record.entry.store_digest));
    memcpy(record.entry.request_id, row->request_id.data, KV_REQUEST_ID_BYTES);
    room = kv_chain_add(&audit->chain, &record);
    if (room == KV_CHAIN_ADDED)
        return KV_OK;
    KV_TRY(kv_chain_commit(&audit->chain, err));
    if (room == KV_CHAIN_SEGMENT_FULL) {
        if (record.entry.time_ms < now_ms)
            now_ms = record.entry.time_ms; /* as the audit thread does */
        KV_TRY(kv_chain_rotate(&audit->chain, now_ms, &closing, err));
        kv_audit_close_later(audit, closing);
    }
    (void)kv_chain_add(&audit->chain, &record);
    return KV_OK;
}

kv_status kv_unchained_append(kv_audit *audit, kv_unchained *unchained, kv_error *err)
{
    for (unsigned i = 0; i < unchained->count; i++)
        if (!unchained->chained[i])
            KV_TRY(append_row(audit, &unchained->rows[i], err));
    KV_TRY(kv_chain_commit(&audit->chain, err));
    for (unsigned i = 0; i < unchained->count; i++)
        kv_audit_forget(audit, unchained->rows[i].request_id.data);
    return KV_OK;
}
