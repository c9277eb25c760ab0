/* written.h - the message that a writer of answers makes, read by protobuf-c. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "server/base/slice.h"
#include "server/wire/pb.h"

/* The message that a writer makes of `out`; freed by done(). */
void *written(kv_encode *encode, const void *out, const ProtobufCMessageDescriptor *type);
void done(void *message);
void assert_bytes(kv_slice expected, ProtobufCBinaryData got);
