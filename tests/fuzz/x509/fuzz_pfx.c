/* fuzz_pfx.c - imports of PKCS#12. The first byte chooses password and options; without a MAC and
 * encryption the walk over bags is reached by small changes. */
#include "tests/fuzz/x509/imported.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size)
        import_must_hold(kv_slice_of(data + 1, size - 1), data[0]);
    return 0;
}
