/* kdf.c - what it costs to turn a password into a key, before it is done. */
#include <openssl/err.h>

#include "server/x509/found.h"

enum { PBE_WEIGHT = 3 /* key and IV are derived apart, a long key in two steps */ };

typedef struct scheme {
    int nid;
    bool legacy;
} scheme;

/* PKCS#5 v1.5 and PKCS#12 encryption. */
static const scheme schemes[] = {
    { NID_pbe_WithSHA1And3_Key_TripleDES_CBC, false },
    { NID_pbe_WithSHA1And2_Key_TripleDES_CBC, false },
    { NID_pbe_WithSHA1And40BitRC2_CBC, true },
    { NID_pbe_WithSHA1And128BitRC2_CBC, true },
    { NID_pbe_WithSHA1And40BitRC4, true },
    { NID_pbe_WithSHA1And128BitRC4, true },
    { NID_pbeWithSHA1AndDES_CBC, true },
    { NID_pbeWithSHA1AndRC2_CBC, true },
    { NID_pbeWithMD5AndDES_CBC, true },
    { NID_pbeWithMD5AndRC2_CBC, true },
};

/* Ciphers of PBES2. */
static const scheme ciphers[] = {
    { NID_aes_128_cbc, false },  { NID_aes_192_cbc, false },      { NID_aes_256_cbc, false },
    { NID_des_ede3_cbc, false }, { NID_camellia_128_cbc, false }, { NID_camellia_256_cbc, false },
    { NID_des_cbc, true },       { NID_rc2_cbc, true },
};

static const scheme *row_of(const scheme *rows, size_t count, int nid)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].nid == nid)
            return &rows[i];
    return NULL;
}

static kv_status unsupported(const kv_x509_found *found, const ASN1_OBJECT *object, kv_error *err)
{
    char name[64] = "";

    ERR_clear_error();
    (void)OBJ_obj2txt(name, sizeof(name), object, 0);
    return kv_fail_field(err, found->field, "encryption with %s is not supported", name);
}

static kv_status malformed(const kv_x509_found *found, kv_error *err)
{
    ERR_clear_error();
    return kv_fail_field(err, found->field, "the parameters of an encryption are malformed");
}

static kv_status add_work(kv_x509_found *found, uint64_t more, kv_error *err)
{
    if (more > KV_X509_KDF_WORK_MAX || found->work + more > KV_X509_KDF_WORK_MAX)
        return kv_fail_field(err, found->field,
                             "deriving keys from the password takes more than %d iterations",
                             KV_X509_KDF_WORK_MAX);
    found->work += more;
    return KV_OK;
}

kv_status kv_x509_found_work(kv_x509_found *found, const ASN1_INTEGER *iterations, unsigned weight,
                             kv_error *err)
{
    int64_t count = 0;

    if (!ASN1_INTEGER_get_int64(&count, iterations)) {
        ERR_clear_error();
        count = ASN1_STRING_type(iterations) == V_ASN1_NEG_INTEGER ? -1 : INT64_MAX;
    }
    if (count <= 0)
        return malformed(found, err);
    return add_work(found, count > KV_X509_KDF_WORK_MAX ? UINT64_MAX : (uint64_t)count * weight,
                    err);
}

/* The memory of scrypt is bounded by OpenSSL, its time by nobody. */
static kv_status scrypt_work(kv_x509_found *found, const X509_ALGOR *derivation, kv_error *err)
{
    SCRYPT_PARAMS *p =
        ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(SCRYPT_PARAMS), derivation->parameter);
    uint64_t cost = 0, block = 0, lanes = 0;
    bool good = p && ASN1_INTEGER_get_uint64(&cost, p->costParameter) &&
                ASN1_INTEGER_get_uint64(&block, p->blockSize) &&
                ASN1_INTEGER_get_uint64(&lanes, p->parallelizationParameter) && cost > 1 && block &&
                lanes;

    SCRYPT_PARAMS_free(p);
    if (!good)
        return malformed(found, err);
    if (cost > KV_X509_KDF_WORK_MAX || block > KV_X509_KDF_WORK_MAX / cost ||
        lanes > KV_X509_KDF_WORK_MAX / cost / block)
        return add_work(found, UINT64_MAX, err);
    return add_work(found, cost * block * lanes, err);
}

static kv_status pbkdf2_work(kv_x509_found *found, const X509_ALGOR *derivation, kv_error *err)
{
    PBKDF2PARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), derivation->parameter);
    kv_status status = p ? kv_x509_found_work(found, p->iter, 1, err) : malformed(found, err);

    PBKDF2PARAM_free(p);
    return status;
}

static kv_status pbes2(kv_x509_found *found, const PBE2PARAM *p, bool *legacy, kv_error *err)
{
    const scheme *cipher =
        row_of(ciphers, KV_COUNT(ciphers), OBJ_obj2nid(p->encryption->algorithm));
    int derivation = OBJ_obj2nid(p->keyfunc->algorithm);

    if (!cipher)
        return unsupported(found, p->encryption->algorithm, err);
    *legacy = cipher->legacy;
    if (derivation == NID_id_pbkdf2)
        return pbkdf2_work(found, p->keyfunc, err);
    if (derivation == NID_id_scrypt)
        return scrypt_work(found, p->keyfunc, err);
    return unsupported(found, p->keyfunc->algorithm, err);
}

static kv_status cost_of(kv_x509_found *found, const X509_ALGOR *algorithm, bool *legacy,
                         kv_error *err)
{
    const scheme *row = row_of(schemes, KV_COUNT(schemes), OBJ_obj2nid(algorithm->algorithm));
    PBEPARAM *old;
    PBE2PARAM *modern;
    kv_status status;

    if (row) {
        old = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), algorithm->parameter);
        status =
            old ? kv_x509_found_work(found, old->iter, PBE_WEIGHT, err) : malformed(found, err);
        *legacy = row->legacy;
        PBEPARAM_free(old);
        return status;
    }
    if (OBJ_obj2nid(algorithm->algorithm) != NID_pbes2)
        return unsupported(found, algorithm->algorithm, err);
    modern = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), algorithm->parameter);
    status = modern ? pbes2(found, modern, legacy, err) : malformed(found, err);
    PBE2PARAM_free(modern);
    return status;
}

/* A library context of its own: the algorithms must not be found by anything else. */
static kv_status open_legacy(kv_x509_found *found, kv_error *err)
{
    static const char *const names[] = { "default", "legacy" };

    if (found->library)
        return KV_OK;
    found->library = OSSL_LIB_CTX_new();
    for (size_t i = 0; found->library && i < KV_COUNT(names); i++) {
        found->providers[i] = OSSL_PROVIDER_load(found->library, names[i]);
        if (!found->providers[i]) {
            kv_status status =
                kv_ossl_failed(err, KV_UNSUPPORTED,
                               "the file uses legacy encryption, which is not installed here");

            OSSL_LIB_CTX_free(found->library);
            found->library = NULL;
            return status;
        }
    }
    return found->library ? KV_OK : kv_ossl_failed(err, KV_INTERNAL, "no library context");
}

kv_status kv_x509_found_algorithm(kv_x509_found *found, const X509_ALGOR *algorithm,
                                  OSSL_LIB_CTX **library, kv_error *err)
{
    bool legacy = false;

    *library = NULL;
    KV_TRY(cost_of(found, algorithm, &legacy, err));
    if (!legacy)
        return KV_OK;
    if (found->refuse_legacy)
        return kv_fail_field(err, found->field,
                             "uses legacy encryption (RC2, RC4 or DES), which is turned off");
    KV_TRY(open_legacy(found, err));
    *library = found->library;
    return KV_OK;
}
