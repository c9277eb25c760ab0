/* samples.c - valid and flawed messages from descriptors. */
#include "tests/unit/wire/samples.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { ROOM = 1000 * 1000, INNER_ROOM = 32 * 1024, MANY = 10000 };

typedef struct buffer {
    uint8_t *data;
    size_t len;
    size_t room;
} buffer;

static const struct {
    const char *field;
    const char *text;
} texts[] = {
    { "principal_id", "00112233445566778899aabbccddeeff" },
    { "credential_id", "00112233445566778899AABBCCDDEEFF" },
    { "assignment_id", "00112233445566778899aabbccddeeff" },
    { "jti", "00112233445566778899aabbccddeeff" },
    { "version", "0123456789abcdef0123456789abcdef" },
    { "collection", "keys" },
    { "scope", "/vaults/v" },
    { "types", "Microsoft.KeyVault.KeyExpired" },
};

static const struct {
    const char *field;
    size_t len;
} lengths[] = { { "ca_sha256", 32 }, { "x5t", 20 }, { "x5t_s256", 32 }, { "digest", 32 } };

static const struct {
    const char *field;
    uint64_t number;
} numbers[] = { { "from_ms", 1000 }, { "to_ms", 2000 }, { "last_sequence", 1700000000 } };

static void put(buffer *out, const void *bytes, size_t len)
{
    assert(out->len + len <= out->room);
    memcpy(out->data + out->len, bytes, len);
    out->len += len;
}

static void put_varint(buffer *out, uint64_t value)
{
    uint8_t byte;

    for (; value > 0x7f; value >>= 7) {
        byte = (uint8_t)(value | 0x80);
        put(out, &byte, 1);
    }
    byte = (uint8_t)value;
    put(out, &byte, 1);
}

static void put_bytes(buffer *out, uint32_t field, const void *bytes, size_t len)
{
    put_varint(out, (uint64_t)field << 3 | 2);
    put_varint(out, len);
    put(out, bytes, len);
}

static void put_number(buffer *out, uint32_t field, uint64_t value)
{
    put_varint(out, (uint64_t)field << 3);
    put_varint(out, value);
}

static void put_text(buffer *out, const ProtobufCFieldDescriptor *field, kv_flaw flaw)
{
    const char *text = "sample";

    if (flaw == KV_FLAW_NOT_UTF8) {
        put_bytes(out, field->id, "ab\x80", 3);
        return;
    }
    if (flaw == KV_FLAW_CONTROL) {
        put_bytes(out, field->id, "ab\0c", 4);
        return;
    }
    for (size_t i = 0; i < KV_COUNT(texts); i++)
        if (!strcmp(texts[i].field, field->name))
            text = texts[i].text;
    put_bytes(out, field->id, text, strlen(text));
}

static void put_blob(buffer *out, const ProtobufCFieldDescriptor *field)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t len = 5;

    for (size_t i = 0; i < KV_COUNT(lengths); i++)
        if (!strcmp(lengths[i].field, field->name))
            len = lengths[i].len;
    put_bytes(out, field->id, letters, len);
}

static void put_scalar(buffer *out, const ProtobufCFieldDescriptor *field, kv_flaw flaw)
{
    uint64_t number = 1;

    if (field->type == PROTOBUF_C_TYPE_INT64)
        number = 1700000000;
    for (size_t i = 0; i < KV_COUNT(numbers); i++)
        if (!strcmp(numbers[i].field, field->name))
            number = numbers[i].number;
    put_number(out, field->id, flaw == KV_FLAW_UNKNOWN_ENUM ? 4711 : number);
}

static bool can_have(const ProtobufCFieldDescriptor *field, kv_flaw flaw)
{
    bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;

    switch (flaw) {
    case KV_FLAW_NOT_UTF8:
    case KV_FLAW_CONTROL:
        return field->type == PROTOBUF_C_TYPE_STRING;
    case KV_FLAW_UNKNOWN_ENUM:
        return field->type == PROTOBUF_C_TYPE_ENUM;
    case KV_FLAW_TWICE:
        return !repeated;
    case KV_FLAW_TOO_MANY:
        return repeated;
    case KV_FLAW_OTHER_TYPE:
        return true;
    case KV_FLAW_NONE:
    case KV_FLAW_COUNT:
    default:
        return false;
    }
}

/* The first member of a oneof is taken, the others are left out; and a list of credentials is
 * asked for by principal, not by vault as well. */
static bool left_out(const ProtobufCMessageDescriptor *type, unsigned index)
{
    const ProtobufCFieldDescriptor *field = &type->fields[index];

    if (!strcmp(type->short_name, "ListCredentialsRequest") && !strcmp(field->name, "vault"))
        return true;
    for (unsigned i = 0; i < index; i++)
        if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
            (type->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
            type->fields[i].quantifier_offset == field->quantifier_offset)
            return true;
    return false;
}

static void put_message(kv_sample *sample, kv_arena *arena, const ProtobufCMessageDescriptor *type,
                        const char *path, buffer *out);

static void put_field(kv_sample *sample, kv_arena *arena, const ProtobufCFieldDescriptor *field,
                      const char *path, buffer *out, kv_flaw flaw)
{
    buffer inner = { .room = INNER_ROOM };

    if (flaw == KV_FLAW_OTHER_TYPE) {
        put_varint(out, (uint64_t)field->id << 3 | 5); /* 32 bits: no field here has those */
        put(out, "abcd", 4);
        return;
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        inner.data = kv_arena_alloc(arena, INNER_ROOM);
        assert(inner.data);
        put_message(sample, arena, field->descriptor, path, &inner);
        put_bytes(out, field->id, inner.data, inner.len);
    } else if (field->type == PROTOBUF_C_TYPE_STRING) {
        put_text(out, field, flaw);
    } else if (field->type == PROTOBUF_C_TYPE_BYTES) {
        put_blob(out, field);
    } else {
        put_scalar(out, field, flaw);
    }
}

static void put_message(kv_sample *sample, kv_arena *arena, const ProtobufCMessageDescriptor *type,
                        const char *path, buffer *out)
{
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
        kv_flaw flaw = KV_FLAW_NONE;
        char here[128];
        size_t start = out->len, once;

        if (left_out(type, i))
            continue;
        if (sample->fields++ == sample->at && can_have(field, sample->flaw))
            flaw = sample->flaw;
        (void)snprintf(here, sizeof(here), "%s%s%s%s", path, path[0] ? "." : "", field->name,
                       repeated && flaw != KV_FLAW_TOO_MANY ? "[0]" : "");
        if (flaw != KV_FLAW_NONE) {
            sample->flawed = true;
            (void)snprintf(sample->path, sizeof(sample->path), "%.63s", here);
        }
        put_field(sample, arena, field, here, out, flaw);
        once = out->len - start;
        for (int n = 1; n < (flaw == KV_FLAW_TOO_MANY ? MANY : flaw == KV_FLAW_TWICE ? 2 : 1); n++)
            if (out->len + once < out->room / 2)
                put(out, out->data + start, once);
    }
}

kv_slice kv_sample_make(kv_sample *sample, kv_arena *arena)
{
    buffer out = { .data = kv_arena_alloc(arena, ROOM), .room = ROOM };

    assert(out.data);
    sample->fields = 0;
    sample->flawed = false;
    sample->path[0] = '\0';
    put_message(sample, arena, sample->type, "", &out);
    return kv_slice_of(out.data, out.len);
}
