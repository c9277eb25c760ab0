/* pb_audit.c - AuditService. */
#include "keyvault/v1/audit.pb-c.h"
#include "server/vault/messages/messages_audit.h"
#include "server/wire/pb_impl.h"

kv_status kv_pb_read_audit_search(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_audit_search_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__SearchAuditRequest *m;
    kv_slice principal;

    KV_TRY(kv_pb_open(&keyvault__v1__search_audit_request__descriptor, body, KV_COLLECTION_NONE,
                      arena, &read->target, &message, err));
    m = (const void *)message;
    KV_TRY(kv_pb_collection(m->collection, &read->target.collection, err));
    if (m->from_ms <= 0)
        return kv_fail_field(err, "from_ms", "a time range is required");
    if (m->to_ms <= m->from_ms)
        return kv_fail_field(err, "to_ms", "must be after from_ms");
    read->from_ms = m->from_ms;
    read->to_ms = m->to_ms;
    KV_TRY(kv_pb_id(arena, m->principal_id, "principal_id", true, &principal, err));
    read->has_principal = principal.len == sizeof(read->principal_id);
    if (read->has_principal)
        memcpy(read->principal_id, principal.data, sizeof(read->principal_id));
    read->operation = kv_slice_text(m->operation);
    read->has_succeeded = m->has_succeeded_case != 0;
    read->succeeded = read->has_succeeded && m->succeeded;
    read->limit = m->limit;
    return KV_OK;
}

kv_status kv_pb_read_audit_export(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_audit_export_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__ExportAuditRequest *m;

    KV_TRY(
        kv_pb_unpack(&keyvault__v1__export_audit_request__descriptor, body, arena, &message, err));
    m = (const void *)message;
    if (m->last_sequence && m->last_sequence < m->first_sequence)
        return kv_fail_field(err, "last_sequence", "must not be before first_sequence");
    read->first_sequence = m->first_sequence;
    read->last_sequence = m->last_sequence;
    return KV_OK;
}

kv_status kv_pb_read_audit_status_get(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__get_audit_status_request__descriptor, body,
                             KV_COLLECTION_NONE, arena, in, err);
}

/* A record looks the same in an answer and in its segment. */
kv_status kv_pb_write_audit_record(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    uint8_t buffer[KV_AUDIT_RECORD_BYTES];
    size_t len = kv_audit_record_pack(out, buffer);

    return kv_arena_copy(arena, kv_slice_of(buffer, len), body, err);
}

kv_status kv_pb_write_audit_chunk(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_audit_chunk *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__AuditChunk to = KEYVAULT__V1__AUDIT_CHUNK__INIT;

    to.segment =
        kv_pb_text(&writer, kv_slice_of(from->name, strnlen(from->name, sizeof(from->name))));
    to.offset = from->offset;
    to.data = kv_pb_bytes(from->bytes);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_audit_state(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_audit_state *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__AuditStatus to = KEYVAULT__V1__AUDIT_STATUS__INIT;

    to.node = kv_pb_hex(&writer, from->node);
    to.head_sequence = from->head_sequence;
    to.head_hash = kv_pb_bytes(kv_slice_of(from->head_hash, sizeof(from->head_hash)));
    to.checkpoint_sequence = from->checkpoint_sequence;
    to.checkpoint_ms = from->checkpoint_ms;
    to.public_key = kv_pb_bytes(from->public_key);
    to.kid = kv_pb_text(&writer, from->kid);
    to.anchored = from->anchored;
    to.failed = from->failed;
    return kv_pb_pack(&writer, &to.base, body, err);
}
