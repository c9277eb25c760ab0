/* pb_open.c - from the bytes of a request to its message and its target. */
#include "server/wire/pb_impl.h"

/* Decoding may take so much: what the scan lets through fits well. */
enum { BUDGET_BASE = 64 * 1024, BUDGET_FACTOR = 8 };

typedef struct budget {
    kv_arena *arena;
    size_t left;
    bool full; /* of the arena; else the budget */
} budget;

static void *budget_alloc(void *data, size_t size)
{
    budget *b = data;
    void *memory;

    if (size > b->left)
        return NULL;
    b->left -= size;
    memory = kv_arena_alloc(b->arena, size);
    b->full = memory == NULL;
    return memory;
}

static void budget_free(void *data, void *memory)
{
    (void)data;
    (void)memory; /* the arena goes as a whole */
}

kv_status kv_pb_unpack(const ProtobufCMessageDescriptor *type, kv_slice body, kv_arena *arena,
                       const ProtobufCMessage **out, kv_error *err)
{
    budget b = { .arena = arena, .left = BUDGET_BASE + BUDGET_FACTOR * body.len };
    ProtobufCAllocator allocator = { budget_alloc, budget_free, &b };
    /* protobuf-c does arithmetic on the pointer even for no bytes. */
    const uint8_t *data = body.len ? body.data : (const uint8_t *)"";
    ProtobufCMessage *message;

    KV_TRY(kv_pb_scan(type, body, err));
    message = protobuf_c_message_unpack(type, &allocator, body.len, data);
    if (!message && b.full)
        return kv_arena_full(err);
    if (!message)
        return kv_fail(err, KV_BAD_REQUEST, "the message is not a %s", type->name);
    *out = message;
    return KV_OK;
}

/* The text of a field, or nothing when the message has no such field or it is not chosen. */
static kv_slice text_field(const ProtobufCMessage *message, const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
    const char *base = (const char *)message;
    const char *text;

    if (!field || field->type != PROTOBUF_C_TYPE_STRING)
        return KV_SLICE_NONE;
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        uint32_t chosen;

        memcpy(&chosen, base + field->quantifier_offset, sizeof(chosen));
        if (chosen != field->id)
            return KV_SLICE_NONE;
    }
    memcpy(&text, base + field->offset, sizeof(text));
    return kv_slice_text(text);
}

static kv_page page_fields(const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    const ProtobufCFieldDescriptor *size =
        protobuf_c_message_descriptor_get_field_by_name(type, "page_size");
    const ProtobufCFieldDescriptor *token =
        protobuf_c_message_descriptor_get_field_by_name(type, "page_token");
    uint32_t count;
    ProtobufCBinaryData bytes;

    memcpy(&count, (const char *)message + size->offset, sizeof(count));
    memcpy(&bytes, (const char *)message + token->offset, sizeof(bytes));
    return kv_pb_page(count, bytes);
}

kv_status kv_pb_open(const ProtobufCMessageDescriptor *type, kv_slice body,
                     kv_collection collection, kv_arena *arena, kv_target *target,
                     const ProtobufCMessage **out, kv_error *err)
{
    KV_TRY(kv_pb_unpack(type, body, arena, out, err));
    target->vault = text_field(*out, "vault");
    target->collection = collection;
    target->name = text_field(*out, "name");
    target->version = text_field(*out, "version");
    target->issuer = text_field(*out, "issuer");
    if (!target->issuer.len)
        target->issuer = text_field(*out, "webhook");
    return KV_OK;
}

kv_status kv_pb_read_target(const ProtobufCMessageDescriptor *type, kv_slice body,
                            kv_collection collection, kv_arena *arena, void *in, kv_error *err)
{
    kv_target_in *read = in;
    const ProtobufCMessage *message;

    return kv_pb_open(type, body, collection, arena, &read->target, &message, err);
}

kv_status kv_pb_read_list(const ProtobufCMessageDescriptor *type, kv_slice body,
                          kv_collection collection, kv_arena *arena, void *in, kv_error *err)
{
    kv_list_in *read = in;
    const ProtobufCMessage *message;

    KV_TRY(kv_pb_open(type, body, collection, arena, &read->target, &message, err));
    read->page = page_fields(message);
    return KV_OK;
}
