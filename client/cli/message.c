/* message.c - paths into messages, and their JSON. */
#include "client/cli/message.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "server/base/text.h"

enum { PATH_BYTES = 128, NAME_BYTES = 64, NUMBER_BYTES = 32, SECRET_TEXT_MAX = 1 << 20 };

/* --- bytes as text --- */

char *kv_base64_text(kv_slice bytes)
{
    size_t size = 4 * ((bytes.len + 2) / 3) + 1;
    char *out = malloc(size);

    if (out)
        (void)EVP_EncodeBlock((unsigned char *)out, bytes.data, (int)bytes.len);
    return out;
}

static bool parse_hex(const char *text, uint8_t *out, size_t *len)
{
    *len = 0;
    while (*text) {
        text += *text == ':' && *len;
        if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) ||
            !kv_unhex(kv_slice_of(text, 2), out + (*len)++, 1))
            return false;
        text += 2;
    }
    return *len > 0;
}

kv_status kv_bytes_parse(kv_arena *arena, const char *text, kv_slice *out, kv_error *err)
{
    size_t len = strlen(text);
    uint8_t *data = kv_arena_alloc(arena, len + 1);
    size_t count = 0;

    if (!data)
        return kv_arena_full(err);
    if (parse_hex(text, data, &count)) {
        *out = kv_slice_of(data, count);
        return KV_OK;
    }
    while (len && text[len - 1] == '=')
        len--;
    for (size_t i = 0; i < len; i++)
        data[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : (uint8_t)text[i];
    return kv_unbase64url(arena, kv_slice_of(data, len), out, err);
}

/* --- by path --- */

/* The message that holds the last name of the path, and that field. */
static kv_status walk(ProtobufCMessage *message, const char *path, ProtobufCMessage **holder,
                      const ProtobufCFieldDescriptor **field, kv_error *err)
{
    for (;;) {
        size_t len = strcspn(path, ".");
        char name[NAME_BYTES];
        void *place;

        (void)snprintf(name, sizeof(name), "%.*s", (int)len, path);
        *field = kv_field_find(message->descriptor, name);
        if (!*field)
            return kv_fail_field(err, name, "%s has no such field", message->descriptor->name);
        *holder = message;
        if (!path[len])
            return KV_OK;
        place = kv_field_place(message, *field);
        if (!place || (*field)->type != PROTOBUF_C_TYPE_MESSAGE)
            return kv_fail_field(err, name, "has no fields of its own");
        memcpy(&message, place, sizeof(message));
        path += len + 1;
    }
}

static kv_status set_tag(ProtobufCMessage *tag, const char *text, kv_error *err)
{
    const char *equals = strchr(text, '=');
    char name[2 * PATH_BYTES + 1];

    if (!equals || equals == text || (size_t)(equals - text) >= sizeof(name))
        return kv_fail_field(err, "tags", "a tag is written name=value, not '%.40s'", text);
    (void)snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
    KV_TRY(kv_message_set(tag, "name", name, err));
    return kv_message_set(tag, "value", equals + 1, err);
}

kv_status kv_message_set(ProtobufCMessage *message, const char *path, const char *text,
                         kv_error *err)
{
    const ProtobufCFieldDescriptor *field;
    ProtobufCMessage *holder, *inner;
    void *place;

    KV_TRY(walk(message, path, &holder, &field, err));
    place = kv_field_place(holder, field);
    if (!place)
        return kv_fail(err, KV_BUSY, "out of memory");
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return kv_field_write(field, place, text, path, err);
    memcpy(&inner, place, sizeof(inner));
    if (!strcmp(inner->descriptor->short_name, "Tag"))
        return set_tag(inner, text, err);
    return kv_fail_field(err, path, "cannot be written as one value");
}

kv_status kv_message_set_bytes(ProtobufCMessage *message, const char *path, kv_slice bytes,
                               kv_error *err)
{
    const ProtobufCFieldDescriptor *field;
    ProtobufCMessage *holder;
    void *place;

    KV_TRY(walk(message, path, &holder, &field, err));
    place = field->type == PROTOBUF_C_TYPE_BYTES ? kv_field_place(holder, field) : NULL;
    if (!place)
        return kv_fail_field(err, path, "is not a field of bytes");
    return kv_field_write_bytes(place, bytes, err);
}

/* --- to JSON --- */

static void camel(const char *name, char out[NAME_BYTES])
{
    size_t len = 0;

    for (; *name && len + 1 < NAME_BYTES; name++) {
        if (*name == '_' && name[1])
            out[len++] = (char)toupper((unsigned char)*++name);
        else
            out[len++] = *name;
    }
    out[len] = '\0';
}

static json_t *bytes_json(const ProtobufCBinaryData *bytes)
{
    char *text = kv_base64_text(kv_slice_of(bytes->data, bytes->len));
    json_t *json = text ? json_string(text) : NULL;

    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
    return json;
}

/* protobuf-c takes text as it comes. What is no UTF-8 would be no JSON, and the field not be there:
 * the bytes that are wrong are shown as question marks. */
static json_t *text_json(const char *text)
{
    json_t *json = json_string(text);
    char *copy = json ? NULL : strdup(text);

    if (copy) {
        kv_text_mend(copy);
        json = json_string(copy);
        OPENSSL_cleanse(copy, strlen(copy));
    }
    free(copy);
    return json;
}

static json_t *enum_json(const ProtobufCEnumDescriptor *type, int value)
{
    const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(type, value);

    return known ? json_string(known->name) : json_integer(value);
}

/* Everything but messages. */
static json_t *plain_json(const ProtobufCFieldDescriptor *field, const void *value)
{
    int64_t wide = 0;
    uint32_t narrow = 0;
    const char *text;

    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        memcpy(&text, value, sizeof(text));
        return text_json(text ? text : "");
    case PROTOBUF_C_TYPE_BYTES:
        return bytes_json(value);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)value);
    case PROTOBUF_C_TYPE_ENUM:
        return enum_json(field->descriptor, *(const int *)value);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        memcpy(&wide, value, sizeof(wide));
        return json_integer(wide);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        memcpy(&narrow, value, sizeof(narrow));
        return json_integer((int32_t)narrow);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        memcpy(&narrow, value, sizeof(narrow));
        return json_integer(narrow);
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    return json_null();
}

static json_t *value_json(const ProtobufCFieldDescriptor *field, const void *value)
{
    const ProtobufCMessage *inner;

    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return plain_json(field, value);
    memcpy(&inner, value, sizeof(inner));
    return kv_message_json(inner);
}

static json_t *list_json(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < kv_field_count(message, field); i++)
        (void)json_array_append_new(list, value_json(field, kv_field_value(message, field, i)));
    return list;
}

/* Empty text, empty bytes and the enumeration's zero say "not given". */
static bool says_nothing(const ProtobufCFieldDescriptor *field, const void *value)
{
    const char *text;

    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return false;
    if (field->type == PROTOBUF_C_TYPE_ENUM)
        return *(const int *)value == 0;
    if (field->type == PROTOBUF_C_TYPE_BYTES)
        return ((const ProtobufCBinaryData *)value)->len == 0;
    if (field->type != PROTOBUF_C_TYPE_STRING)
        return false;
    memcpy(&text, value, sizeof(text));
    return !text || !*text;
}

json_t *kv_message_json(const ProtobufCMessage *message)
{
    json_t *object = json_object();

    for (unsigned i = 0; object && i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        char name[NAME_BYTES];

        camel(field->name, name);
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            (void)json_object_set_new(object, name, list_json(message, field));
        else if (kv_field_present(message, field) &&
                 !says_nothing(field, kv_field_value(message, field, 0)))
            (void)json_object_set_new(object, name,
                                      value_json(field, kv_field_value(message, field, 0)));
    }
    return object;
}

/* --- from JSON --- */

static kv_status read_value(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                            const json_t *value, kv_error *err)
{
    char number[NUMBER_BYTES];
    ProtobufCMessage *inner;
    const char *text = json_string_value(value);
    void *place = kv_field_place(message, field);

    if (!place)
        return kv_fail(err, KV_BUSY, "out of memory");
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        memcpy(&inner, place, sizeof(inner));
        return kv_message_read_json(inner, value, err);
    }
    if (json_is_integer(value)) {
        (void)snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        text = number;
    } else if (json_is_boolean(value)) {
        text = json_is_true(value) ? "true" : "false";
    }
    if (!text)
        return kv_fail_field(err, field->name, "has a value of the wrong kind");
    return kv_field_write(field, place, text, field->name, err);
}

static kv_status read_list(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                           const json_t *list, kv_error *err)
{
    size_t i;
    const json_t *value;

    if (!json_is_array(list))
        return kv_fail_field(err, field->name, "is a list");
    json_array_foreach(list, i, value) KV_TRY(read_value(message, field, value, err));
    return KV_OK;
}

kv_status kv_message_read_json(ProtobufCMessage *message, const json_t *object, kv_error *err)
{
    const char *name;
    json_t *value;

    if (!json_is_object(object))
        return kv_fail(err, KV_BAD_REQUEST, "%s is written as a JSON object",
                       message->descriptor->short_name);
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        const ProtobufCFieldDescriptor *field = kv_field_find(message->descriptor, name);

        if (!field)
            return kv_fail_field(err, name, "%s has no such field",
                                 message->descriptor->short_name);
        if (json_is_null(value))
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            KV_TRY(read_list(message, field, value, err));
        else
            KV_TRY(read_value(message, field, value, err));
    }
    return KV_OK;
}
