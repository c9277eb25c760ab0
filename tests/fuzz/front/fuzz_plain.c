/* fuzz_plain.c - requests to the plain listeners, and the tokens and names that strangers ask by.
 */
#include <stdlib.h>

#include "server/challenge/http01.h"
#include "server/challenge/tls_alpn.h"
#include "server/front/plain.h"

enum { LIMIT = 64 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Only what is well-formed may come so far; nothing is ever there. */
static kv_status find(void *context, kv_challenge_notice *notice, kv_arena *arena, kv_error *err)
{
    (void)context;
    (void)arena;
    if (!notice->asked.len || notice->asked.len > KV_CHALLENGE_TOKEN_MAX)
        abort();
    for (size_t i = 0; i < notice->asked.len; i++)
        if (notice->asked.data[i] <= ' ' || notice->asked.data[i] > '~' ||
            notice->asked.data[i] == '/')
            abort();
    return kv_fail(err, KV_NOT_FOUND, "not there");
}

/* The same bytes give the same request, however many come at a time. */
static void parse(kv_slice bytes)
{
    kv_plain_request request = { 0 }, again = { 0 };
    kv_plain_parsed parsed = kv_plain_parse(bytes, &request);

    if (parsed != KV_PLAIN_WHOLE)
        return;
    if (!request.path.len || request.path.data[0] != '/' || request.body.len > KV_PLAIN_BODY_MAX)
        abort();
    if (kv_plain_parse(bytes, &again) != KV_PLAIN_WHOLE ||
        !kv_slice_equal(request.path, again.path) || !kv_slice_equal(request.body, again.body))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const kv_challenge_board board = { .find = find };
    const kv_http01 http01 = { .board = &board };
    const kv_tls_alpn tls_alpn = { .board = &board };
    KV_AUTO(kv_arena) arena = KV_ARENA(LIMIT);
    kv_slice bytes = kv_slice_of(data, size);
    X509 *certificate;
    EVP_PKEY *key;
    kv_error err;
    kv_slice out;

    if (size > LIMIT / 8)
        return 0;
    parse(bytes);
    if (kv_http01_page(&http01, bytes, &arena, &out, &err) == KV_OK ||
        kv_tls_alpn_certificate(&tls_alpn, bytes, &certificate, &key, &err) == KV_OK)
        abort();
    (void)kv_reverse_name(bytes, &arena, &out);
    return 0;
}
