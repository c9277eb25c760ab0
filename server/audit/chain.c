/* chain.c - grouping, chaining and committing records. */
#include "server/audit/chain.h"

#include <stdlib.h>

kv_status kv_chain_open(kv_chain *chain, kv_error *err)
{
    chain->group = malloc(KV_GROUP_BYTES);
    chain->used = 0;
    chain->next = chain->durable;
    if (!chain->group)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory for the audit log");
    return KV_OK;
}

void kv_chain_cleanup(kv_chain *chain)
{
    kv_segment_cleanup(&chain->active);
    free(chain->group);
    chain->group = NULL;
}

static kv_chain_room room_for(const kv_chain *chain, size_t bytes)
{
    uint64_t end = chain->active.end + chain->used + bytes;

    if (end + KV_SEGMENT_RESERVE > chain->segment_bytes)
        return KV_CHAIN_SEGMENT_FULL;
    if (chain->used + bytes > KV_GROUP_BYTES)
        return KV_CHAIN_GROUP_FULL;
    return KV_CHAIN_ADDED;
}

kv_chain_room kv_chain_add(kv_chain *chain, kv_audit_record *record)
{
    const kv_audit_entry *entry = &record->entry;
    uint8_t message[KV_AUDIT_RECORD_BYTES];
    kv_chain_room room;
    size_t len;

    record->sequence = chain->next.sequence + 1;
    memcpy(record->node, chain->node, sizeof(record->node));
    len = kv_audit_record_pack(record, message);
    room = room_for(chain, kv_frame_bytes(len));
    if (room != KV_CHAIN_ADDED)
        return room;
    kv_frame_pack(KV_FRAME_RECORD, kv_slice_of(message, len), chain->next.link,
                  chain->group + chain->used, chain->next.head);
    memcpy(chain->next.link, chain->next.head, sizeof(chain->next.link));
    chain->used += kv_frame_bytes(len);
    chain->next.sequence++;
    /* Workers post in any order: the newest change counts, not the last one. */
    if (entry->store_version > chain->next.store.version) {
        chain->next.store.version = entry->store_version;
        memcpy(chain->next.store.digest, entry->store_digest, sizeof(entry->store_digest));
    }
    return KV_CHAIN_ADDED;
}

kv_chain_room kv_chain_add_checkpoint(kv_chain *chain, const kv_checkpoint *checkpoint)
{
    uint8_t message[KV_CHECKPOINT_BYTES], unused[32];
    size_t len = kv_checkpoint_pack(checkpoint, message);
    kv_chain_room room = room_for(chain, kv_frame_bytes(len));

    if (room != KV_CHAIN_ADDED)
        return room;
    kv_frame_pack(KV_FRAME_CHECKPOINT, kv_slice_of(message, len), chain->next.link,
                  chain->group + chain->used, unused);
    chain->used += kv_frame_bytes(len);
    return KV_CHAIN_ADDED;
}

kv_status kv_chain_commit(kv_chain *chain, kv_error *err)
{
    kv_slice group = kv_slice_of(chain->group, chain->used);
    kv_status status = group.len ? kv_segment_append(&chain->active, group, err) : KV_OK;

    chain->used = 0;
    if (status == KV_OK)
        chain->durable = chain->next;
    else
        chain->next = chain->durable;
    return status;
}

kv_status kv_chain_begin_segment(kv_chain *chain, int64_t now_ms, kv_segment *out, kv_error *err)
{
    kv_segment_header header = { .first = chain->durable.sequence + 1,
                                 .created_ms = now_ms,
                                 .store_version = chain->durable.store.version };
    uint8_t bytes[KV_SEGMENT_HEADER_BYTES];

    memcpy(header.node, chain->node, sizeof(header.node));
    memcpy(header.before, chain->durable.head, sizeof(header.before));
    memcpy(header.store_digest, chain->durable.store.digest, sizeof(header.store_digest));
    memcpy(header.kid, chain->kid, sizeof(header.kid));
    KV_TRY(kv_segment_create(chain->folder, &header, chain->segment_bytes, out, err));
    kv_segment_header_pack(&header, bytes);
    kv_chain_hash(header.before, kv_slice_of(bytes, sizeof(bytes)), chain->durable.link);
    chain->next = chain->durable;
    return KV_OK;
}

kv_status kv_chain_rotate(kv_chain *chain, int64_t now_ms, kv_closing **out, kv_error *err)
{
    kv_closing *closing = calloc(1, sizeof(*closing));
    kv_segment segment = KV_SEGMENT_NONE;
    kv_status status;

    if (!closing)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory for the audit log");
    closing->end = chain->durable;
    status = kv_chain_begin_segment(chain, now_ms, &segment, err);
    if (status != KV_OK) {
        free(closing);
        return status;
    }
    closing->segment = chain->active;
    closing->full = closing->segment.end;
    chain->active = segment;
    *out = closing;
    return KV_OK;
}
