/* record.c - entries as protobuf messages and back. */
#include "server/audit/record.h"

#include "keyvault/v1/audit.pb-c.h"
#include "server/audit/message.h"
#include "server/base/text.h"

enum { TEXTS = 9 };

typedef Keyvault__V1__AuditRecord message;
typedef Keyvault__V1__AuditChange change_message;

/* Where NUL-terminated copies of the texts live while a record is packed. */
typedef struct text_copies {
    char text[TEXTS][KV_AUDIT_TEXT_BYTES + 1];
    unsigned used;
    char node[33];
    change_message changes[KV_AUDIT_CHANGES];
    change_message *list[KV_AUDIT_CHANGES];
} text_copies;

static size_t cut_length(kv_slice text)
{
    size_t len = text.len;

    if (len <= KV_AUDIT_TEXT_BYTES)
        return len;
    len = KV_AUDIT_TEXT_BYTES;
    while (len > 0 && (text.data[len] & 0xc0) == 0x80)
        len--;
    return len;
}

static char *readable(text_copies *scratch, kv_slice text)
{
    char *out = scratch->text[scratch->used++];
    size_t len = cut_length(text);

    if (len > 0)
        memcpy(out, text.data, len);
    out[len] = '\0';
    if (!kv_text_printable(kv_slice_of(out, len)))
        for (size_t i = 0; i < len; i++)
            if (out[i] < 0x20 || out[i] > 0x7e)
                out[i] = '?';
    return out;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum |= bytes[i];
    return sum == 0;
}

/* Empty when absent; the message only lends the bytes to the packer. */
static ProtobufCBinaryData bytes_if(bool there, const uint8_t *data, size_t len)
{
    return (ProtobufCBinaryData){ .data = there ? (uint8_t *)data : NULL, .len = there ? len : 0 };
}

static void fill_changes(message *out, text_copies *scratch, const kv_audit_entry *entry)
{
    unsigned count =
        entry->change_count < KV_AUDIT_CHANGES ? entry->change_count : KV_AUDIT_CHANGES;

    for (unsigned i = 0; i < count; i++) {
        keyvault__v1__audit_change__init(&scratch->changes[i]);
        scratch->changes[i].table = (char *)entry->changes[i].table;
        scratch->changes[i].key = (char *)entry->changes[i].key;
        scratch->changes[i].generation = entry->changes[i].generation;
        scratch->list[i] = &scratch->changes[i];
    }
    out->n_changes = count;
    out->changes = scratch->list;
}

static void fill_texts(message *out, text_copies *scratch, const kv_audit_entry *entry)
{
    out->principal_name = readable(scratch, entry->principal_name);
    out->roles = readable(scratch, entry->roles);
    out->peer = readable(scratch, entry->peer);
    out->vault = readable(scratch, entry->vault);
    out->collection = readable(scratch, entry->collection);
    out->name = readable(scratch, entry->name);
    out->version = readable(scratch, entry->version);
    out->field = readable(scratch, entry->field);
    out->note = readable(scratch, entry->note);
    out->operation = (char *)(entry->operation ? entry->operation : "");
    out->reason = (char *)kv_reason_name(entry->reason);
}

size_t kv_audit_record_pack(const kv_audit_record *record, uint8_t buffer[KV_AUDIT_RECORD_BYTES])
{
    const kv_audit_entry *entry = &record->entry;
    message out;
    text_copies scratch;

    keyvault__v1__audit_record__init(&out);
    scratch.used = 0;
    fill_texts(&out, &scratch, entry);
    fill_changes(&out, &scratch, entry);
    kv_hex(kv_slice_of(record->node, sizeof(record->node)), scratch.node);
    out.sequence = record->sequence;
    out.node = scratch.node;
    out.time_ms = entry->time_ms;
    out.duration_us = entry->duration_us;
    out.request_id = bytes_if(true, entry->request_id, sizeof(entry->request_id));
    out.principal_id =
        bytes_if(entry->has_principal, entry->principal_id, sizeof(entry->principal_id));
    out.certificate_sha256 = bytes_if(!is_zero(entry->certificate, sizeof(entry->certificate)),
                                      entry->certificate, sizeof(entry->certificate));
    out.key_id = bytes_if(entry->has_key, entry->key_id, sizeof(entry->key_id));
    out.status = (uint32_t)kv_status_spelling(entry->status)->grpc;
    out.count = entry->count;
    out.store_version = entry->store_version;
    out.store_digest =
        bytes_if(entry->store_version != 0, entry->store_digest, sizeof(entry->store_digest));
    return keyvault__v1__audit_record__pack(&out, buffer);
}

static kv_status status_of(uint32_t grpc)
{
    for (int status = 0; status < KV_STATUS_COUNT; status++)
        if ((uint32_t)kv_status_spelling((kv_status)status)->grpc == grpc)
            return (kv_status)status;
    return KV_INTERNAL;
}

static kv_reason reason_of(const char *name)
{
    for (int reason = 0; reason < KV_REASON_COUNT; reason++)
        if (strcmp(kv_reason_name((kv_reason)reason), name) == 0)
            return (kv_reason)reason;
    return KV_REASON_NONE;
}

static bool text_fits(char *to, size_t size, const char *from)
{
    size_t len = strlen(from);

    if (len >= size)
        return false;
    memcpy(to, from, len + 1);
    return true;
}

static bool take_changes(const message *in, kv_audit_entry *entry)
{
    if (in->n_changes > KV_AUDIT_CHANGES)
        return false;
    entry->change_count = (unsigned)in->n_changes;
    for (size_t i = 0; i < in->n_changes; i++) {
        kv_audit_change *to = &entry->changes[i];

        if (!text_fits(to->table, sizeof(to->table), in->changes[i]->table) ||
            !text_fits(to->key, sizeof(to->key), in->changes[i]->key))
            return false;
        to->generation = in->changes[i]->generation;
    }
    return true;
}

static void take_texts(const message *in, kv_audit_entry *entry)
{
    entry->principal_name = kv_slice_text(in->principal_name);
    entry->roles = kv_slice_text(in->roles);
    entry->peer = kv_slice_text(in->peer);
    entry->operation = in->operation;
    entry->vault = kv_slice_text(in->vault);
    entry->collection = kv_slice_text(in->collection);
    entry->name = kv_slice_text(in->name);
    entry->version = kv_slice_text(in->version);
    entry->field = kv_slice_text(in->field);
    entry->note = kv_slice_text(in->note);
    entry->reason = reason_of(in->reason);
}

static bool take(const message *in, kv_audit_record *out)
{
    kv_audit_entry *entry = &out->entry;

    out->sequence = in->sequence;
    entry->time_ms = in->time_ms;
    entry->duration_us = in->duration_us;
    entry->status = status_of(in->status);
    entry->count = in->count;
    entry->store_version = in->store_version;
    entry->has_principal = in->principal_id.len > 0;
    entry->has_key = in->key_id.len > 0;
    take_texts(in, entry);
    return take_changes(in, entry) && kv_unhex(kv_slice_text(in->node), out->node, 16) &&
           kv_message_bytes(&in->request_id, entry->request_id, 16) &&
           kv_message_bytes(&in->principal_id, entry->principal_id, 16) &&
           kv_message_bytes(&in->certificate_sha256, entry->certificate, 32) &&
           kv_message_bytes(&in->key_id, entry->key_id, 16) &&
           kv_message_bytes(&in->store_digest, entry->store_digest, 32);
}

kv_status kv_audit_record_unpack(kv_slice bytes, kv_arena *arena, kv_audit_record *out,
                                 kv_error *err)
{
    ProtobufCAllocator allocator = kv_message_allocator(arena);
    kv_audit_record record = { 0 };
    message *in = keyvault__v1__audit_record__unpack(&allocator, bytes.len, bytes.data);

    if (!in && arena->limit - arena->used < 2 * bytes.len + sizeof(message))
        return kv_arena_full(err);
    if (!in || !take(in, &record))
        return kv_fail(err, KV_BAD_REQUEST, "not an audit record");
    *out = record;
    return KV_OK;
}

/* Wire types of protobuf that a record uses. */
enum { VARINT = 0, COUNTED = 2, WIRE_BITS = 3 };

static bool take_varint(kv_slice *bytes, uint64_t *out)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes->len && i < 10; i++) {
        value |= (uint64_t)(bytes->data[i] & 0x7f) << (7 * i);
        if (!(bytes->data[i] & 0x80)) {
            *bytes = kv_slice_of(bytes->data + i + 1, bytes->len - i - 1);
            *out = value;
            return true;
        }
    }
    return false;
}

uint64_t kv_audit_record_number(kv_slice bytes, kv_audit_number field)
{
    uint64_t tag, value;

    while (bytes.len > 0) {
        if (!take_varint(&bytes, &tag) || !take_varint(&bytes, &value))
            return 0;
        if (tag == ((uint64_t)field << WIRE_BITS | VARINT))
            return value;
        if ((tag & 7) == COUNTED && value <= bytes.len)
            bytes = kv_slice_of(bytes.data + value, bytes.len - value);
        else if ((tag & 7) != VARINT)
            return 0;
    }
    return 0;
}
