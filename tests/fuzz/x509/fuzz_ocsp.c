/* fuzz_ocsp.c - OCSP requests, as anybody may send them. */
#include <stdlib.h>

#include "server/x509/ocsp.h"

enum { ARENA = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first two bytes say how long the issuer's certificate is that stands before the request. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA);
    kv_x509_ocsp_question question = { 0 };
    kv_error err = { 0 };
    size_t issuer = size < 2 ? 0 : (size_t)data[0] << 8 | data[1];
    kv_status status;

    if (size < 2 + issuer)
        return 0;
    status = kv_x509_ocsp_read(&arena, kv_slice_of(data + 2 + issuer, size - 2 - issuer),
                               kv_slice_of(data + 2, issuer), &question, &err);
    if (status == KV_OK && (!question.count || question.count > KV_X509_OCSP_IDS_MAX))
        abort();
    return 0;
}
