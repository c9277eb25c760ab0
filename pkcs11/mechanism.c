/* mechanism.c - the table of signature algorithms, and ECDSA's two spellings. */
#include "pkcs11/mechanism.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>

#include <p11-kit/pkcs11.h>

/* RFC 8017, section 9.2, note 1: DigestInfo for each hash, without the digest. */
#define SHA256_PREFIX                                                                             \
    {                                                                                             \
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, \
            0x05, 0x00, 0x04, 0x20                                                                \
    }
#define SHA384_PREFIX                                                                             \
    {                                                                                             \
        0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, \
            0x05, 0x00, 0x04, 0x30                                                                \
    }
#define SHA512_PREFIX                                                                             \
    {                                                                                             \
        0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, \
            0x05, 0x00, 0x04, 0x40                                                                \
    }

#define RS(jwa, sha, len, der)                                                                 \
    {                                                                                          \
        .name = jwa, .family = KV_FAMILY_RSA, .padding = KV_PADDING_PKCS1, .digest_name = sha, \
        .digest_len = (len), .ckm = CKM_RSA_PKCS, .prefix = der, .prefix_len = 19              \
    }
#define PS(jwa, sha, len, hash, mask)                                                        \
    {                                                                                        \
        .name = jwa, .family = KV_FAMILY_RSA, .padding = KV_PADDING_PSS, .digest_name = sha, \
        .digest_len = (len), .ckm = CKM_RSA_PKCS_PSS, .ckm_hash = (hash), .mgf = (mask)      \
    }
#define ES(jwa, curve, sha, len, coordinate)                                            \
    {                                                                                   \
        .name = jwa, .family = KV_FAMILY_EC, .curve_kind = (curve), .digest_name = sha, \
        .digest_len = (len), .coordinate_len = (coordinate), .ckm = CKM_ECDSA           \
    }

#define EDDSA                                                                   \
    {                                                                           \
        .name = "EdDSA", .family = KV_FAMILY_OKP, .curve_kind = KV_KEY_ED25519, \
        .coordinate_len = 32, .ckm = CKM_EDDSA                                  \
    }

static const kv_mechanism rows[KV_MECHANISM_COUNT] = {
    RS("RS256", "SHA2-256", 32, SHA256_PREFIX),
    RS("RS384", "SHA2-384", 48, SHA384_PREFIX),
    RS("RS512", "SHA2-512", 64, SHA512_PREFIX),
    PS("PS256", "SHA2-256", 32, CKM_SHA256, CKG_MGF1_SHA256),
    PS("PS384", "SHA2-384", 48, CKM_SHA384, CKG_MGF1_SHA384),
    PS("PS512", "SHA2-512", 64, CKM_SHA512, CKG_MGF1_SHA512),
    ES("ES256", KV_KEY_P256, "SHA2-256", 32, 32),
    ES("ES384", KV_KEY_P384, "SHA2-384", 48, 48),
    ES("ES512", KV_KEY_P521, "SHA2-512", 64, 66),
    ES("ES256K", KV_KEY_P256K, "SHA2-256", 32, 32),
    EDDSA,
};

const kv_mechanism *kv_mechanism_find(kv_slice name)
{
    for (size_t i = 0; i < KV_COUNT(rows); i++)
        if (kv_slice_equal(name, kv_slice_text(rows[i].name)))
            return &rows[i];
    return NULL;
}

const kv_mechanism *kv_mechanism_at(size_t index)
{
    return index < KV_COUNT(rows) ? &rows[index] : NULL;
}

size_t kv_mechanism_index(const kv_mechanism *alg)
{
    return (size_t)(alg - rows);
}

bool kv_mechanism_takes(const kv_mechanism *alg, size_t len)
{
    return alg->digest_len ? len == alg->digest_len : len <= KV_EDDSA_MESSAGE_MAX;
}

bool kv_mechanism_fits(const kv_mechanism *alg, kv_key_kind kind)
{
    if (alg->curve_kind != KV_KEY_NONE)
        return alg->curve_kind == kind;
    return kv_key_kind_of(kind)->family == alg->family;
}

size_t kv_mechanism_signature_len(const kv_mechanism *alg, kv_key_kind kind)
{
    return alg->coordinate_len ? 2 * alg->coordinate_len : kv_key_kind_of(kind)->bits / 8;
}

kv_status kv_ecdsa_to_der(kv_slice raw, uint8_t *out, size_t *len, kv_error *err)
{
    size_t half = raw.len / 2;
    kv_status status = KV_OK;
    ECDSA_SIG *pair;
    BIGNUM *r, *s;
    int der_len;

    if (raw.len == 0 || raw.len % 2 || half > KV_EC_COORDINATE_MAX)
        return kv_fail(err, KV_BAD_REQUEST, "an ECDSA signature is r and s of equal length");
    pair = ECDSA_SIG_new();
    r = BN_bin2bn(raw.data, (int)half, NULL);
    s = BN_bin2bn(raw.data + half, (int)half, NULL);
    if (!pair || !r || !s || !ECDSA_SIG_set0(pair, r, s)) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(pair);
        return kv_fail(err, KV_INTERNAL, "out of memory");
    }
    der_len = i2d_ECDSA_SIG(pair, NULL);
    if (der_len <= 0 || (size_t)der_len > *len)
        status = kv_fail(err, KV_INTERNAL, "no room for a signature");
    else
        *len = (size_t)i2d_ECDSA_SIG(pair, &out);
    ECDSA_SIG_free(pair);
    return status;
}

/* DER has one spelling; OpenSSL reads longer lengths too. */
static bool is_its_der(const ECDSA_SIG *pair, kv_slice der)
{
    uint8_t again[KV_EC_DER_MAX];
    unsigned char *out = again;
    int len = i2d_ECDSA_SIG(pair, NULL);

    return len > 0 && (size_t)len == der.len && i2d_ECDSA_SIG(pair, &out) == len &&
           kv_slice_equal(kv_slice_of(again, (size_t)len), der);
}

kv_status kv_ecdsa_from_der(kv_slice der, size_t coordinate_len, uint8_t *out, size_t *len,
                            kv_error *err)
{
    const unsigned char *at = der.data;
    ECDSA_SIG *pair = der.len > KV_EC_DER_MAX ? NULL : d2i_ECDSA_SIG(NULL, &at, (long)der.len);
    int size = (int)coordinate_len;
    kv_status status = KV_OK;

    if (*len < 2 * coordinate_len)
        status = kv_fail(err, KV_INTERNAL, "no room for a signature");
    else if (!pair || !is_its_der(pair, der) ||
             BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, size) != size ||
             BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + coordinate_len, size) != size)
        status = kv_fail(err, KV_BAD_REQUEST, "not the DER of an ECDSA signature of this curve");
    else
        *len = 2 * coordinate_len;
    ECDSA_SIG_free(pair);
    return status;
}
