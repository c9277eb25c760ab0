/* written.c - the message that a writer of answers makes, read by protobuf-c. */
#include "tests/unit/wire/written.h"

#include "server/base/arena.h"
#include "tests/support/kv_cmocka.h"

enum { ROOM = 4 * 1024 * 1024 };

void *written(kv_encode *encode, const void *out, const ProtobufCMessageDescriptor *type)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ROOM);
    ProtobufCMessage *message;
    kv_error err = { 0 };
    kv_slice body;

    assert_kv_ok(encode(out, &arena, &body, &err));
    message = protobuf_c_message_unpack(type, NULL, body.len, body.data);
    assert_non_null(message);
    return message;
}

void done(void *message)
{
    protobuf_c_message_free_unpacked(message, NULL);
}

void assert_bytes(kv_slice expected, ProtobufCBinaryData got)
{
    assert_slice_equal(expected, kv_slice_of(got.data, got.len));
}
