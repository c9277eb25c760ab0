/* message.h - messages filled from text, and told as JSON, by their descriptors.
 *
 * JSON is protobuf's own mapping: names in lowerCamelCase, bytes in base64, enumerations by their
 * full names. Printed are also fields that are false, 0 or an empty list; 64-bit numbers are
 * numbers. Read is that and what people write: names as in the .proto files, enumerations without
 * prefix and in any case ("P-256", "digitalSignature", "certificate-officer").
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "server/base/arena.h"
#include "server/base/error.h"

/* Freed by keyvault_message_free(). NULL when out of memory. */
ProtobufCMessage *kv_message_new(const ProtobufCMessageDescriptor *type);

/* Sets the field at a dotted path ("policy.x509_props.subject"), making the messages on the way; a
 * repeated field gets one more. A Tag is written name=value. Bytes are hexadecimal or base64.
 * KV_BAD_REQUEST names the path. */
kv_status kv_message_set(ProtobufCMessage *message, const char *path, const char *text,
                         kv_error *err) KV_MUST_USE;
/* The same for a field of bytes. */
kv_status kv_message_set_bytes(ProtobufCMessage *message, const char *path, kv_slice bytes,
                               kv_error *err) KV_MUST_USE;

/* NULL when out of memory. */
json_t *kv_message_json(const ProtobufCMessage *message);
/* Fills from an object; what it does not name stays. KV_BAD_REQUEST names the field. */
kv_status kv_message_read_json(ProtobufCMessage *message, const json_t *object,
                               kv_error *err) KV_MUST_USE;

/* Standard base64 with padding; NULL when out of memory; free() it. */
char *kv_base64_text(kv_slice bytes);
/* Hexadecimal of 20, 32, 48, 64 ... bytes (with or without colons), else base64 or base64url, with
 * or without padding. */
kv_status kv_bytes_parse(kv_arena *arena, const char *text, kv_slice *out,
                         kv_error *err) KV_MUST_USE;
/* A number of the enumeration by any of its spellings. */
bool kv_enum_parse(const ProtobufCEnumDescriptor *type, const char *text, int *out);

/* --- for reading and writing: fields.c --- */

/* The field called so in the .proto or in JSON; NULL if there is none. */
const ProtobufCFieldDescriptor *kv_field_find(const ProtobufCMessageDescriptor *type,
                                              const char *name);
/* Whether the field is there: a set member of a oneof, a sub-message, a list with elements, or any
 * other. */
bool kv_field_present(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
/* Where the value is to be written: a new element of a list, a chosen member of a oneof, or the
 * field itself. A new sub-message is made. NULL when out of memory. */
void *kv_field_place(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
size_t kv_field_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
/* Element `at` of a list, or the value of another field. */
const void *kv_field_value(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                           size_t at);
/* Writes a value other than a message from text. KV_BAD_REQUEST about `path`. */
kv_status kv_field_write(const ProtobufCFieldDescriptor *field, void *place, const char *text,
                         const char *path, kv_error *err) KV_MUST_USE;
kv_status kv_field_write_bytes(void *place, kv_slice bytes, kv_error *err) KV_MUST_USE;
