/* software_sealer.c - ECDSA P-256 by OpenSSL. */
#include "tests/contract/store/software_sealer.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "server/base/text.h"

struct kv_software_sealer {
    EVP_PKEY *key;
    uint8_t id[KV_SEAL_KEY_ID_BYTES];
    uint8_t *spki;
    int spki_len;
    bool broken;
};

static void require(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "software sealer: %s failed\n", what);
    abort();
}

kv_software_sealer *kv_software_sealer_new(void)
{
    kv_software_sealer *software = calloc(1, sizeof(*software));

    require(software, "calloc");
    software->key = EVP_EC_gen("P-256");
    require(software->key, "EVP_EC_gen");
    require(kv_random_id(software->id, sizeof(software->id)), "kv_random_id");
    software->spki_len = i2d_PUBKEY(software->key, &software->spki);
    require(software->spki_len > 0, "i2d_PUBKEY");
    return software;
}

void kv_software_sealer_free(kv_software_sealer *software)
{
    if (!software)
        return;
    EVP_PKEY_free(software->key);
    OPENSSL_free(software->spki);
    free(software);
}

void kv_software_sealer_break(kv_software_sealer *software, bool broken)
{
    software->broken = broken;
}

static bool sign_der(EVP_PKEY *key, const uint8_t digest[32], uint8_t *out, size_t *len)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    bool good = context && EVP_PKEY_sign_init(context) == 1 &&
                EVP_PKEY_sign(context, out, len, digest, 32) == 1;

    EVP_PKEY_CTX_free(context);
    return good;
}

static kv_status sign(void *context, const uint8_t digest[32], uint8_t seal[KV_SEAL_BYTES],
                      kv_error *err)
{
    kv_software_sealer *software = context;
    uint8_t der[128];
    const uint8_t *from = der;
    size_t len = sizeof(der);
    ECDSA_SIG *signature;

    if (software->broken)
        return kv_fail(err, KV_UNAVAILABLE, "the seal key is out of reach");
    require(sign_der(software->key, digest, der, &len), "EVP_PKEY_sign");
    signature = d2i_ECDSA_SIG(NULL, &from, (long)len);
    require(signature, "d2i_ECDSA_SIG");
    require(BN_bn2binpad(ECDSA_SIG_get0_r(signature), seal, 32) == 32, "BN_bn2binpad");
    require(BN_bn2binpad(ECDSA_SIG_get0_s(signature), seal + 32, 32) == 32, "BN_bn2binpad");
    ECDSA_SIG_free(signature);
    return KV_OK;
}

kv_sealer kv_software_sealer_lend(kv_software_sealer *software)
{
    kv_sealer sealer = {
        .sign = sign,
        .context = software,
        .spki = kv_slice_of(software->spki, (size_t)software->spki_len),
    };

    memcpy(sealer.key_id, software->id, sizeof(software->id));
    return sealer;
}
