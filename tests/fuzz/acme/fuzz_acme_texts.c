/* fuzz_acme_texts.c - headers and small texts: Retry-After, RFC 3339, Link, nonces, MAC keys, URLs,
 * and certificates that are to be named. */
#include <stdlib.h>

#include "server/acme/jws.h"
#include "server/acme/memory.h"
#include "server/acme/messages.h"
#include "server/acme/when.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool done)
{
    if (!done)
        abort();
}

static void read_links(kv_slice text)
{
    kv_slice url;

    for (unsigned i = 0; i < 20 && kv_acme_link_alternate(text, i, &url); i++)
        must(kv_acme_url_good(url));
}

static void read_certificate(kv_slice der)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 20);
    kv_error err = { 0 };
    kv_slice name;

    if (kv_acme_certificate_id(&arena, der, &name, &err) == KV_OK)
        must(memchr(name.data, '.', name.len) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KV_AUTO(kv_secret_buf) secret = KV_SECRET_NONE;
    kv_slice text = kv_slice_of(data, size);
    kv_error err = { 0 };
    int64_t ms = 0;

    ms = kv_acme_retry_after(text, INT64_C(1795176000000));
    must(ms >= -1 && ms <= KV_ACME_WAIT_MOST_MS);
    if (kv_acme_time(text, &ms))
        must(ms >= 0);
    read_links(text);
    read_certificate(text);
    (void)kv_acme_nonce_good(text);
    if (size < 4096 && kv_acme_mac_key(text, &secret, &err) == KV_OK)
        must(secret.len >= 16);
    return 0;
}
