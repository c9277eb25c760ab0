/* imported.h - what must be true of every import that succeeds. */
#pragma once

#include <stdlib.h>

#include <openssl/x509.h>

#include "server/x509/import.h"

enum { KV_FUZZ_ARENA = 8 << 20 };

/* The key is PKCS#8 and the leaf's. */
static inline void must_match(const kv_x509_imported *out)
{
    const unsigned char *at = out->key.data;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)out->key.len);
    EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;
    unsigned char *spki = NULL;
    int len = key ? i2d_PUBKEY(key, &spki) : 0;

    if (len <= 0 || !kv_slice_equal(kv_slice_of(spki, (size_t)len), out->leaf.spki))
        abort();
    if (out->chain.count == 0 || out->chain.count != out->given.count)
        abort();
    OPENSSL_free(spki);
    EVP_PKEY_free(key);
    PKCS8_PRIV_KEY_INFO_free(info);
}

/* `options`: one bit each. */
static inline void import_must_hold(kv_slice value, uint8_t options)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(KV_FUZZ_ARENA);
    KV_AUTO(kv_x509_imported) out = KV_X509_NOT_IMPORTED;
    kv_x509_import_in in = { .value = value,
                             .password = options & 1 ? KV_SLICE("p") : KV_SLICE_NONE,
                             .now_ms = INT64_C(1800000000000),
                             .refuse_legacy = options & 2,
                             .accept_unprotected = options & 4,
                             .allow_ca = true,
                             .allow_expired = options & 8,
                             .omit_root = options & 16 };
    kv_error err = { 0 };

    if (kv_x509_import(&arena, &in, &out, &err) == KV_OK)
        must_match(&out);
    else if (err.status == KV_OK || err.status == KV_INTERNAL || !err.message[0])
        abort();
}
