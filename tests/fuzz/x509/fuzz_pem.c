/* fuzz_pem.c - imports of PEM text, and the readers of PEM, certificates and PKCS#7 beneath. */
#include "server/x509/armour.h"
#include "server/x509/found.h"
#include "tests/fuzz/x509/imported.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_blocks(kv_slice text)
{
    KV_AUTO(kv_arena) scratch = KV_ARENA(KV_FUZZ_ARENA);
    kv_x509_blocks blocks = { .rest = text, .field = "value" };
    kv_x509_block block;
    bool more = true;
    kv_error err = { 0 };

    while (more && kv_x509_blocks_next(&scratch, &blocks, &block, &more, &err) == KV_OK)
        if (more && (!block.der.len || blocks.count > text.len))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    read_blocks(kv_slice_of(data + 1, size - 1));
    import_must_hold(kv_slice_of(data + 1, size - 1), data[0]);
    return 0;
}
