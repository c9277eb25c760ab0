/* jwks.c - JWK sets to public keys of OpenSSL, and the signatures that they verify. */
#include "server/auth/jwks.h"

#include <stdlib.h>

#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "server/base/arena.h"
#include "server/base/text.h"

enum {
    RSA_LEAST_BITS = 2048,
    RSA_MOST_BITS = 8192, /* a larger one costs the server more than it proves */
    COORDINATE_MOST = 66,
    DER_BYTES = 160,
    SCRATCH_BYTES = 64 * 1024
};

typedef struct provider_key {
    char kid[KV_KID_BYTES + 1];
    const char *family; /* of the table */
    const char *curve;
    char algorithm[16]; /* "" when the key may be used with any that fits */
    EVP_PKEY *key;
} provider_key;

struct kv_jwks {
    unsigned count;
    provider_key keys[KV_JWKS_KEYS];
};

/* shape: table */
static const kv_jws_algorithm algorithms[] = {
    { "RS256", "RSA", NULL, "SHA256", false, 0 },
    { "RS384", "RSA", NULL, "SHA384", false, 0 },
    { "RS512", "RSA", NULL, "SHA512", false, 0 },
    { "PS256", "RSA", NULL, "SHA256", true, 0 },
    { "PS384", "RSA", NULL, "SHA384", true, 0 },
    { "PS512", "RSA", NULL, "SHA512", true, 0 },
    { "ES256", "EC", "P-256", "SHA256", false, 32 },
    { "ES384", "EC", "P-384", "SHA384", false, 48 },
    { "ES512", "EC", "P-521", "SHA512", false, 66 },
    { "EdDSA", "OKP", "Ed25519", NULL, false, 0 },
};

static void json_cleanup(json_t **json)
{
    json_decref(*json);
}

static void pkey_ctx_cleanup(EVP_PKEY_CTX **context)
{
    EVP_PKEY_CTX_free(*context);
}

static void md_ctx_cleanup(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

const kv_jws_algorithm *kv_jws_algorithm_find(kv_slice name)
{
    for (unsigned i = 0; i < KV_COUNT(algorithms); i++)
        if (kv_slice_equal(name, kv_slice_text(algorithms[i].name)))
            return &algorithms[i];
    return NULL;
}

/* --- one key --- */

static kv_slice text_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_string(value))
        return KV_SLICE_NONE;
    return kv_slice_of(json_string_value(value), json_string_length(value));
}

static bool bytes_of(const json_t *jwk, const char *name, kv_arena *scratch, kv_slice *out)
{
    kv_error ignored = { 0 };

    return kv_unbase64url(scratch, text_of(jwk, name), out, &ignored) == KV_OK && out->len > 0;
}

static EVP_PKEY *key_from(const char *type, OSSL_PARAM *params)
{
    __attribute__((cleanup(pkey_ctx_cleanup))) EVP_PKEY_CTX *context =
        EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;

    if (!context || !params || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return NULL;
    return key;
}

/* On the curve, of a sane modulus and exponent: not every import checks that by itself. */
static bool is_sound(EVP_PKEY *key)
{
    __attribute__((cleanup(pkey_ctx_cleanup))) EVP_PKEY_CTX *context =
        EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);

    return context && EVP_PKEY_public_check(context) == 1;
}

static EVP_PKEY *rsa_key(const json_t *jwk, kv_arena *scratch)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    kv_slice n, e;
    BIGNUM *modulus = NULL, *exponent = NULL;
    OSSL_PARAM *params = NULL;
    EVP_PKEY *key = NULL;

    if (bytes_of(jwk, "n", scratch, &n) && bytes_of(jwk, "e", scratch, &e) &&
        n.len <= RSA_MOST_BITS / 8 && e.len <= 4) {
        modulus = BN_bin2bn(n.data, (int)n.len, NULL);
        exponent = BN_bin2bn(e.data, (int)e.len, NULL);
    }
    if (builder && modulus && exponent && BN_num_bits(modulus) >= RSA_LEAST_BITS &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        params = OSSL_PARAM_BLD_to_param(builder);
    if (params)
        key = key_from("RSA", params);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

static EVP_PKEY *ec_key(const json_t *jwk, const kv_jws_algorithm *row, kv_arena *scratch)
{
    uint8_t point[1 + 2 * COORDINATE_MOST] = { POINT_CONVERSION_UNCOMPRESSED };
    char group[8];
    kv_slice x, y;

    /* RFC 7518, 6.2.1.2: exactly as long as the field's elements. */
    if (!bytes_of(jwk, "x", scratch, &x) || !bytes_of(jwk, "y", scratch, &y) ||
        x.len != row->coordinate || y.len != row->coordinate)
        return NULL;
    memcpy(point + 1, x.data, x.len);
    memcpy(point + 1 + x.len, y.data, y.len);
    memcpy(group, row->curve, strlen(row->curve) + 1);
    return key_from(
        "EC",
        (OSSL_PARAM[]){ OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point,
                                                          1 + 2 * (size_t)row->coordinate),
                        OSSL_PARAM_construct_end() });
}

static EVP_PKEY *ed25519_key(const json_t *jwk, kv_arena *scratch)
{
    kv_slice x;

    if (!bytes_of(jwk, "x", scratch, &x) || x.len != 32)
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x.data, x.len);
}

static bool lists(const json_t *operations, const char *name)
{
    for (size_t i = 0; i < json_array_size(operations); i++) {
        const json_t *item = json_array_get(operations, i);

        if (json_is_string(item) && !strcmp(json_string_value(item), name))
            return true;
    }
    return false;
}

/* Its holder says what it is for; a private or symmetric key has no business here. */
static bool is_for_signatures(const json_t *jwk)
{
    const json_t *use = json_object_get(jwk, "use"), *ops = json_object_get(jwk, "key_ops");

    if (json_object_get(jwk, "d") || json_object_get(jwk, "k"))
        return false;
    if (use && !kv_slice_equal(text_of(jwk, "use"), KV_SLICE("sig")))
        return false;
    return !ops || lists(ops, "verify");
}

/* The first algorithm that such a key fits: it says family and curve. */
static const kv_jws_algorithm *kind_of(const json_t *jwk)
{
    kv_slice family = text_of(jwk, "kty"), curve = text_of(jwk, "crv");

    for (unsigned i = 0; i < KV_COUNT(algorithms); i++) {
        const kv_jws_algorithm *row = &algorithms[i];

        if (kv_slice_equal(family, kv_slice_text(row->family)) &&
            (!row->curve || kv_slice_equal(curve, kv_slice_text(row->curve))))
            return row;
    }
    return NULL;
}

static EVP_PKEY *make_key(const json_t *jwk, const kv_jws_algorithm *row, kv_arena *scratch)
{
    if (!strcmp(row->family, "RSA"))
        return rsa_key(jwk, scratch);
    return row->coordinate ? ec_key(jwk, row, scratch) : ed25519_key(jwk, scratch);
}

static bool is_there(const kv_jwks *jwks, kv_slice kid, const char *family)
{
    for (unsigned i = 0; i < jwks->count; i++)
        if (kv_slice_equal(kid, kv_slice_text(jwks->keys[i].kid)) &&
            !strcmp(family, jwks->keys[i].family))
            return true;
    return false;
}

static void take_key(kv_jwks *jwks, const json_t *jwk)
{
    KV_AUTO(kv_arena) scratch = KV_ARENA(SCRATCH_BYTES);
    provider_key *place = &jwks->keys[jwks->count];
    const kv_jws_algorithm *row = json_is_object(jwk) ? kind_of(jwk) : NULL;
    kv_slice kid = text_of(jwk, "kid"), algorithm = text_of(jwk, "alg");
    EVP_PKEY *key;

    if (!row || kid.len == 0 || kid.len > KV_KID_BYTES || algorithm.len >= sizeof(place->algorithm))
        return;
    if (!is_for_signatures(jwk) || is_there(jwks, kid, row->family))
        return;
    key = make_key(jwk, row, &scratch);
    if (!key || !is_sound(key)) {
        EVP_PKEY_free(key);
        return;
    }
    *place = (provider_key){ .family = row->family, .curve = row->curve, .key = key };
    memcpy(place->kid, kid.data, kid.len);
    if (algorithm.len)
        memcpy(place->algorithm, algorithm.data, algorithm.len);
    jwks->count++;
}

/* --- the set --- */

kv_status kv_jwks_parse(kv_slice json, kv_jwks **out, kv_error *err)
{
    json_error_t where;
    __attribute__((cleanup(json_cleanup))) json_t *set =
        json.len && json.len <= KV_JWKS_BYTES
            ? json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, &where)
            : NULL;
    const json_t *keys = json_object_get(set, "keys");
    kv_jwks *jwks;

    if (!json_is_array(keys))
        return kv_fail(err, KV_UNAVAILABLE, "the identity provider's keys are no JWK set");
    jwks = calloc(1, sizeof(*jwks));
    if (!jwks)
        return kv_fail(err, KV_BUSY, "out of memory");
    for (size_t i = 0; i < json_array_size(keys) && jwks->count < KV_JWKS_KEYS; i++)
        take_key(jwks, json_array_get(keys, i));
    /* A key that OpenSSL refused leaves a trace that is not ours to keep. */
    ERR_clear_error();
    if (!jwks->count) {
        kv_jwks_free(jwks);
        return kv_fail(err, KV_UNAVAILABLE,
                       "the identity provider's JWK set has no key that verifies signatures");
    }
    *out = jwks;
    return KV_OK;
}

void kv_jwks_free(kv_jwks *jwks)
{
    if (!jwks)
        return;
    for (unsigned i = 0; i < jwks->count; i++)
        EVP_PKEY_free(jwks->keys[i].key);
    free(jwks);
}

unsigned kv_jwks_count(const kv_jwks *jwks)
{
    return jwks->count;
}

static bool fits(const provider_key *key, const kv_jws_algorithm *algorithm)
{
    if (strcmp(key->family, algorithm->family) != 0)
        return false;
    if (algorithm->curve && strcmp(key->curve, algorithm->curve) != 0)
        return false;
    return !key->algorithm[0] || !strcmp(key->algorithm, algorithm->name);
}

EVP_PKEY *kv_jwks_find(const kv_jwks *jwks, kv_slice kid, const kv_jws_algorithm *algorithm)
{
    for (unsigned i = 0; i < jwks->count; i++)
        if (kv_slice_equal(kid, kv_slice_text(jwks->keys[i].kid)) &&
            fits(&jwks->keys[i], algorithm))
            return jwks->keys[i].key;
    return NULL;
}

/* --- signatures --- */

/* r || s to the DER that OpenSSL verifies; the length, or 0. */
static int der_of(kv_slice raw, unsigned coordinate, uint8_t out[DER_BYTES])
{
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw.data, (int)coordinate, NULL);
    BIGNUM *s = BN_bin2bn(raw.data + coordinate, (int)coordinate, NULL);
    uint8_t *at = out;
    int len = 0;

    if (!signature || !r || !s || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
    } else if (!BN_is_zero(r) && !BN_is_zero(s)) {
        len = i2d_ECDSA_SIG(signature, &at);
    }
    ECDSA_SIG_free(signature);
    return len > 0 ? len : 0;
}

static bool set_padding(EVP_PKEY_CTX *context, const kv_jws_algorithm *algorithm)
{
    if (strcmp(algorithm->family, "RSA") != 0)
        return true;
    if (!algorithm->pss)
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

bool kv_jws_verify(EVP_PKEY *key, const kv_jws_algorithm *algorithm, kv_slice signed_part,
                   kv_slice signature)
{
    __attribute__((cleanup(md_ctx_cleanup))) EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *inner = NULL; /* belongs to the other */
    uint8_t der[DER_BYTES];
    bool holds;

    if (!context || !signature.len)
        return false;
    if (algorithm->coordinate) {
        if (signature.len != 2 * (size_t)algorithm->coordinate)
            return false;
        signature = kv_slice_of(der, (size_t)der_of(signature, algorithm->coordinate, der));
    }
    holds =
        signature.len > 0 &&
        EVP_DigestVerifyInit_ex(context, &inner, algorithm->digest, NULL, NULL, key, NULL) == 1 &&
        set_padding(inner, algorithm) &&
        EVP_DigestVerify(context, signature.data, signature.len, signed_part.data,
                         signed_part.len) == 1;
    ERR_clear_error();
    return holds;
}
