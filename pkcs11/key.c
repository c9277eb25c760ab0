/* key.c - the table of key kinds. */
#include "pkcs11/key.h"

#include <openssl/obj_mac.h>

#include "server/base/compiler.h"

/* What CKA_EC_PARAMS holds: OBJECT IDENTIFIER of the named curve. */
#define P256_OID                                                   \
    {                                                              \
        0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 \
    }
#define P384_OID                                 \
    {                                            \
        0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22 \
    }
#define P521_OID                                 \
    {                                            \
        0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23 \
    }

#define P256K_OID                                \
    {                                            \
        0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a \
    }
/* A PrintableString: what tokens of PKCS#11 2.40 days know, and still answer. */
#define ED25519_NAME                                                           \
    {                                                                          \
        0x13, 0x0c, 'e', 'd', 'w', 'a', 'r', 'd', 's', '2', '5', '5', '1', '9' \
    }

static const kv_key_kind_row rows[KV_KEY_KIND_COUNT] = {
    [KV_KEY_NONE] = { .name = "none" },
    [KV_KEY_RSA_2048] = { "RSA-2048", KV_FAMILY_RSA, 2048, 0, { 0 }, 0 },
    [KV_KEY_RSA_3072] = { "RSA-3072", KV_FAMILY_RSA, 3072, 0, { 0 }, 0 },
    [KV_KEY_RSA_4096] = { "RSA-4096", KV_FAMILY_RSA, 4096, 0, { 0 }, 0 },
    [KV_KEY_P256] = { "P-256", KV_FAMILY_EC, 256, NID_X9_62_prime256v1, P256_OID, 10 },
    [KV_KEY_P384] = { "P-384", KV_FAMILY_EC, 384, NID_secp384r1, P384_OID, 7 },
    [KV_KEY_P521] = { "P-521", KV_FAMILY_EC, 521, NID_secp521r1, P521_OID, 7 },
    [KV_KEY_P256K] = { "P-256K", KV_FAMILY_EC, 256, NID_secp256k1, P256K_OID, 7 },
    [KV_KEY_ED25519] = { "Ed25519", KV_FAMILY_OKP, 256, NID_ED25519, ED25519_NAME, 14 },
    [KV_KEY_AES_128] = { "AES-128", KV_FAMILY_SECRET, 128, 0, { 0 }, 0 },
    [KV_KEY_AES_192] = { "AES-192", KV_FAMILY_SECRET, 192, 0, { 0 }, 0 },
    [KV_KEY_AES_256] = { "AES-256", KV_FAMILY_SECRET, 256, 0, { 0 }, 0 },
    [KV_KEY_HMAC_256] = { "HMAC-256", KV_FAMILY_SECRET, 256, 0, { 0 }, 0 },
    [KV_KEY_HMAC_384] = { "HMAC-384", KV_FAMILY_SECRET, 384, 0, { 0 }, 0 },
    [KV_KEY_HMAC_512] = { "HMAC-512", KV_FAMILY_SECRET, 512, 0, { 0 }, 0 },
};

const kv_key_kind_row *kv_key_kind_of(kv_key_kind kind)
{
    return (unsigned)kind < KV_COUNT(rows) ? &rows[kind] : &rows[KV_KEY_NONE];
}

kv_key_kind kv_key_kind_rsa(unsigned bits)
{
    for (size_t i = 0; i < KV_COUNT(rows); i++)
        if (rows[i].family == KV_FAMILY_RSA && rows[i].bits == bits)
            return (kv_key_kind)i;
    return KV_KEY_NONE;
}

kv_key_kind kv_key_kind_curve(int nid)
{
    for (size_t i = 0; i < KV_COUNT(rows); i++)
        if (rows[i].family == KV_FAMILY_EC && rows[i].curve == nid)
            return (kv_key_kind)i;
    return KV_KEY_NONE;
}

static kv_key_kind between(kv_key_kind first, kv_key_kind last, unsigned bits)
{
    for (unsigned i = first; i <= (unsigned)last; i++)
        if (rows[i].bits == bits)
            return (kv_key_kind)i;
    return KV_KEY_NONE;
}

kv_key_kind kv_key_kind_aes(unsigned bits)
{
    return between(KV_KEY_AES_128, KV_KEY_AES_256, bits);
}

kv_key_kind kv_key_kind_hmac(unsigned bits)
{
    return between(KV_KEY_HMAC_256, KV_KEY_HMAC_512, bits);
}
