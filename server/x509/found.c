/* found.c - collects certificates and the private key of a file. */
#include "server/x509/found.h"

#include <openssl/core_names.h>
#include <openssl/err.h>

enum { CERTIFICATE_MAX = 64 * 1024, KEYS_MAX = 8 };

void kv_x509_found_cleanup(kv_x509_found *found)
{
    EVP_PKEY_free(found->key);
    for (size_t i = 0; i < KV_COUNT(found->providers); i++)
        if (found->providers[i])
            (void)OSSL_PROVIDER_unload(found->providers[i]);
    OSSL_LIB_CTX_free(found->library);
    *found = (kv_x509_found){ 0 };
}

static bool known(const kv_x509_found *found, kv_slice der)
{
    for (size_t i = 0; i < found->count; i++)
        if (kv_slice_equal(found->certificates[i], der))
            return true;
    return false;
}

kv_status kv_x509_found_certificate(kv_x509_found *found, const X509 *certificate, kv_error *err)
{
    KV_AUTO(kv_ossl_bytes) der = NULL;
    int len = i2d_X509(certificate, &der);

    if (len <= 0) {
        ERR_clear_error();
        return kv_fail_field(err, found->field, "a certificate cannot be encoded");
    }
    if (len > CERTIFICATE_MAX)
        return kv_fail_field(err, found->field, "a certificate has at most %d bytes",
                             CERTIFICATE_MAX);
    if (known(found, kv_slice_of(der, (size_t)len))) {
        found->duplicates++;
        if (found->duplicates <= KV_X509_FOUND_MAX)
            return KV_OK;
    }
    if (found->count == KV_X509_FOUND_MAX || found->duplicates > KV_X509_FOUND_MAX)
        return kv_fail_field(err, found->field, "has more than %d certificates", KV_X509_FOUND_MAX);
    KV_TRY(kv_ossl_keep(found->arena, der, len, &found->certificates[found->count], err));
    found->count++;
    return KV_OK;
}

kv_status kv_x509_found_key(kv_x509_found *found, EVP_PKEY *key, kv_error *err)
{
    bool same = !found->key || EVP_PKEY_eq(found->key, key) == 1;

    ERR_clear_error();
    if (found->key)
        EVP_PKEY_free(key);
    else
        found->key = key;
    if (!same || ++found->keys > KEYS_MAX)
        return kv_fail_field(err, found->field, "has several private keys: bring one at a time");
    return KV_OK;
}

/* Explicit parameters describe any curve at all, a weak one too. */
static bool names_its_curve(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *object;
    int type;

    X509_ALGOR_get0(&object, &type, NULL, algorithm);
    return OBJ_obj2nid(object) != NID_X9_62_id_ecPublicKey || type == V_ASN1_OBJECT;
}

kv_status kv_x509_found_pkcs8(kv_x509_found *found, const PKCS8_PRIV_KEY_INFO *info, kv_error *err)
{
    const X509_ALGOR *algorithm = NULL;
    const ASN1_OBJECT *object = NULL;
    char name[80] = "";
    EVP_PKEY *key;

    if (!PKCS8_pkey_get0(&object, NULL, NULL, &algorithm, info))
        return kv_ossl_failed(err, KV_BAD_REQUEST, "a private key is malformed");
    if (!names_its_curve(algorithm))
        return kv_fail_field(err, found->field, "the curve of an EC key must be a named one");
    key = EVP_PKCS82PKEY(info);
    ERR_clear_error();
    if (!key) {
        (void)OBJ_obj2txt(name, sizeof(name), object, 0);
        return kv_fail_field(err, found->field, "a private key (%s) is malformed or not supported",
                             name);
    }
    return kv_x509_found_key(found, key, err);
}
