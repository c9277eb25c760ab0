/* fields.c - the fields of protobuf-c's structs, reached through their descriptors. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/message.h"
#include "client/client_private.h"
#include "server/base/text.h"

enum { NAME_BYTES = 96, BYTES_MAX = 1 << 20 };

static void *take_memory(size_t size)
{
    ProtobufCAllocator wiping = kv_client_allocator();

    return wiping.alloc(wiping.allocator_data, size ? size : 1);
}

static void give_back(void *memory)
{
    ProtobufCAllocator wiping = kv_client_allocator();

    wiping.free(wiping.allocator_data, memory);
}

ProtobufCMessage *kv_message_new(const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *message = take_memory(type->sizeof_message);

    if (message)
        protobuf_c_message_init(type, message);
    return message;
}

/* "x5t_s256" and "x5tS256", "not_before" and "notBefore": compared without underscores and case. */
static bool same_name(const char *a, const char *b)
{
    for (;;) {
        a += *a == '_';
        b += *b == '_';
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (!*a)
            return true;
        a++;
        b++;
    }
}

const ProtobufCFieldDescriptor *kv_field_find(const ProtobufCMessageDescriptor *type,
                                              const char *name)
{
    for (unsigned i = 0; i < type->n_fields; i++)
        if (same_name(type->fields[i].name, name))
            return &type->fields[i];
    return NULL;
}

static size_t element_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
        break;
    }
    return sizeof(uint32_t);
}

static uint32_t oneof_case(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    uint32_t which;

    memcpy(&which, (const char *)message + field->quantifier_offset, sizeof(which));
    return which;
}

size_t kv_field_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    size_t count;

    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return 1;
    memcpy(&count, (const char *)message + field->quantifier_offset, sizeof(count));
    return count;
}

const void *kv_field_value(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                           size_t at)
{
    const char *place = (const char *)message + field->offset;
    const char *array;

    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return place;
    memcpy(&array, place, sizeof(array));
    return array + at * element_size(field);
}

bool kv_field_present(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const void *pointer;

    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return oneof_case(message, field) == field->id;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return kv_field_count(message, field) > 0;
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return true;
    memcpy(&pointer, (const char *)message + field->offset, sizeof(pointer));
    return pointer != NULL;
}

static void *add_element(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    char *place = (char *)message + field->offset;
    size_t count = kv_field_count(message, field), size = element_size(field);
    char *before, *array = take_memory((count + 1) * size);

    if (!array)
        return NULL;
    memcpy(&before, place, sizeof(before));
    memset(array, 0, (count + 1) * size);
    if (count)
        memcpy(array, before, count * size);
    if (count)
        give_back(before);
    memcpy(place, &array, sizeof(array));
    count++;
    memcpy((char *)message + field->quantifier_offset, &count, sizeof(count));
    return array + (count - 1) * size;
}

void *kv_field_place(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    char *place = (char *)message + field->offset;
    const uint32_t id = field->id;
    ProtobufCMessage *inner;

    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        place = add_element(message, field);
    } else if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
               oneof_case(message, field) != field->id) {
        memset(place, 0, element_size(field));
        memcpy((char *)message + field->quantifier_offset, &id, sizeof(id));
    }
    if (!place || field->type != PROTOBUF_C_TYPE_MESSAGE)
        return place;
    memcpy(&inner, place, sizeof(inner));
    if (!inner) {
        inner = kv_message_new(field->descriptor);
        memcpy(place, &inner, sizeof(inner));
    }
    return inner ? place : NULL;
}

/* --- values from text --- */

/* Letters and digits in upper case: "P-256" and "P256", "digitalSignature" and
 * "DIGITAL_SIGNATURE" are the same. */
static void squeeze(const char *text, char out[NAME_BYTES])
{
    size_t len = 0;

    for (; *text && len + 1 < NAME_BYTES; text++)
        if (isalnum((unsigned char)*text))
            out[len++] = (char)toupper((unsigned char)*text);
    out[len] = '\0';
}

/* How long the part is that all values begin with: "KEY_TYPE_". */
static size_t prefix_length(const ProtobufCEnumDescriptor *type)
{
    const char *zero = type->n_values ? type->values[0].name : "";
    const char *end = strstr(zero, "UNSPECIFIED");

    return end ? (size_t)(end - zero) : 0;
}

bool kv_enum_parse(const ProtobufCEnumDescriptor *type, const char *text, int *out)
{
    char typed[NAME_BYTES], known[NAME_BYTES];
    size_t prefix = prefix_length(type);
    size_t len;

    squeeze(text, typed);
    len = strlen(typed);
    /* Every key is on a token, so "RSA-HSM" is RSA. */
    if (!strcmp(type->short_name, "KeyType") && len > 3 && !strcmp(typed + len - 3, "HSM"))
        typed[len - 3] = '\0';
    for (unsigned i = 0; i < type->n_values; i++) {
        squeeze(type->values[i].name, known);
        if (strcmp(typed, known) != 0) {
            squeeze(type->values[i].name + prefix, known);
            if (strcmp(typed, known) != 0)
                continue;
        }
        *out = type->values[i].value;
        return true;
    }
    return false;
}

static kv_status fail_enum(const ProtobufCEnumDescriptor *type, const char *path, const char *text,
                           kv_error *err)
{
    char list[sizeof(err->message)] = "";
    size_t prefix = prefix_length(type), len = 0;

    for (unsigned i = 1; i < type->n_values && len < sizeof(list) - 40; i++)
        len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i > 1 ? ", " : "",
                                type->values[i].name + prefix);
    for (char *c = list; *c; c++)
        *c = *c == '_' ? '-' : (char)tolower((unsigned char)*c);
    return kv_fail_field(err, path, "'%.30s' is not one of %.120s", text, list);
}

static kv_status write_number(const ProtobufCFieldDescriptor *field, void *place, const char *text,
                              const char *path, kv_error *err)
{
    bool is_signed = field->type == PROTOBUF_C_TYPE_INT32 || field->type == PROTOBUF_C_TYPE_INT64;
    bool is_wide = element_size(field) == sizeof(uint64_t);
    char *end = NULL;
    int64_t number;
    uint32_t narrow;

    errno = 0;
    number = strtoll(text, &end, 10);
    narrow = (uint32_t)number;
    if (errno || end == text || *end || (!is_signed && number < 0) ||
        (!is_wide && (number > UINT32_MAX || number < INT32_MIN)))
        return kv_fail_field(err, path, "'%.30s' is not a number that fits", text);
    memcpy(place, is_wide ? (const void *)&number : (const void *)&narrow, element_size(field));
    return KV_OK;
}

static kv_status write_bool(void *place, const char *text, const char *path, kv_error *err)
{
    static const char *const no[] = { "false", "no", "0", "off" };
    static const char *const yes[] = { "true", "yes", "1", "on" };
    protobuf_c_boolean value;

    for (size_t i = 0; i < KV_COUNT(yes); i++) {
        value = !strcmp(text, yes[i]);
        if (!value && strcmp(text, no[i]) != 0)
            continue;
        memcpy(place, &value, sizeof(value));
        return KV_OK;
    }
    return kv_fail_field(err, path, "is true or false, not '%.30s'", text);
}

static kv_status write_enum(const ProtobufCFieldDescriptor *field, void *place, const char *text,
                            const char *path, kv_error *err)
{
    int value;

    if (!kv_enum_parse(field->descriptor, text, &value))
        return fail_enum(field->descriptor, path, text, err);
    memcpy(place, &value, sizeof(value));
    return KV_OK;
}

static kv_status write_text(void *place, const char *text, kv_error *err)
{
    size_t len = strlen(text) + 1;
    char *copy = take_memory(len);
    char *before;

    if (!copy)
        return kv_fail(err, KV_BUSY, "out of memory");
    memcpy(copy, text, len);
    memcpy(&before, place, sizeof(before));
    if (before && before != (const char *)protobuf_c_empty_string)
        give_back(before);
    memcpy(place, &copy, sizeof(copy));
    return KV_OK;
}

kv_status kv_field_write_bytes(void *place, kv_slice bytes, kv_error *err)
{
    ProtobufCBinaryData *out = place;
    uint8_t *copy = take_memory(bytes.len);

    if (!copy)
        return kv_fail(err, KV_BUSY, "out of memory");
    if (bytes.len)
        memcpy(copy, bytes.data, bytes.len);
    give_back(out->data);
    *out = (ProtobufCBinaryData){ .data = copy, .len = bytes.len };
    return KV_OK;
}

static kv_status write_parsed_bytes(void *place, const char *text, const char *path, kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(BYTES_MAX);
    kv_slice bytes;

    if (kv_bytes_parse(&arena, text, &bytes, err) != KV_OK)
        return kv_fail_field(err, path, "is neither hexadecimal nor base64");
    return kv_field_write_bytes(place, bytes, err);
}

kv_status kv_field_write(const ProtobufCFieldDescriptor *field, void *place, const char *text,
                         const char *path, kv_error *err)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return write_text(place, text, err);
    case PROTOBUF_C_TYPE_BOOL:
        return write_bool(place, text, path, err);
    case PROTOBUF_C_TYPE_ENUM:
        return write_enum(field, place, text, path, err);
    case PROTOBUF_C_TYPE_BYTES:
        return write_parsed_bytes(place, text, path, err);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        return write_number(field, place, text, path, err);
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    return kv_fail_field(err, path, "cannot be written as one value");
}
