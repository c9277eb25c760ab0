/* pb_write.c - building the message of an answer in the call's arena, and packing it. */
#include "server/base/text.h"
#include "server/wire/pb_impl.h"

/* A valid text where there was no room for the right one; never sent. */
static char *no_text(kv_pb_writer *writer)
{
    writer->full = true;
    return (char *)(uintptr_t)protobuf_c_empty_string;
}

void *kv_pb_new(kv_pb_writer *writer, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *message = kv_arena_alloc(writer->arena, type->sizeof_message);

    if (!message) {
        writer->full = true;
        return NULL;
    }
    type->message_init(message);
    return message;
}

void *kv_pb_array(kv_pb_writer *writer, size_t count, size_t size, size_t *out_count)
{
    void *array = count ? kv_arena_array(writer->arena, count, size) : NULL;

    if (count && !array)
        writer->full = true;
    *out_count = array ? count : 0;
    return array;
}

char *kv_pb_text(kv_pb_writer *writer, kv_slice text)
{
    char *copy = kv_arena_alloc(writer->arena, text.len + 1);

    if (!copy)
        return no_text(writer);
    if (text.len)
        memcpy(copy, text.data, text.len);
    return copy;
}

char *kv_pb_hex(kv_pb_writer *writer, kv_slice bytes)
{
    char *text = kv_arena_alloc(writer->arena, 2 * bytes.len + 1);

    if (!text)
        return no_text(writer);
    kv_hex(bytes, text);
    return text;
}

ProtobufCBinaryData kv_pb_bytes(kv_slice bytes)
{
    /* protobuf-c only reads what it packs. */
    return (ProtobufCBinaryData){ .len = bytes.len, .data = (uint8_t *)(uintptr_t)bytes.data };
}

int64_t kv_pb_seconds(int64_t milliseconds)
{
    return milliseconds / 1000;
}

Keyvault__V1__ObjectId *kv_pb_object_id(kv_pb_writer *writer, const kv_object_id *from)
{
    Keyvault__V1__ObjectId *id;

    if (!from->vault.len)
        return NULL;
    id = kv_pb_new(writer, &keyvault__v1__object_id__descriptor);
    if (!id)
        return NULL;
    id->vault = kv_pb_text(writer, from->vault);
    id->name = kv_pb_text(writer, from->name);
    id->version = kv_pb_text(writer, from->version);
    return id;
}

Keyvault__V1__Attributes *kv_pb_attributes(kv_pb_writer *writer, const kv_attributes *from)
{
    Keyvault__V1__Attributes *to = kv_pb_new(writer, &keyvault__v1__attributes__descriptor);

    if (!to)
        return NULL;
    to->enabled = from->enabled;
    if (from->not_before) {
        to->has_not_before_case = KEYVAULT__V1__ATTRIBUTES__HAS_NOT_BEFORE_NOT_BEFORE;
        to->not_before = kv_pb_seconds(from->not_before);
    }
    if (from->expires) {
        to->has_expires_case = KEYVAULT__V1__ATTRIBUTES__HAS_EXPIRES_EXPIRES;
        to->expires = kv_pb_seconds(from->expires);
    }
    to->created = kv_pb_seconds(from->created);
    to->updated = kv_pb_seconds(from->updated);
    to->recovery_level = kv_pb_text(writer, from->recovery_level);
    to->recoverable_days = from->recoverable_days;
    return to;
}

Keyvault__V1__Deletion *kv_pb_deletion(kv_pb_writer *writer, const kv_deletion *from)
{
    Keyvault__V1__Deletion *to;

    if (!from->deleted_date)
        return NULL;
    to = kv_pb_new(writer, &keyvault__v1__deletion__descriptor);
    if (!to)
        return NULL;
    to->deleted_date = kv_pb_seconds(from->deleted_date);
    to->scheduled_purge_date = kv_pb_seconds(from->scheduled_purge_date);
    return to;
}

Keyvault__V1__Tag **kv_pb_tags(kv_pb_writer *writer, const kv_tags *from, size_t *count)
{
    Keyvault__V1__Tag **tags = kv_pb_array(writer, from->count, sizeof(*tags), count);

    for (size_t i = 0; i < *count; i++) {
        tags[i] = kv_pb_new(writer, &keyvault__v1__tag__descriptor);
        if (!tags[i])
            break;
        tags[i]->name = kv_pb_text(writer, from->items[i].name);
        tags[i]->value = kv_pb_text(writer, from->items[i].value);
    }
    return tags;
}

int *kv_pb_numbers(kv_pb_writer *writer, uint32_t mask, size_t *count)
{
    size_t bits = (size_t)__builtin_popcount(mask & ~UINT32_C(1));
    int *numbers = kv_pb_array(writer, bits, sizeof(*numbers), count);
    size_t filled = 0;

    for (int bit = 1; bit < 32 && filled < *count; bit++)
        if (mask & UINT32_C(1) << bit)
            numbers[filled++] = bit;
    return numbers;
}

char **kv_pb_texts(kv_pb_writer *writer, const kv_slice *from, size_t from_count, size_t *count)
{
    char **texts = kv_pb_array(writer, from_count, sizeof(*texts), count);

    for (size_t i = 0; i < *count; i++)
        texts[i] = kv_pb_text(writer, from[i]);
    return texts;
}

ProtobufCBinaryData *kv_pb_blobs(kv_pb_writer *writer, const kv_slice *from, size_t from_count,
                                 size_t *count)
{
    ProtobufCBinaryData *blobs = kv_pb_array(writer, from_count, sizeof(*blobs), count);

    for (size_t i = 0; i < *count; i++)
        blobs[i] = kv_pb_bytes(from[i]);
    return blobs;
}

kv_status kv_pb_pack(const kv_pb_writer *writer, const ProtobufCMessage *message, kv_slice *body,
                     kv_error *err)
{
    uint8_t *bytes;
    size_t size;

    if (writer->full)
        return kv_arena_full(err);
    size = protobuf_c_message_get_packed_size(message);
    bytes = kv_arena_alloc(writer->arena, size);
    if (!bytes)
        return kv_arena_full(err);
    *body = kv_slice_of(bytes, protobuf_c_message_pack(message, bytes));
    return KV_OK;
}
