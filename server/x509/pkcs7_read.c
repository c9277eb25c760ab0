/* pkcs7_read.c - the certificates of a PKCS#7 or CMS file without content (.p7b). */
#include <openssl/err.h>

#include "server/x509/found.h"

static kv_status take_all(kv_x509_found *found, const STACK_OF(X509) *all, kv_error *err)
{
    for (int i = 0; i < sk_X509_num(all); i++)
        KV_TRY(kv_x509_found_certificate(found, sk_X509_value(all, i), err));
    return KV_OK;
}

kv_status kv_x509_pkcs7_read(kv_x509_found *found, kv_slice der, bool *is, kv_error *err)
{
    const unsigned char *at = der.data;
    KV_AUTO(kv_ossl_pkcs7) message = d2i_PKCS7(NULL, &at, (long)der.len);

    ERR_clear_error();
    *is = message != NULL;
    if (!message)
        return KV_OK;
    if (at != der.data + der.len)
        return kv_fail_field(err, found->field, "has something behind the end of the PKCS#7");
    if (!PKCS7_type_is_signed(message) || !message->d.sign)
        return kv_fail_field(err, found->field,
                             "is PKCS#7, but not of the kind that carries certificates");
    if (sk_X509_num(message->d.sign->cert) <= 0)
        return kv_fail_field(err, found->field, "is PKCS#7 without certificates");
    return take_all(found, message->d.sign->cert, err);
}

kv_status kv_x509_certificates_read(kv_x509_found *found, kv_slice der, bool *is, kv_error *err)
{
    KV_AUTO(kv_ossl_x509) certificate = kv_ossl_parse_certificate(der);

    *is = true;
    if (certificate)
        return kv_x509_found_certificate(found, certificate, err);
    return kv_x509_pkcs7_read(found, der, is, err);
}
