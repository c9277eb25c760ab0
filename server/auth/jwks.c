/* jwks.c - JWK sets to public keys of OpenSSL. */
#include "server/auth/jwks.h"

#include <stdlib.h>

#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "server/base/arena.h"
#include "server/base/text.h"

enum {
    RSA_LEAST_BITS = 2048,
    RSA_MOST_BITS = 8192, /* a larger one costs the server more than it proves */
    COORDINATE_MOST = 66,
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

static void json_cleanup(json_t **json)
{
    json_decref(*json);
}

static void pkey_ctx_cleanup(EVP_PKEY_CTX **context)
{
    EVP_PKEY_CTX_free(*context);
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
    const kv_jws_algorithm *row =
        json_is_object(jwk) ? kv_jws_algorithm_of_key(text_of(jwk, "kty"), text_of(jwk, "crv"))
                            : NULL;
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
