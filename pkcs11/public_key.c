/* public_key.c - verification and spellings of public keys, with OpenSSL. */
#include "pkcs11/public_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "server/base/text.h"

enum { SPKI_MAX = 1024, ED25519_BYTES = 32 };

typedef EVP_PKEY *pkey;
typedef EVP_PKEY_CTX *pkey_ctx;
typedef EVP_MD *md;
typedef BIGNUM *number;
typedef OSSL_PARAM_BLD *builder;
typedef OSSL_PARAM *params;

static void pkey_cleanup(pkey *key)
{
    EVP_PKEY_free(*key);
}

static void pkey_ctx_cleanup(pkey_ctx *ctx)
{
    EVP_PKEY_CTX_free(*ctx);
}

static void md_cleanup(md *digest)
{
    EVP_MD_free(*digest);
}

static void number_cleanup(number *n)
{
    BN_free(*n);
}

static void builder_cleanup(builder *b)
{
    OSSL_PARAM_BLD_free(*b);
}

static void params_cleanup(params *p)
{
    OSSL_PARAM_free(*p);
}

static kv_status openssl_failed(kv_error *err)
{
    unsigned long code = ERR_get_error();

    ERR_clear_error();
    kv_fail(err, KV_INTERNAL, "a cryptographic operation failed");
    return kv_note(err, "OpenSSL: %s", code ? ERR_reason_error_string(code) : "no reason given");
}

kv_status kv_public_key_digest(const kv_mechanism *alg, kv_slice message, uint8_t *out,
                               kv_error *err)
{
    KV_AUTO(md) digest = alg->digest_len ? EVP_MD_fetch(NULL, alg->digest_name, NULL) : NULL;
    unsigned len = 0;

    if (!alg->digest_len)
        return kv_fail_field(err, "alg", "%s signs the message itself, not a digest", alg->name);
    if (!digest || !EVP_Digest(message.data, message.len, out, &len, digest, NULL) ||
        len != alg->digest_len)
        return openssl_failed(err);
    return KV_OK;
}

static kv_key_kind kind_of(EVP_PKEY *key)
{
    char group[32];
    size_t len = 0;

    if (EVP_PKEY_is_a(key, "RSA"))
        return kv_key_kind_rsa((unsigned)EVP_PKEY_get_bits(key));
    if (EVP_PKEY_is_a(key, "ED25519"))
        return KV_KEY_ED25519;
    if (!EVP_PKEY_is_a(key, "EC") || !EVP_PKEY_get_group_name(key, group, sizeof(group), &len))
        return KV_KEY_NONE;
    return kv_key_kind_curve(OBJ_txt2nid(group));
}

/* The caller frees `out`. */
static kv_status parse(kv_slice spki, pkey *out, kv_key_kind *kind, kv_error *err)
{
    const unsigned char *at = spki.data;
    pkey key = spki.len && spki.len <= SPKI_MAX ? d2i_PUBKEY(NULL, &at, (long)spki.len) : NULL;

    ERR_clear_error();
    *kind = key && at == spki.data + spki.len ? kind_of(key) : KV_KEY_NONE;
    if (*kind == KV_KEY_NONE) {
        EVP_PKEY_free(key);
        return kv_fail(err, KV_BAD_REQUEST,
                       "not a public key of RSA 2048, 3072, 4096, P-256, P-384, P-521, P-256K or "
                       "Ed25519");
    }
    *out = key;
    return KV_OK;
}

kv_status kv_public_key_kind(kv_slice spki, kv_key_kind *out, kv_error *err)
{
    KV_AUTO(pkey) key = NULL;

    return parse(spki, &key, out, err);
}

static bool set_padding(EVP_PKEY_CTX *ctx, const kv_mechanism *alg)
{
    if (alg->padding == KV_PADDING_NONE)
        return true;
    if (alg->padding == KV_PADDING_PKCS1)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0;
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, (int)alg->digest_len) > 0 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, alg->digest_name, NULL) > 0;
}

static kv_status verify_message(EVP_PKEY *key, kv_slice message, kv_slice signature, bool *valid,
                                kv_error *err)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ready = ctx && EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, key, NULL) > 0;

    *valid = ready &&
             EVP_DigestVerify(ctx, signature.data, signature.len, message.data, message.len) == 1;
    EVP_MD_CTX_free(ctx);
    if (!ready)
        return openssl_failed(err);
    ERR_clear_error();
    return KV_OK;
}

/* An ECDSA signature as OpenSSL wants it; false when r or s cannot be right. */
static bool to_der(const kv_mechanism *alg, kv_slice signature, uint8_t *der, size_t *len)
{
    static const uint8_t zeros[KV_EC_COORDINATE_MAX];
    kv_error ignored;

    if (!memcmp(signature.data, zeros, alg->coordinate_len) ||
        !memcmp(signature.data + alg->coordinate_len, zeros, alg->coordinate_len))
        return false;
    return kv_ecdsa_to_der(signature, der, len, &ignored) == KV_OK;
}

kv_status kv_public_key_verify(kv_slice spki, const kv_mechanism *alg, kv_slice digest,
                               kv_slice signature, bool *valid, kv_error *err)
{
    KV_AUTO(pkey) key = NULL;
    KV_AUTO(pkey_ctx) ctx = NULL;
    KV_AUTO(md) hash = alg->digest_len ? EVP_MD_fetch(NULL, alg->digest_name, NULL) : NULL;
    uint8_t der[KV_EC_DER_MAX];
    size_t der_len = sizeof(der);
    kv_key_kind kind;

    if (!kv_mechanism_takes(alg, digest.len))
        return kv_fail_field(err, "digest", "%s needs a digest of %zu bytes", alg->name,
                             alg->digest_len);
    KV_TRY(parse(spki, &key, &kind, err));
    if (!kv_mechanism_fits(alg, kind))
        return kv_fail_field(err, "alg", "%s does not fit a key of kind %s", alg->name,
                             kv_key_kind_of(kind)->name);

    *valid = false;
    if (signature.len != kv_mechanism_signature_len(alg, kind))
        return KV_OK;
    if (alg->family == KV_FAMILY_OKP)
        return verify_message(key, digest, signature, valid, err);
    if (alg->family == KV_FAMILY_EC) {
        if (!to_der(alg, signature, der, &der_len))
            return KV_OK;
        signature = kv_slice_of(der, der_len);
    }
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    if (!ctx || EVP_PKEY_verify_init(ctx) <= 0 || !set_padding(ctx, alg) || !hash ||
        EVP_PKEY_CTX_set_signature_md(ctx, hash) <= 0)
        return openssl_failed(err);
    *valid = EVP_PKEY_verify(ctx, signature.data, signature.len, digest.data, digest.len) == 1;
    ERR_clear_error();
    return KV_OK;
}

static kv_status member(EVP_PKEY *key, const char *name, size_t width, kv_arena *arena,
                        kv_slice *out, kv_error *err)
{
    KV_AUTO(number) value = NULL;
    uint8_t *bytes;
    size_t len;

    if (!EVP_PKEY_get_bn_param(key, name, &value))
        return openssl_failed(err);
    len = width ? width : (size_t)BN_num_bytes(value);
    bytes = kv_arena_alloc(arena, len);
    if (!bytes)
        return kv_arena_full(err);
    if (BN_bn2binpad(value, bytes, (int)len) < 0)
        return openssl_failed(err);
    *out = kv_slice_of(bytes, len);
    return KV_OK;
}

static kv_status raw_public(EVP_PKEY *key, kv_arena *arena, kv_slice *out, kv_error *err)
{
    size_t len = KV_EC_COORDINATE_MAX;
    uint8_t *bytes = kv_arena_alloc(arena, len);

    if (!bytes)
        return kv_arena_full(err);
    if (EVP_PKEY_get_raw_public_key(key, bytes, &len) <= 0)
        return openssl_failed(err);
    *out = kv_slice_of(bytes, len);
    return KV_OK;
}

kv_status kv_public_key_jwk(kv_slice spki, kv_arena *arena, kv_jwk *out, kv_error *err)
{
    KV_AUTO(pkey) key = NULL;
    kv_jwk jwk = { .kty = "RSA", .crv = "" };
    size_t width;

    KV_TRY(parse(spki, &key, &jwk.kind, err));
    if (kv_key_kind_of(jwk.kind)->family == KV_FAMILY_RSA) {
        KV_TRY(member(key, OSSL_PKEY_PARAM_RSA_N, 0, arena, &jwk.n, err));
        KV_TRY(member(key, OSSL_PKEY_PARAM_RSA_E, 0, arena, &jwk.e, err));
    } else if (jwk.kind == KV_KEY_ED25519) {
        jwk.kty = "OKP";
        jwk.crv = kv_key_kind_of(jwk.kind)->name;
        KV_TRY(raw_public(key, arena, &jwk.x, err));
    } else {
        jwk.kty = "EC";
        jwk.crv = kv_key_kind_of(jwk.kind)->name;
        width = (kv_key_kind_of(jwk.kind)->bits + 7) / 8;
        KV_TRY(member(key, OSSL_PKEY_PARAM_EC_PUB_X, width, arena, &jwk.x, err));
        KV_TRY(member(key, OSSL_PKEY_PARAM_EC_PUB_Y, width, arena, &jwk.y, err));
    }
    *out = jwk;
    return KV_OK;
}

kv_status kv_public_key_thumbprint(kv_slice spki, kv_arena *arena, uint8_t out[32], kv_error *err)
{
    kv_slice a, b, text;
    kv_jwk jwk;
    unsigned len = 0;

    KV_TRY(kv_public_key_jwk(spki, arena, &jwk, err));
    if (jwk.n.len) {
        KV_TRY(kv_base64url(arena, jwk.e, &a, err));
        KV_TRY(kv_base64url(arena, jwk.n, &b, err));
        KV_TRY(kv_arena_print(arena, &text, err, "{\"e\":\"%.*s\",\"kty\":\"RSA\",\"n\":\"%.*s\"}",
                              KV_SLICE_ARG(a), KV_SLICE_ARG(b)));
    } else if (!jwk.y.len) {
        KV_TRY(kv_base64url(arena, jwk.x, &a, err));
        KV_TRY(kv_arena_print(arena, &text, err, "{\"crv\":\"%s\",\"kty\":\"OKP\",\"x\":\"%.*s\"}",
                              jwk.crv, KV_SLICE_ARG(a)));
    } else {
        KV_TRY(kv_base64url(arena, jwk.x, &a, err));
        KV_TRY(kv_base64url(arena, jwk.y, &b, err));
        KV_TRY(kv_arena_print(arena, &text, err,
                              "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"%.*s\",\"y\":\"%.*s\"}",
                              jwk.crv, KV_SLICE_ARG(a), KV_SLICE_ARG(b)));
    }
    if (!EVP_Digest(text.data, text.len, out, &len, EVP_sha256(), NULL))
        return openssl_failed(err);
    return KV_OK;
}

static kv_status encode(EVP_PKEY *key, kv_arena *arena, kv_slice *spki, kv_error *err)
{
    int len = i2d_PUBKEY(key, NULL);
    unsigned char *der, *at;

    if (len <= 0)
        return openssl_failed(err);
    der = at = kv_arena_alloc(arena, (size_t)len);
    if (!der)
        return kv_arena_full(err);
    *spki = kv_slice_of(der, (size_t)i2d_PUBKEY(key, &at));
    return KV_OK;
}

static kv_status build(const char *type, OSSL_PARAM_BLD *bld, kv_arena *arena, kv_slice *spki,
                       kv_error *err)
{
    KV_AUTO(params) list = OSSL_PARAM_BLD_to_param(bld);
    KV_AUTO(pkey_ctx) ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    KV_AUTO(pkey) key = NULL;

    if (!list || !ctx || EVP_PKEY_fromdata_init(ctx) <= 0 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, list) <= 0) {
        ERR_clear_error();
        return kv_fail(err, KV_BAD_REQUEST, "not the parts of a public key");
    }
    return encode(key, arena, spki, err);
}

kv_status kv_public_key_from_rsa(kv_slice modulus, kv_slice exponent, kv_arena *arena,
                                 kv_slice *spki, kv_error *err)
{
    KV_AUTO(builder) bld = OSSL_PARAM_BLD_new();
    KV_AUTO(number) n = BN_bin2bn(modulus.data, (int)modulus.len, NULL);
    KV_AUTO(number) e = BN_bin2bn(exponent.data, (int)exponent.len, NULL);

    if (!bld || !n || !e || !OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) ||
        !OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e))
        return openssl_failed(err);
    return build("RSA", bld, arena, spki, err);
}

static kv_status from_raw(kv_slice point, kv_arena *arena, kv_slice *spki, kv_error *err)
{
    KV_AUTO(pkey) key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, point.data, point.len);

    if (key)
        return encode(key, arena, spki, err);
    ERR_clear_error();
    return kv_fail(err, KV_BAD_REQUEST, "not a point of this curve");
}

/* CKA_EC_POINT is the point in a DER OCTET STRING; some tokens leave the wrapping out. A point
 * begins as an OCTET STRING does, and may go on like one: only its length tells. */
static kv_slice unwrap_point(kv_slice der, size_t len)
{
    if (der.len == len + 2 && der.data[0] == 0x04 && der.data[1] == len)
        return kv_slice_of(der.data + 2, len);
    if (der.len == len + 3 && der.data[0] == 0x04 && der.data[1] == 0x81 && der.data[2] == len)
        return kv_slice_of(der.data + 3, len);
    return der;
}

kv_status kv_public_key_from_point(kv_key_kind kind, kv_slice point, kv_arena *arena,
                                   kv_slice *spki, kv_error *err)
{
    const kv_key_kind_row *row = kv_key_kind_of(kind);
    size_t len = 1 + 2 * (size_t)((row->bits + 7) / 8);
    KV_AUTO(builder) bld = NULL;

    if (kind == KV_KEY_ED25519)
        return from_raw(unwrap_point(point, ED25519_BYTES), arena, spki, err);
    point = unwrap_point(point, len);
    if (row->family != KV_FAMILY_EC || point.len != len)
        return kv_fail(err, KV_BAD_REQUEST, "not an uncompressed point of this curve");
    bld = OSSL_PARAM_BLD_new();
    if (!bld ||
        !OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, OBJ_nid2sn(row->curve),
                                         0) ||
        !OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len))
        return openssl_failed(err);
    return build("EC", bld, arena, spki, err);
}

static bool set_encryption(EVP_PKEY_CTX *ctx, const kv_encryption *alg)
{
    const char *hash = alg->mode == KV_MODE_OAEP_SHA256 ? "SHA2-256" : "SHA1";

    if (alg->mode == KV_MODE_RSA1_5)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0;
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, hash, NULL) > 0 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, hash, NULL) > 0;
}

/* Bytes that padding takes of the modulus. */
static size_t overhead_of(const kv_encryption *alg)
{
    if (alg->mode == KV_MODE_RSA1_5)
        return 11;
    return 2 + 2 * (size_t)(alg->mode == KV_MODE_OAEP_SHA256 ? 32 : 20);
}

kv_status kv_public_key_encrypt(kv_slice spki, const kv_encryption *alg, bool allow_weak,
                                kv_slice plaintext, kv_arena *arena, kv_slice *out, kv_error *err)
{
    KV_AUTO(pkey) key = NULL;
    KV_AUTO(pkey_ctx) ctx = NULL;
    static const uint8_t nothing;
    kv_key_kind kind;
    uint8_t *bytes;
    size_t len;

    KV_TRY(parse(spki, &key, &kind, err));
    KV_TRY(kv_encryption_check(alg, KV_CLASS_DECRYPT, kind, allow_weak, err));
    len = kv_key_kind_of(kind)->bits / 8;
    if (plaintext.len > len - overhead_of(alg))
        return kv_fail_field(err, "plaintext", "%s with this key takes at most %zu bytes",
                             alg->name, len - overhead_of(alg));
    bytes = kv_arena_alloc(arena, len);
    if (!bytes)
        return kv_arena_full(err);
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    if (!ctx || EVP_PKEY_encrypt_init(ctx) <= 0 || !set_encryption(ctx, alg) ||
        EVP_PKEY_encrypt(ctx, bytes, &len, plaintext.len ? plaintext.data : &nothing,
                         plaintext.len) <= 0)
        return openssl_failed(err);
    *out = kv_slice_of(bytes, len);
    return KV_OK;
}
