/* text_message.h - messages as text and back, by the descriptors of protobuf-c.
 *
 * The text is protobuf's text format as far as scenarios need it: `name: value`, `name { ... }`,
 * repeated fields one by one, strings and bytes in double quotes with \n, \", \\ and \xHH.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "server/base/slice.h"
#include "server/base/text.h"

/* To wire format, in the arena. KV_BAD_REQUEST says what cannot be read, and where. */
kv_status text_to_message(const ProtobufCMessageDescriptor *descriptor, const char *text,
                          kv_arena *arena, kv_slice *out, kv_error *err) KV_MUST_USE;

/* The value at a path ("id.version", "items[2].id.name", "items#" for how many) as text that could
 * stand in a scenario between quotes: what is not printable is \xHH. An absent field gives its
 * default. KV_BAD_REQUEST for a path that is not in the message. */
kv_status text_of_message(const ProtobufCMessageDescriptor *descriptor, kv_slice message,
                          const char *path, kv_arena *arena, kv_slice *out,
                          kv_error *err) KV_MUST_USE;
