/* pb_impl.h - what the pb_*.c files share. Nobody else includes it. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "keyvault/v1/common.pb-c.h"
#include "server/core/route.h"
#include "server/vault/messages/messages_certificates.h"
#include "server/vault/messages/messages_common.h"
#include "server/wire/pb.h"

/* --- reading --- */

/* Checks the form of a message before any of it is decoded: well-formed, known fields of the right
 * kind, printable UTF-8, known enum numbers, no field twice, no list longer than its bound.
 * KV_BAD_REQUEST names the field. */
kv_status kv_pb_scan(const ProtobufCMessageDescriptor *type, kv_slice body,
                     kv_error *err) KV_MUST_USE;

/* Scans and decodes into the arena. */
kv_status kv_pb_unpack(const ProtobufCMessageDescriptor *type, kv_slice body, kv_arena *arena,
                       const ProtobufCMessage **out, kv_error *err) KV_MUST_USE;
/* And fills the target from the fields vault, name and version, as far as the message has them. */
kv_status kv_pb_open(const ProtobufCMessageDescriptor *type, kv_slice body,
                     kv_collection collection, kv_arena *arena, kv_target *target,
                     const ProtobufCMessage **out, kv_error *err) KV_MUST_USE;
/* A whole reader for messages that have nothing else (kv_target_in), or paging too (kv_list_in). */
kv_status kv_pb_read_target(const ProtobufCMessageDescriptor *type, kv_slice body,
                            kv_collection collection, kv_arena *arena, void *in,
                            kv_error *err) KV_MUST_USE;
kv_status kv_pb_read_list(const ProtobufCMessageDescriptor *type, kv_slice body,
                          kv_collection collection, kv_arena *arena, void *in,
                          kv_error *err) KV_MUST_USE;

static inline kv_slice kv_pb_slice(ProtobufCBinaryData bytes)
{
    return kv_slice_of(bytes.data, bytes.len);
}

static inline kv_page kv_pb_page(uint32_t size, ProtobufCBinaryData token)
{
    return (kv_page){ .size = size, .token = kv_pb_slice(token) };
}

/* Seconds to milliseconds; 0 to the end of the year 9999. */
kv_status kv_pb_time(int64_t seconds, const char *field, int64_t *out, kv_error *err) KV_MUST_USE;
/* 32 hexadecimal digits to 16 bytes. An empty text is the empty slice when `optional`. */
kv_status kv_pb_id(kv_arena *arena, const char *text, const char *field, bool optional,
                   kv_slice *out, kv_error *err) KV_MUST_USE;
/* `must` bytes. */
kv_status kv_pb_fixed(ProtobufCBinaryData bytes, size_t must, const char *field, kv_slice *out,
                      kv_error *err) KV_MUST_USE;
/* "certificates", "keys", "secrets" or empty: a filter. */
kv_status kv_pb_collection(const char *text, kv_collection *out, kv_error *err) KV_MUST_USE;
const char *kv_pb_collection_name(kv_collection collection);
kv_status kv_pb_attributes_in(const Keyvault__V1__AttributesInput *from, kv_attributes_in *out,
                              kv_error *err) KV_MUST_USE;
kv_status kv_pb_tags_in(size_t count, Keyvault__V1__Tag *const *from, kv_arena *arena, kv_tags *out,
                        kv_error *err) KV_MUST_USE;
kv_status kv_pb_texts_in(size_t count, char *const *from, kv_arena *arena, kv_x509_list *out,
                         kv_error *err) KV_MUST_USE;
/* 1 to KV_X5C_MAX certificates, DER. */
kv_status kv_pb_x5c_in(size_t count, const ProtobufCBinaryData *from, kv_arena *arena,
                       kv_x509_list *out, kv_error *err) KV_MUST_USE;
/* NULL: not given. */
kv_status kv_pb_tag_list_in(const Keyvault__V1__TagList *from, kv_arena *arena, kv_tags *out,
                            kv_error *err) KV_MUST_USE;
/* The set of the numbers in a repeated enum, 1 << number. */
uint32_t kv_pb_mask(size_t count, const int *numbers);

/* --- writing: a writer remembers that the arena was full, so that only kv_pb_pack can fail --- */

typedef struct kv_pb_writer {
    kv_arena *arena;
    bool full;
} kv_pb_writer;

/* NULL when the arena is full. */
void *kv_pb_new(kv_pb_writer *writer, const ProtobufCMessageDescriptor *type);
/* `count` pointers. `*out_count` is 0 when that is, or when the arena is full. */
void *kv_pb_array(kv_pb_writer *writer, size_t count, size_t size, size_t *out_count);
/* NUL-terminated; never NULL. */
char *kv_pb_text(kv_pb_writer *writer, kv_slice text);
char *kv_pb_hex(kv_pb_writer *writer, kv_slice bytes);
ProtobufCBinaryData kv_pb_bytes(kv_slice bytes);
int64_t kv_pb_seconds(int64_t milliseconds);

/* NULL for an id without a vault. */
Keyvault__V1__ObjectId *kv_pb_object_id(kv_pb_writer *writer, const kv_object_id *from);
Keyvault__V1__Attributes *kv_pb_attributes(kv_pb_writer *writer, const kv_attributes *from);
/* NULL for an object that is not deleted. */
Keyvault__V1__Deletion *kv_pb_deletion(kv_pb_writer *writer, const kv_deletion *from);
Keyvault__V1__Tag **kv_pb_tags(kv_pb_writer *writer, const kv_tags *from, size_t *count);
/* The numbers of a mask, 1 to 31. */
int *kv_pb_numbers(kv_pb_writer *writer, uint32_t mask, size_t *count);
char **kv_pb_texts(kv_pb_writer *writer, const kv_slice *from, size_t from_count, size_t *count);
ProtobufCBinaryData *kv_pb_blobs(kv_pb_writer *writer, const kv_slice *from, size_t from_count,
                                 size_t *count);

kv_status kv_pb_pack(const kv_pb_writer *writer, const ProtobufCMessage *message, kv_slice *body,
                     kv_error *err) KV_MUST_USE;
