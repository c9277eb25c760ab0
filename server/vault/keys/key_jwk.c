/* key_jwk.c - a private JSON Web Key becomes PKCS#8. */
#include "server/vault/keys/key_jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "pkcs11/private_key.h"

enum { RSA_MEMBER_MAX = 512, EC_MAX = 66, ED25519_BYTES = 32, NUMBERS = 8 };

typedef struct member {
    const char *field; /* in the message */
    const char *param; /* OpenSSL's */
    kv_slice value;
} member;

static kv_status need(const char *field, kv_slice value, size_t most, kv_error *err)
{
    if (value.len && value.len <= most)
        return KV_OK;
    return kv_fail_field(err, field, "is required, with at most %zu bytes", most);
}

static void free_numbers(BIGNUM *numbers[NUMBERS])
{
    for (size_t i = 0; i < NUMBERS; i++)
        BN_clear_free(numbers[i]);
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *build)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;

    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    ERR_clear_error();
    return key;
}

static EVP_PKEY *from_rsa(const member members[NUMBERS])
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *numbers[NUMBERS] = { NULL };
    EVP_PKEY *key = NULL;
    bool good = build != NULL;

    for (size_t i = 0; good && i < NUMBERS; i++) {
        numbers[i] = BN_secure_new();
        good = numbers[i] &&
               BN_bin2bn(members[i].value.data, (int)members[i].value.len, numbers[i]) &&
               OSSL_PARAM_BLD_push_BN(build, members[i].param, numbers[i]);
    }
    if (good)
        key = from_params("RSA", build);
    free_numbers(numbers);
    OSSL_PARAM_BLD_free(build);
    return key;
}

static kv_status read_rsa(const kv_private_jwk *jwk, EVP_PKEY **out, kv_error *err)
{
    const member members[NUMBERS] = {
        { "key.n", OSSL_PKEY_PARAM_RSA_N, jwk->n },
        { "key.e", OSSL_PKEY_PARAM_RSA_E, jwk->e },
        { "key.d", OSSL_PKEY_PARAM_RSA_D, jwk->d },
        { "key.p", OSSL_PKEY_PARAM_RSA_FACTOR1, jwk->p },
        { "key.q", OSSL_PKEY_PARAM_RSA_FACTOR2, jwk->q },
        { "key.dp", OSSL_PKEY_PARAM_RSA_EXPONENT1, jwk->dp },
        { "key.dq", OSSL_PKEY_PARAM_RSA_EXPONENT2, jwk->dq },
        { "key.qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1, jwk->qi },
    };

    for (size_t i = 0; i < NUMBERS; i++)
        KV_TRY(need(members[i].field, members[i].value, RSA_MEMBER_MAX, err));
    *out = from_rsa(members);
    return KV_OK;
}

static kv_status read_ec(const kv_private_jwk *jwk, EVP_PKEY **out, kv_error *err)
{
    static const struct {
        const char *group;
        size_t len;
    } curves[] = {
        [KV_CURVE_P256] = { "P-256", 32 },
        [KV_CURVE_P384] = { "P-384", 48 },
        [KV_CURVE_P521] = { "P-521", 66 },
        [KV_CURVE_P256K] = { "secp256k1", 32 },
    };
    const member members[] = { { "key.d", "", jwk->d },
                               { "key.x", "", jwk->x },
                               { "key.y", "", jwk->y } };
    uint8_t point[1 + 2 * EC_MAX] = { 4 };
    OSSL_PARAM_BLD *build;
    BIGNUM *number;
    size_t len;

    if (jwk->crv == KV_CURVE_NONE || (size_t)jwk->crv >= KV_COUNT(curves))
        return kv_fail_field(err, "key.crv", "the curve of an EC key is required");
    len = curves[jwk->crv].len;
    for (size_t i = 0; i < KV_COUNT(members); i++)
        if (members[i].value.len != len)
            return kv_fail_field(err, members[i].field, "has %zu bytes on this curve", len);
    memcpy(point + 1, jwk->x.data, len);
    memcpy(point + 1 + len, jwk->y.data, len);
    build = OSSL_PARAM_BLD_new();
    number = BN_secure_new();
    if (build && number && BN_bin2bn(jwk->d.data, (int)len, number) &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curves[jwk->crv].group,
                                        0) &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * len) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, number))
        *out = from_params("EC", build);
    BN_clear_free(number);
    OSSL_PARAM_BLD_free(build);
    return KV_OK;
}

static kv_status read_okp(const kv_private_jwk *jwk, EVP_PKEY **out, kv_error *err)
{
    uint8_t is[ED25519_BYTES];
    size_t len = sizeof(is);

    if (jwk->crv != KV_CURVE_ED25519)
        return kv_fail_field(err, "key.crv", "an OKP key is on Ed25519");
    if (jwk->d.len != ED25519_BYTES || jwk->x.len != ED25519_BYTES)
        return kv_fail_field(err, jwk->d.len != ED25519_BYTES ? "key.d" : "key.x",
                             "has %d bytes on this curve", ED25519_BYTES);
    *out = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, jwk->d.data, jwk->d.len);
    if (*out && (EVP_PKEY_get_raw_public_key(*out, is, &len) != 1 ||
                 !kv_slice_equal(kv_slice_of(is, len), jwk->x))) {
        EVP_PKEY_free(*out);
        *out = NULL;
    }
    return KV_OK;
}

kv_status kv_jwk_to_pkcs8(const kv_private_jwk *jwk, kv_secret_buf *out, kv_error *err)
{
    KV_AUTO(kv_private_key) key = NULL;

    if (jwk->k.len)
        return kv_fail_field(err, "key.k", "only symmetric keys have it");
    if (jwk->kty == KV_KEY_TYPE_RSA)
        KV_TRY(read_rsa(jwk, &key, err));
    else if (jwk->kty == KV_KEY_TYPE_EC)
        KV_TRY(read_ec(jwk, &key, err));
    else
        KV_TRY(read_okp(jwk, &key, err));
    ERR_clear_error();
    if (!key)
        return kv_fail_field(err, "key", "the parts of the private key do not belong together");
    return kv_private_key_encode(key, out, err);
}
