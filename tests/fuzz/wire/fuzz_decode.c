/* fuzz_decode.c - all request readers: the first byte picks one, the rest is the message. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "server/wire/pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const kv_pb_spelling *row;
    KV_AUTO(kv_arena) arena = KV_ARENA(16 * 1024 * 1024);
    kv_error err = { 0 };
    kv_status status;
    void *in;

    if (size == 0)
        return 0;
    row = &kv_pb_spellings[data[0] % kv_pb_spellings_count];
    in = kv_arena_alloc(&arena, row->in_size);
    if (!in)
        return 0;
    status = row->decode(kv_slice_of(data + 1, size - 1), &arena, in, &err);
    /* With so much room there is nothing to be busy about, and never is it our fault. */
    if (status != KV_OK && (status != KV_BAD_REQUEST || err.message[0] == '\0'))
        abort();
    if (status != err.status)
        abort();
    if (arena.used > 128 * 1024 + 10 * size)
        abort();
    return 0;
}
