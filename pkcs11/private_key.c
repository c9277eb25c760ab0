/* private_key.c - reading, checking and writing PKCS#8. */
#include "pkcs11/private_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "pkcs11/public_key.h"
#include "pkcs11/token_import.h"

enum { SPKI_MAX = 1024, EXPONENT_BITS_MAX = 64 };

void kv_private_key_cleanup(kv_private_key *key)
{
    EVP_PKEY_free(*key);
    *key = NULL;
}

static kv_status refuse(kv_error *err, const char *why)
{
    ERR_clear_error();
    return kv_fail_field(err, "key", "%s", why);
}

static EVP_PKEY *decode(const kv_secret_buf *pkcs8)
{
    const unsigned char *at = pkcs8->data;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)pkcs8->len);
    EVP_PKEY *key = NULL;

    if (info && at == pkcs8->data + pkcs8->len)
        key = EVP_PKCS82PKEY(info);
    PKCS8_PRIV_KEY_INFO_free(info);
    return key;
}

static kv_status check_rsa(EVP_PKEY *key, kv_error *err)
{
    BIGNUM *exponent = NULL, *third = NULL;
    bool good = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) &&
                BN_is_odd(exponent) && !BN_is_one(exponent) &&
                BN_num_bits(exponent) <= EXPONENT_BITS_MAX;
    bool two_primes = !EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR3, &third);

    BN_free(exponent);
    BN_clear_free(third);
    if (!good)
        return refuse(err, "the public exponent of an RSA key is odd, at least 3 and not huge");
    return two_primes ? KV_OK : refuse(err, "an RSA key has two primes");
}

static kv_status check(EVP_PKEY *key, kv_error *err)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool good = ctx && EVP_PKEY_check(ctx) == 1;
    int explicit_curve = 0;

    EVP_PKEY_CTX_free(ctx);
    if (!good)
        return refuse(err, "the parts of the private key do not belong together");
    if (EVP_PKEY_is_a(key, "RSA"))
        return check_rsa(key, err);
    if (EVP_PKEY_is_a(key, "EC") &&
        (!EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                                 &explicit_curve) ||
         explicit_curve))
        return refuse(err, "an EC key names its curve");
    return KV_OK;
}

static kv_status kind_of(EVP_PKEY *key, kv_key_kind *out, kv_error *err)
{
    unsigned char der[SPKI_MAX], *at = der;
    int len = i2d_PUBKEY(key, NULL);

    if (len <= 0 || len > SPKI_MAX || i2d_PUBKEY(key, &at) != len)
        return refuse(err, "not a key of a kind that is kept here");
    if (kv_public_key_kind(kv_slice_of(der, (size_t)len), out, err) == KV_OK)
        return KV_OK;
    return refuse(err, "not a key of a kind that is kept here");
}

kv_status kv_private_key_read(const kv_secret_buf *pkcs8, kv_private_key *out, kv_key_kind *kind,
                              kv_error *err)
{
    KV_AUTO(kv_private_key) key = NULL;

    if (!pkcs8->len || pkcs8->len > KV_IMPORT_MAX)
        return kv_fail_field(err, "key", "a private key has 1 to %d bytes", KV_IMPORT_MAX);
    key = decode(pkcs8);
    if (!key)
        return refuse(err, "not one private key in PKCS#8, DER, not encrypted");
    KV_TRY(kind_of(key, kind, err));
    KV_TRY(check(key, err));
    ERR_clear_error();
    *out = key;
    key = NULL;
    return KV_OK;
}

kv_status kv_private_key_encode(EVP_PKEY *key, kv_secret_buf *out, kv_error *err)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : 0;
    kv_status status = KV_OK;
    unsigned char *end;

    if (len <= 0)
        status = kv_fail(err, KV_INTERNAL, "a private key cannot be encoded");
    else
        status = kv_secret_buf_new((size_t)len, out, err);
    if (status == KV_OK) {
        end = out->data;
        (void)i2d_PKCS8_PRIV_KEY_INFO(info, &end);
    }
    PKCS8_PRIV_KEY_INFO_free(info);
    return status;
}

kv_status kv_private_key_public(EVP_PKEY *key, kv_arena *arena, kv_slice *spki, kv_error *err)
{
    unsigned char der[SPKI_MAX], *at = der;
    int len = i2d_PUBKEY(key, NULL);

    if (len <= 0 || len > SPKI_MAX || i2d_PUBKEY(key, &at) != len)
        return kv_fail(err, KV_INTERNAL, "a public key cannot be encoded");
    return kv_arena_copy(arena, kv_slice_of(der, (size_t)len), spki, err);
}

kv_status kv_private_key_inspect(const kv_secret_buf *pkcs8, kv_arena *arena, kv_key_kind *kind,
                                 kv_slice *spki, kv_error *err)
{
    KV_AUTO(kv_private_key) key = NULL;
    kv_key_kind is;

    KV_TRY(kv_private_key_read(pkcs8, &key, &is, err));
    KV_TRY(kv_private_key_public(key, arena, spki, err));
    *kind = is;
    return KV_OK;
}
