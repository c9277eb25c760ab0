/* pb_audit.c - AuditService. */
#include "keyvault/v1/audit.pb-c.h"
#include "server/vault/messages_audit.h"
#include "server/wire/pb_impl.h"

static const struct {
    const char *name;
    kv_collection collection;
} collections[] = {
    { "", KV_COLLECTION_NONE },
    { "certificates", KV_COLLECTION_CERTIFICATES },
    { "keys", KV_COLLECTION_KEYS },
    { "secrets", KV_COLLECTION_SECRETS },
};

static kv_status collection_in(const char *text, kv_collection *out, kv_error *err)
{
    for (size_t i = 0; i < KV_COUNT(collections); i++)
        if (!strcmp(text, collections[i].name)) {
            *out = collections[i].collection;
            return KV_OK;
        }
    return kv_fail_field(err, "collection", "must be certificates, keys or secrets");
}

kv_status kv_pb_read_audit_search(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_audit_search_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__SearchAuditRequest *m;
    kv_slice principal;

    KV_TRY(kv_pb_open(&keyvault__v1__search_audit_request__descriptor, body, KV_COLLECTION_NONE,
                      arena, &read->target, &message, err));
    m = (const void *)message;
    KV_TRY(collection_in(m->collection, &read->target.collection, err));
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

/* Absent ids and hashes are zero in the struct and empty in the message. */
static ProtobufCBinaryData unless_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i])
            return kv_pb_bytes(kv_slice_of(bytes, len));
    return (ProtobufCBinaryData){ 0 };
}

static Keyvault__V1__AuditChange *change(kv_pb_writer *writer, const kv_audit_change *from)
{
    Keyvault__V1__AuditChange *to = kv_pb_new(writer, &keyvault__v1__audit_change__descriptor);

    if (!to)
        return NULL;
    to->table = kv_pb_text(writer, kv_slice_of(from->table, strnlen(from->table, 24)));
    to->key = kv_pb_text(writer, kv_slice_of(from->key, strnlen(from->key, 72)));
    to->generation = from->generation;
    return to;
}

static void outcome(kv_pb_writer *writer, const kv_audit_entry *from, Keyvault__V1__AuditRecord *to)
{
    to->status = (uint32_t)kv_status_spelling(from->status)->grpc;
    to->reason = kv_pb_text(writer, kv_slice_text(kv_reason_name(from->reason)));
    to->field = kv_pb_text(writer, from->field);
    to->note = kv_pb_text(writer, from->note);
    to->duration_us = from->duration_us;
    if (from->has_key)
        to->key_id = kv_pb_bytes(kv_slice_of(from->key_id, sizeof(from->key_id)));
    to->count = from->count;
    to->changes = kv_pb_array(writer, from->change_count, sizeof(*to->changes), &to->n_changes);
    for (size_t i = 0; i < to->n_changes; i++)
        to->changes[i] = change(writer, &from->changes[i]);
    to->store_version = from->store_version;
    to->store_digest = unless_zero(from->store_digest, sizeof(from->store_digest));
}

kv_status kv_pb_write_audit_record(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_audit_record *from = out;
    const kv_audit_entry *entry = &from->entry;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__AuditRecord to = KEYVAULT__V1__AUDIT_RECORD__INIT;

    to.sequence = from->sequence;
    to.time_ms = entry->time_ms;
    to.node = kv_pb_hex(&writer, kv_slice_of(from->node, sizeof(from->node)));
    to.request_id = kv_pb_bytes(kv_slice_of(entry->request_id, sizeof(entry->request_id)));
    if (entry->has_principal)
        to.principal_id =
            kv_pb_bytes(kv_slice_of(entry->principal_id, sizeof(entry->principal_id)));
    to.principal_name = kv_pb_text(&writer, entry->principal_name);
    to.certificate_sha256 = unless_zero(entry->certificate, sizeof(entry->certificate));
    to.roles = kv_pb_text(&writer, entry->roles);
    to.peer = kv_pb_text(&writer, entry->peer);
    to.operation = kv_pb_text(&writer, kv_slice_text(entry->operation));
    to.vault = kv_pb_text(&writer, entry->vault);
    to.collection = kv_pb_text(&writer, entry->collection);
    to.name = kv_pb_text(&writer, entry->name);
    to.version = kv_pb_text(&writer, entry->version);
    outcome(&writer, entry, &to);
    return kv_pb_pack(&writer, &to.base, body, err);
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
