/* text_message.c - messages as text and back. */
#include "tests/replay/text_message.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH_MAX = 8, WORD_MAX = 128, WIRE_VARINT = 0, WIRE_BYTES = 2 };

typedef struct writer {
    uint8_t *data;
    size_t len;
    size_t room;
} writer;

typedef struct reader {
    const char *at;
    kv_arena *arena;
    kv_error *err;
} reader;

static void put(writer *out, uint8_t byte)
{
    if (out->len < out->room)
        out->data[out->len] = byte;
    out->len++;
}

static void put_varint(writer *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        put(out, (uint8_t)(value | 0x80));
    put(out, (uint8_t)value);
}

static void put_bytes(writer *out, uint32_t field, kv_slice bytes)
{
    put_varint(out, (uint64_t)field << 3 | WIRE_BYTES);
    put_varint(out, bytes.len);
    for (size_t i = 0; i < bytes.len; i++)
        put(out, bytes.data[i]);
}

static kv_status refuse(reader *in, const char *why)
{
    return kv_fail(in->err, KV_BAD_REQUEST, "%s at '%.40s'", why, in->at);
}

static void skip_space(reader *in)
{
    while (isspace((unsigned char)*in->at) || *in->at == ',')
        in->at++;
}

static kv_status read_word(reader *in, char out[WORD_MAX])
{
    size_t len = 0;

    skip_space(in);
    while (isalnum((unsigned char)*in->at) || *in->at == '_' || *in->at == '-') {
        if (len + 1 == WORD_MAX)
            return refuse(in, "a word is too long");
        out[len++] = *in->at++;
    }
    out[len] = '\0';
    return len ? KV_OK : refuse(in, "a word is missing");
}

static kv_status read_escape(reader *in, uint8_t *out)
{
    switch (*in->at++) {
    case 'n':
        *out = '\n';
        return KV_OK;
    case '"':
        *out = '"';
        return KV_OK;
    case '\\':
        *out = '\\';
        return KV_OK;
    case 'x':
        if (!kv_unhex(kv_slice_of(in->at, 2), out, 1))
            return refuse(in, "not two hex digits");
        in->at += 2;
        return KV_OK;
    default:
        return refuse(in, "an unknown escape");
    }
}

static kv_status read_string(reader *in, kv_slice *out)
{
    uint8_t *bytes = kv_arena_alloc(in->arena, strlen(in->at) + 1);
    size_t len = 0;

    skip_space(in);
    if (!bytes)
        return kv_arena_full(in->err);
    if (*in->at++ != '"')
        return refuse(in, "a string is missing");
    while (*in->at && *in->at != '"') {
        if (*in->at != '\\') {
            bytes[len++] = (uint8_t)*in->at++;
            continue;
        }
        in->at++;
        KV_TRY(read_escape(in, &bytes[len++]));
    }
    if (*in->at++ != '"')
        return refuse(in, "a string does not end");
    *out = kv_slice_of(bytes, len);
    return KV_OK;
}

static kv_status read_number(reader *in, const ProtobufCFieldDescriptor *field, uint64_t *out)
{
    char word[WORD_MAX];
    char *end;

    KV_TRY(read_word(in, word));
    if (field->type == PROTOBUF_C_TYPE_ENUM) {
        const ProtobufCEnumValue *value =
            protobuf_c_enum_descriptor_get_value_by_name(field->descriptor, word);

        if (value) {
            *out = (uint64_t)(int64_t)value->value;
            return KV_OK;
        }
    }
    if (field->type == PROTOBUF_C_TYPE_BOOL && (!strcmp(word, "true") || !strcmp(word, "false"))) {
        *out = word[0] == 't';
        return KV_OK;
    }
    *out = (uint64_t)strtoll(word, &end, 10);
    return *end ? refuse(in, "not a value of this field, before") : KV_OK;
}

static kv_status read_fields(reader *in, const ProtobufCMessageDescriptor *of, int depth,
                             writer *out);

static kv_status read_message(reader *in, const ProtobufCFieldDescriptor *field, int depth,
                              writer *out)
{
    writer inner = { .room = 1 << 16 };

    inner.data = kv_arena_alloc(in->arena, inner.room);
    if (!inner.data)
        return kv_arena_full(in->err);
    skip_space(in);
    if (*in->at++ != '{')
        return refuse(in, "a '{' is missing");
    KV_TRY(read_fields(in, field->descriptor, depth + 1, &inner));
    if (*in->at++ != '}' || inner.len > inner.room)
        return refuse(in, "a '}' is missing");
    put_bytes(out, field->id, kv_slice_of(inner.data, inner.len));
    return KV_OK;
}

static kv_status read_field(reader *in, const ProtobufCMessageDescriptor *of, int depth,
                            writer *out)
{
    const ProtobufCFieldDescriptor *field;
    char name[WORD_MAX];
    uint64_t number;
    kv_slice bytes;

    KV_TRY(read_word(in, name));
    field = protobuf_c_message_descriptor_get_field_by_name(of, name);
    if (!field)
        return kv_fail(in->err, KV_BAD_REQUEST, "%s has no field '%s'", of->name, name);
    skip_space(in);
    if (*in->at == ':')
        in->at++;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return read_message(in, field, depth, out);
    if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BYTES) {
        KV_TRY(read_string(in, &bytes));
        put_bytes(out, field->id, bytes);
        return KV_OK;
    }
    KV_TRY(read_number(in, field, &number));
    put_varint(out, (uint64_t)field->id << 3 | WIRE_VARINT);
    put_varint(out, number);
    return KV_OK;
}

static kv_status read_fields(reader *in, const ProtobufCMessageDescriptor *of, int depth,
                             writer *out)
{
    if (depth == DEPTH_MAX)
        return refuse(in, "too deep");
    skip_space(in);
    while (*in->at && *in->at != '}') {
        KV_TRY(read_field(in, of, depth, out));
        skip_space(in);
    }
    return KV_OK;
}

kv_status text_to_message(const ProtobufCMessageDescriptor *descriptor, const char *text,
                          kv_arena *arena, kv_slice *out, kv_error *err)
{
    reader in = { .at = text, .arena = arena, .err = err };
    writer bytes = { .room = 1 << 17 };

    bytes.data = kv_arena_alloc(arena, bytes.room);
    if (!bytes.data)
        return kv_arena_full(err);
    KV_TRY(read_fields(&in, descriptor, 0, &bytes));
    if (*in.at || bytes.len > bytes.room)
        return refuse(&in, "more than a message");
    *out = kv_slice_of(bytes.data, bytes.len);
    return KV_OK;
}

/* --- and back --- */

static bool take_varint(kv_slice *in, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; in->len && shift < 64; shift += 7) {
        uint8_t byte = in->data[0];

        *in = kv_slice_of(in->data + 1, in->len - 1);
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

typedef struct found {
    unsigned count;
    uint64_t number; /* of the one asked for */
    kv_slice bytes;
    bool there;
} found;

/* Looks for the `index`-th value of a field; numbers of a repeated field may be packed. */
static kv_status find(kv_slice message, const ProtobufCFieldDescriptor *field, unsigned index,
                      found *out, kv_error *err)
{
    bool scalar = field->type != PROTOBUF_C_TYPE_MESSAGE && field->type != PROTOBUF_C_TYPE_STRING &&
                  field->type != PROTOBUF_C_TYPE_BYTES;
    uint64_t tag;

    *out = (found){ 0 };
    while (message.len) {
        uint64_t value;
        kv_slice bytes = KV_SLICE_NONE;

        if (!take_varint(&message, &tag) || !take_varint(&message, &value))
            return kv_fail(err, KV_BAD_REQUEST, "an answer is not a message");
        if ((tag & 7) == WIRE_BYTES) {
            if (value > message.len)
                return kv_fail(err, KV_BAD_REQUEST, "an answer is cut");
            bytes = kv_slice_of(message.data, (size_t)value);
            message = kv_slice_of(message.data + value, message.len - (size_t)value);
        }
        if (tag >> 3 != field->id)
            continue;
        do {
            if (scalar && (tag & 7) == WIRE_BYTES && !take_varint(&bytes, &value))
                break;
            if (out->count++ == index) {
                out->number = value;
                out->bytes = bytes;
                out->there = true;
            }
        } while (scalar && (tag & 7) == WIRE_BYTES && bytes.len);
    }
    return KV_OK;
}

static kv_status spell_bytes(kv_slice bytes, kv_arena *arena, kv_slice *out, kv_error *err)
{
    char *text = kv_arena_alloc(arena, 4 * bytes.len + 1);
    size_t len = 0;

    if (!text)
        return kv_arena_full(err);
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t byte = bytes.data[i];

        if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\' && byte != '$')
            text[len++] = (char)byte;
        else
            len += (size_t)snprintf(text + len, 5, "\\x%02x", byte);
    }
    *out = kv_slice_of(text, len);
    return KV_OK;
}

static kv_status spell(const ProtobufCFieldDescriptor *field, const found *value, kv_arena *arena,
                       kv_slice *out, kv_error *err)
{
    const ProtobufCEnumValue *name;

    if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BYTES)
        return spell_bytes(value->bytes, arena, out, err);
    if (field->type == PROTOBUF_C_TYPE_BOOL) {
        *out = kv_slice_text(value->number ? "true" : "false");
        return KV_OK;
    }
    if (field->type == PROTOBUF_C_TYPE_ENUM) {
        name = protobuf_c_enum_descriptor_get_value(field->descriptor, (int)value->number);
        *out = kv_slice_text(name ? name->name : "?");
        return KV_OK;
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        *out = kv_slice_text(value->there ? "present" : "absent");
        return KV_OK;
    }
    return kv_arena_print(arena, out, err, "%lld", (long long)value->number);
}

/* One step of a path: name, "[n]", "#". */
typedef struct path_step {
    char name[WORD_MAX];
    unsigned index;
    bool count;
    const char *rest; /* NULL: the last */
} path_step;

static kv_status read_step(const char *path, path_step *out, kv_error *err)
{
    reader in = { .at = path, .err = err };

    *out = (path_step){ 0 };
    KV_TRY(read_word(&in, out->name));
    if (*in.at == '[') {
        char *end;

        out->index = (unsigned)strtoul(in.at + 1, &end, 10);
        in.at = *end == ']' ? end + 1 : end;
    }
    if (*in.at == '#') {
        out->count = true;
        in.at++;
    }
    if (*in.at == '.')
        out->rest = in.at + 1;
    else if (*in.at)
        return refuse(&in, "this is not a path");
    return KV_OK;
}

kv_status text_of_message(const ProtobufCMessageDescriptor *descriptor, kv_slice message,
                          const char *path, kv_arena *arena, kv_slice *out, kv_error *err)
{
    path_step step = { .rest = path };

    while (step.rest) {
        const ProtobufCFieldDescriptor *field;
        found value;

        KV_TRY(read_step(step.rest, &step, err));
        field = protobuf_c_message_descriptor_get_field_by_name(descriptor, step.name);
        if (!field)
            return kv_fail(err, KV_BAD_REQUEST, "%s has no field '%s'", descriptor->name,
                           step.name);
        KV_TRY(find(message, field, step.index, &value, err));
        if (step.count)
            return kv_arena_print(arena, out, err, "%u", value.count);
        if (!step.rest)
            return spell(field, &value, arena, out, err);
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            return kv_fail(err, KV_BAD_REQUEST, "'%s' has no fields", step.name);
        descriptor = field->descriptor;
        message = value.bytes;
    }
    return kv_fail(err, KV_BAD_REQUEST, "a path is missing");
}
