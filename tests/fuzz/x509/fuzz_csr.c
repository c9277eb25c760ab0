/* fuzz_csr.c - certification requests. */
#include <stdlib.h>

#include "server/x509/inspect.h"

enum { ARENA = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA);
    kv_x509_facts facts;
    kv_error err = { 0 };

    if (kv_x509_inspect_request(&arena, kv_slice_of(data, size), &facts, &err) == KV_OK) {
        if (!facts.spki.len)
            abort();
    } else if (err.status == KV_OK || err.status == KV_INTERNAL) {
        abort();
    }
    return 0;
}
